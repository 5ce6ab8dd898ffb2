"""Array libraries: what the functions need to know about the library an array comes from."""

from softaxis._libraries._lookup import adopt, library_of, library_of_type
from softaxis._libraries._record import Array, Library, Namespace, never, on_cpu
from softaxis._libraries._refusals import message as refusal_message

__all__ = [
    "Array",
    "Library",
    "Namespace",
    "adopt",
    "library_of",
    "library_of_type",
    "never",
    "on_cpu",
    "refusal_message",
]
