"""cross_entropy, and with its gradient."""

from __future__ import annotations

import operator
from contextlib import suppress
from typing import Any

from softaxis import _arguments, _generic
from softaxis._arguments import REAL
from softaxis._axes import Axis, normalize_axis, reduced_shape
from softaxis._dispatch import Table
from softaxis._dtypes import as_integral, cast, default_integral, kind
from softaxis._libraries import Array, library_of

_CROSS_ENTROPY = Table(_generic.cross_entropy)
_CROSS_ENTROPY_AND_GRAD = Table(_generic.cross_entropy_and_grad)

_REDUCTIONS = ("none", "sum", "mean")


def _loss(
    table: Table,
    logits: Any,
    labels: Any,
    axis: Any,
    where: Any,
    class_weights: Any,
    ignore_index: Any,
    label_smoothing: Any,
    z_loss: Any,
    reduction: Any,
) -> Any:
    logits = _arguments.array(logits, "logits", REAL)
    axis = normalize_axis(axis, logits.ndim)
    if ignore_index is not None:
        ignore_index = _index(ignore_index)
    labels = _labels(labels, logits, axis, ignore_index)
    if where is not None:
        where = _arguments.mask(where, logits)
    if class_weights is not None:
        class_weights = _class_weights(class_weights, logits, axis)
    if reduction not in _REDUCTIONS:
        raise ValueError(f"`reduction` must be 'none', 'sum' or 'mean', got {reduction!r}")
    for gate, call in table.entries[type(logits)]:
        if gate is None or gate(logits):
            result = call(
                logits,
                labels,
                axis=axis,
                where=where,
                class_weights=class_weights,
                ignore_index=ignore_index,
                label_smoothing=_arguments.fraction(label_smoothing, "label_smoothing", 1.0),
                z_loss=_arguments.fraction(z_loss, "z_loss", float("inf")),
                reduction=reduction,
            )
            if result is not NotImplemented:
                return result
    raise table.nothing_left(logits)


def _are_zero(label_smoothing: Any, z_loss: Any) -> bool:
    return type(label_smoothing) is type(z_loss) is float and label_smoothing == z_loss == 0.0


def _index(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"`ignore_index` must be an int or None, got {value!r}")
    return operator.index(value)


def _labels(value: Any, logits: Array, axis: Axis, ignore_index: int | None) -> Array:
    labels = _arguments.same_library(value, "labels", logits)
    of_kind = kind(labels.dtype, library_of(logits).xp)
    shape = tuple(logits.shape)
    if of_kind == "real floating":
        if ignore_index is not None:
            raise ValueError("`ignore_index` needs integer `labels`, got probabilities")
        return _arguments.of_shape(labels, "labels", logits, shape, "the shape of `logits`")
    if of_kind != "integral":
        raise TypeError(f"`labels` must be integers or probabilities, got dtype {labels.dtype}")
    if not isinstance(axis, int):
        raise ValueError(f"`axis` must be a single one with integer `labels`, got {axis}")
    rows = reduced_shape(shape, axis)
    _arguments.of_shape(labels, "labels", logits, rows, "the shape of `logits` without `axis`")
    if library_of(labels).readable(labels):
        _check_range(labels, logits, axis, ignore_index)
    return labels


def _check_range(labels: Array, logits: Array, axis: int, ignore_index: int | None) -> None:
    """Refuse labels that name no class, where looking at them costs nothing but the look."""
    with suppress(RuntimeError, TypeError):  # of PyTorch: no NumPy, inside vmap, sparse
        labels = library_of(labels).in_memory(labels)
    xp = library_of(labels).xp
    numbers = cast(labels, default_integral(labels, xp), xp)
    classes = logits.shape[axis]
    wrong = (numbers < 0) | (numbers >= classes)
    if ignore_index is not None:
        ignored = as_integral(ignore_index, labels.dtype, labels, xp)
        if ignored is not None:
            wrong = wrong & (numbers != ignored)
    try:
        found = bool(xp.any(wrong))
    except RuntimeError:  # PyTorch, inside vmap: the values cannot be read after all
        return
    if found:
        first = int(xp.max(xp.where(wrong, numbers, xp.min(numbers))))
        if first < xp.iinfo(labels.dtype).min:  # of an unsigned one that has become negative
            first += 2 * (int(xp.iinfo(numbers.dtype).max) + 1)
        hint = "" if ignore_index is None else f" or ignore_index={ignore_index}"
        raise ValueError(f"`labels` must be in 0..{classes - 1}{hint}, got {first}")


def _class_weights(value: Any, logits: Array, axis: Axis) -> Array:
    if not isinstance(axis, int):
        raise ValueError(f"`axis` must be a single one with `class_weights`, got {axis}")
    classes = (logits.shape[axis],)
    return _arguments.of_shape(value, "class_weights", logits, classes, "one weight per class")


@_CROSS_ENTROPY.serves(_loss)
def cross_entropy(
    logits: Any,
    labels: Any,
    /,
    *,
    axis: Any = -1,
    where: Any = None,
    class_weights: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    r"""Return how surprised the logits are by the labels: softmax cross-entropy.

    .. math:: -\sum_c v_c \log p_c + z \operatorname{lse}^2, \qquad p =
              \operatorname{softmax}(\text{logits}),

    .. math:: v_c = w_c \Bigl((1 - \varepsilon) y_c
              + \tfrac{\varepsilon}{u} \sum_j y_j\Bigr)

    with y the labels as probabilities, w the class weights, :math:`\varepsilon` the smoothing
    and u the number of unmasked classes.

    Parameters
    ----------
    logits : array
        Unnormalised log-probabilities, of any boolean, integer or real dtype.
    labels : array
        Class numbers, of any integer dtype, with the shape of `logits` without `axis`; or
        probabilities with the shape of `logits`. Rows that do not sum to 1 weigh the loss.
    axis : int, tuple of int or None, optional
        The axis of the classes. Several axes need probabilities as labels.
    where : bool array, optional
        Which classes take part; broadcasts to `logits`.
    class_weights : array, optional
        One weight for each class, which multiplies its term of the sum.
    ignore_index : int, optional
        The label of rows that do not count: loss 0 and gradient 0, whatever they hold.
    label_smoothing : float, optional
        The part of the mass, between 0 and 1, that is spread over the unmasked classes.
    z_loss : float, optional
        Factor of the squared logsumexp, which keeps logits from drifting.
    reduction : {"none", "sum", "mean"}, optional
        What to return of the rows. ``"mean"`` divides by the number of rows that count, or by
        their summed class weights; it is 0 if there are none.

    Returns
    -------
    array
        The loss, of the dtype of `logits`: with the shape of `logits` without `axis` for
        ``"none"``, otherwise without dimensions.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    ValueError
        A label names no class, where values can be read without computing or waiting for a
        device. Elsewhere (JAX, Dask, CuPy, CUDA tensors, compiled code) its row is NaN.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    cross_entropy_and_grad, log_softmax

    Notes
    -----
    A label on a masked or -inf class costs +inf. ``0 * log 0`` is 0.

    PyTorch's ``F.cross_entropy`` has the classes on axis 1 and reduces to the mean; it divides
    by the number of rows where labels are probabilities and classes have weights.

    References
    ----------
    .. [1] C. Szegedy et al., "Rethinking the Inception architecture for computer vision" (2016),
       :doi:`10.1109/CVPR.2016.308`, for label smoothing.
    .. [2] A. Chowdhery et al., "PaLM: scaling language modeling with pathways" (2022),
       :doi:`10.48550/arXiv.2204.02311`, for the z-loss.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> logits = np.array([[0.0, 0.0], [40.0, 0.0]])
    >>> softaxis.cross_entropy(logits, np.array([0, 0]))
    array([6.93147181e-01, 4.24835426e-18])
    >>> softaxis.cross_entropy(logits, np.array([0, -1]), ignore_index=-1, reduction="mean")
    np.float64(0.6931471805599453)
    """
    if where is class_weights is None and _are_zero(label_smoothing, z_loss):
        shortcut = _CROSS_ENTROPY.shortcuts.get(type(logits))
        if shortcut is not None:
            y = shortcut(logits, labels, axis, ignore_index, reduction)
            if y is not NotImplemented:
                return y
    return _loss(
        _CROSS_ENTROPY,
        logits,
        labels,
        axis,
        where,
        class_weights,
        ignore_index,
        label_smoothing,
        z_loss,
        reduction,
    )


@_CROSS_ENTROPY_AND_GRAD.serves(_loss)
def cross_entropy_and_grad(
    logits: Any,
    labels: Any,
    /,
    *,
    axis: Any = -1,
    where: Any = None,
    class_weights: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    r"""Return `cross_entropy` and its gradient with respect to the logits.

    .. math:: \frac{\partial\,\text{loss}}{\partial\,\text{logits}_c} = V p_c - v_c
              + 2 z \operatorname{lse} p_c, \qquad V = \sum_j v_j

    which is p - y for plain labels. It needs no automatic differentiation, so it trains a model
    on any array library.

    Parameters
    ----------
    logits : array
        Unnormalised log-probabilities, of any boolean, integer or real dtype.
    labels : array
        Class numbers or probabilities; see `cross_entropy`.
    axis : int, tuple of int or None, optional
        The axis of the classes.
    where : bool array, optional
        Which classes take part; the gradient of the others is 0.
    class_weights : array, optional
        One weight for each class.
    ignore_index : int, optional
        The label of rows that do not count.
    label_smoothing : float, optional
        The part of the mass that is spread over the unmasked classes.
    z_loss : float, optional
        Factor of the squared logsumexp.
    reduction : {"none", "sum", "mean"}, optional
        What to return of the rows. The gradient is that of what is returned, for ``"none"`` that
        of the sum.

    Returns
    -------
    loss : array
        As from `cross_entropy`.
    grad : array
        The gradient, with the shape of `logits`.

    Raises
    ------
    softaxis.AxisError
        `axis` is out of range.
    TypeError, ValueError
        An argument has the wrong type, dtype, shape or value; the message names it.

    See Also
    --------
    cross_entropy

    Notes
    -----
    The gradient of the largest logit is summed from the other probabilities, so that it does
    not cancel to 0 near certainty.

    References
    ----------
    .. [1] Christopher Bishop, *Pattern Recognition and Machine Learning* (2006), equation 4.109.

    Examples
    --------
    >>> import numpy as np
    >>> import softaxis
    >>> loss, grad = softaxis.cross_entropy_and_grad(np.array([40.0, 0.0]), np.array(0))
    >>> loss
    np.float64(4.248354255291589e-18)
    >>> grad
    array([-4.24835426e-18,  4.24835426e-18])
    """
    if where is class_weights is None and _are_zero(label_smoothing, z_loss):
        shortcut = _CROSS_ENTROPY_AND_GRAD.shortcuts.get(type(logits))
        if shortcut is not None:
            y = shortcut(logits, labels, axis, ignore_index, reduction)
            if y is not NotImplemented:
                return y
    return _loss(
        _CROSS_ENTROPY_AND_GRAD,
        logits,
        labels,
        axis,
        where,
        class_weights,
        ignore_index,
        label_smoothing,
        z_loss,
        reduction,
    )
