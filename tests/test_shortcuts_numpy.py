"""Shortcuts: what a backend may be asked before arguments are validated, and when it is not."""

import numpy as np
import pytest

import softaxis
from softaxis._dispatch import _registry
from softaxis.backend import Backend

x = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]])
y = np.array([0, 2])
PRODUCTS = ("softmax_vjp", "softmax_jvp", "log_softmax_vjp", "log_softmax_jvp")


@pytest.fixture
def asked(monkeypatch):
    """Publish a backend whose shortcuts note what they are asked and take two rows."""
    seen = []
    backend = Backend("brief", types=(np.ndarray,))

    def publish(name, **capability):
        def shortcut(*arguments):
            seen.append((name, *arguments))
            return "short" if arguments[0].shape[0] == 2 else NotImplemented

        backend.implements(name=name, shortcut=shortcut, **capability)(lambda *a, **k: "long")

    publish("softmax")
    publish("log_softmax", min_size=2)
    publish("logsumexp")
    publish("cross_entropy")
    publish("cross_entropy_and_grad")
    for name in PRODUCTS:
        publish(name)
    source = _registry.Source("brief", "numpy", "here", lambda: backend, "numpy", ("numpy",))
    monkeypatch.setattr(_registry, "_scanned", [(source,)])
    monkeypatch.setattr(_registry, "_loaded", dict(_registry._loaded))
    softaxis.set_backends(prioritize="brief")
    yield seen
    softaxis.set_backends()


def test_the_first_call_decides_and_later_ones_are_short(asked):
    assert softaxis.softmax(x) == "long"
    assert not asked
    assert softaxis.softmax(x) == "short"
    assert softaxis.softmax(x, axis="nonsense") == "short"  # it answers for what it takes
    assert [one[0] for one in asked] == ["softmax", "softmax"]
    assert [one[2] for one in asked] == [-1, "nonsense"]


def test_what_it_does_not_take_is_validated(asked):
    softaxis.softmax(x)
    assert softaxis.softmax(x[:1]) == "long"
    with pytest.raises(softaxis.AxisError):
        softaxis.softmax(x[:1], axis=7)
    assert len(asked) == 2


@pytest.mark.parametrize(
    "given",
    [
        {"where": x > 0},
        {"temperature": 1},
        {"sink": 0},
        {"dtype": np.float64},
        {"out": np.empty_like(x)},
    ],
    ids="-".join,
)
def test_it_gets_no_call_with_another_argument(asked, given):
    softaxis.softmax(x)
    assert softaxis.softmax(x, **given) == "long"
    softaxis.logsumexp(x)
    assert softaxis.logsumexp(x, keepdims=True) == "long"
    assert softaxis.logsumexp(x, weights=x) == "long"
    assert softaxis.logsumexp(x, return_sign=True) == "long"
    assert not asked


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_have_a_direction(asked, name):
    function = getattr(softaxis, name)
    assert function(x, x) == "long"
    assert function(x, x, axis=0) == "short"
    assert [(one[0], one[3]) for one in asked] == [(name, 0)]
    assert function(x[:1], x[:1]) == "long"
    with pytest.raises(ValueError, match="must have the shape of"):
        function(x[:1], x)


def test_losses_have_two_arguments_more(asked):
    for function in (softaxis.cross_entropy, softaxis.cross_entropy_and_grad):
        assert function(x, y) == "long"
        assert function(x, y, axis=1, ignore_index=3, reduction="sum") == "short"
        name, logits, labels, *rest = asked.pop()
        assert name == function.__name__
        assert logits is x
        assert labels is y
        assert rest == [1, 3, "sum"]
        for given in (
            {"where": x > 0},
            {"class_weights": np.ones(3)},
            {"label_smoothing": 0.1},
            {"z_loss": 0.1},
        ):
            assert function(x, y, **given) == "long"
        with pytest.raises(TypeError, match="`z_loss`"):
            function(x, y, z_loss=False)
        assert not asked


class Sub(np.ndarray):
    pass


def test_it_gets_no_array_of_a_derived_type(asked):
    for _ in range(2):
        assert softaxis.softmax(x.view(Sub)) == "long"
    assert not asked


def test_it_runs_only_where_its_implementation_is_first_at_every_size(asked):
    softaxis.set_backends(disable="brief")
    for _ in range(2):
        np.testing.assert_allclose(softaxis.softmax(x).sum(-1), 1)
    softaxis.set_backends(prioritize=("numpy", "brief"))
    for _ in range(2):
        np.testing.assert_allclose(softaxis.softmax(x).sum(-1), 1)
    assert not asked


def test_nobody_who_traces_or_chooses_is_passed_by(asked):
    softaxis.softmax(x)
    with softaxis.backend_opts(trace=True) as trace:
        assert softaxis.softmax(x) == "long"
    assert trace == [("softaxis:softmax", "brief", "ran", "")]
    assert softaxis.explain_dispatch(softaxis.softmax, x).backend == "brief"
    with softaxis.backend_opts(prioritize="numpy"):
        np.testing.assert_allclose(softaxis.softmax(x).sum(-1), 1)
    assert softaxis.get_backend("brief").softmax(x) == "long"
    assert not asked
    assert softaxis.softmax(x) == "short"


def test_who_names_a_backend_wants_its_shortcut_at_every_size(asked):
    softaxis.log_softmax(x)
    assert softaxis.log_softmax(x) == "short"
