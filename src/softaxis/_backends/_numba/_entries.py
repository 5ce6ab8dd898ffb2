"""The compiled functions: one for each kernel, and some more for small arrays.

A function computes units `start` to `stop` of a job, alone or, where `team` is not 0, together
with other threads that were called with the same. `scratch` and `notes` are addresses of memory
that is theirs alone; a team shares its notes. They release the GIL. Those for small arrays take
contiguous arrays of two dimensions, and return False where rows are too long for them.
"""

from __future__ import annotations

from softaxis._backends._numba import _columns as columns
from softaxis._backends._numba import _gradients as gradients
from softaxis._backends._numba import _losses as losses
from softaxis._backends._numba import _normalizers as normalizers
from softaxis._backends._numba import _reductions as reductions
from softaxis._backends._numba._cache import compiled
from softaxis._backends._numba._memory import advance, pointer, size_of
from softaxis._backends._numba._walk import CHUNK, walk_long, walk_short

_entry = compiled(nogil=True, error_model="numpy", _nrt=False)


@_entry
def softmax(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(normalizers.softmax_short, job, start, stop, scratch)
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


@_entry
def log_softmax(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(normalizers.log_softmax_short, job, start, stop, scratch)
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


@_entry
def logsumexp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(reductions.short, job, start, stop, scratch)
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


@_entry
def cross_entropy(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(losses.loss_short, job, start, stop, scratch)
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


@_entry
def cross_entropy_and_grad(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(losses.gradient_short, job, start, stop, scratch)
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


@_entry
def softmax_vjp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(gradients.softmax_short, job, start, stop, scratch)
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


@_entry
def log_softmax_vjp(job, start, stop, team, scratch, notes):
    if job.chunks == 1:
        walk_short(gradients.log_softmax_short, job, start, stop, scratch)
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


@_entry
def softmax_small(x, y):
    like, n = x.dtype.type(0), x.shape[1]
    if n > CHUNK:
        return False
    for r in range(x.shape[0]):
        a = advance(pointer(x.ctypes.data, like), r * n)
        c = advance(pointer(y.ctypes.data, like), r * n)
        normalizers.softmax_short(a, a, c, c, n, 0, 0, None, False)
    return True


@_entry
def log_softmax_small(x, y):
    like, n = x.dtype.type(0), x.shape[1]
    if n > CHUNK:
        return False
    for r in range(x.shape[0]):
        a = advance(pointer(x.ctypes.data, like), r * n)
        c = advance(pointer(y.ctypes.data, like), r * n)
        normalizers.log_softmax_short(a, a, c, c, n, 0, 0, None, False)
    return True


@_entry
def logsumexp_small(x, y):
    like, n = x.dtype.type(0), x.shape[1]
    if n > CHUNK or n == 0:
        return False
    for r in range(x.shape[0]):
        a = advance(pointer(x.ctypes.data, like), r * n)
        q = y.ctypes.data + r * size_of(like)
        reductions.short(a, a, a, a, n, 0, q, (like, 0.0), False)
    return True


@_entry
def softmax_columns(job, start, stop, team, scratch, notes):
    compute, value = columns.softmax_columns, columns.softmax_value
    columns.walk_columns(compute, value, job, start, stop, scratch)


@_entry
def log_softmax_columns(job, start, stop, team, scratch, notes):
    compute, value = columns.log_softmax_columns, columns.log_softmax_value
    columns.walk_columns(compute, value, job, start, stop, scratch)


@_entry
def logsumexp_columns(job, start, stop, team, scratch, notes):
    compute, written = columns.logsumexp_columns, reductions.written
    columns.walk_reduced(compute, written, job, start, stop, scratch)
