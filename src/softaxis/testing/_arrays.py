"""How arrays of a library get in and out of the conformance kit."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

NDArray: TypeAlias = npt.NDArray[Any]
Function: TypeAlias = Callable[..., Any]

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
FLOATS = ("float16", "bfloat16", "float32", "float64", "longdouble")
COMPLEX = ("complex64", "complex128")
ALL_DTYPES = ("bool", *INTEGERS, *FLOATS, *COMPLEX)
NARROWER = {"float64": "float32", "complex128": "complex64", "int64": "int32"}
"""What stands in for a dtype that a library does not have."""


class Arrays:
    """What the conformance kit has to know about an array library.

    A library that follows the array API standard closely needs no more than a ``namespace``. For
    another one, derive a class, name an instance of it in ``Backend(..., arrays="module:name")``,
    and override what differs: most often `asarray` and `to_numpy`.

    Parameters
    ----------
    device : optional
        Where arrays are made; None is the library's own choice.

    Attributes
    ----------
    namespace : str
        The module with the functions of the standard.
    dtypes : tuple of str
        The dtypes that arrays can have, among `ALL_DTYPES`.
    default_float : str
        What integers become.
    immutable : bool
        Arrays cannot be written.
    reads_values : bool
        Values can be looked at without computing or waiting for a device.
    flushes_subnormals : bool
        Subnormal results are 0.
    compiles : bool
        A shape that was not seen before costs a compilation, so that fewer are tried.
    share : int
        Every how many-th call is tried, where a call takes long.
    steady : bool
        The library's own `exp` of a number does not depend on where in an array it stands.
    """

    namespace = ""
    dtypes: tuple[str, ...] = tuple(
        name for name in ALL_DTYPES if name not in {"float16", "bfloat16", "longdouble"}
    )
    default_float = "float64"
    immutable = False
    reads_values = True
    flushes_subnormals = False
    compiles = False
    share = 1
    steady = True

    def __init__(self, device: Any = None) -> None:
        self.xp = importlib.import_module(self.namespace)
        self.device = device

    @property
    def name(self) -> str:
        """The name of the library, for reports."""
        return self.namespace.removeprefix("array_api_compat.").partition(".")[0]

    def has_dtype(self, name: str) -> bool:
        """Say whether arrays can have this dtype."""
        return name in self.dtypes

    def dtype(self, name: str) -> Any:
        """Return the library's own object for a dtype."""
        return getattr(self.xp, name)

    def dtype_name(self, array: Any) -> str:
        """Return the dtype of an array as one of `ALL_DTYPES`."""
        return str(array.dtype).rpartition(".")[2]

    def asarray(self, values: Any, dtype: str | None = None) -> Any:
        """Make an array from nested lists or a NumPy array, which is copied.

        Without `dtype`, floats take the library's widest dtype up to float64.
        """
        array = np.array(values)
        if dtype is None:
            dtype = self.stored_as(array.dtype.name)
        if not self.has_dtype(dtype) and dtype in NARROWER:
            dtype = NARROWER[dtype]
        if dtype in {"bfloat16", "longdouble"}:
            return self.from_numpy(array.astype(np.longdouble), dtype)
        return self.from_numpy(array.astype(dtype), dtype)

    def stored_as(self, name: str) -> str:
        """Return the widest dtype of the library up to the one named."""
        return name if self.has_dtype(name) else NARROWER[name]

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Make an array from one of NumPy's that has the same dtype, or longdouble for bfloat16."""
        options = {} if self.device is None else {"device": self.device}
        return self.xp.asarray(array, dtype=self.dtype(dtype), **options)

    def to_numpy(self, array: Any) -> NDArray:
        """Bring an array back to NumPy; one of bfloat16 as float32."""
        return np.asarray(array)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        """Make an array to write into."""
        return self.from_numpy(np.zeros(shape, "float32" if dtype == "bfloat16" else dtype), dtype)

    def holds(self, result: Any) -> bool:
        """Say whether `result` is an array of this library."""
        return isinstance(result, type(self.xp.asarray(1.0)))

    def device_of(self, array: Any) -> str:
        """Name the device an array is on."""
        return str(getattr(array, "device", "cpu"))

    def layouts(self, values: NDArray, dtype: str) -> Iterator[tuple[str, Any]]:
        """Yield the same numbers with other strides, under the names of the layouts."""
        yield from ()

    def watched(self) -> AbstractContextManager[Any]:
        """Return a context in which computing a lazy array is an error."""
        return nullcontext()

    def threads(self, count: int) -> AbstractContextManager[Any] | None:
        """Return a context in which the library computes with `count` threads, if that exists."""
        return None

    def compiled(self, function: Function) -> Function | None:
        """Return the function compiled by the library's tracer; None where there is none."""
        return None

    def gradient(self, function: Function, x: Any) -> Any:
        """Return the derivative in `x` of a function to one number; None without autograd."""
        return None
