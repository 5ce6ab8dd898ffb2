"""A drawn call: how it is made on a library, watched while it runs, and printed to be repeated."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from strategies import stored

import softaxis


class Wrong(AssertionError):
    """A call did what SEMANTICS.md does not say."""


@dataclass(frozen=True)
class Numbers:
    """An array before it belongs to a library."""

    values: np.ndarray
    dtype: str
    layout: str = "plain"

    def on(self, xp):
        return stored(xp, self.values, self.dtype, self.layout)

    def code(self, xp):
        if self.layout == "plain":
            return f"xp.asarray({_listed(self.values)}, {self.dtype!r})"
        return f"stored(xp, {_listed(self.values)}, {self.dtype!r}, {self.layout!r})"


def _listed(values):
    if values.size > 1 and values.dtype.kind != "O" and (values == values.flat[0]).all():
        return f"np.full({values.shape}, {values.flat[0].item()!r})"
    if values.size == 0:
        return f"np.zeros({values.shape}, {values.dtype.name!r})"
    return repr(values.tolist())


@dataclass(frozen=True)
class Dtype:
    """A dtype by its name."""

    name: str

    def on(self, xp):
        return xp.dtype(self.name)

    def code(self, xp):
        return f"xp.dtype({self.name!r})"


@dataclass(frozen=True)
class Out:
    """An array to write into: "empty", "stepped", "transposed", `x` itself, or `x` moved by one."""

    kind: str
    shape: tuple[int, ...] = ()
    dtype: str = ""

    def on(self, xp):
        if self.kind == "stepped":
            return xp.empty((*self.shape[:-1], 2 * self.shape[-1]), self.dtype)[..., ::2]
        if self.kind == "transposed":
            return xp.empty(self.shape[::-1], self.dtype).T
        return xp.empty(self.shape, self.dtype)

    def code(self, xp):
        if self.kind == "stepped":
            wide = (*self.shape[:-1], 2 * self.shape[-1])
            return f"xp.empty({wide}, {self.dtype!r})[..., ::2]"
        if self.kind == "transposed":
            return f"xp.empty({self.shape[::-1]}, {self.dtype!r}).T"
        if self.kind == "empty":
            return f"xp.empty({self.shape}, {self.dtype!r})"
        return {"x": "x", "beside": "x.base[..., :-1]"}[self.kind]


@dataclass(frozen=True)
class Call:
    """A public function with its arguments; `about` is what only the reference has to know."""

    function: str
    arrays: tuple[Any, ...]
    options: dict[str, Any] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def dtype(self):
        return self.arrays[0].dtype

    def code(self, xp):
        """Write the call as a line of Python."""
        arrays = [_code(array, xp) for array in self.arrays]
        if isinstance(self.options.get("out"), Out) and self.options["out"].kind in OVER_X:
            arrays[0] = f"(x := {arrays[0]})"
        options = [f"{name}={_code(option, xp)}" for name, option in self.options.items()]
        return f"softaxis.{self.function}({', '.join([*arrays, *options])})"

    def made(self, xp):
        """Make the arguments on a library."""
        arrays = [_on(array, xp) for array in self.arrays]
        options = {name: _on(option, xp) for name, option in self.options.items()}
        out = self.options.get("out")
        if isinstance(out, Out) and out.kind in OVER_X:
            options["out"] = arrays[0] if out.kind == "x" else arrays[0].base[..., :-1]
        return arrays, options


OVER_X = ("x", "beside")


def _on(value, xp):
    return value.on(xp) if hasattr(value, "on") else value


def _code(value, xp):
    return value.code(xp) if hasattr(value, "code") else repr(value)


@dataclass
class Outcome:
    """What came of a call: its result, and the arguments as NumPy had them before it."""

    result: Any
    arrays: list[Any]
    options: dict[str, Any]


def run(xp, call):
    """Make the call; it may not warn, hit a floating-point error, or write into its arguments."""
    arrays, options = call.made(xp)
    out = options.get("out")
    before = [_seen(xp, a) for a in arrays], {n: _seen(xp, a) for n, a in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with np.errstate(all="raise"):
            result = xp.call(getattr(softaxis, call.function))(*arrays, **options)
        parts = result if isinstance(result, tuple) else (result,)
        seen = [xp.numpy(part) for part in parts]
    if out is not None and parts[0] is not out:
        raise Wrong("the result is not `out`")
    for name, array, old in [
        *zip(call.arrays, arrays, before[0], strict=True),
        *((n, options[n], old) for n, old in before[1].items()),
    ]:
        if isinstance(old, np.ndarray) and not _overwritten(array, out, call):
            new = _seen(xp, array)
            if not np.array_equal(new, old, equal_nan=new.dtype.kind in "fc"):
                raise Wrong(f"the input {name} was written: {old} became {new}")
    for part, array in zip(parts, seen, strict=True):
        _check_type(xp, part, array, call)
    return Outcome(seen if isinstance(result, tuple) else seen[0], *before)


def _overwritten(array, out, call):
    kind = getattr(call.options.get("out"), "kind", "")
    return array is out or kind == "beside"


def _seen(xp, value):
    return np.array(xp.numpy(value)) if xp.holds(value) and hasattr(value, "dtype") else value


def _check_type(xp, part, array, call):
    reduced = call.function in ("logsumexp", "logmeanexp", "logsumexp_jvp", "cross_entropy")
    if xp.namespace != "numpy" or not reduced or array.ndim or call.options.get("out") is not None:
        return
    if not isinstance(part, np.generic):
        raise Wrong(f"a result of no dimensions is a {type(part).__name__}")
