r"""Losses: the score of the target against the scores of other items.

A loss is a function ``(positive, negative, mask=None) -> scalar``:

positive : float (...), any shape, such as (batch, time)
    Score :math:`r_i` of each target.
negative : float (...) or (neg, ...)
    Scores :math:`r_j` of items that are not the target.
mask : bool, of the shape of `positive` or of `negative`, optional
    True where a real event is predicted, and a sample counts against it; the rest weighs nothing.

Each returns the mean over the pairs that count, 0 with zero gradient if there are none, and raises ``ValueError`` if
the shapes do not fit. To add one, write the function and its record in ``LOSSES``; a loss of one's own that needs more
than scores is given to the model as a ``Loss``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from spotlight_asars._checks import one_of, require, resolve
from spotlight_asars._spotlight import PADDING_IDX

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
        return self.function(positive, negative, mask=mask)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of `values` where `mask` is True; 0 where it nowhere is.

    >>> masked_mean(torch.tensor([1.0, 5.0]), torch.tensor([True, False])).item()
    1.0
    """
    if mask is None:
        return values.sum() / max(values.numel(), 1)
    weight = mask.expand(values.shape)
    total: Tensor = _SumWhere.apply(values, weight)  # type: ignore[no-untyped-call]
    return total / weight.count_nonzero().clamp(min=1)


class _SumWhere(torch.autograd.Function):
    """``torch.where(weight, values, 0.0).sum()``, of which torch makes a gradient in a third of the time on a CPU."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor) -> Tensor:
        counts = weight.to(values.dtype)
        ctx.save_for_backward(counts)
        total = (values * counts).sum()
        if values.device.type != "cpu" or not total.isfinite():  # NaN of 0 * inf
            total = torch.where(weight, values, 0.0).sum()
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (counts,) = ctx.saved_tensors
        return counts * gradient, None


def hinge_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Hinge: the target must lead by 1 (eq. 23).

    .. math:: L = \frac{1}{|S|} \sum_{j \in S} \max(0, \; 1 - r_i + r_j)

    Eq. 23 is printed with the opposite sign, which would reward the error.

    >>> hinge_loss(torch.tensor([2.0]), torch.tensor([1.5])).item()
    0.5
    """
    _check_shapes(positive, negative, mask)
    return masked_mean(F.relu(1.0 - positive + negative), mask)


def bpr_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""BPR: the log-likelihood of the right order (eq. 21).

    .. math:: L = -\frac{1}{|S|} \sum_{j \in S} \log \sigma(r_i - r_j)

    References
    ----------
    S. Rendle et al.: BPR: Bayesian personalized ranking from implicit feedback. UAI 2009.

    >>> round(bpr_loss(torch.tensor([2.0]), torch.tensor([2.0])).item(), 4)
    0.6931
    """
    _check_shapes(positive, negative, mask)
    return masked_mean(F.softplus(negative - positive, threshold=40), mask)  # as -logsigmoid, in half the time


def top1_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""TOP1: push sampled items below the target, and towards zero (eq. 22).

    .. math:: L = \frac{1}{|S|} \sum_{j \in S} \sigma(r_j - r_i) + \sigma(r_j^2)

    Eq. 22 is printed with the opposite sign; the definition of GRU4Rec is meant.

    References
    ----------
    B. Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016.

    >>> round(top1_loss(torch.tensor([2.0]), torch.tensor([0.0])).item(), 4)
    0.6192
    """
    _check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(negative - positive) + torch.sigmoid(negative**2), mask)


def bpr_sigmoid_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""What Spotlight calls BPR: :math:`1 - \sigma(r_i - r_j)`, without the logarithm."""
    _check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(negative - positive), mask)


def pointwise_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Spotlight's pointwise loss: :math:`1 - \sigma(r_i) + \sigma(r_j)`."""
    _check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(-positive) + torch.sigmoid(negative), mask)


def adaptive_hinge_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Spotlight's adaptive hinge: the hinge against the highest of the samples.

    .. math:: L = \max(0, \; 1 - r_i + \max_{j \in S} r_j)

    References
    ----------
    J. Weston et al.: WSABIE: Scaling up to large vocabulary image annotation. IJCAI 2011.
    """
    _check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        return hinge_loss(positive, negative, mask)
    if mask is not None:
        mask = mask.expand(negative.shape)
        negative = negative.masked_fill(~mask, torch.finfo(negative.dtype).min)
        mask = _any(mask)
    return hinge_loss(positive, negative.amax(dim=0), mask)


def cross_entropy_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Cross entropy of a softmax over the target and all other items.

    .. math:: L = -\log \frac{\exp r_i}{\exp r_i + \sum_{j \in S} \exp r_j}
                = -\log \sigma \Big( r_i - \log \sum_{j \in S} \exp r_j \Big)

    The mean is over targets. One without an item to compare with weighs nothing.

    >>> round(cross_entropy_loss(torch.tensor([1.0]), torch.tensor([[1.0], [1.0]])).item(), 4)
    1.0986
    """
    _check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        negative = negative.unsqueeze(0)
    if mask is not None:
        mask = mask.expand(negative.shape)
        negative = negative.masked_fill(~mask, torch.finfo(negative.dtype).min)
        mask = _any(mask)
    return masked_mean(-F.logsigmoid(positive - negative.logsumexp(dim=0)), mask)


def cross_entropy_over_catalogue(scores: Tensor, targets: Tensor) -> Tensor:
    """``cross_entropy_loss`` against the whole catalogue, in one pass over its scores.

    Parameters
    ----------
    scores : float (targets, items)
        Of all items; padding, item 0, does not count.
    targets : int64 (targets,)

    >>> round(cross_entropy_over_catalogue(torch.tensor([[9.0, 1.0, 1.0, 1.0]]), torch.tensor([1])).item(), 4)
    1.0986
    """
    total: Tensor = _CrossEntropy.apply(scores, targets)  # type: ignore[no-untyped-call]
    return total / max(len(targets), 1)


def cross_entropy_and_gradient(
    scores: Tensor, targets: Tensor, out: Tensor | None = None, weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    r"""Sum of the cross entropies against the whole catalogue, and its gradient :math:`\mathrm{softmax}(r) - [k = i]`.

    Parameters
    ----------
    scores : float (targets, items)
        Of all items; padding, item 0, does not count.
    targets : int64 (targets,)
    out : float (targets, items), optional
        Memory for the gradient; `scores` itself is allowed, and is then lost.
    weights : float (targets,), optional
        By which the sum is weighted.

    Returns
    -------
    sum : float ()
    gradient : float (targets, items), which is `out` where it is given
    """
    if out is None:
        out = torch.empty_like(scores, dtype=torch.promote_types(scores.dtype, torch.float32))
    if out is not scores:
        out.copy_(scores)
    out[:, PADDING_IDX] = -torch.inf
    own, highest = out.gather(1, targets.unsqueeze(1)).squeeze(1), out.amax(dim=1)
    torch.softmax(out, dim=1, out=out)
    # the target's own probability may be rounded to 0, the highest is not
    each = highest - own - out.amax(dim=1).log()
    total = (each if weights is None else each * weights).sum()
    out[torch.arange(len(targets), device=targets.device), targets] -= 1
    out[:, PADDING_IDX] = 0  # also where others are NaN
    if weights is not None:
        out *= weights.unsqueeze(1)
    return total, out


class _CrossEntropy(torch.autograd.Function):
    """The sum of ``cross_entropy_and_gradient``, whose backward has nothing left to do but to scale."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, targets: Tensor) -> Tensor:
        total, gradient = cross_entropy_and_gradient(scores, targets)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(gradient.to(scores.dtype))
        return total.to(scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * scale, None


def sampled_softmax_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Cross entropy against a sample that stands for the catalogue, with log-Q correction.

    .. math:: L = -\log \frac{\exp(r_i - \log Q_i)}{\exp(r_i - \log Q_i) + \sum_{j \in S} \exp(r_j - \log Q_j)}

    :math:`Q` is the chance of an item in a draw of the sampler. The scores come corrected already, which the objective
    does for a ``Loss`` that ``corrects_log_q``.

    References
    ----------
    Y. Bengio, J.-S. Senecal: Adaptive importance sampling to accelerate training of a neural probabilistic language
    model. IEEE Transactions on Neural Networks 19 (2008).
    """
    return cross_entropy_loss(positive, negative, mask)


def bpr_max_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""BPR-max: BPR against the samples that score highest, which are also pushed towards zero.

    .. math:: L = -\log \sum_{j \in S} s_j \, \sigma(r_i - r_j) + \lambda \sum_{j \in S} s_j \, r_j^2, \qquad
        s_j = \mathrm{softmax}_{j \in S}(r_j), \quad \lambda = 1

    References
    ----------
    B. Hidasi, A. Karatzoglou: Recurrent neural networks with top-k gains for session-based recommendations. CIKM 2018.

    >>> round(bpr_max_loss(torch.tensor([2.0]), torch.tensor([[0.0], [0.0]])).item(), 4)
    0.1269
    """
    negative, mask, weight = _softmax_weights(positive, negative, mask)
    likelihood = (weight + F.logsigmoid(positive - negative)).logsumexp(dim=0)
    decay = (weight.exp() * negative**2).sum(dim=0)
    return masked_mean(decay - likelihood, mask)


def top1_max_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""TOP1-max: TOP1 against the samples that score highest.

    .. math:: L = \sum_{j \in S} s_j \left( \sigma(r_j - r_i) + \sigma(r_j^2) \right), \qquad
        s_j = \mathrm{softmax}_{j \in S}(r_j)

    References
    ----------
    B. Hidasi, A. Karatzoglou: Recurrent neural networks with top-k gains for session-based recommendations. CIKM 2018.

    >>> round(top1_max_loss(torch.tensor([2.0]), torch.tensor([[0.0], [0.0]])).item(), 4)
    0.6192
    """
    negative, mask, weight = _softmax_weights(positive, negative, mask)
    violation = torch.sigmoid(negative - positive) + torch.sigmoid(negative**2)
    return masked_mean((weight.exp() * violation).sum(dim=0), mask)


def _softmax_weights(positive: Tensor, negative: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor]:
    """Samples with a leading axis, those left out at 0; the mask of targets; and the log of a softmax over samples."""
    _check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        negative = negative.unsqueeze(0)
    if mask is None:
        return negative, None, negative.log_softmax(dim=0)
    mask = mask.expand(negative.shape)
    weight = negative.masked_fill(~mask, torch.finfo(negative.dtype).min).log_softmax(dim=0)
    return negative.masked_fill(~mask, 0.0), _any(mask), weight


def _any(mask: Tensor) -> Tensor:
    """``mask.any(dim=0)``, which takes torch four times as long on a CPU."""
    return mask.count_nonzero(dim=0) > 0


def _check_shapes(positive: Tensor, negative: Tensor, mask: Tensor | None) -> None:
    shape, allowed = tuple(positive.shape), f"positive, {tuple(positive.shape)}, or have one axis before it"
    require(
        negative.shape == shape or negative.shape[1:] == shape,
        f"negative must have the shape of {allowed}",
        tuple(negative.shape),
    )
    if mask is not None:
        fits = mask.shape in (positive.shape, negative.shape)
        require(fits, "mask must have the shape of positive or of negative", tuple(mask.shape))
        require(mask.dtype == torch.bool, "mask must be bool", str(mask.dtype))


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
