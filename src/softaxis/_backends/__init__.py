"""First-party backends, reached by name through the registry."""
