"""Array libraries: what the functions need to know about the library an array comes from."""

from softaxis._libraries._lookup import adopt, library_of, library_of_type
from softaxis._libraries._record import Array, Library, Namespace, never, on_cpu

__all__ = [
    "Array",
    "Library",
    "Namespace",
    "adopt",
    "library_of",
    "library_of_type",
    "never",
    "on_cpu",
]
