r"""Losses: the score of the target against the scores of other items.

A loss is a function ``(positive, negative, mask=None) -> scalar``:

positive : float (...), any shape, such as (batch, time)
    Score :math:`r_i` of each target.
negative : float (...) or (neg, ...)
    Scores :math:`r_j` of items that are not the target.
mask : bool, of the shape of `positive` or of `negative`, optional
    True where a real event is predicted, and a sample counts against it; the rest weighs nothing.

Each returns the mean over the pairs that count, 0 with zero gradient if there are none, and raises ``ValueError`` if
the shapes do not fit. To add one, write the function (``over_samples``, with ``masking``) and its record in
``LOSSES``; a loss of one's own that needs more than scores is given to the model as a ``Loss``. ``over_catalogue``
compares with all items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from spotlight_asars._checks import one_of, resolve
from spotlight_asars.losses.masking import masked_mean
from spotlight_asars.losses.over_catalogue import cross_entropy_and_gradient, cross_entropy_over_catalogue
from spotlight_asars.losses.over_samples import (
    adaptive_hinge_loss,
    bpr_loss,
    bpr_max_loss,
    bpr_sigmoid_loss,
    cross_entropy_loss,
    hinge_loss,
    pointwise_loss,
    sampled_softmax_loss,
    top1_loss,
    top1_max_loss,
)

LossFunction = Callable[..., Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss function with what it needs of training; called like the function.

    Parameters
    ----------
    function : callable
        ``(positive, negative, mask=None) -> scalar``.
    mean_over : {"pairs", "targets"}
        What the scalar is a mean over: all pairs of a target and a negative that count, or the targets that have a
        negative to be compared with. Processes that share a mini-batch weigh their parts by it.
    over_catalogue : callable, optional
        ``(scores, targets) -> scalar``, the same loss against all other items, of scores (targets, items). Where it is
        given, training draws no negatives.
    corrects_log_q : bool
        Whether the scores should come less the logarithm of the item's probability in a draw of negatives.
    feels_offsets : bool
        Whether the loss looks at single scores, so that a number added to all scores of a state makes a difference.

    Examples
    --------
    >>> import torch
    >>> square = Loss(lambda positive, negative, mask=None: masked_mean((1 - positive + negative) ** 2, mask))
    >>> square(torch.tensor([2.0]), torch.tensor([0.0])).item()
    1.0
    """

    function: LossFunction
    mean_over: Literal["pairs", "targets"] = "pairs"
    over_catalogue: Callable[[Tensor, Tensor], Tensor] | None = None
    corrects_log_q: bool = False
    feels_offsets: bool = False

    def __post_init__(self) -> None:
        one_of(self.mean_over, ("pairs", "targets"), "mean_over")

    def __call__(self, positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
        loss = self.function(positive, negative, mask=mask)
        if not isinstance(loss, Tensor) or loss.dim():
            got = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
            raise TypeError(f"loss must return a tensor of one number; got {got}")
        return loss


LOSSES: dict[str, Loss] = {
    "adaptive_hinge": Loss(adaptive_hinge_loss, mean_over="targets"),
    "bpr": Loss(bpr_loss),
    "bpr_max": Loss(bpr_max_loss, mean_over="targets", feels_offsets=True),
    "bpr_sigmoid": Loss(bpr_sigmoid_loss),
    "cross_entropy": Loss(cross_entropy_loss, mean_over="targets", over_catalogue=cross_entropy_over_catalogue),
    "hinge": Loss(hinge_loss),
    "pointwise": Loss(pointwise_loss, feels_offsets=True),
    "sampled_softmax": Loss(sampled_softmax_loss, mean_over="targets", corrects_log_q=True),
    "top1": Loss(top1_loss, feels_offsets=True),
    "top1_max": Loss(top1_max_loss, mean_over="targets", feels_offsets=True),
}


def find_loss(loss: str | LossFunction) -> Loss:
    """The record of a loss: of its name, of its function, or a plain one for a function that is not in ``LOSSES``.

    >>> find_loss("hinge") is find_loss(hinge_loss) is find_loss(LOSSES["hinge"])
    True
    """
    function: Any = resolve(loss, LOSSES, "loss")
    if isinstance(function, Loss):
        return function
    records = (known for known in LOSSES.values() if isinstance(known, Loss))  # a caller may add plain functions
    return next((known for known in records if known.function is function), Loss(function))


__all__ = [
    "LOSSES",
    "Loss",
    "LossFunction",
    "adaptive_hinge_loss",
    "bpr_loss",
    "bpr_max_loss",
    "bpr_sigmoid_loss",
    "cross_entropy_and_gradient",
    "cross_entropy_loss",
    "cross_entropy_over_catalogue",
    "find_loss",
    "hinge_loss",
    "masked_mean",
    "pointwise_loss",
    "sampled_softmax_loss",
    "top1_loss",
    "top1_max_loss",
]
