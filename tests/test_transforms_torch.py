"""Every function through torch.compile, torch.export, torch.func and both modes of autograd."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from transformed import CASES, values

import softaxis

torch = pytest.importorskip("torch", exc_type=ImportError)
pytestmark = pytest.mark.filterwarnings(  # of what PyTorch does itself
    "ignore:`torch.jit.script(_method)?` is deprecated",
)
inf, nan = float("inf"), float("nan")
every_case = pytest.mark.parametrize("case", CASES)
smooth = pytest.mark.parametrize("case", [name for name in CASES if name != "hardmax"])


def tensors(seed=0):
    return {name: torch.asarray(value) for name, value in values(seed).items()}


def assert_same(result, expected, **tolerance):
    torch.testing.assert_close(result, expected, **(tolerance or {"rtol": 1e-14, "atol": 1e-15}))


def compiled(function, **options):
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, **({"backend": "eager"} | options))


@every_case
def test_compile(case):
    call, arrays = CASES[case].call, tensors()
    expected = call(arrays)
    program = compiled(call)
    assert_same(program(arrays), expected)
    assert_same(program(arrays), expected)


def test_every_function_is_compiled_in_some_case():
    names = {name.partition("-")[0] for name in CASES}
    assert names == {name for name in softaxis.__all__ if name in vars(softaxis._generic)}


FIRST_CASES = list({name.partition("-")[0]: name for name in reversed(CASES)}.values())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", FIRST_CASES)
def test_compile_in_narrow_dtypes(case, dtype):
    call = CASES[case].call
    arrays = {k: a.to(dtype) if a.is_floating_point() else a for k, a in tensors().items()}
    eps = torch.finfo(dtype).eps
    assert_same(compiled(call)(arrays), call(arrays), rtol=2 * eps, atol=eps / 8)


COLD = """
import json, os, sys, warnings
warnings.simplefilter("error")
import numpy as np, torch, torch._dynamo
folder, cases = sys.argv[1], json.loads(sys.argv[2])
arrays = {name: torch.asarray(value) for name, value in np.load(folder + "/values.npz").items()}
torch.compile(torch.sin, backend="eager")(arrays["x"])  # PyTorch itself is warm, softaxis is not
failed = {}
for case in cases:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        message = "ok"
        try:
            from transformed import CASES
            call = CASES[case].call
            result = torch.compile(call, fullgraph=True, backend="eager")(arrays)
            torch.testing.assert_close(result, call(arrays))
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
        os.write(writer, message.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        message = pipe.read()
    os.waitpid(child, 0)
    if message != "ok":
        failed[case] = message
print(json.dumps(failed))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT RUN: there is no fork here")
def test_compile_as_the_first_call_ever(tmp_path):
    """Each case in a process of its own, forked before softaxis is imported."""
    np.savez(tmp_path / "values.npz", **values())
    path = [str(Path(__file__).parent), str(Path(softaxis.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", COLD, str(tmp_path), json.dumps(FIRST_CASES)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_compile_with_a_compiler():
    """Inductor where there is a C++ compiler, and otherwise all but the code it would generate."""
    backend = "inductor" if shutil.which("g++") or shutil.which("clang++") else "aot_eager"
    call, arrays = CASES["softmax-sink"].call, tensors()
    assert_same(compiled(call, backend=backend)(arrays), call(arrays), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", ["softmax", "softmax-everything", "logsumexp", "cross_entropy"])
def test_compile_with_gradients(case):
    call, arrays = CASES[case].call, tensors()
    program = compiled(call, backend="aot_eager")
    gradients = []
    for function in (call, program):
        x = arrays["x"].clone().requires_grad_()
        function(arrays | {"x": x}).square().sum().backward()
        gradients.append(x.grad)
    assert_same(*gradients, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("case", ["softmax", "softmax-sink", "log_softmax", "logsumexp", "hardmax"])
def test_compile_for_any_number_of_rows(case):
    call = CASES[case].call
    program = compiled(call, dynamic=True)
    for rows in (4, 3, 7):
        arrays = {
            name: torch.cat([a, a])[:rows] if a.shape[0] == 4 else a
            for name, a in tensors().items()
        }
        assert_same(program(arrays), call(arrays))


def test_compiled_programs_outlive_a_block_of_options():
    program = compiled(softaxis.log_softmax)
    x = tensors()["x"]
    program(x)
    expected = program(x)
    torch._dynamo.utils.counters.clear()
    for _ in range(3):
        with softaxis.backend_opts(prioritize="default"):
            softaxis.log_softmax(x)
        assert_same(program(x), expected)
    assert "stats" not in torch._dynamo.utils.counters  # nothing was compiled again


def test_compile_follows_set_backends():
    program = compiled(softaxis.softmax)
    x = tensors()["x"]
    try:
        for disable in ("torch", (), "torch", "default"):
            softaxis.set_backends(disable=disable)
            assert_same(program(x), torch.softmax(x, -1))
    finally:
        softaxis.set_backends()


@every_case
def test_export(case):
    call, arrays = CASES[case].call, tensors()

    class Model(torch.nn.Module):
        def forward(self, a):
            return call(a)

    program = torch.export.export(Model(), (arrays,))
    again = tensors(seed=1)
    assert_same(program.module()(again), call(again))


@every_case
def test_vmap(case):
    call = CASES[case].call
    items = [tensors(seed) for seed in range(3)]
    batch = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    expected = [call(item) for item in items]
    if isinstance(expected[0], tuple):
        expected = tuple(torch.stack(parts) for parts in zip(*expected, strict=True))
    else:
        expected = torch.stack(expected)
    assert_same(torch.func.vmap(call)(batch), expected, rtol=1e-13, atol=1e-14)


def checked(case):
    """Return a function of the differentiable arrays of a case, and these arrays."""
    call, names = CASES[case]
    arrays = tensors()

    def function(*given):
        return call(arrays | dict(zip(names, given, strict=True)))

    return function, tuple(arrays[name].clone().requires_grad_() for name in names)


@smooth
def test_first_derivatives_in_both_modes(case):
    function, given = checked(case)
    assert torch.autograd.gradcheck(function, given, check_forward_ad=True, check_batched_grad=True)


@smooth
def test_second_derivatives(case):
    function, given = checked(case)
    assert torch.autograd.gradgradcheck(function, given)


@smooth
def test_torch_func_derivatives(case):
    function, given = checked(case)
    given = tuple(array.detach() for array in given)
    positions = tuple(range(len(given)))
    reverse = torch.func.jacrev(function, positions)(*given)
    forward = torch.func.jacfwd(function, positions)(*given)
    assert_same(forward, reverse, rtol=1e-11, atol=1e-12)


def test_the_derivative_of_hardmax_is_zero():
    x = tensors()["x"].requires_grad_()
    y = softaxis.hardmax(x)
    if y.requires_grad:
        y.sum().backward()
        assert torch.equal(x.grad, torch.zeros_like(x))


MASKED = {
    "softmax": lambda x, mask: softaxis.softmax(x, where=mask),
    "softmax-temperature": lambda x, mask: softaxis.softmax(x, where=mask, temperature=2.0),
    "softmax-sink": lambda x, mask: softaxis.softmax(x, where=mask, sink=0.0),
    "softmin": lambda x, mask: softaxis.softmin(x, where=mask),
    "log_softmax": lambda x, mask: torch.where(mask, softaxis.log_softmax(x, where=mask), 0.0),
    "logsumexp": lambda x, mask: torch.nan_to_num(
        softaxis.logsumexp(x, axis=-1, where=mask), neginf=0.0
    ),
    "logsumexp-alone": lambda x, mask: softaxis.logsumexp(x, axis=-1, where=mask),
    "logsumexp-weights": lambda x, mask: softaxis.logsumexp(
        x, axis=-1, where=mask, weights=1 + mask
    ),
    "logmeanexp": lambda x, mask: torch.nan_to_num(
        softaxis.logmeanexp(x, axis=-1, where=mask), nan=0.0
    ),
    "cross_entropy": lambda x, mask: softaxis.cross_entropy(x, mask.to(x.dtype) / 3, where=mask),
}


@pytest.mark.parametrize("hidden", [nan, inf, -inf, 1e308], ids=str)
@pytest.mark.parametrize("function", MASKED)
def test_masked_elements_have_gradient_zero_whatever_they_hold(function, hidden):
    """The gradients of the others are those with anything else behind the mask."""
    arrays = tensors()
    mask, gradients, seconds = arrays["mask"], [], []
    for behind in (0.0, hidden):
        x = torch.where(mask, arrays["x"], behind).requires_grad_()
        y = MASKED[function](x, mask)
        (first,) = torch.autograd.grad(
            torch.where(torch.isfinite(y), y, 0.0).square().sum(), x, create_graph=True
        )
        (second,) = torch.autograd.grad(first.square().sum(), x)
        gradients.append(first.detach())
        seconds.append(second)
    for without, with_it in (gradients, seconds):
        assert torch.equal(with_it[~mask], torch.zeros_like(with_it[~mask]))
        assert_same(with_it, without)


@pytest.mark.parametrize("function", MASKED)
def test_masked_elements_have_no_influence_in_forward_mode(function):
    arrays = tensors()
    mask = arrays["mask"]
    x = torch.where(mask, arrays["x"], nan)
    tangents = []
    for behind in (0.0, 5.0):
        direction = torch.where(mask, arrays["g"], behind)
        _, tangent = torch.func.jvp(lambda z: MASKED[function](z, mask), (x,), (direction,))
        tangents.append(tangent)
    assert_same(*tangents)
    assert torch.isfinite(tangents[0]).all()


@pytest.mark.parametrize(
    "options", [{}, {"where": [True, False]}, {"weights": [1.0, 2.0]}], ids=str
)
def test_logsumexp_of_a_row_of_minus_infinities_has_gradient_zero(options):
    options = {name: torch.asarray(value) for name, value in options.items()}
    x = torch.tensor([[-inf, -inf], [0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    softaxis.logsumexp(x, axis=1, **options).sum().backward()
    assert torch.equal(x.grad[0], torch.zeros(2, dtype=torch.float64))
    assert torch.isfinite(x.grad).all()
    _, tangent = torch.func.jvp(
        lambda z: softaxis.logsumexp(z, axis=1, **options), (x.detach(),), (torch.ones_like(x),)
    )
    assert tangent[0] == 0


def test_nothing_that_autograd_saved_is_written():
    """Results may be written in place; a backward pass that needs them says so itself."""
    x = tensors()["x"].requires_grad_()
    versions = x._version
    for case in CASES.values():
        case.call(tensors() | {"x": x})
    assert x._version == versions
