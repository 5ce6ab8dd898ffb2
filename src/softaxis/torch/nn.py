"""`Softmax`, `LogSoftmax` and `CrossEntropyLoss` as modules of PyTorch.

They hold the arguments of `softaxis.softmax`, `softaxis.log_softmax` and `softaxis.cross_entropy`
and call these. A mask is an argument of the call: ``Softmax()(scores, where=visible)``. What is
masked has gradient 0. A row that is masked entirely is 0 as well, where filling it with -inf
gives NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

import softaxis

__all__ = ["CrossEntropyLoss", "LogSoftmax", "Softmax"]


def _hold(module: Module, name: str, value: Any) -> None:
    """Keep a setting: a `Parameter` is learnt, another tensor moves along as a buffer."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        module.register_buffer(name, value)
    else:
        setattr(module, name, value)


def _described(module: Module, *always: str, **defaults: Any) -> str:
    """Write settings as ``name=value``: those of `always`, and what differs from its default."""
    shown = [f"{name}={getattr(module, name)!r}" for name in always]
    for name, default in defaults.items():
        value = getattr(module, name)
        if isinstance(value, Tensor):
            shown.append(f"{name}=tensor of shape {tuple(value.shape)}")
        elif value != default:
            shown.append(f"{name}={value!r}")
    return ", ".join(shown)


class _Normalizer(Module):
    def __init__(
        self,
        axis: int | tuple[int, ...] | None = -1,
        *,
        temperature: float | Tensor | None = None,
        sink: float | Tensor | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.axis = axis
        _hold(self, "temperature", temperature)
        _hold(self, "sink", sink)
        self.dtype = dtype

    def _computed(self, function: Callable[..., Any], x: Tensor, where: Tensor | None) -> Tensor:
        y: Tensor = function(
            x,
            axis=self.axis,
            where=where,
            temperature=self.temperature,
            sink=self.sink,
            dtype=self.dtype,
        )
        return y

    def extra_repr(self) -> str:
        """Return the settings, for `repr`."""
        return _described(self, "axis", temperature=None, sink=None, dtype=None)


class Softmax(_Normalizer):
    """`softaxis.softmax` as a module.

    Parameters
    ----------
    axis : int, tuple of int or None, optional
        The axis, or axes together, that sum to 1; `torch.nn.Softmax` calls it ``dim``. None means
        all of them, which is not what PyTorch makes of None.
    temperature : float or Tensor, optional
        Compute ``softmax(x / temperature)``. A tensor broadcasts to the input.
    sink : float or Tensor, optional
        A logit that joins the denominator only: "none of these". A tensor broadcasts to the shape
        of the input without `axis`.
    dtype : torch.dtype, optional
        A floating dtype for the result.

    See Also
    --------
    softaxis.softmax : What it computes, to which accuracy.
    LogSoftmax

    Notes
    -----
    A `torch.nn.Parameter` as `temperature` or `sink` is a parameter of the module and is learnt.
    Another tensor is a buffer: it follows ``.to(...)`` and is in the ``state_dict``.

    Examples
    --------
    A row that is masked entirely is 0, and its gradient is 0 as well:

    >>> import torch
    >>> from softaxis.torch import nn
    >>> attend = nn.Softmax()
    >>> scores = torch.zeros(2, 3, requires_grad=True)
    >>> visible = torch.tensor([[True, True, False], [False, False, False]])
    >>> p = attend(scores, where=visible)
    >>> p.detach()
    tensor([[0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 0.0000]])
    >>> p[:, 0].sum().backward()
    >>> scores.grad
    tensor([[ 0.2500, -0.2500,  0.0000],
            [ 0.0000,  0.0000,  0.0000]])
    """

    def forward(self, x: Tensor, where: Tensor | None = None) -> Tensor:
        """Turn numbers into probabilities.

        Parameters
        ----------
        x : Tensor
            Numbers of any dtype.
        where : bool Tensor, optional
            What takes part; broadcasts to `x`. The rest is 0 and has gradient 0.

        Returns
        -------
        Tensor
            The probabilities, with the shape of `x`. The dtype is the one of the module, else that
            of `x`, else, for booleans and integers, the default one.

        Raises
        ------
        softaxis.AxisError
            The axis is out of range.
        TypeError, ValueError
            An argument has the wrong type, dtype, shape or value; the message names it.
        """
        return self._computed(softaxis.softmax, x, where)


class LogSoftmax(_Normalizer):
    """`softaxis.log_softmax` as a module.

    Parameters
    ----------
    axis : int, tuple of int or None, optional
        The axis, or axes together, of the distribution; `torch.nn.LogSoftmax` calls it ``dim``.
        None means all of them, which is not what PyTorch makes of None.
    temperature : float or Tensor, optional
        Compute ``log_softmax(x / temperature)``. A tensor broadcasts to the input.
    sink : float or Tensor, optional
        A logit that joins the denominator only. A tensor broadcasts to the shape of the input
        without `axis`.
    dtype : torch.dtype, optional
        A floating dtype for the result.

    See Also
    --------
    softaxis.log_softmax : What it computes, to which accuracy.
    Softmax : Also about tensors as `temperature` and `sink`.

    Examples
    --------
    >>> import torch
    >>> from softaxis.torch import nn
    >>> x = torch.tensor([0.0, -20.0])
    >>> nn.LogSoftmax()(x), torch.nn.LogSoftmax(-1)(x)
    (tensor([-2.0612e-09, -2.0000e+01]), tensor([  0., -20.]))
    """

    def forward(self, x: Tensor, where: Tensor | None = None) -> Tensor:
        """Turn numbers into log-probabilities.

        Parameters
        ----------
        x : Tensor
            Numbers of any dtype.
        where : bool Tensor, optional
            What takes part; broadcasts to `x`. The rest is -inf and has gradient 0.

        Returns
        -------
        Tensor
            The log-probabilities, with the shape of `x`. The dtype is the one of the module, else
            that of `x`, else, for booleans and integers, the default one.

        Raises
        ------
        softaxis.AxisError
            The axis is out of range.
        TypeError, ValueError
            An argument has the wrong type, dtype, shape or value; the message names it.
        """
        return self._computed(softaxis.log_softmax, x, where)


class CrossEntropyLoss(Module):
    """`softaxis.cross_entropy` as a module.

    Parameters
    ----------
    class_weights : Tensor, optional
        One weight for each class, a buffer; `torch.nn.CrossEntropyLoss` calls it ``weight``.
    axis : int, tuple of int or None, optional
        The axis of the classes. It is the last one, where PyTorch has them on axis 1.
    ignore_index : int or None, optional
        The label of rows that do not count. With probabilities as labels, a negative one says
        nothing, as in PyTorch.
    label_smoothing : float, optional
        The part of the mass, between 0 and 1, that is spread over the unmasked classes.
    z_loss : float, optional
        Factor of the squared logsumexp, which keeps logits from drifting.
    reduction : {"mean", "sum", "none"}, optional
        What to return of the rows.

    See Also
    --------
    softaxis.cross_entropy : What it computes, to which accuracy.

    Notes
    -----
    `ignore_index` and `reduction` have PyTorch's defaults here, as modules are exchanged for
    modules; those of the function are None and ``"none"``. What differs from
    `torch.nn.CrossEntropyLoss`: `axis`; where no row counts, the mean is 0 and not NaN; with
    probabilities as labels, `class_weights` and a mean, the divisor is the sum of the weights and
    not the number of rows; a label that names no class is a ValueError on the CPU, and NaN where
    values cannot be read.

    Examples
    --------
    >>> import torch
    >>> from softaxis.torch import nn
    >>> loss = nn.CrossEntropyLoss()
    >>> logits = torch.tensor([[0.0, 0.0], [40.0, 0.0]], dtype=torch.float64)
    >>> loss(logits, torch.tensor([0, -100]))
    tensor(0.6931, dtype=torch.float64)
    >>> loss(logits[1:], torch.tensor([0])).item(), loss(logits[1:], torch.tensor([-100])).item()
    (4.248354255291589e-18, 0.0)
    """

    def __init__(
        self,
        class_weights: Tensor | None = None,
        *,
        axis: int | tuple[int, ...] | None = -1,
        ignore_index: int | None = -100,
        label_smoothing: float = 0.0,
        z_loss: float = 0.0,
        reduction: str = "mean",
    ) -> None:
        super().__init__()
        self.register_buffer("class_weights", class_weights)
        self.axis = axis
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.z_loss = z_loss
        self.reduction = reduction

    def forward(self, logits: Tensor, labels: Tensor, where: Tensor | None = None) -> Tensor:
        """Return how surprised the logits are by the labels.

        Parameters
        ----------
        logits : Tensor
            Unnormalised log-probabilities, of any boolean, integer or real dtype.
        labels : Tensor
            Class numbers, of any integer dtype, with the shape of `logits` without the axis of the
            classes; or probabilities with the shape of `logits`.
        where : bool Tensor, optional
            Which classes take part; broadcasts to `logits`. The others have gradient 0.

        Returns
        -------
        Tensor
            The loss, of the dtype of `logits`: a scalar, or with the shape of `logits` without the
            axis for ``reduction="none"``.

        Raises
        ------
        softaxis.AxisError
            The axis is out of range.
        ValueError
            A label names no class, on the CPU and outside compiled code. Elsewhere its row is NaN.
        TypeError, ValueError
            An argument has the wrong type, dtype, shape or value; the message names it.
        """
        loss: Tensor = softaxis.cross_entropy(
            logits,
            labels,
            axis=self.axis,
            where=where,
            class_weights=self.class_weights,
            ignore_index=self._index(labels),
            label_smoothing=self.label_smoothing,
            z_loss=self.z_loss,
            reduction=self.reduction,
        )
        return loss

    def _index(self, labels: Tensor) -> int | None:
        soft = torch.is_tensor(labels) and labels.is_floating_point()
        negative = self.ignore_index is not None and self.ignore_index < 0
        return None if soft and negative else self.ignore_index

    def extra_repr(self) -> str:
        """Return the settings that are not at their defaults, for `repr`."""
        return _described(
            self,
            class_weights=None,
            axis=-1,
            ignore_index=-100,
            label_smoothing=0.0,
            z_loss=0.0,
            reduction="mean",
        )
