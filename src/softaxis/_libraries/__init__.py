"""Array libraries: what the functions need to know about the library an array comes from."""

from softaxis._libraries._lookup import adopt, library_of
from softaxis._libraries._record import Array, Library, Namespace
from softaxis._libraries._refusals import refuse

__all__ = ["Array", "Library", "Namespace", "adopt", "library_of", "refuse"]
