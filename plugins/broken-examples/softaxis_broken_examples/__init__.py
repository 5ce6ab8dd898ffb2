"""Backends that are broken on purpose: one module, one backend, one fault."""
