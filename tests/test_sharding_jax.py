"""Arrays on eight devices: what is sharded stays sharded, off the axis without any talk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import softaxis

pytest.importorskip("jax", exc_type=ImportError)

SCRIPT = """
import json, re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import softaxis

rng = np.random.default_rng(0)
x, labels = rng.normal(size=(16, 32)), np.arange(16, dtype=np.int32) * 2
functions = {
    "softmax": lambda x, y: softaxis.softmax(x),
    "log_softmax": lambda x, y: softaxis.log_softmax(x, where=x < 2),
    "logsumexp": lambda x, y: softaxis.logsumexp(x, axis=1),
    "cross_entropy": lambda x, y: softaxis.cross_entropy(x, y, ignore_index=4),
    "cross_entropy-smooth": lambda x, y: softaxis.cross_entropy(x, y, label_smoothing=0.1),
    "softmax_vjp": lambda x, y: softaxis.softmax_vjp(x, x),
}
TALK = "(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)"


def shards(a):
    return sorted({s.data.shape for s in a.addressable_shards})


def gradient(f):
    def scalar(x, y):
        z = f(x, y)
        return jnp.sum(jnp.where(jnp.isfinite(z), z, 0.0) ** 2)
    return jax.grad(scalar)


def record(f, x, y):
    program = jax.jit(f).lower(x, y).compile()
    result = program(x, y)
    talk = sorted(set(re.findall(rf" {TALK}(?:-start)?[(]", program.as_text())))
    return dict(shards=shards(result), talk=talk), np.asarray(result)


found = {}
for kind in ("Auto", "Explicit"):
    mesh = jax.make_mesh((8,), ("d",), axis_types=(getattr(AxisType, kind),))
    for cut, spec in (("rows", P("d", None)), ("classes", P(None, "d"))):
        there = jax.device_put(x, NamedSharding(mesh, spec))
        with_it = jax.device_put(labels, NamedSharding(mesh, P(spec[0])))
        for name, f in functions.items():
            for what, g in ((name, f), (name + " gradient", gradient(f))):
                seen, result = record(g, there, with_it)
                one = jax.jit(g)(x, labels)
                np.testing.assert_allclose(result, one, rtol=1e-12, atol=1e-13)
                found[f"{kind} {cut} {what}"] = seen
            plain = f(there, with_it)
            np.testing.assert_allclose(plain, f(jnp.asarray(x), jnp.asarray(labels)), rtol=1e-12)
            found[f"{kind} {cut} {name} plain"] = dict(shards=shards(plain), talk=[])

mesh = jax.make_mesh((8,), ("d",), axis_types=(AxisType.Auto,))
for name, f in functions.items():
    dims = jax.eval_shape(f, jnp.asarray(x), jnp.asarray(labels)).ndim
    g = jax.shard_map(f, mesh=mesh, in_specs=(P("d", None), P("d")),
                      out_specs=P("d", *[None] * (dims - 1)))
    for what, h in ((name, g), (name + " gradient", gradient(g))):
        seen, result = record(h, x, labels)
        expected = jax.jit(f if h is g else gradient(f))(x, labels)
        np.testing.assert_allclose(result, expected, rtol=1e-12, atol=1e-13)
        found[f"shard_map rows {what}"] = seen
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    flags = "--xla_force_host_platform_device_count=8 " + os.environ.get("XLA_FLAGS", "")
    settings = {
        "XLA_FLAGS": flags,
        "PYTHONPATH": str(Path(softaxis.__file__).parents[1]),
        "JAX_ENABLE_X64": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning:softaxis", "-c", SCRIPT],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_rows_on_several_devices_stay_there_and_need_no_talk(found):
    seen = {name: one for name, one in found.items() if " rows " in name}
    assert len(seen) == 6 * (3 + 3 + 2)
    for name, one in seen.items():
        assert one["shards"] in ([[2, 32]], [[2]]), name
        assert one["talk"] == [], name


def test_classes_on_several_devices_stay_there_and_only_their_sums_meet(found):
    seen = {name: one for name, one in found.items() if " classes " in name}
    assert len(seen) == 6 * (3 + 3)
    for name, one in seen.items():
        assert one["shards"] in ([[16, 4]], [[16]]), name
        assert set(one["talk"]) <= {"all-reduce"}, name
