"""Which array libraries are installed, and which devices they see."""

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from softaxis._dispatch._extras import is_installed


@dataclass(frozen=True)
class Library:
    """One array library: its version and devices, or why there are none."""

    name: str
    installed: bool
    version: str | None = None
    devices: tuple[str, ...] = ()
    note: str | None = None  # in place of devices
    error: str | None = None


def inspect_library(name: str) -> Library:
    """Import a library as far as it goes; a broken one is reported, never raised."""
    if not is_installed(name):
        return Library(name, installed=False)
    version = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            package = importlib.import_module(name)
            version = str(getattr(package, "__version__", "")) or None
            devices = tuple(DEVICES.get(name, _standard_devices)(namespace(name)))
    except Exception as error:  # noqa: BLE001 - a broken library is a line of the report
        return Library(name, True, version, error=one_line(error))
    return Library(name, True, version, devices, NOTES.get(name))


def namespace(name: str) -> Any:
    """Return the module that holds the functions of the array API."""
    return importlib.import_module(NAMESPACES.get(name, name))


def one_line(error: BaseException) -> str:
    """Return the kind of the error and the first line of its message."""
    message = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _cpu(_: Any) -> list[str]:
    return ["cpu"]


def _none(_: Any) -> list[str]:
    return []


def _standard_devices(xp: Any) -> list[str]:
    return [str(device) for device in xp.__array_namespace_info__().devices()]


def _strict_devices(xp: Any) -> list[str]:
    return [device.partition("'")[2].rstrip("')") for device in _standard_devices(xp)]


def _torch_devices(torch: Any) -> list[str]:
    cuda = [f"cuda:{k} ({torch.cuda.get_device_name(k)})" for k in range(torch.cuda.device_count())]
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def _jax_devices(_: Any) -> list[str]:
    return [str(device) for device in importlib.import_module("jax").devices()]


def _cupy_devices(cupy: Any) -> list[str]:
    runtime = cupy.cuda.runtime
    names = [runtime.getDeviceProperties(k)["name"] for k in range(runtime.getDeviceCount())]
    return [f"cuda:{k} ({name.decode()})" for k, name in enumerate(names)]


NAMESPACES = {"dask": "dask.array", "jax": "jax.numpy"}
DEVICES: dict[str, Callable[[Any], list[str]]] = {
    "numpy": _cpu,
    "torch": _torch_devices,
    "jax": _jax_devices,
    "cupy": _cupy_devices,
    "dask": _none,
    "array_api_strict": _strict_devices,
    "sparse": _standard_devices,
    "ndonnx": _none,
}
NOTES = {"dask": "the devices of its blocks", "ndonnx": "wherever its ONNX graph is run"}
