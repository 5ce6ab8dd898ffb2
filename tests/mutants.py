"""Mutants: single wrong lines planted in copies of our own backends, to test the conformance kit.

``python tests/mutants.py`` holds the kit against each of them and prints which check found it.
The sources are copied into a temporary package, where their imports of each other are turned to
the copies; nothing is written into the source tree.
"""

import contextlib
import importlib
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import softaxis
from softaxis.testing import check

SOURCES = Path(softaxis.__file__).parent
PACKAGE = "softaxis_mutant"
COPIED = ("_axes.py", "_dtypes.py", "_dispatch/_calls.py", "_generic/*.py", "_backends/*.py")
TYPES = {
    "numpy": "numpy:ndarray",
    "torch": "torch:Tensor",
    "jax": "jax:Array",
    "dask": "dask.array:Array",
}


class Mutant(NamedTuple):
    """One wrong line.

    Parameters
    ----------
    name : str
        What is wrong.
    source : str
        The file it is planted in.
    old, new : str
        What stands there once, and what takes its place.
    found_in : str
        A function that comes out wrong.
    found_by : tuple of str
        The checks, any of which should find it.
    library : str
        Whose arrays it is tried on, for the array-API implementation.
    """

    name: str
    source: str
    old: str
    new: str
    found_in: str
    found_by: tuple[str, ...]
    library: str = "numpy"

    @property
    def of(self):
        """The backend that the copy is one of: "default", or the name of one of the others."""
        folder, _, file = self.source.partition("/")
        if folder != "_backends":
            return "default"
        return file.removesuffix(".py") if file[0] != "_" else file.split("_")[1]


@contextlib.contextmanager
def planted(mutant, *, wrong=True):
    """Give the backend with the wrong line in it; with ``wrong=False``, the bare copy."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, PACKAGE)
        for pattern in COPIED:
            for file in SOURCES.glob(pattern):
                source = file.relative_to(SOURCES).as_posix()
                text = file.read_text(encoding="utf-8")
                if source == mutant.source:
                    assert text.count(mutant.old) == 1, f"{mutant.name}: what is to be replaced"
                    text = text.replace(mutant.old, mutant.new) if wrong else text
                copy = package / source
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_text(among_the_copies(text), encoding="utf-8")
        sys.path.insert(0, folder)
        try:
            importlib.invalidate_caches()
            yield backend_of(mutant)
        finally:
            sys.path.remove(folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
                del sys.modules[name]
            if "torch._dynamo" in sys.modules:  # keeps what it compiled, by the names of modules
                sys.modules["torch._dynamo"].reset()


def among_the_copies(text):
    """Turn imports of what is copied to the copies."""
    copied = (
        r"_generic|_dtypes|_axes|_dispatch\._calls|_backends(?=(?:\.| import )_(?:numpy|torch)_)"
    )
    text = re.sub(rf"\bsoftaxis\.({copied})\b", rf"{PACKAGE}.\1", text)
    return text.replace("from softaxis import _generic", f"from {PACKAGE} import _generic")


def backend_of(mutant):
    """Load the copied backend; one is made around the array-API implementation."""
    if mutant.of != "default":
        return importlib.import_module(f"{PACKAGE}._backends.{mutant.of}").backend
    generic = importlib.import_module(f"{PACKAGE}._generic")
    calls = importlib.import_module(f"{PACKAGE}._dispatch._calls")
    module, _, name = TYPES[mutant.library].partition(":")
    cls = getattr(importlib.import_module(module), name)
    backend = softaxis.backend.Backend("mutant", types=(cls,))
    capability = {**calls.DEFAULT_CAPABILITY._asdict(), "notes": ""}
    for name in generic.__all__:
        backend.implements(name=name, **capability)(calls.default(getattr(generic, name)))
    return backend


def first_failure(mutant, *, wrong=True, functions=None):
    """Return the first failure that the kit finds; None if it finds none."""
    with planted(mutant, wrong=wrong) as backend:
        return next(iter(check(backend, stop=True, functions=functions).failures), None)


ROWS = "_generic/_rows.py"
NORMALIZERS = "_generic/_normalizers.py"
REDUCTIONS = "_generic/_reductions.py"
LOSSES = "_generic/_losses.py"
GRADIENTS = "_generic/_gradients.py"
SUMMATION = "_generic/_summation.py"
INDICES = "_generic/_indices.py"
COMPLEX = "_generic/_complex.py"
DTYPES = "_dtypes.py"
CALLS = "_dispatch/_calls.py"
NUMPY = "_backends/numpy.py"
NUMPY_LAYOUT = "_backends/_numpy_layout.py"
NUMPY_ROWS = "_backends/_numpy_rows.py"
NUMPY_PARTS = "_backends/_numpy_parts.py"
NUMPY_SUMS = "_backends/_numpy_sums.py"
NUMPY_SHIFT = "_backends/_numpy_shift.py"
NUMPY_LOSSES = "_backends/_numpy_losses.py"
TORCH = "_backends/torch.py"
TORCH_ROWS = "_backends/_torch_rows.py"
JAX = "_backends/jax.py"
DASK = "_backends/dask.py"

MUTANTS = [
    # Shift and sum.
    Mutant(
        "the maximum is not subtracted",
        ROWS,
        "z = x - shift if temperature",
        "z = x if temperature",
        "softmax",
        ("values", "special values"),
    ),
    Mutant(
        "-inf is subtracted from -inf",
        ROWS,
        "xp.where(m == -_INF, 0.0, xp.where(xp.isfinite(m), m, _NAN))",
        "m",
        "logsumexp",
        ("gradients",),
        "torch",
    ),
    Mutant(
        "a maximum over nothing",
        ROWS,
        "if 0 in x.shape:",
        "if x.shape == (0,):",
        "softmax",
        ("shapes and axes",),
    ),
    Mutant(
        "the maxima stay in the sum",
        ROWS,
        "return xp.log(k) + xp.log1p(self.rest / k)",
        "return xp.log(k + self.rest)",
        "log_softmax",
        ("values",),
    ),
    Mutant(
        "log(1 + x) for log1p(x)",
        NUMPY_ROWS,
        "return np.subtract(z, np.log1p(_sum(e)), z)",
        "return np.subtract(z, np.log(1 + _sum(e)), z)",
        "log_softmax",
        ("values",),
    ),
    Mutant(
        "the sum of a row is taken term by term",
        NUMPY_SUMS,
        "if inner == 1 or n < _LANES:",
        "if e.size:",
        "softmax",
        ("out", "long rows", "batch"),
    ),
    Mutant(
        "the library's own sum",
        SUMMATION,
        "if not isinstance(n, int) or n == 0:",
        "if not isinstance(n, int) or n >= 0:",
        "softmax",
        ("out", "long rows", "batch"),
    ),
    Mutant(
        "the second odd element out is forgotten",
        SUMMATION,
        "carry = last if carry is None else carry + last",
        "carry = last",
        "softmax",
        ("long rows",),
    ),
    Mutant(
        "einsum for the sum",
        NUMPY_SUMS,
        "sums = np.add.reduce(e, axis=1, keepdims=True)",
        'sums = np.einsum("ijk->ik", e)[:, None]',
        "softmax",
        ("out", "long rows", "batch"),
    ),
    Mutant(
        "the largest number of a block in place of the row's",
        NUMPY_ROWS,
        "return np.maximum.reduce(x, axis=1, keepdims=True)",
        "return np.maximum.reduce(x, axis=(0, 1), keepdims=True)",
        "logsumexp",
        ("values", "special values", "batch"),
    ),
    # Infinities and NaN.
    Mutant(
        "NaN is passed over beside +inf",
        NUMPY_ROWS,
        "return np.maximum.reduce(x, axis=1, keepdims=True)",
        "return np.fmax.reduce(x, axis=1, keepdims=True)",
        "logsumexp",
        ("special values",),
    ),
    Mutant(
        "+inf - (+inf)",
        NUMPY_SHIFT,
        "    np.copyto(y, m, where=np.isnan(y))\n",
        "",
        "logsumexp",
        ("special values",),
    ),
    Mutant(
        "masked elements are -1e30",
        ROWS,
        "return x if where is None else xp.where(where, x, -_INF)",
        "return x if where is None else xp.where(where, x, -1e30)",
        "logsumexp",
        ("arguments",),
    ),
    # Axes and shapes.
    Mutant(
        "the permutation in place of its inverse",
        INDICES,
        "tuple(order.index(i) for i in range(len(shape)))",
        "order",
        "hardmax",
        ("shapes and axes",),
    ),
    Mutant(
        "the last axis of several only",
        NUMPY_LAYOUT,
        "first, last = axes[0], axes[-1] + 1",
        "first, last = axes[-1], axes[-1] + 1",
        "softmax",
        ("shapes and axes",),
    ),
    Mutant(
        "axes with others between them are taken for neighbours",
        NUMPY,
        "return len(axes) > 0 and axes[-1] - axes[0] == len(axes) - 1",
        "return len(axes) > 0",
        "softmax",
        ("shapes and axes",),
    ),
    Mutant(
        "keepdims is ignored",
        NUMPY,
        "shape = reduced_shape(x.shape, axis, keepdims)\n",
        "shape = reduced_shape(x.shape, axis)\n",
        "logsumexp",
        ("shapes and axes",),
    ),
    Mutant(
        "axis=() forgets that the temperature has a shape",
        ROWS,
        '_BROADCAST = ("where", "temperature", "weights")',
        '_BROADCAST = ("where", "weights")',
        "softmax",
        ("arguments", "shapes and axes"),
    ),
    Mutant(
        "what was turned is not turned back",
        NUMPY,
        "return np.ascontiguousarray(y.swapaxes(1, 2)).reshape(x.shape)",
        "return y.reshape(x.shape)",
        "softmax",
        ("values", "shapes and axes"),
    ),
    # Blocks and tails.
    Mutant(
        "the last block of rows is left out",
        NUMPY,
        "for i in range(0, count, step):",
        "for i in range(0, max(count - step, 1), step):",
        "softmax",
        ("out", "long rows"),
    ),
    Mutant(
        "what is left of the columns is left out",
        NUMPY_LAYOUT,
        "for j in range(0, inner, width):",
        "for j in range(0, max(inner - inner % width, 1), width):",
        "softmax",
        ("out", "long rows"),
    ),
    Mutant(
        "the first of the odd elements is left out",
        NUMPY_SUMS,
        "for k in range(n - (n - i) % _LANES, n):",
        "for k in range(n - (n - i) % _LANES + 1, n):",
        "softmax",
        ("values", "long rows"),
    ),
    Mutant(
        "blocks of columns overlap the next ones",
        NUMPY_LAYOUT,
        "yield slice(i, i + step), _EVERY, slice(j, j + width)",
        "yield slice(i, i + step), _EVERY, slice(j, j + width - 1)",
        "softmax",
        ("values", "out", "long rows"),
    ),
    # Dtypes.
    Mutant(
        "float16 is summed in float16",
        DTYPES,
        "return xp.float32\n",
        "return dtype\n",
        "softmax",
        ("values", "long rows"),
    ),
    Mutant(
        "integers are subtracted before they are converted",
        NUMPY,
        "            np.copyto(copy, block)\n            block = copy\n",
        "            np.copyto(copy, block)\n",
        "softmax",
        ("values", "claims", "dtypes"),
    ),
    Mutant(
        "integers change their sign before they are converted",
        NORMALIZERS,
        "x, final = to_working(x, dtype, xp)\n    return softmax(-x,",
        "x, final = -x, to_working(x, dtype, xp)[1]\n    return softmax(x,",
        "softmin",
        ("claims", "dtypes"),
    ),
    Mutant(
        "a narrower dtype is cast to first",
        DTYPES,
        "return cast(x, working, xp), final",
        "return cast(cast(x, final, xp), working, xp), final",
        "softmax",
        ("dtypes",),
    ),
    Mutant(
        "a wider dtype is cast to last",
        DTYPES,
        "return xp.result_type(working_dtype(own, xp), working_dtype(final, xp)), final",
        "return working_dtype(own, xp), final",
        "softmax",
        ("dtypes",),
    ),
    Mutant(
        "float64 for every dtype",
        NUMPY,
        "y = np.empty(reduced_shape(x.shape, axis, keepdims=True), final)",
        "y = np.empty(reduced_shape(x.shape, axis, keepdims=True))",
        "logsumexp",
        ("values",),
    ),
    Mutant(
        "subnormal numbers are flushed",
        NUMPY_ROWS,
        "return np.divide(e, s, e if",
        "return np.divide(np.where(e < np.finfo(e.dtype).tiny * s, 0, e), s, e if",
        "softmax",
        ("values",),
    ),
    Mutant(
        "sigmoid overflows on the left",
        NORMALIZERS,
        "return cast(xp.where(x >= 0, 1.0, e) / (1.0 + e), final, xp)",
        "return cast(1.0 / (1.0 + xp.exp(-x)), final, xp)",
        "sigmoid",
        ("special values",),
    ),
    # Memory.
    Mutant(
        "swapped bytes are read as native ones",
        DTYPES,
        "return x if x.dtype == dtype else",
        "return x if x.dtype == dtype else "
        'x.view(dtype) if x.dtype.newbyteorder("=") == dtype else',
        "softmax",
        ("memory layouts",),
    ),
    Mutant(
        "strides are not looked at",
        NUMPY,
        "    source, target = as_rows(x, axes), as_rows(y, axes)\n",
        "    x = x if x.flags.c_contiguous else x.base.ravel()[: x.size].reshape(x.shape)\n"
        "    source, target = as_rows(x, axes), as_rows(y, axes)\n",
        "softmax",
        ("memory layouts",),
    ),
    Mutant(
        "the input is written",
        NUMPY,
        "LOGSUMEXP.of_rows(rows)",
        "LOGSUMEXP.of_rows(rows, rows)",
        "logsumexp",
        ("values",),
    ),
    Mutant(
        "`where` is written",
        NORMALIZERS,
        "top = live == m if where is None else (live == m) & where",
        "top = live == m if where is None else where.__iand__(live == m)",
        "hardmax",
        ("arguments",),
    ),
    Mutant(
        "`out` is written and something else returned",
        CALLS,
        "return (out, *result[1:]) if isinstance(result, tuple) else out",
        "return result",
        "softmax",
        ("out",),
    ),
    Mutant(
        "`out` is returned and not written",
        NUMPY,
        "        out[...] = y\n        return out\n    return y[()]",
        "        return out\n    return y[()]",
        "logsumexp",
        ("out",),
    ),
    Mutant(
        "blocks of `out` are written over blocks of `x` still to be read",
        NUMPY,
        "(out is x or not np.may_share_memory(out, x))",
        "True",
        "softmax",
        ("out",),
    ),
    Mutant(
        "threads share a buffer",
        NUMPY_ROWS,
        "e = np.exp(z, e)",
        "e = np.exp(z, globals().setdefault(str((z.shape, z.dtype)), np.empty_like(z)))",
        "log_softmax",
        ("threads",),
    ),
    Mutant(
        "threads share the buffer of a narrow dtype",
        NUMPY,
        "rooms = np.empty((3, min(count, step), n), working)",
        "shape = 3, min(count, step), n\n"
        "    rooms = _known.setdefault((shape, working), np.empty(shape, working))",
        "softmax",
        ("threads",),
    ),
    Mutant(
        "underflow is not silenced",
        NUMPY,
        '_quiet.run(np.seterr, all="ignore")',
        '_quiet.run(np.seterr, invalid="ignore")',
        "softmax",
        ("values", "special values"),
    ),
    Mutant(
        "nothing is silenced",
        CALLS,
        "with library.quiet():",
        "if library:",
        "softmax",
        ("values", "special values"),
    ),
    # Arguments.
    Mutant(
        "the mask comes after the maximum",
        LOSSES,
        "r = rows(masked(x, where, xp), axis, None, xp)",
        "r = rows(x, axis, None, xp)",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "a mean over what is masked too",
        REDUCTIONS,
        "if where is None and all(isinstance(size, int) for size in sizes):",
        "if all(isinstance(size, int) for size in sizes):",
        "logmeanexp",
        ("arguments",),
    ),
    Mutant(
        "a temperature that varies along the row divides after the shift",
        NORMALIZERS,
        "if _varies_along(temperature, x, axis):",
        "if _varies_along(temperature, x, ()):",
        "softmax",
        ("arguments",),
    ),
    Mutant(
        "the difference overflows before it is divided",
        ROWS,
        "        return (x / 2 - shift / 2) / temperature * 2",
        "        return (x - shift) / temperature",
        "log_softmax",
        ("arguments", "special values"),
    ),
    Mutant(
        "temperature 0 divides by 0",
        ROWS,
        "        if temperature == 0:\n            return _coldest(x - shift, xp)\n",
        "",
        "softmax",
        ("arguments",),
    ),
    Mutant(
        "the sink is not shifted",
        NORMALIZERS,
        "    top = _cooled_maximum(m, temperature, xp)\n",
        "    top = 0 * m\n",
        "softmax",
        ("arguments",),
    ),
    Mutant(
        "the sink is not compared with the cooled maximum",
        NORMALIZERS,
        "        return m / temperature\n",
        "        return m\n",
        "softmax",
        ("arguments",),
    ),
    Mutant(
        "a weight of 0 lets NaN through",
        REDUCTIONS,
        "    x = xp.where(live, x, -_INF)\n",
        "",
        "logsumexp",
        ("arguments",),
    ),
    Mutant(
        "two opposite infinities are taken for one",
        REDUCTIONS,
        "y = xp.where(m == _INF, xp.where(high == low, m, _NAN), y)",
        "y = xp.where(m == _INF, m, y)",
        "logsumexp",
        ("arguments",),
    ),
    Mutant(
        "every one of the ties is hot",
        NORMALIZERS,
        "restored(top & (positions(top, -1, xp) == first)",
        "restored(top & (positions(top, -1, xp) >= first)",
        "hardmax",
        ("values",),
    ),
    Mutant(
        "complex numbers are cooled by half",
        COMPLEX,
        "cooled(self.re, shift, temperature, xp), self.im / temperature",
        "cooled(self.re, shift, temperature, xp), self.im",
        "softmax",
        ("arguments",),
    ),
    # Labels.
    Mutant(
        "labels wrap around",
        LOSSES,
        "index = expanded(cast(labels, default_integral(x, xp), xp), one, xp)",
        "index = expanded(cast(labels, default_integral(x, xp), xp), one, xp) % x.shape[one]",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "labels are held in 8 bits",
        LOSSES,
        "index = expanded(cast(labels, default_integral(x, xp), xp), one, xp)",
        "index = expanded(cast(labels, xp.int8, xp), one, xp)",
        "cross_entropy",
        ("long rows",),
    ),
    Mutant(
        "the loss is the difference of two large numbers",
        LOSSES,
        "v * _distance(r, log_sum, v, xp)",
        "v * (shift_of(r.m, xp) + log_sum - x)",
        "cross_entropy",
        ("arguments", "values"),
    ),
    Mutant(
        "masked classes have a share in the smoothing",
        LOSSES,
        "        ones = xp.where(where, ones, 0.0)\n",
        "        pass\n",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "the mean is taken over ignored rows too",
        LOSSES,
        "n = total(t.weight, tuple(range(t.weight.ndim)), xp)",
        "n = total(xp.ones_like(t.weight), tuple(range(t.weight.ndim)), xp)",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "the derivative of a square without its 2",
        LOSSES,
        "grad = grad + 2.0 * z_loss * (t.lse * p)",
        "grad = grad + z_loss * (t.lse * p)",
        "cross_entropy_and_grad",
        ("arguments",),
    ),
    Mutant(
        "the loss's derivative is 1 - p",
        LOSSES,
        "others = xp.where(t.r.top, k - 1.0 + t.r.rest, divisor - t.r.e) / divisor",
        "others = 1.0 - p",
        "cross_entropy_and_grad",
        ("values", "arguments"),
    ),
    # Labels, in NumPy's own kernels.
    Mutant(
        "the label pulls the wrong way",
        NUMPY_LOSSES,
        "flat[at] = -others / scale",
        "flat[at] = others / scale",
        "cross_entropy_and_grad",
        ("values",),
    ),
    Mutant(
        "log(1 + x) for log1p(x) near certainty",
        NUMPY_LOSSES,
        "np.copyto(loss, np.log1p(rest / e_y), where=near)",
        "np.copyto(loss, np.log(1 + rest / e_y), where=near)",
        "cross_entropy",
        ("values",),
    ),
    Mutant(
        "the label's derivative has no weight",
        NUMPY_LOSSES,
        "(e_y * pull - v * others) / scale",
        "(e_y * pull - others) / scale",
        "cross_entropy_and_grad",
        ("arguments",),
    ),
    Mutant(
        "every class has the weight of the first",
        NUMPY_LOSSES,
        "v = terms.weights[y].astype(row.working, copy=False)",
        "v = terms.weights[0 * y].astype(row.working, copy=False)",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "ignored labels count as class 0 in the mean",
        NUMPY_LOSSES,
        "y = y[y != ignored]",
        "y = np.where(y == ignored, 0, y)",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "a label that is masked keeps its logit",
        NUMPY_PARTS,
        "found = np.where(self.where[index], found, -inf).astype(self.working, copy=False)",
        "pass",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "masked classes take part in the sum",
        NUMPY_PARTS,
        "return np.where(self.where[:, i:j], x, -inf).astype(self.working, copy=False)",
        "return x.astype(self.working)",
        "cross_entropy",
        ("arguments",),
    ),
    Mutant(
        "the pull of the z-loss without its 2",
        NUMPY_LOSSES,
        "pull = 2 * terms.z_loss * lse",
        "pull = terms.z_loss * lse",
        "cross_entropy_and_grad",
        ("arguments",),
    ),
    # Derivatives.
    Mutant(
        "p (1 - p) cancels at the top",
        GRADIENTS,
        "h = _from_top(p, cast(g, p.dtype, xp), p == 0, axis, xp)\n    dx",
        "h = cast(g, p.dtype, xp)\n    dx",
        "softmax_vjp",
        ("values",),
    ),
    Mutant(
        "g (1 - p) cancels at the top",
        GRADIENTS,
        "alone = top & (p > 0.6)",
        "alone = top & (p > 1)",
        "log_softmax_vjp",
        ("values",),
    ),
    Mutant(
        "1 - p on the diagonal",
        GRADIENTS,
        "xp.where(p > 0.5, total(xp.where(p > 0.5, 0.0, p), -1, xp), 1.0 - p)",
        "1.0 - p",
        "softmax_jacobian",
        ("values",),
    ),
    Mutant(
        "what is masked has a derivative",
        GRADIENTS,
        "    x = masked(x, where, xp)\n    if",
        "    if",
        "logsumexp_vjp",
        ("arguments",),
    ),
    Mutant(
        "the weights are left out of the derivative",
        GRADIENTS,
        "share = weights * half * half",
        "share = half * half",
        "logsumexp_jvp",
        ("arguments",),
    ),
    Mutant(
        "log(0) where no gradient looks, and NaN comes back",
        ROWS,
        "return xp.where(self.k == 0, 1.0, self.k)",
        "return self.k",
        "logsumexp",
        ("gradients",),
        "torch",
    ),
    # Claims.
    Mutant(
        "a dtype is claimed that raises",
        TORCH,
        '_FLOATS = ("float16",',
        '_FLOATS = ("int64", "float16",',
        "softmax",
        ("claims",),
    ),
    Mutant(
        "`dtype` is taken and always declined",
        NUMPY,
        "y = _quiet_for(x).run(_normalized, SOFTMAX, x, axis, dtype, out)",
        'y = declined("later") if dtype is not None '
        "else _quiet_for(x).run(_normalized, SOFTMAX, x, axis, dtype, out)",
        "softmax",
        ("claims",),
    ),
    # PyTorch.
    Mutant(
        "the native sum alone",
        TORCH_ROWS,
        "if x.shape[axis] < FEW:",
        "if x.dtype.is_floating_point:",
        "softmax",
        ("long rows", "batch"),
    ),
    Mutant(
        "the next axis",
        TORCH_ROWS,
        "x = x.movedim(axis, -1)",
        "x = x.movedim(min(axis + 1, x.ndim - 1), -1)",
        "softmax",
        ("values",),
    ),
    Mutant(
        "another dtype is not heeded",
        TORCH,
        "if dtype is not None and dtype is not x.dtype:",
        "if dtype is not None and x.ndim < 0:",
        "softmax",
        ("dtypes",),
    ),
    Mutant(
        "the residual of a certain class cancels",
        TORCH_ROWS,
        "return p, own, _sum(p.scatter_(-1, index, 0.0))",
        "return p.scatter_(-1, index, 0.0), own, 1 - own",
        "cross_entropy_and_grad",
        ("values",),
    ),
    Mutant(
        "half of the smoothing",
        TORCH_ROWS,
        "slope.sub_(smoothing / p.shape[-1] * scale)",
        "slope.sub_(smoothing / p.shape[-1] / 2 * scale)",
        "cross_entropy_and_grad",
        ("values", "arguments"),
    ),
    # Dask.
    Mutant(
        "the graph is computed at once",
        DASK,
        "return x.map_blocks(_run, generic, given, dtype=final, meta=meta)",
        "return x.map_blocks(_run, generic, given, dtype=final).persist()",
        "softmax",
        ("claims", "values"),
    ),
    Mutant(
        "the blocks are counted along the other axes",
        DASK,
        "for i in as_tuple(axis)):",
        "for i in range(x.ndim) if i not in as_tuple(axis)):",
        "softmax",
        ("memory layouts",),
    ),
    Mutant(
        "the graph announces the dtype of the input",
        DASK,
        "return x.map_blocks(_run, generic, given, dtype=final, meta=meta)",
        "return x.map_blocks(_run, generic, given, dtype=x.dtype, meta=x._meta)",
        "softmax",
        ("claims", "dtypes"),
    ),
    Mutant(
        "the graph announces the shape of the input",
        DASK,
        "tuple((1,) if i in as_tuple(axis) else c for i, c in enumerate(x.chunks))",
        "x.chunks",
        "logsumexp",
        ("claims", "values"),
    ),
    # JAX.
    Mutant(
        "the temperature of integers becomes an integer",
        JAX,
        "arguments[name] = _number(arguments[name])",
        "arguments[name] = jnp.asarray(arguments[name], arrays[0].dtype)",
        "softmax",
        ("arguments", "dtypes"),
    ),
]


def library_of(mutant):
    """Name the library on whose arrays a mutant is tried."""
    return mutant.library if mutant.of == "default" else mutant.of


def sample(library):
    """Return a third of the mutants of a library; all with SOFTAXIS_MUTANTS=all."""
    every = 1 if whole() else 3
    return [mutant for mutant in MUTANTS if library_of(mutant) == library][::every]


def whole():
    """Whether all mutants are wanted, and the whole kit for each as its users run it."""
    return os.environ.get("SOFTAXIS_MUTANTS") == "all"


def copies(library):
    """Return one mutant of each backend that runs on a library, to be tried without its line."""
    return {mutant.of: mutant for mutant in MUTANTS if library_of(mutant) == library}


def assert_found(mutant):
    """The kit turns red, by a check that was expected to, in less than five minutes."""
    start = time.perf_counter()
    failure = first_failure(mutant, functions=None if whole() else [mutant.found_in])
    assert failure is not None, f"the kit does not find: {mutant.name}"
    assert failure.check in mutant.found_by, failure
    assert failure.code.startswith("import "), failure
    assert time.perf_counter() - start < 300


def assert_green(mutant):
    """The copy by itself passes: what the kit finds is the planted line."""
    failure = first_failure(mutant, wrong=False, functions=None if whole() else [mutant.found_in])
    assert failure is None, failure


def row(mutant):
    """Return a line of the table, and whether the kit found the mutant as expected."""
    start = time.perf_counter()
    failure = first_failure(mutant)
    seconds = time.perf_counter() - start
    found = failure is not None and failure.check in mutant.found_by
    by = "NOT FOUND" if failure is None else f"{failure.function}: {failure.check}"
    where = mutant.of if mutant.of != "default" else f"default, {mutant.library}"
    note = "" if found else f" (expected: {', '.join(mutant.found_by)})"
    return f"| {mutant.name} | {where} | {by}{note} | {seconds:.1f} |", found


def main(wanted):
    """Try all mutants, or those whose name or source holds one of the words."""
    chosen = [m for m in MUTANTS if not wanted or any(w in m.name + m.source for w in wanted)]
    print("| mutant | of | found by | seconds |\n| --- | --- | --- | --- |")
    found = 0
    for mutant in chosen:
        line, as_expected = row(mutant)
        found += as_expected
        print(line, flush=True)
    print(f"\n{found} of {len(chosen)} found")
    return int(found < len(chosen))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
