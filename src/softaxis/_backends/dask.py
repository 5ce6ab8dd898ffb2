"""Dask: one task a block where a row lies in one block; the array-API implementation elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask.array as da

from softaxis import _generic
from softaxis._axes import Axis, as_tuple
from softaxis._dtypes import DType, floating_dtype
from softaxis._libraries import library_of
from softaxis.backend import Backend, declined

backend = Backend("dask", types=(da.Array,))


def _by_block(name: str, *, reduces: bool) -> Callable[..., Any]:
    generic = getattr(_generic, name)

    def call(x: da.Array, /, *, axis: Axis, dtype: DType | None, **arguments: Any) -> Any:
        given = {k: v for k, v in arguments.items() if v is not None and v is not False}
        keepdims = given.pop("keepdims", False)
        if any(hasattr(v, "ndim") for v in given.values()) or "return_sign" in given:
            return declined("takes scalar arguments only")
        if any(x.numblocks[i] > 1 for i in as_tuple(axis)):
            return declined("rows are cut into several blocks")
        if any(n == 0 for sizes in x.chunks for n in sizes):
            return declined("some blocks are empty")
        given |= {"axis": axis, "dtype": dtype}
        final = floating_dtype(x, library_of(x).xp) if dtype is None else dtype
        with library_of(x).quiet():  # what an array of no dimensions holds is its own sample
            meta = x._meta.astype(final)
        if not reduces:
            return x.map_blocks(_run, generic, given, dtype=final, meta=meta)
        chunks = tuple((1,) if i in as_tuple(axis) else c for i, c in enumerate(x.chunks))
        given["keepdims"] = True
        y = x.map_blocks(_run, generic, given, dtype=final, chunks=chunks, meta=meta)
        return y if keepdims else y.squeeze(as_tuple(axis))

    return call


def _run(block: Any, generic: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    library = library_of(block)
    with library.quiet():
        return generic(block, xp=library.xp, **arguments)


for _name in ("softmax", "log_softmax", "softmin", "hardmax"):
    backend.implements(name=_name, dtypes=None, lazy=True)(_by_block(_name, reduces=False))
for _name in ("logsumexp", "logmeanexp"):
    backend.implements(name=_name, dtypes=None, lazy=True)(_by_block(_name, reduces=True))
