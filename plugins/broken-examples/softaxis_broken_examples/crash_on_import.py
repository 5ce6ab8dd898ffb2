"""Crashes when it is imported, as an extension built for another version of NumPy may."""

import ctypes

ctypes.string_at(0)  # reads the address 0
