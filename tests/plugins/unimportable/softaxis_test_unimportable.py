"""A backend whose driver is not there."""

raise ImportError("no driver for this machine")
