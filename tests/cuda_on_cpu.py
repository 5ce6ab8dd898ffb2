"""The cupy backend on a CPU: its Python, its kernels compiled by g++, NumPy arrays as CuPy's."""

import ctypes
import functools
import hashlib
import subprocess
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from softaxis._backends import cupy as cupy_backend
from softaxis._backends._cupy import _kernels, _shortcuts
from softaxis._backends._cupy._configure import Limits
from softaxis.backend import Backend
from softaxis.testing._known_arrays import NumPyArrays

HOPPER = Limits(227 * 1024, 8)
"""What sm_90 has."""
KERNELS = ("whole", "parts_of", "merge", "finish", "vjp", "kept", "kept_vjp")
VARIABLE = ("-DLANES", "-DBESIDE", "-DMAX_THREADS")
"""Constants of the compilation on a GPU that are variables here."""
LAYER = Path(__file__).parent / "cuda"


class HostArray(np.ndarray):
    """A NumPy array that shows its memory as CuPy's arrays do."""

    @property
    def data(self):
        return SimpleNamespace(ptr=self.ctypes.data, device_id=0)


def empty(shape, dtype):
    """Make an array of 77, which must not be left in a result."""
    return np.full(shape, 77, dtype).view(HostArray)


def _host_array(function):
    return lambda *arrays, **keywords: np.asarray(function(*arrays, **keywords)).view(HostArray)


LIKE_CUPY = SimpleNamespace(
    sum=_host_array(np.sum),
    clip=_host_array(np.clip),
    where=_host_array(np.where),
    empty=empty,
    empty_like=lambda x, dtype: np.full_like(x, 77, dtype),
    ascontiguousarray=lambda x: np.array(x, order="C", subok=True),
    broadcast_to=functools.partial(np.broadcast_to, subok=True),
    may_share_memory=np.may_share_memory,
    cuda=SimpleNamespace(runtime=SimpleNamespace(getDevice=lambda: 0, is_hip=False)),
)


FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-w", "-fvisibility=hidden", "-x", "c++", "-")


@functools.cache
def compiled(definitions, folder):
    """Compile the kernels for one configuration, unless the folder has them; return their launcher.

    Hidden, so that one such library does not take the static buffers of another for its own.
    """
    cpu, launch = ((LAYER / name).read_text() for name in ("cpu.h", "launch.h"))
    text = cpu + _kernels.source() + launch
    key = hashlib.sha256(repr((text, definitions, FLAGS)).encode()).hexdigest()
    library = folder / f"{key[:20]}.so"
    if not library.exists():  # another process may compile it at the same time
        with tempfile.TemporaryDirectory(dir=folder) as own:
            made = Path(own) / library.name
            command = ["g++", *definitions, *FLAGS, "-o", str(made)]
            subprocess.run(command, input=text, text=True, check=True)
            made.replace(library)
    return ctypes.CDLL(str(library)).launch


class Device:
    """What runs the launches of a call, and may run them otherwise than a GPU would.

    `most_blocks` makes a grid smaller than the rows ask for; `backwards` runs threads and blocks in
    the opposite order. `ran` holds the configurations that ran; `folder` keeps what is compiled.
    `limits` are those of the device that it stands for.
    """

    def __init__(self, folder):
        self.folder = folder
        self.most_blocks = 2**31
        self.backwards = False
        self.limits = HOPPER
        self.ran = []
        self.lock = threading.Lock()  # the fibers are those of one thread

    def prepared(self, *key):
        return functools.partial(self.run, key)

    def run(self, key, call):
        _, configuration, dtype, result, rows, function, asked = key
        self.ran.append(configuration)
        shape = _kernels.shape_of(configuration, dtype.name, result.name)
        launch = compiled(tuple(one for one in shape if not one.startswith(VARIABLE)), self.folder)
        task = (function, asked, configuration.lanes, int(configuration.beside))
        given = ctypes.c_char_p(call.tobytes())
        for name, blocks, threads in _kernels.launches(configuration, rows, function):
            most = max(self.most_blocks, configuration.cluster)
            head = (KERNELS.index(name), min(blocks, most), threads)
            with self.lock:
                apart = launch(*head, int(self.backwards), *task, given)
            assert apart == 0, "the threads of a block stopped at different places"

    def installed(self, monkeypatch):
        """Put itself and NumPy in CuPy's place, for one test."""
        monkeypatch.setattr(cupy_backend, "cupy", LIKE_CUPY)
        monkeypatch.setattr(_kernels, "run", self.run)
        monkeypatch.setattr(_kernels, "prepared", self.prepared)
        monkeypatch.setattr(_shortcuts, "_known", {})
        monkeypatch.setattr(_kernels, "limits_of", lambda device: self.limits)
        return self


def host(x):
    """View a NumPy array as the backend's; None stays None."""
    return None if x is None else np.asarray(x).view(HostArray)


class HostArrays(NumPyArrays):
    """NumPy's, for the conformance kit: every other of its calls."""

    share = 2


ARRAYS = HostArrays()


def backend_of_host_arrays():
    """Make a backend of NumPy arrays that has the functions of the cupy backend."""
    made = Backend("cuda_on_cpu", types=(np.ndarray,), arrays="cuda_on_cpu:ARRAYS")
    for name, record in cupy_backend.backend.functions.items():
        capability = record.capability._replace(devices=None)
        made.implements(name=name, **capability._asdict())(_taking_host_arrays(record.function))
    return made


def _taking_host_arrays(function):
    @functools.wraps(function)
    def call(*arrays, **keywords):
        viewed = {k: host(v) if isinstance(v, np.ndarray) else v for k, v in keywords.items()}
        with np.errstate(all="ignore"):  # CuPy says nothing of overflow
            result = function(*map(host, arrays), **viewed)
        if result is NotImplemented:
            return result
        if isinstance(result, tuple):
            return tuple(map(np.asarray, result))
        out = keywords.get("out")
        return out if out is not None and result is viewed["out"] else np.asarray(result)

    return call
