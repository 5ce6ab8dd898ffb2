"""Not a backend."""

backend = "not a backend"
