"""The transformer in PyTorch: the loss of the native functions, and no NaN where they have one."""

import pytest
from sonnets import EXAMPLES, check_curves

torch = pytest.importorskip("torch", exc_type=ImportError)


@pytest.fixture
def example(monkeypatch):
    """The example as a module; the generator it seeds and the threads are put back."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import sonnets_torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other are slow on a busy machine
    with torch.random.fork_rng():
        yield sonnets_torch
    torch.set_num_threads(threads)


def test_the_same_curve_and_no_nan(example, capsys):
    arguments = ("--native", "--steps", "12", "--lines", "8", "--dtype", "float64")
    example.main("PyTorch", example.training, arguments)
    check_curves(capsys.readouterr().out)


def test_nothing_leaks_between_lines_or_from_the_future(example):
    """The logits at a character depend on it and what stands before it in its own line."""
    tokens = torch.randint(1, example.CLASSES, (2, example.LENGTH))
    tokens[0, :9] = example.PAD
    model = example.Transformer(example.nn.Softmax()).double()
    before = model(tokens)
    changed = tokens.clone()
    changed[0, 30:] = 1
    changed[1] = 2
    after = model(changed)
    torch.testing.assert_close(after[0, 9:30], before[0, 9:30], rtol=0, atol=1e-13)
    assert (after[0, 30:] - before[0, 30:]).abs().max() > 1e-3
    assert torch.isfinite(before).all()
