"""What each array library is to the tests: the conformance kit's way in and out, in variants.

Every test that takes the fixture ``xp`` gets one `ArrayLibrary` and runs once for each of the
variants that `variants` lists for the library named on the command line.
"""

import contextlib
import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

import softaxis
from softaxis.testing._arrays import ALL_DTYPES, Arrays
from softaxis.testing._known_arrays import (
    CuPyArrays,
    DaskArrays,
    JaxArrays,
    NdonnxArrays,
    NumPyArrays,
    StrictArrays,
    TorchArrays,
)


class ArrayLibrary(Arrays):
    """One way of holding arrays: a library, and for some a device, a flag or a transformation."""

    name = ""
    share = 1  # every how many-th case of a test runs, where a call is slow or differs little
    computes = True  # False where there is no device, or where softaxis refuses
    why_not = ""
    refused = False  # softaxis takes no array of it
    lazy = False  # values are not at hand when softaxis returns
    any_shape = True  # a new shape costs nothing
    strided = False  # views keep strides of their own

    def __repr__(self) -> str:
        return self.name

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        """Hold the flags of the variant during one test."""
        yield

    def forget(self) -> None:
        """Drop what the library keeps of the calls made so far."""

    def lacks(self, need: str) -> str | None:
        """Say why this library cannot meet `need`, a dtype or an ability; None if it can."""
        if need in ALL_DTYPES:
            return None if need in self.dtypes else f"{self.name} has no dtype {need}"
        abilities = {
            "complex": ("complex64" in self.dtypes, "has no complex dtypes"),
            "computing": (self.computes, self.why_not),
            "writing": (not self.immutable, "arrays cannot be written"),
            "reading": (self.reads_values, "does not show values before they are computed"),
            "strides": (self.strided, "keeps no strides"),
            "steady bits": (self.steady, "rounds exp by the position in the array"),
            "many shapes": (self.any_shape, "compiles anew for every shape"),
            "subnormals": (not self.flushes_subnormals, "flushes subnormal numbers to 0"),
        }
        able, reason = abilities[need]
        return None if able else f"{self.name} {reason}"

    def is_of(self, kind: str) -> bool:
        """Say whether the library is of a kind that a test is about."""
        kinds = {
            "immutable": self.immutable,
            "values unseen": not self.reads_values,
            "not NumPy": self.namespace != "numpy",
            "sparse": self.namespace == "sparse",
            "no device": self.namespace == "cupy" and not self.computes,
        }
        return kinds[kind]

    def numpy(self, result: Any) -> Any:
        """Bring a result, an array of this library or a tuple of them, back to NumPy."""
        if isinstance(result, tuple):
            return tuple(self.numpy(part) for part in result)
        assert self.holds(result), f"{type(result)} is no array of {self.name}"
        return self.to_numpy(result)

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a call the way this variant makes it (compiled, with computing forbidden, ...)."""
        return function


class NumPy(ArrayLibrary, NumPyArrays):
    name = "numpy"
    strided = True


class ReadOnlyNumPy(NumPy):
    name = "numpy-read-only"
    share = 3

    def from_numpy(self, array: np.ndarray, dtype: str) -> Any:
        array = super().from_numpy(array, dtype)
        array.flags.writeable = False
        return array

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return np.zeros(shape, self.dtype(dtype))


class NumPyWithoutBackend(NumPy):
    """NumPy arrays in the generic implementation, which other NumPy-like libraries run."""

    name = "numpy-default"
    share = 3

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        with softaxis.backend_opts(disable="numpy"):
            yield


class Strict(ArrayLibrary, StrictArrays):
    name = "strict"
    flags: ClassVar[dict[str, Any]] = {}

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        with self.xp.ArrayAPIStrictFlags(**self.flags):
            yield

    def to_numpy(self, array: Any) -> np.ndarray:
        assert array.device == self.device, "the result moved between devices"
        return super().to_numpy(array)


class StrictestFlags(Strict):
    name = "strict-strictest"
    share = 3
    flags: ClassVar[dict[str, Any]] = {
        "boolean_indexing": False,
        "data_dependent_shapes": False,
        "enabled_extensions": (),
    }


class StrictWithoutFloat64(Strict):
    name = "strict-no-float64"
    share = 3

    def __init__(self) -> None:
        super().__init__("no_float64")


class Torch(ArrayLibrary, TorchArrays):
    name = "torch"
    strided = True


class Triton(Torch):
    """PyTorch's tensors where the backend torch_triton is preferred: on a GPU, or interpreted."""

    name = "triton"
    share = 11

    def __init__(self) -> None:
        super().__init__("cuda" if torch_has_device() else None)

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        with softaxis.backend_opts(prioritize="torch_triton"):
            yield


class Jax(ArrayLibrary, JaxArrays):
    name = "jax"
    share = 6
    x64 = True

    def __init__(self) -> None:
        with importlib.import_module("jax").enable_x64(self.x64):
            super().__init__()

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        with self.jax.enable_x64(self.x64):
            yield

    def forget(self) -> None:
        """Drop compiled programs: some thousands use up the memory maps of a process."""
        self.jax.clear_caches()


class JaxWithoutX64(Jax):
    name = "jax-no-x64"
    share = 13
    x64 = False


class JaxJit(Jax):
    """JAX arrays, every call compiled."""

    name = "jax-jit"
    share = 11
    lazy = True
    any_shape = False

    def __init__(self) -> None:
        super().__init__()
        self.compiled: dict[Any, Callable[..., Any]] = {}

    def forget(self) -> None:
        super().forget()
        self.compiled.clear()

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Trace every array among the arguments; axes, flags and Python scalars stay static.

        What was compiled is kept, for the next call with the same static arguments.
        """

        def call(*args: Any, **kwargs: Any) -> Any:
            leaves, structure = self.jax.tree.flatten((args, kwargs))
            arrays = [leaf for leaf in leaves if isinstance(leaf, self.jax.Array)]
            static = [None if isinstance(leaf, self.jax.Array) else leaf for leaf in leaves]
            key = (function, structure, *map(repr, static))

            def filled(*traced: Any) -> Any:
                rest = iter(traced)
                merged = [
                    next(rest) if isinstance(leaf, self.jax.Array) else value
                    for leaf, value in zip(leaves, static, strict=True)
                ]
                args, kwargs = self.jax.tree.unflatten(structure, merged)
                return function(*args, **kwargs)

            return self.compiled.setdefault(key, self.jax.jit(filled))(*arrays)

        return call


class JaxJitWithoutX64(JaxJit):
    name = "jax-jit-no-x64"
    share = 23
    x64 = False


class Dask(ArrayLibrary, DaskArrays):
    """Dask arrays of one block; computing is forbidden while softaxis is called."""

    name = "dask"
    lazy = True

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            with self.watched():
                return function(*args, **kwargs)

        return watched


class DaskInChunks(Dask):
    """Dask arrays cut into blocks of uneven length on every axis."""

    name = "dask-chunked"
    share = 5

    def chunks(self, shape: tuple[int, ...]) -> Any:
        return tuple(
            (size,) if size < 2 else (size - size // 3, size // 3) if size > 2 else (1, 1)
            for size in shape
        )


class CuPy(ArrayLibrary, CuPyArrays):
    name = "cupy"
    strided = True


class CuPyWithoutDevice(CuPy):
    """CuPy arrays over host memory: they have a shape and a dtype, and no kernel can touch them."""

    name = "cupy-no-device"
    computes = False
    why_not = "arrays have a shape and a dtype only: CuPy finds no GPU with its driver here"

    def from_numpy(self, array: np.ndarray, dtype: str) -> Any:
        array = np.array(self.held(array, dtype), order="C")
        memory = self.xp.cuda.UnownedMemory(array.ctypes.data, array.nbytes, array, device_id=0)
        pointer = self.xp.cuda.MemoryPointer(memory, 0)
        return self.xp.ndarray(array.shape, dtype=array.dtype, memptr=pointer)

    def holds(self, result: Any) -> bool:
        return isinstance(result, self.xp.ndarray)

    def empty(self, shape: tuple[int, ...], dtype: str) -> Any:
        return self.asarray(np.empty(shape), dtype)


class Sparse(ArrayLibrary):
    name = "sparse"
    namespace = "sparse"
    dtypes = tuple(name for name in ALL_DTYPES if name not in {"float16", "bfloat16", "longdouble"})
    computes = False
    why_not = "arrays are refused by softaxis, which would have to densify them"
    refused = True
    immutable = True

    def dtype(self, name: str) -> Any:
        return np.dtype(name)

    def from_numpy(self, array: np.ndarray, dtype: str) -> Any:
        return self.xp.COO.from_numpy(array)


class Ndonnx(ArrayLibrary, NdonnxArrays):
    """ONNX arrays that hold a constant, folded while the graph is built."""

    name = "ndonnx"
    share = 23
    lazy = True


class NdonnxModel(Ndonnx):
    """ONNX arrays without values: the call becomes a model, which onnxruntime runs."""

    name = "ndonnx-model"
    share = 11
    any_shape = False

    def call(self, function: Callable[..., Any]) -> Callable[..., Any]:
        runtime = importlib.import_module("onnxruntime")

        def modelled(*args: Any, **kwargs: Any) -> Any:
            given = {f"arg{i}": arg for i, arg in enumerate(args)} | kwargs
            given = {name: arg for name, arg in given.items() if self.holds(arg)}
            inputs = {
                name: self.xp.argument(shape=arg.shape, dtype=arg.dtype)
                for name, arg in given.items()
            }
            results = function(
                *(inputs.get(f"arg{i}", arg) for i, arg in enumerate(args)),
                **{name: inputs.get(name, arg) for name, arg in kwargs.items()},
            )
            parts = results if isinstance(results, tuple) else (results,)
            outputs = {f"out{i}": part for i, part in enumerate(parts)}
            model = self.xp.build(inputs, outputs).SerializeToString()
            session = runtime.InferenceSession(model, providers=["CPUExecutionProvider"])
            values = session.run(
                list(outputs), {name: arg.unwrap_numpy() for name, arg in given.items()}
            )
            arrays = tuple(self.xp.asarray(value) for value in values)
            return arrays if isinstance(results, tuple) else arrays[0]

        return modelled


LIBRARIES: dict[str, tuple[type[ArrayLibrary], ...]] = {
    "numpy": (NumPy, ReadOnlyNumPy, NumPyWithoutBackend),
    "strict": (Strict, StrictestFlags, StrictWithoutFloat64),
    "torch": (Torch,),
    "triton": (Triton,),
    "jax": (Jax, JaxWithoutX64, JaxJit, JaxJitWithoutX64),
    "dask": (Dask, DaskInChunks),
    "cupy": (CuPy,),
    "sparse": (Sparse,),
    "ndonnx": (Ndonnx, NdonnxModel),
}


def cupy_has_device() -> bool:
    """Say whether CuPy finds a GPU and its driver."""
    cupy = importlib.import_module("cupy")
    try:
        return cupy.cuda.runtime.getDeviceCount() > 0
    except cupy.cuda.runtime.CUDARuntimeError:
        return False


def torch_has_device() -> bool:
    """Say whether PyTorch finds a GPU and its driver."""
    return bool(importlib.import_module("torch").cuda.is_available())


def variants(name: str) -> list[ArrayLibrary]:
    """Import one library and list the ways in which the tests use it."""
    if name == "cupy" and not cupy_has_device():
        return [CuPyWithoutDevice()]
    if name == "triton":
        if not torch_has_device():
            os.environ["TRITON_INTERPRET"] = "1"
        importlib.import_module("triton")
    return [kind() for kind in LIBRARIES[name]]
