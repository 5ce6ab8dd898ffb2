"""How arrays of the libraries that softaxis knows get in and out of the conformance kit."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

from softaxis.testing._arrays import ALL_DTYPES, COMPLEX, Arrays, Function, NDArray


def _views(values: NDArray, asarray: Callable[[NDArray], Any]) -> Iterator[tuple[str, Any]]:
    """Yield views that any library with strides can make by slicing and transposing."""
    padded = np.full((*values.shape[:-1], 2 * values.shape[-1] + 1), np.nan)
    padded[..., 1::2] = values
    yield "every other element", asarray(padded)[..., 1::2]
    yield "transposed", asarray(np.ascontiguousarray(values.swapaxes(0, -1))).swapaxes(0, -1)
    flat = asarray(np.concatenate([[np.nan], values.ravel()]))
    yield "not at the start of its memory", flat[1:].reshape(values.shape)


class NumPyArrays(Arrays):
    """NumPy."""

    namespace = "numpy"
    dtypes = tuple(name for name in ALL_DTYPES if name != "bfloat16")

    def dtype(self, name: str) -> Any:
        """Return a `numpy.dtype`."""
        return np.dtype(name)

    def dtype_name(self, array: Any) -> str:
        """Say "longdouble" where that is no other name of float64."""
        return "longdouble" if array.dtype == np.longdouble != np.float64 else str(array.dtype.name)

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Return a copy."""
        return np.array(array, dtype=dtype)

    def holds(self, result: Any) -> bool:
        """Take scalars too: NumPy's own reductions return them."""
        return type(result) is np.ndarray or isinstance(result, np.generic)

    def layouts(self, values: NDArray, dtype: str) -> Iterator[tuple[str, Any]]:
        """Yield strides of any sign, 0 included, byte orders, and arrays that cannot be written."""
        yield from _views(values, lambda a: a.astype(dtype))
        x = values.astype(dtype)
        yield "reversed", x[..., ::-1].copy()[..., ::-1]
        yield "rows reversed", x[::-1].copy()[::-1]
        yield "Fortran order", np.asfortranarray(x)
        yield "read-only", _frozen(x.copy())
        yield (
            "overlapping rows",
            np.lib.stride_tricks.as_strided(x[:1].copy(), x.shape, (0, *x.strides[1:])),
        )
        if dtype != "longdouble":
            yield "swapped bytes", x.astype(x.dtype.newbyteorder())
        if x.itemsize > 1:
            raw = np.zeros(x.nbytes + 1, np.uint8)
            shifted = raw[1:].view(x.dtype).reshape(x.shape)
            shifted[...] = x
            yield "not aligned", shifted


def _frozen(x: NDArray) -> NDArray:
    x.flags.writeable = False
    return x


class StrictArrays(Arrays):
    """array-api-strict."""

    namespace = "array_api_strict"

    def __init__(self, device: Any = None) -> None:
        super().__init__()
        self.device = self.xp.Device(device or "CPU_DEVICE")
        known = self.xp.__array_namespace_info__().dtypes(device=self.device)
        self.dtypes = tuple(name for name in self.dtypes if name in known)
        if "float64" not in known:
            self.default_float = "float32"

    def to_numpy(self, array: Any) -> NDArray:
        """Go by way of the device that NumPy can read."""
        return np.array(array.to_device(self.xp.Device("CPU_DEVICE")))


class TorchArrays(Arrays):
    """PyTorch."""

    namespace = "array_api_compat.torch"
    dtypes = tuple(name for name in ALL_DTYPES if name != "longdouble")
    default_float = "float32"

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Go by way of float32 to bfloat16, which NumPy does not have."""
        array = array.astype(np.float32) if dtype == "bfloat16" else array
        return self.xp.tensor(array, dtype=self.dtype(dtype), device=self.device)

    def to_numpy(self, array: Any) -> NDArray:
        """Go by way of float32 from bfloat16."""
        array = array.detach().cpu()
        wide = array.to(self.xp.float32) if array.dtype == self.xp.bfloat16 else array
        return np.array(wide.numpy())

    def layouts(self, values: NDArray, dtype: str) -> Iterator[tuple[str, Any]]:
        """Yield strides of 0 and more."""
        yield from _views(values, lambda a: self.asarray(a, dtype))
        yield "overlapping rows", self.asarray(values[:1], dtype).expand(values.shape)

    @contextmanager
    def threads(self, count: int) -> Iterator[None]:
        """Set the number of threads inside an operation."""
        before = self.xp.get_num_threads()
        self.xp.set_num_threads(count)
        try:
            yield
        finally:
            self.xp.set_num_threads(before)

    def compiled(self, function: Function) -> Function | None:
        """Compile without breaks in the graph; the code of the graph is run as it is."""
        importlib.import_module("torch").compiler.reset()  # or it counts calls as one function's
        compiled: Function = self.xp.compile(function, fullgraph=True, backend="aot_eager")
        return compiled

    def gradient(self, function: Function, x: Any) -> Any:
        """Go backward from the result."""
        x = x.detach().clone().requires_grad_()
        (slope,) = self.xp.autograd.grad(function(x), x)
        return slope


class JaxArrays(Arrays):
    """JAX."""

    namespace = "jax.numpy"
    dtypes = tuple(name for name in ALL_DTYPES if name != "longdouble")
    immutable = True
    reads_values = False  # it would wait for the device: calls return before they are done
    flushes_subnormals = True
    compiles = True
    share = 17

    def __init__(self, device: Any = None) -> None:
        super().__init__()
        self.jax = importlib.import_module("jax")
        self.device = None if device is None else self.jax.devices(device)[0]
        if not self.jax.config.jax_enable_x64:
            wide = {"float64", "complex128", "int64", "uint64"}
            self.dtypes = tuple(name for name in self.dtypes if name not in wide)
            self.default_float = "float32"

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Go by way of float32 to bfloat16, which NumPy does not have."""
        array = array.astype(np.float32) if array.dtype == np.longdouble else array
        return self.xp.asarray(array, dtype=self.dtype(dtype), device=self.device)

    def to_numpy(self, array: Any) -> NDArray:
        """Go by way of float32 from bfloat16."""
        wide = array.astype(self.xp.float32) if array.dtype == self.xp.bfloat16 else array
        return np.array(wide)

    def holds(self, result: Any) -> bool:
        """Take tracers too."""
        return isinstance(result, self.jax.Array)

    def compiled(self, function: Function) -> Function | None:
        """Compile with `jax.jit`."""
        compiled: Function = self.jax.jit(function)
        return compiled

    def gradient(self, function: Function, x: Any) -> Any:
        """Go backward from the result."""
        return self.jax.grad(function)(x)


class ComputedTooEarly(AssertionError):
    """A lazy array was computed during the call."""


class DaskArrays(Arrays):
    """Dask arrays of one block."""

    namespace = "dask.array"
    dtypes = tuple(name for name in ALL_DTYPES if name not in {"bfloat16", "longdouble"})
    immutable = True
    reads_values = False
    share = 7

    def __init__(self, device: Any = None) -> None:
        super().__init__(device)
        self.dask = importlib.import_module("dask")

    def dtype(self, name: str) -> Any:
        """Return a `numpy.dtype`."""
        return np.dtype(name)

    def chunks(self, shape: tuple[int, ...]) -> Any:
        """Return how an array is cut into blocks."""
        return shape

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Cut an array into blocks."""
        return self.xp.from_array(array, chunks=self.chunks(array.shape))

    def to_numpy(self, array: Any) -> NDArray:
        """Compute in the quiet, and see that the graph keeps what it announces."""
        with np.errstate(all="ignore"):
            result = np.array(array.compute(scheduler="synchronous"))
        assert result.dtype == array.dtype, "the graph computes another dtype than it announces"
        assert result.shape == array.shape, "the graph computes another shape than it announces"
        return result

    def holds(self, result: Any) -> bool:
        """Look at the class: making an array would make a graph."""
        return isinstance(result, self.xp.Array)

    def layouts(self, values: NDArray, dtype: str) -> Iterator[tuple[str, Any]]:
        """Yield arrays cut along every axis."""
        cut = tuple((n - n // 3, n // 3) if n > 2 else n for n in values.shape)
        yield "in blocks", self.xp.from_array(values.astype(dtype), chunks=cut)

    def watched(self) -> AbstractContextManager[Any]:
        """Forbid the schedulers."""

        def forbid(*_: Any, **__: Any) -> Any:
            raise ComputedTooEarly

        context: AbstractContextManager[Any] = self.dask.config.set(scheduler=forbid)
        return context


class CuPyArrays(Arrays):
    """CuPy; its bfloat16 is that of ml_dtypes, where CuPy (14 and newer) finds it."""

    namespace = "cupy"
    dtypes = tuple(name for name in ALL_DTYPES if name != "longdouble")
    reads_values = False  # it would wait for the device

    def __init__(self, device: Any = None) -> None:
        super().__init__(device)
        if (
            int(self.xp.__version__.partition(".")[0]) < 14
            or importlib.util.find_spec("ml_dtypes") is None
        ):
            self.dtypes = tuple(name for name in self.dtypes if name != "bfloat16")
        else:
            importlib.import_module("ml_dtypes")  # which makes it known to NumPy

    def dtype(self, name: str) -> Any:
        """Return a `numpy.dtype`."""
        return np.dtype(name)

    def from_numpy(self, array: NDArray, dtype: str) -> Any:
        """Copy to the current device."""
        return self.xp.array(self.held(array, dtype))

    def held(self, array: NDArray, dtype: str) -> NDArray:
        """Return an array of NumPy's with the same bits; by way of float32 to bfloat16."""
        return array.astype(np.float32).astype(dtype) if dtype == "bfloat16" else array

    def to_numpy(self, array: Any) -> NDArray:
        """Copy from the device; bfloat16 as float32."""
        found = np.array(array.get())
        return found.astype(np.float32) if array.dtype.name == "bfloat16" else found

    def layouts(self, values: NDArray, dtype: str) -> Iterator[tuple[str, Any]]:
        """Yield strides of any sign, 0 included."""
        yield from _views(values, lambda a: self.asarray(a, dtype))
        x = self.asarray(values, dtype)
        yield "reversed", x[..., ::-1].copy()[..., ::-1]
        yield "Fortran order", self.xp.asfortranarray(x)
        yield "overlapping rows", self.xp.broadcast_to(x[:1], x.shape)


class NdonnxArrays(Arrays):
    """ONNX arrays that hold a constant, folded while the graph is built."""

    namespace = "ndonnx"
    dtypes = tuple(name for name in ALL_DTYPES if name not in {"bfloat16", "longdouble", *COMPLEX})
    compiles = True  # a graph for every call
    share = 23
    steady = False  # onnxruntime, float64: other bits in the vectorised part than at the end
    reads_values = False

    def dtype_name(self, array: Any) -> str:
        """Write the name small."""
        return str(array.dtype).lower()

    def to_numpy(self, array: Any) -> NDArray:
        """Take the constant."""
        return np.array(array.unwrap_numpy())


KNOWN: dict[str, type[Arrays]] = {
    "numpy": NumPyArrays,
    "torch": TorchArrays,
    "jax": JaxArrays,
    "dask": DaskArrays,
    "cupy": CuPyArrays,
    "array_api_strict": StrictArrays,
    "ndonnx": NdonnxArrays,
}


def arrays_for(library: str, device: Any = None) -> Arrays:
    """Return how arrays of a library are made: a known one, or any that follows the standard.

    Parameters
    ----------
    library : str
        The package, such as ``"torch"``.
    device : optional
        Where arrays are made, as the library names it.

    Returns
    -------
    Arrays
        What makes them.

    Examples
    --------
    >>> from softaxis.testing import arrays_for
    >>> arrays_for("numpy").asarray([1, 2], "float32")
    array([1., 2.], dtype=float32)
    """
    kind = KNOWN.get(library)
    if kind is None:
        kind = type(f"{library}Arrays", (Arrays,), {"namespace": library})
    return kind(device)
