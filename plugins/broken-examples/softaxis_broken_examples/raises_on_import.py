"""Raises when it is imported: a library that it needs has another version."""

raise ImportError("libfast.so.7: cannot open shared object file")
