"""The public surface: names, signatures, docstrings, pickling, and what importing imports."""

import copy
import doctest
import importlib
import inspect
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import softaxis

SIGNATURES = {
    "softmax": "(x, /, *, axis=-1, where=None, temperature=None, sink=None, dtype=None, out=None)",
    "hardmax": "(x, /, *, axis=-1, where=None, dtype=None)",
    "sigmoid": "(x, /, *, dtype=None, out=None)",
    "logsumexp": "(x, /, *, axis=None, weights=None, where=None, keepdims=False, "
    "return_sign=False, dtype=None, out=None)",
    "logmeanexp": "(x, /, *, axis=None, weights=None, where=None, keepdims=False, dtype=None)",
    "cross_entropy": "(logits, labels, /, *, axis=-1, where=None, class_weights=None, "
    "ignore_index=None, label_smoothing=0.0, z_loss=0.0, reduction='none')",
    "softmax_vjp": "(p, g, /, *, axis=-1)",
    "softmax_jvp": "(p, t, /, *, axis=-1)",
    "log_softmax_vjp": "(logp, g, /, *, axis=-1)",
    "log_softmax_jvp": "(logp, t, /, *, axis=-1)",
    "softmax_jacobian": "(p, /, *, axis=-1)",
}
SIGNATURES |= dict.fromkeys(("log_softmax", "softmin"), SIGNATURES["softmax"])
SIGNATURES["log_sigmoid"] = SIGNATURES["sigmoid"]
SIGNATURES["cross_entropy_and_grad"] = SIGNATURES["cross_entropy"]
DERIVATIVES_OF_LOGSUMEXP = {
    "logsumexp_vjp": ["x", "lse", "g", "axis"],
    "logsumexp_jvp": ["x", "lse", "t", "axis"],
}
MATHEMATICS = [*SIGNATURES, *DERIVATIVES_OF_LOGSUMEXP]
BESIDES = ["compare"]
DISPATCH = ["backend_opts", "set_backends", "get_backend", "explain_dispatch", "list_backends"]
MODULES = ["_normalizers", "_reductions", "_losses", "_gradients"]
FUNCTIONS = [name for name in softaxis.__all__ if inspect.isroutine(getattr(softaxis, name))]


def test_all_is_the_public_surface():
    assert set(softaxis.__all__) >= {*MATHEMATICS, *DISPATCH, *BESIDES, "AxisError"}
    assert len(softaxis.__all__) == len(set(softaxis.__all__))
    visible = {
        name
        for name, value in vars(softaxis).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert visible - {"annotations"} == {n for n in softaxis.__all__ if not n.startswith("_")}


def test_all_is_what_the_modules_define():
    defined = set()
    for module in MODULES:
        names = vars(importlib.import_module(f"softaxis.{module}")).items()
        defined |= {
            name
            for name, value in names
            if inspect.isfunction(value)
            and not name.startswith("_")
            and value.__code__.co_filename.endswith(f"{module}.py")
        }
    assert defined == set(MATHEMATICS)


@pytest.mark.parametrize("name", SIGNATURES)
def test_signatures(name):
    signature = inspect.signature(getattr(softaxis, name))
    bare = signature.replace(
        parameters=[
            p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()
        ],
        return_annotation=inspect.Signature.empty,
    )
    assert str(bare) == SIGNATURES[name]


@pytest.mark.parametrize("name", DERIVATIVES_OF_LOGSUMEXP)
def test_signatures_of_the_derivatives_of_logsumexp(name):
    parameters = inspect.signature(getattr(softaxis, name)).parameters
    assert list(parameters)[:4] == DERIVATIVES_OF_LOGSUMEXP[name]
    assert [p.kind.name for p in parameters.values()][:3] == ["POSITIONAL_ONLY"] * 3
    assert parameters["axis"].default is None
    assert {"weights", "where", "keepdims"} <= set(parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_everything_is_annotated(name):
    signature = inspect.signature(getattr(softaxis, name))
    assert signature.return_annotation is not inspect.Signature.empty
    for parameter in signature.parameters.values():
        assert parameter.annotation is not inspect.Parameter.empty, parameter


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_docstring_with_an_example_that_uses_it(name):
    documentation = inspect.getdoc(getattr(softaxis, name))
    assert documentation
    examples = doctest.DocTestParser().get_examples(documentation)
    assert any(f"softaxis.{name}(" in example.source for example in examples)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_docstrings_are_numpydoc(name):
    documentation = inspect.getdoc(getattr(softaxis, name))
    sections = ["Examples\n--------"]
    if inspect.signature(getattr(softaxis, name)).parameters:
        sections.append("Parameters\n----------")
    if name in MATHEMATICS:
        sections.append("Returns\n-------")
    for section in sections:
        assert section in documentation, section.split("\n")[0]
    parameters = inspect.signature(getattr(softaxis, name)).parameters
    for parameter in parameters:
        assert parameter in documentation


@pytest.mark.parametrize("name", MATHEMATICS)
def test_every_function_is_tested_on_every_library(name):
    here = Path(__file__).parent
    files = [path for path in here.glob("test_*.py") if path.name != Path(__file__).name]
    assert any(
        f"softaxis.{name}" in text and "(xp" in text
        for text in (path.read_text(encoding="utf-8") for path in files)
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_pickled_by_name(name):
    function = getattr(softaxis, name)
    assert function.__name__ == name
    assert pickle.loads(pickle.dumps(function)) is function
    assert copy.deepcopy(function) is function


def test_axis_error_is_pickled_with_what_it_says():
    error = softaxis.AxisError(3, 2)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is softaxis.AxisError
    assert str(again) == str(error)
    assert "3" in str(error)
    assert "2" in str(error)


def in_a_fresh_interpreter(code):
    """Run code in a new interpreter and return what it prints as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


ARRAY_PACKAGES = [
    *("numpy", "torch", "jax", "jaxlib", "dask", "cupy", "sparse", "ndonnx", "scipy"),
    *("array_api_strict", "array_api_compat.numpy", "array_api_extra", "pandas"),
]


def test_importing_imports_no_array_library():
    loaded = in_a_fresh_interpreter(
        "import sys, json; before = set(sys.modules); import softaxis; "
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    assert "softaxis" in loaded
    assert not set(loaded) & set(ARRAY_PACKAGES)
    assert "importlib.metadata" not in loaded  # the environment is not scanned


def test_a_call_imports_no_other_array_library():
    loaded = in_a_fresh_interpreter(
        "import sys, json, softaxis; softaxis.softmax([1.0, 2.0]); "
        "print(json.dumps(sorted(sys.modules)))"
    )
    assert "numpy" in loaded
    others = set(ARRAY_PACKAGES) - {"numpy", "array_api_compat.numpy"}
    assert not set(loaded) & others


def test_the_installed_version():
    assert softaxis.__version__ == "0.1.0"
