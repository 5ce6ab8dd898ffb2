"""The transformer in JAX: the loss of the native functions, and no NaN where they have one."""

import pytest
from sonnets import EXAMPLES, check_curves

jax = pytest.importorskip("jax")


@pytest.fixture
def example(monkeypatch):
    """The example as a module, compiled in less time than for speed; the flags are put back."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import sonnets_jax

    flags = ("jax_enable_x64", "jax_disable_most_optimizations")
    before = {flag: jax.config.values[flag] for flag in flags}
    jax.config.update("jax_disable_most_optimizations", True)
    yield sonnets_jax
    for flag, value in before.items():
        jax.config.update(flag, value)


def test_the_same_curve_and_no_nan(example, capsys):
    arguments = ("--native", "--steps", "12", "--lines", "8", "--dtype", "float64")
    example.main("JAX", example.training, arguments)
    check_curves(capsys.readouterr().out)


def test_jax_itself_is_right_with_where():
    """As the example says: value and gradient of a row that is masked entirely are 0."""

    def share(scores):
        p = jax.nn.softmax(scores, where=visible)
        return p[:, 0].sum(), p

    visible = jax.numpy.asarray([[True, True], [False, False]])
    scores = jax.numpy.asarray([[1.0, 1.0], [2.0, 3.0]])
    gradient, p = jax.grad(share, has_aux=True)(scores)
    assert p.tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert gradient.tolist() == [[0.25, -0.25], [0.0, 0.0]]
