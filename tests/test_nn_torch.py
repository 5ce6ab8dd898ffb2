"""softaxis.torch.nn: torch.nn's numbers where these are right, mpmath's where not, and modules."""

import copy
import inspect
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from cases import spread

import softaxis
from softaxis.testing import references as ref

torch = pytest.importorskip("torch", exc_type=ImportError)
from softaxis.torch import nn  # noqa: E402 (only where there is torch)

inf, nan = float("inf"), float("nan")
LOGITS = spread((6, 5))
LABELS = np.array([3, 0, -100, 1, 4, 2])
WEIGHTS = np.array([0.5, 2.0, 0.25, 1.25, 1.0])
MASK = np.array([[1, 1, 0, 1, 1], [0] * 5, [1] * 5, [0, 1, 1, 0, 0], [1, 0, 0, 0, 0], [1] * 5]) > 0
EPS = ref.EPS["float64"]


def leaf(x=LOGITS, dtype=torch.float64):
    return torch.tensor(x, dtype=dtype, requires_grad=True)


def value_and_grad(module, x, *rest, **where):
    """The result of a module and the gradient of its sum, weighed so that no row's vanishes."""
    x = leaf(x)
    y = module(x, *rest, **where)
    factors = torch.linspace(0.5, 1.5, y.numel(), dtype=y.dtype).reshape(y.shape)
    (y * factors).nan_to_num(neginf=0.0).sum().backward()
    return y.detach(), x.grad


def assert_as_torch(ours, theirs, x, *rest):
    """The same value and gradient within what two right float64 results of size < 8 may differ."""
    for got, expected in zip(
        value_and_grad(ours, x, *rest), value_and_grad(theirs, x, *rest), strict=True
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=64 * EPS)


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, -1, 2])
def test_normalizers_as_in_torch(name, axis):
    x = spread((3, 4, 5))
    assert_as_torch(getattr(nn, name)(axis), getattr(torch.nn, name)(axis), x)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_loss_as_in_torch(reduction, smoothing, weighted):
    options = {"reduction": reduction, "label_smoothing": smoothing}
    weights = torch.asarray(WEIGHTS) if weighted else None
    ours = nn.CrossEntropyLoss(weights, **options)
    theirs = torch.nn.CrossEntropyLoss(weights, **options)
    assert_as_torch(ours, theirs, LOGITS, torch.asarray(LABELS))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_loss_of_probabilities_as_in_torch(smoothing):
    labels = torch.softmax(torch.asarray(spread((6, 5), 3)), -1)
    options = {"label_smoothing": smoothing}
    ours, theirs = (m.CrossEntropyLoss(**options) for m in (nn, torch.nn))
    assert_as_torch(ours, theirs, LOGITS, labels)


def test_loss_with_classes_in_the_middle_as_in_torch():
    labels = torch.tensor([[0, 1, -100, 3, 1], [2, -100, 1, 1, 0]])
    ours = nn.CrossEntropyLoss(axis=1)
    assert_as_torch(ours, torch.nn.CrossEntropyLoss(), spread((2, 4, 5)), labels)


def test_an_index_of_their_own():
    labels = torch.tensor([3, 0, 7, 1, 4, 7])
    ours, theirs = (m.CrossEntropyLoss(ignore_index=7) for m in (nn, torch.nn))
    assert_as_torch(ours, theirs, LOGITS, labels)
    with pytest.raises(ValueError, match=r"`labels` must be .* got 7"):
        nn.CrossEntropyLoss(ignore_index=None)(leaf(), labels)


def test_accurate_near_certainty_where_torch_is_not():
    x = [0.0, -20.0]
    y = nn.LogSoftmax()(leaf(x, torch.float32)).detach().numpy()
    expected = ref.log_softmax(np.array(x), axis=-1)
    ref.assert_accurate(y, expected, "float32", bound=8)
    loss, grad = value_and_grad(nn.CrossEntropyLoss(), [[40.0, 0.0]], torch.tensor([0]))
    assert loss.item() == pytest.approx(4.248354255291589e-18, rel=1e-14)  # log1p(exp(-40))
    factor = -0.5 * 4.248354255291589e-18  # the gradient of half of it
    torch.testing.assert_close(
        grad, torch.tensor([[factor, -factor]], dtype=torch.float64), rtol=1e-14, atol=0
    )


@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("hidden", [0.0, nan, inf, -inf])
def test_what_is_masked_is_left_out(name, hidden):
    """Values by mpmath; gradient 0 at what is masked, whatever it holds, and no NaN elsewhere."""
    x = np.where(MASK, LOGITS, hidden)
    y, grad = value_and_grad(getattr(nn, name)(), x, where=torch.asarray(MASK))
    expected = getattr(ref, name.lower().replace("gs", "g_s"))(x, axis=-1, where=MASK)
    ref.assert_accurate(y.numpy(), expected, "float64", bound=16)
    assert (grad.numpy()[~MASK] == 0).all()
    assert np.isfinite(grad.numpy()).all()
    assert (grad.numpy()[MASK.sum(-1) > 1] != 0).any(-1).all()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2, "z_loss": 0.1}], ids=str)
def test_loss_over_the_classes_that_are_left(options):
    """Masked rows have labels that are ignored, as padding has: loss 0 and gradient 0."""
    labels = np.array([3, -100, 4, 2, 0, 2])
    x = np.where(MASK, LOGITS, nan)
    module = nn.CrossEntropyLoss(reduction="none", **options)
    logits = leaf(x)
    losses = module(logits, torch.asarray(labels), torch.asarray(MASK))
    losses.sum().backward()
    expected, slopes = ref.cross_entropy(x, ref.one_hot(labels, 5), where=MASK, **options)
    expected[1], slopes[1] = ref.ZERO, ref.ZERO
    ref.assert_accurate(losses.detach().numpy(), expected, "float64", bound=12, scale=4)
    ref.assert_accurate(logits.grad.numpy(), slopes, "float64", bound=12, scale=1)


def test_a_batch_of_padding_costs_nothing():
    loss, grad = value_and_grad(nn.CrossEntropyLoss(), LOGITS, torch.full((6,), -100))
    assert loss == 0
    assert (grad == 0).all()


def test_the_mean_of_probabilities_is_divided_by_the_weights():
    """sum_i sum_c w_c y_ic / sum_i sum_c w_c y_ic of equal logits is log 2 for any weights."""
    labels = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    loss = nn.CrossEntropyLoss(torch.tensor([3.0, 0.5]))(torch.zeros(2, 2), labels)
    assert loss.item() == pytest.approx(np.log(2), abs=2 * ref.EPS["float32"])


def test_probabilities_are_never_ignored():
    labels, logits = torch.softmax(torch.asarray(LOGITS), -1), leaf()
    assert nn.CrossEntropyLoss()(logits, labels) > 0
    with pytest.raises(ValueError, match="`ignore_index` needs integer `labels`"):
        nn.CrossEntropyLoss(ignore_index=3)(logits, labels)


# What the modules hold.


def test_settings_reach_the_functions():
    x, mask = torch.asarray(LOGITS), torch.asarray(MASK)
    options = {"temperature": 0.5, "sink": 0.25, "dtype": torch.float32}
    for module, function in (
        (nn.Softmax, softaxis.softmax),
        (nn.LogSoftmax, softaxis.log_softmax),
    ):
        got = module((0, 1), **options)(x, mask)
        expected = function(x, axis=(0, 1), where=mask, **options)
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    options = {"label_smoothing": 0.1, "z_loss": 0.2, "reduction": "sum", "ignore_index": 2}
    labels, weights = torch.tensor([0, 1, 2, 1, 0, 2]), torch.asarray(WEIGHTS)
    got = nn.CrossEntropyLoss(weights, axis=1, **options)(x, labels, mask | True)
    expected = softaxis.cross_entropy(x, labels, axis=1, class_weights=weights, **options)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("module", "function", "own"),
    [
        (nn.Softmax, softaxis.softmax, {"x", "where", "out"}),
        (nn.LogSoftmax, softaxis.log_softmax, {"x", "where", "out"}),
        (nn.CrossEntropyLoss, softaxis.cross_entropy, {"logits", "labels", "where"}),
    ],
)
def test_the_arguments_are_those_of_the_function(module, function, own):
    theirs = set(inspect.signature(function).parameters)
    assert set(inspect.signature(module).parameters) == theirs - own
    assert set(inspect.signature(module.forward).parameters) == {"self"} | own - {"out"}


@pytest.mark.parametrize("name", ["dim", "weight", "size_average"])
def test_names_of_torch_are_refused(name):
    module = nn.Softmax if name == "dim" else nn.CrossEntropyLoss
    with pytest.raises(TypeError, match=name):
        module(**{name: 1})


def test_parameters_are_learnt_and_other_tensors_move_along():
    temperature = torch.nn.Parameter(torch.full((5,), 0.5, dtype=torch.float64))
    module = nn.Softmax(temperature=temperature, sink=torch.zeros((), dtype=torch.float64))
    assert [name for name, _ in module.named_parameters()] == ["temperature"]
    assert [name for name, _ in module.named_buffers()] == ["sink"]
    assert list(module.state_dict()) == ["temperature", "sink"]
    x = torch.asarray(LOGITS)

    def call(temperature):
        return torch.func.functional_call(module, {"temperature": temperature}, (x,))

    assert torch.autograd.gradcheck(call, (temperature,))
    module(x)[:, 0].sum().backward()
    assert (temperature.grad != 0).any()


@pytest.mark.parametrize("weights", [None, torch.tensor([1.0, 2.0])])
def test_state_dicts(weights):
    module = nn.CrossEntropyLoss(weights)
    assert list(module.parameters()) == []
    state = module.state_dict()
    assert list(state) == ([] if weights is None else ["class_weights"])
    other = nn.CrossEntropyLoss(None if weights is None else torch.zeros(2))
    other.load_state_dict(state)
    assert weights is None or other.class_weights.tolist() == [1.0, 2.0]


def test_moving():
    loss = nn.CrossEntropyLoss(torch.tensor([1.0, 2.0])).to(torch.float64)
    assert loss.class_weights.dtype is torch.float64
    assert loss.to("meta").class_weights.device.type == "meta"
    softmax = nn.Softmax(sink=torch.zeros(())).to("meta", torch.bfloat16)
    assert softmax(torch.empty((3, 4), device="meta", dtype=torch.bfloat16)).shape == (3, 4)
    assert softmax.sink.dtype is torch.bfloat16


MODULES = [
    nn.Softmax(0, temperature=0.5),
    nn.Softmax(temperature=torch.nn.Parameter(torch.tensor(2.0))),
    nn.LogSoftmax((0, 1), sink=torch.tensor(0.5), dtype=torch.float64),
    nn.CrossEntropyLoss(torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1, z_loss=0.01),
    nn.CrossEntropyLoss(reduction="none", ignore_index=0, axis=0),
]
every_module = pytest.mark.parametrize("module", MODULES, ids=str)


def arguments(module):
    x = torch.tensor(spread((3, 3)), dtype=torch.float32, requires_grad=True)
    where = torch.tensor([[True, True, False], [False, False, False], [True, True, True]])
    if isinstance(module, nn.CrossEntropyLoss):
        return x, torch.tensor([0, -100, 2] if module.ignore_index else [0, 1, 0]), where | True
    return x, where


@every_module
@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_compute_the_same(module, way):
    other = way(module)
    assert repr(other) == repr(module)
    torch.testing.assert_close(other(*arguments(module)), module(*arguments(module)))
    for (name, ours), (_, theirs) in zip(
        module.state_dict().items(), other.state_dict().items(), strict=True
    ):
        assert ours.data_ptr() != theirs.data_ptr(), name


@every_module
def test_compile_with_gradients(module):
    torch._dynamo.reset()
    program = torch.compile(module, fullgraph=True, backend="aot_eager")
    results = []
    for call in (module, program):
        x, *rest = arguments(module)
        y = call(x, *rest)
        y.nan_to_num(neginf=0.0).square().sum().backward()
        assert torch.isfinite(x.grad).all()
        results.append((y, x.grad))
    torch.testing.assert_close(*results)
    module.zero_grad()


@every_module
@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")
def test_export(module):
    x, *rest = arguments(module)
    args = (x.detach(), *rest)
    torch.testing.assert_close(torch.export.export(module, args).module()(*args), module(*args))


def test_repr():
    assert list(map(repr, MODULES)) == [
        "Softmax(axis=0, temperature=0.5)",
        "Softmax(axis=-1, temperature=tensor of shape ())",
        "LogSoftmax(axis=(0, 1), sink=tensor of shape (), dtype=torch.float64)",
        "CrossEntropyLoss(class_weights=tensor of shape (3,), label_smoothing=0.1, z_loss=0.01)",
        "CrossEntropyLoss(axis=0, ignore_index=0, reduction='none')",
    ]
    assert repr(nn.CrossEntropyLoss()) == "CrossEntropyLoss()"


def test_in_a_model():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), nn.LogSoftmax())
    assert "(1): LogSoftmax(axis=-1)" in repr(model)
    y = model.eval()(torch.zeros(2, 4))
    torch.testing.assert_close(y.exp().sum(-1), torch.ones(2))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.CrossEntropyLoss(reduction="avg"), "`reduction`"),
        (nn.CrossEntropyLoss(label_smoothing=1.5), "`label_smoothing`"),
        (nn.CrossEntropyLoss(torch.ones(4)), "`class_weights`"),
    ],
    ids=repr,
)
def test_errors_name_the_setting(module, message):
    with pytest.raises(ValueError, match=message):
        module(leaf(), torch.zeros(6, dtype=torch.int64))
    with pytest.raises(ValueError, match="`temperature`"):
        nn.Softmax(temperature=-1.0)(leaf())
    with pytest.raises(softaxis.AxisError):
        nn.LogSoftmax(2)(leaf())


IMPORTS = """
import json, sys, softaxis
before = "torch" in sys.modules
import softaxis.torch
import torch
print(json.dumps([before, softaxis.torch.nn.torch is torch is not softaxis.torch]))
"""


def test_only_the_subpackage_imports_torch():
    command = [sys.executable, "-c", IMPORTS]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, True]
