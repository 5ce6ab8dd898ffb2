"""Dispatch of PyTorch tensors: what a capability record keeps from a backend, and plain calls."""

import importlib.util

import pytest
from distributions import run
from transformed import values

import softaxis

torch = pytest.importorskip("torch", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.jit.script(_method)?` is deprecated"  # PyTorch calls it itself
)

PLUGIN = """\
import torch
from softaxis.backend import Backend

backend = Backend("detached", types=(torch.Tensor,))


@backend.implements(dtypes=("float32", "float64"), devices=("cpu",))
def softmax(x, /, *, axis, temperature=None, where=None):
    with torch.no_grad():
        return torch.softmax(x if temperature is None else x / temperature, axis)
"""


@pytest.fixture
def python(tmp_path):
    """Run code in an interpreter with a backend that can neither be differentiated nor traced."""
    (tmp_path / "detached.py").write_text(PLUGIN)
    info = tmp_path / "detached-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: detached\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[softaxis.backends.torch]\ndetached = detached:backend\n"
    )
    head = """
import json, warnings, torch, softaxis
x = torch.arange(6.0).reshape(2, 3)
def first(*args, **kw):
    return softaxis.explain_dispatch(softaxis.softmax, *args, **kw).candidates[0]
"""
    return lambda code: run(head + code, site=tmp_path)


def test_what_can_not_be_differentiated_is_not_offered_tensors_that_are(python):
    seen = python(
        """
import torch.autograd.forward_ad as forward
softaxis.set_backends(prioritize="detached")
t = torch.ones(2, 1)
record = dict(
    plain=first(x),
    recorded=first(x.clone().requires_grad_()),
    temperature=first(x, temperature=t.clone().requires_grad_()),
    float16=first(x.half()),
    int64=first(x.long()),
)
with torch.no_grad():
    record["unrecorded"] = first(x.clone().requires_grad_())
seen = []
torch.func.grad(lambda z: (seen.append(first(z)), softaxis.softmax(z)[0, 0])[1])(x)
record["torch.func.grad"] = seen[0]
with warnings.catch_warnings(), forward.dual_level():
    warnings.simplefilter("ignore")
    dual = forward.make_dual(x, torch.ones_like(x))
    record["dual"] = first(dual)
print(json.dumps(record))
"""
    )
    del seen["log"]
    ran, refused = ["detached", "ran", ""], ["detached", "declined", "not differentiable"]
    wrong_dtype = ["detached", "declined", "takes float32, float64 only"]
    assert seen == {
        "plain": ran,
        "unrecorded": ran,
        "recorded": refused,
        "temperature": refused,
        "torch.func.grad": refused,
        "dual": refused,
        "float16": wrong_dtype,
        "int64": wrong_dtype,
    }


def test_what_can_not_be_traced_is_not_offered_to_a_compiler(python):
    seen = python(
        """
softaxis.set_backends(prioritize="detached")
softaxis.softmax(x)
nodes = []
def look(module, inputs):
    nodes.extend(str(node.target) for node in module.graph.nodes)
    return module.forward
program = torch.compile(softaxis.softmax, fullgraph=True, backend=look)
same = torch.equal(program(x), softaxis.softmax(x))
print(json.dumps(dict(same=bool(same), grad_mode=[n for n in nodes if "grad" in n])))
"""
    )
    assert seen["same"]
    assert seen["grad_mode"] == []  # torch.no_grad would be a node


def test_a_plain_call_loads_one_backend_and_never_scans(tmp_path):
    seen = run(
        """
import json, sys, importlib.metadata
import torch
def forbidden(*args, **kw):
    raise AssertionError("the environment was scanned")
importlib.metadata.entry_points = importlib.metadata.distributions = forbidden
import softaxis
x = torch.ones(2, 3)
softaxis.softmax(x); softaxis.logsumexp(x, axis=0); softaxis.softmax(torch.nn.Parameter(x))
softaxis.softmax(x, where=x > 0, temperature=2.0)
loaded = [name for name in sys.modules if name.startswith("softaxis._backends.")]
loaded = [name for name in loaded if not name.startswith("softaxis._backends._")]
print(json.dumps(dict(loaded=loaded, numba="numba" in sys.modules)))
""",
        "good",
        site=tmp_path,
    )
    kernels = ["torch_numba", "numba"] if importlib.util.find_spec("numba") else []
    assert set(seen["loaded"]) == {f"softaxis._backends.{name}" for name in ["torch", *kernels]}
    assert not seen["numba"]


def test_a_parameter_and_a_subclass_of_tensors():
    class Mine(torch.Tensor):
        pass

    x = torch.asarray(values()["x"])
    for tensor in (torch.nn.Parameter(x), x.as_subclass(Mine)):
        backends = ("torch", "torch_numba")  # the latter where it is installed and compiled
        assert softaxis.explain_dispatch(softaxis.softmax, tensor).backend in backends
        torch.testing.assert_close(
            softaxis.softmax(tensor).detach().as_subclass(torch.Tensor), torch.softmax(x, -1)
        )


def test_kernels_in_triton_are_for_who_names_them(monkeypatch):
    """They are not even loaded before; where Triton is missing, it is said how to get it."""
    from softaxis._dispatch import _extras, _registry

    default = _registry.owners(torch.Tensor, (), frozenset())
    assert [source.name for source in default if source.name == "torch_triton"] == []
    monkeypatch.setitem(_extras._extras, "triton", False)
    monkeypatch.setattr(_registry, "_loaded", {})
    monkeypatch.setattr(_registry, "_broken", {})
    with pytest.raises(RuntimeError, match=r"'softaxis\[triton\]'"):
        softaxis.set_backends(prioritize="torch_triton")


def test_numpy_arrays_do_not_go_to_torch():
    assert softaxis.explain_dispatch(softaxis.softmax, values()["x"]).backend == "numpy"
    assert softaxis.explain_dispatch(softaxis.softmax, [1.0, 2.0]).backend == "numpy"


def test_compiled_programs_follow_the_options_of_the_block():
    ran = []

    def look(module, inputs):
        native = any("softmax" in str(node.target) for node in module.graph.nodes)

        def program(*arguments):
            ran.append("torch" if native else "default")
            return module.forward(*arguments)

        return program

    torch._dynamo.reset()
    x = torch.asarray(values()["x"])
    program = torch.compile(softaxis.softmax, fullgraph=True, backend=look)
    for _ in range(4):
        torch.testing.assert_close(program(x), torch.softmax(x, -1))
        with softaxis.backend_opts(prioritize="default"):
            program(x)
            with softaxis.backend_opts(disable="default"):
                program(x)
    assert ran == ["torch", "default", "torch"] * 4
