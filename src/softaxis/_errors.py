"""The one exception class of softaxis."""

from __future__ import annotations


class AxisError(ValueError, IndexError):
    """An axis that the array does not have.

    It is a ValueError and an IndexError, on every array library, so that code written for
    NumPy's or PyTorch's own exception keeps working.

    Parameters
    ----------
    axis : int
        The axis that was asked for.
    ndim : int
        The number of dimensions of the array.

    Examples
    --------
    >>> import softaxis
    >>> softaxis.softmax([1.0, 2.0], axis=1)
    Traceback (most recent call last):
        ...
    softaxis.AxisError: `axis` 1 is out of bounds for an array of 1 dimension
    """

    def __init__(self, axis: int, ndim: int) -> None:
        super().__init__(axis, ndim)
        self.axis = axis
        self.ndim = ndim

    def __str__(self) -> str:
        if self.ndim == 0:
            return f"`axis` {self.axis} is out of bounds for a 0-d array, which takes None or ()"
        dimensions = "dimension" if self.ndim == 1 else "dimensions"
        return f"`axis` {self.axis} is out of bounds for an array of {self.ndim} {dimensions}"


AxisError.__module__ = "softaxis"
