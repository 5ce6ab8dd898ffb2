"""What is compiled for the world outside: kernels for one dtype each, and some for small arrays.

`entry` makes a function of addresses and numbers. For the kernels those are the address of a job,
which of its units to compute, alone or, where `team` is not 0, together with other threads that
were called with the same, and memory that is theirs alone: `scratch`, and `notes`, which a team
shares. The functions whose names end in "small" take addresses of arrays, as Python knows them,
whose rows lie along the last axis. They return how many rows they computed, or how many of those
count; 0, for losses -1, where an array is not for them. The labels and what is written are
C-contiguous.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isnan
from typing import Any

import numpy as np

from softaxis._backends._numba import _columns as columns
from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _normalizers as normalizers
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba._copies import ZERO
from softaxis._backends._numba._jobs import job_at, number_at
from softaxis._backends._numba._layout import (
    CHUNK,
    DATA,
    DIMENSIONS,
    EXTRA,
    MEAN,
    NO_LABEL,
    NONE,
    SIZES,
    STRIDES,
)
from softaxis._backends._numba._memory import (
    pointer,
    read,
    read_byte,
    read_index,
    size_of,
    write,
)
from softaxis._backends._numba._rows import inlined
from softaxis._backends._numba._tasks import FUNCTIONS
from softaxis._backends._numba._walk import Lines, walk_long, walk_rows, walk_short

LIKE: dict[str, Any] = {
    "float16": np.uint16(0),
    "float32": np.float32(0),
    "float64": np.float64(0),
}
"""What stands for a dtype; numba has no float16."""
HEAT: dict[str, Any] = {"": None, "temperature": np.int64(1), "sink": np.float64(1.0)}
"""What tells the normalisers, by its type, what there is one of for each row."""


def entry(name: str, dtype: str, variant: str) -> tuple[Callable[..., int], str]:
    """Return a function to compile, and what each argument is: job, object or integer."""
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    like = LIKE[dtype]
    if name in SMALL:
        function, arguments = SMALL[name]
        return function(like), arguments
    return _of_job(KERNELS[name], like, _extra(name, like, HEAT[variant])), "jiiiii"


def _of_job(kernel: Any, like: Any, extra: Any) -> Callable[..., int]:
    def function(job, start, stop, team, scratch, notes):
        kernel(job_at(job, like, extra(job + EXTRA)), start, stop, team, scratch, notes)
        return 0

    return function


def _extra(name: str, like: Any, heat: Any) -> Any:
    """Return the function that reads what else a kernel wants to know."""

    def of_a_normalizer(place):
        return heat

    held = LIKE["float64"] if like is LIKE["float16"] else like  # float16 is rounded once

    def of_a_sum(place):
        return held, number_at(place)

    def of_a_loss(place):
        return losses.Terms(
            like,
            read_index(place),
            number_at(place + 8),
            number_at(place + 16),
            read_index(place + 24),
            number_at(place + 32),
            read_index(place + 40),
        )

    if name.startswith("logsumexp"):
        return inlined(of_a_sum)
    return inlined(of_a_loss if name.startswith("cross_entropy") else of_a_normalizer)


@inlined
def softmax(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(normalizers.softmax_begin, normalizers.softmax_end, job, start, stop, scratch)
    else:
        walk_long(
            normalizers.softmax_reduce,
            normalizers.softmax_merge,
            None,
            None,
            normalizers.softmax_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def log_softmax(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(
            normalizers.log_softmax_begin, normalizers.log_softmax_end, job, start, stop, scratch
        )
    else:
        walk_long(
            normalizers.reduce_sums,
            normalizers.merge_sums,
            None,
            None,
            normalizers.log_softmax_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def logsumexp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(reductions.begin, reductions.end, job, start, stop, scratch)
    else:
        walk_long(
            reductions.reduce,
            reductions.merge,
            None,
            None,
            None,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def cross_entropy(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(losses.begin, losses.loss_end, job, start, stop, scratch)
    else:
        walk_long(
            losses.reduce,
            losses.merge,
            None,
            None,
            None,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def cross_entropy_and_grad(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(losses.begin, losses.gradient_end, job, start, stop, scratch)
    else:
        walk_long(
            losses.reduce,
            losses.merge,
            None,
            None,
            losses.gradient_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def cross_entropy_vjp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(losses.known_gradient, None, job, start, stop, scratch)
    else:
        walk_long(
            losses.nothing_of,
            losses.known_merge,
            None,
            None,
            losses.gradient_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def softmax_vjp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(gradients.softmax_begin, gradients.softmax_end, job, start, stop, scratch)
    else:
        walk_long(
            gradients.softmax_reduce,
            gradients.softmax_merge,
            gradients.softmax_again,
            gradients.softmax_settle,
            gradients.softmax_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def log_softmax_vjp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(
            gradients.log_softmax_begin, gradients.log_softmax_end, job, start, stop, scratch
        )
    else:
        walk_long(
            gradients.log_softmax_reduce,
            gradients.log_softmax_merge,
            None,
            None,
            gradients.log_softmax_finish,
            job,
            start,
            stop,
            team,
            scratch,
            notes,
        )


@inlined
def softmax_columns(job, start, stop, team, scratch, notes):
    compute, value = columns.softmax_columns, columns.softmax_value
    columns.walk_columns(compute, value, job, start, stop, scratch)


@inlined
def log_softmax_columns(job, start, stop, team, scratch, notes):
    compute, value = columns.log_softmax_columns, columns.log_softmax_value
    columns.walk_columns(compute, value, job, start, stop, scratch)


@inlined
def logsumexp_columns(job, start, stop, team, scratch, notes):
    compute, written = columns.logsumexp_columns, reductions.written
    columns.walk_reduced(compute, written, job, start, stop, scratch)


@inlined
def _data(x):
    """Return where the numbers of an array begin."""
    return read_index(x + DATA)


@inlined
def _rows_and_length(x, like):
    """Return how many rows an array has along its last axis, and how long they are.

    No rows stand for an array that is not C-contiguous, empty, or has rows of more than one chunk.
    """
    dimensions = read_byte(x + DIMENSIONS)
    if dimensions == 0:
        return 0, 0
    sizes, strides = read_index(x + SIZES), read_index(x + STRIDES)
    n = read_index(sizes + 8 * (dimensions - 1))
    rows, stride = 1, size_of(like)
    for i in range(dimensions - 1, -1, -1):
        size = read_index(sizes + 8 * i)
        if size != 1 and read_index(strides + 8 * i) != stride:
            return 0, 0
        stride *= size
        if i < dimensions - 1:
            rows *= size
    return (rows, n) if 0 < n <= CHUNK else (0, 0)


def _normalizer_small(begin: Any, end: Any) -> Callable[[Any], Callable[..., int]]:
    def of(like: Any) -> Callable[..., int]:
        def small(x, y):
            count, n = _rows_and_length(x, like)
            a, c, size = _data(x), _data(y), n * size_of(like)
            if count > 0:
                none = pointer(c, like)
                rows = Lines(a, a, c, ZERO, ZERO, size, size, size, ZERO, ZERO)
                walk_rows(begin, end, rows, count, n, none, none, like, None, False)
            return count

        return small

    return of


def _logsumexp_small(like: Any) -> Callable[..., int]:
    def small(x, y):
        count, n = _rows_and_length(x, like)
        if count > 0:
            a, none, size = _data(x), pointer(_data(x), like), n * size_of(like)
            rows = Lines(a, a, a, ZERO, _data(y), size, size, size, ZERO, size_of(like))
            begin, end, extra = reductions.begin, reductions.end, (like, 0.0)
            walk_rows(begin, end, rows, count, n, none, none, like, extra, False)
        return count

    return small


@inlined
def _counted(labels, rows, n, ignored):
    """Return how many labels count; -1 where there are none, or one of them names no class."""
    found = 0
    for r in range(rows):
        y = read_index(labels + 8 * r)
        if y != ignored or y == NO_LABEL:
            if not 0 <= y < n:
                return -1
            found += 1
    return found if rows > 0 else -1


@inlined
def _reduce(losses, results, rows, reduction, counted):
    """Write losses, in float64, or what they are reduced to, in the dtype of the results."""
    if reduction == NONE:
        for r in range(rows):
            write(results, r, read(pointer(losses, 0.0), r))
        return
    total, error = 0.0, 0.0
    for r in range(rows):
        loss = read(pointer(losses, 0.0), r)
        s = total + loss
        error += loss - (s - total) if total >= loss else total - (s - loss)  # Neumaier's
        total = s
    if not isnan(error):  # as it is where a loss is infinite
        total += error
    write(results, 0, total / max(counted, 1) if reduction == MEAN else total)


def _cross_entropy_small(like: Any) -> Callable[..., int]:
    def small(x, y, loss, result, ignored, reduction):
        rows, n = _rows_and_length(x, like)
        labels, q = _data(y), _data(loss)
        counted = _counted(labels, rows, n, ignored)
        if counted >= 0:
            terms = losses.Terms(like, 0, 0.0, 0.0, ignored, 1.0, 0)
            a, none, size = _data(x), pointer(_data(x), like), n * size_of(like)
            lines = Lines(a, a, a, labels, q, size, size, size, 8, 8)
            begin, end = losses.begin, losses.loss_end
            walk_rows(begin, end, lines, rows, n, none, none, like, terms, False)
            _reduce(q, pointer(_data(result), like), rows, reduction, counted)
        return counted

    return small


def _cross_entropy_and_grad_small(like: Any) -> Callable[..., int]:
    def small(x, y, loss, result, slope, ignored, reduction):
        rows, n = _rows_and_length(x, like)
        labels, q = _data(y), _data(loss)
        counted = _counted(labels, rows, n, ignored)
        if counted >= 0:
            scale = 1.0 / max(counted, 1) if reduction == MEAN else 1.0
            terms = losses.Terms(like, 0, 0.0, 0.0, ignored, scale, 0)
            a, c, size = _data(x), _data(slope), n * size_of(like)
            lines = Lines(a, a, c, labels, q, size, size, size, 8, 8)
            begin, end, none = losses.begin, losses.gradient_end, pointer(c, like)
            walk_rows(begin, end, lines, rows, n, none, none, like, terms, False)
            _reduce(q, pointer(_data(result), like), rows, reduction, counted)
        return counted

    return small


KERNELS: dict[str, Any] = {
    kernel.__name__: kernel
    for kernel in (
        softmax,
        log_softmax,
        logsumexp,
        cross_entropy,
        cross_entropy_and_grad,
        cross_entropy_vjp,
        softmax_vjp,
        log_softmax_vjp,
        softmax_columns,
        log_softmax_columns,
        logsumexp_columns,
    )
}
SMALL: dict[str, tuple[Callable[[Any], Callable[..., int]], str]] = {
    "softmax_small": (_normalizer_small(normalizers.softmax_begin, normalizers.softmax_end), "oo"),
    "log_softmax_small": (
        _normalizer_small(normalizers.log_softmax_begin, normalizers.log_softmax_end),
        "oo",
    ),
    "logsumexp_small": (_logsumexp_small, "oo"),
    "cross_entropy_small": (_cross_entropy_small, "ooooii"),
    "cross_entropy_and_grad_small": (_cross_entropy_and_grad_small, "oooooii"),
}
