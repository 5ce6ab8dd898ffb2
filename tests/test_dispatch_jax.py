"""Dispatch of JAX arrays: tracers among any of the arguments, and plain calls."""

import importlib.util

import pytest
from distributions import run
from transformed import values

import softaxis

jax = pytest.importorskip("jax", exc_type=ImportError)

PLUGIN = """\
import jax
import numpy as np
from softaxis.backend import Backend

backend = Backend("host", types=(jax.Array, jax.core.Tracer))


@backend.implements(dtypes=None)
def softmax(x, /, *, axis, temperature=None, where=None):
    x = np.asarray(x if temperature is None else x / temperature)
    e = np.exp(x - x.max(axis, keepdims=True))
    return jax.numpy.asarray(e / e.sum(axis, keepdims=True))
"""


def test_what_can_not_be_traced_is_not_offered_tracers(tmp_path):
    (tmp_path / "host.py").write_text(PLUGIN)
    info = tmp_path / "host-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: host\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[softaxis.backends.jax]\nhost = host:backend\n")
    seen = run(
        """
import json, jax, jax.numpy as jnp, softaxis
softaxis.set_backends(prioritize="host")
x = jnp.arange(6.0).reshape(2, 3)
seen = {}
def look(name, *args, **kw):
    explained = softaxis.explain_dispatch(softaxis.softmax, *args, **kw)
    seen[name] = explained.candidates[0][1], explained.backend
    return softaxis.softmax(*args, **kw)[0, 0]
look("plain", x)
jax.jit(lambda z: look("jit", z))(x)
jax.grad(lambda z: look("grad", z))(x)
jax.vmap(lambda z: look("vmap", z))(x[None])
jax.jvp(lambda z: look("jvp", z), (x,), (x,))
jax.grad(lambda t: look("temperature", x, temperature=t))(jnp.asarray(2.0))
print(json.dumps(seen))
""",
        site=tmp_path,
    )
    del seen["log"]
    assert seen.pop("plain") == ["ran", "host"]
    assert set(seen) == {"jit", "grad", "vmap", "jvp", "temperature"}
    assert all(outcome == ["declined", "jax"] for outcome in seen.values())


def test_a_plain_call_loads_one_backend_and_never_scans(tmp_path):
    seen = run(
        """
import json, sys, importlib.metadata
import jax, jax.numpy as jnp
x = jnp.ones((2, 3))
x.block_until_ready()
def forbidden(*args, **kw):
    raise AssertionError("the environment was scanned")
importlib.metadata.entry_points = importlib.metadata.distributions = forbidden
import softaxis
jax.jit(softaxis.log_softmax)(x)
softaxis.softmax(x); softaxis.logsumexp(x, axis=0); jax.grad(softaxis.logsumexp)(x)
loaded = [name for name in sys.modules if name.startswith("softaxis._backends.")]
loaded = [name for name in loaded if not name.startswith("softaxis._backends._")]
print(json.dumps(dict(loaded=loaded, numba="numba" in sys.modules)))
""",
        "good",
        site=tmp_path,
    )
    kernels = ["jax_numba"] if importlib.util.find_spec("numba") else []
    assert set(seen["loaded"]) == {f"softaxis._backends.{name}" for name in ["jax", *kernels]}
    assert not seen["numba"]


def test_numpy_arrays_do_not_go_to_jax():
    assert softaxis.explain_dispatch(softaxis.softmax, values()["x"]).backend == "numpy"
