r"""What a model learns from: losses of the target's score and the scores of sampled items.

A loss is a function ``(positive, negative, mask=None) -> scalar``:

positive : float (...), any shape, such as (batch, time)
    Score :math:`r_i` of each target.
negative : float (...) or (neg, ...)
    Scores :math:`r_j` of items that are not the target.
mask : bool, of the shape of `positive` or of `negative`, optional
    True where a real event is predicted, and a sample counts against it; the rest weighs nothing.

Each returns the mean over the pairs that count, 0 with zero gradient if there are none, and raises ``ValueError`` if
the shapes do not fit. To add one, write the function and its line in ``LOSSES``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars._checks import require

Loss = Callable[..., Tensor]


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of `values` where `mask` is True; 0 where it nowhere is.

    >>> masked_mean(torch.tensor([1.0, 5.0]), torch.tensor([True, False])).item()
    1.0
    """
    if mask is None:
        return values.sum() / max(values.numel(), 1)
    weight = mask.expand(values.shape)
    return torch.where(weight, values, 0.0).sum() / weight.count_nonzero().clamp(min=1)


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
    return masked_mean(-F.logsigmoid(positive - negative), mask)


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
        mask = mask.any(dim=0)
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
        mask = mask.any(dim=0)
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
    return F.cross_entropy(scores[:, 1:], targets - 1, reduction="sum") / max(len(targets), 1)


def sampled_softmax_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Cross entropy against a sample that stands for the catalogue, with log-Q correction.

    .. math:: L = -\log \frac{\exp(r_i - \log Q_i)}{\exp(r_i - \log Q_i) + \sum_{j \in S} \exp(r_j - \log Q_j)}

    :math:`Q` is the chance of an item in a draw of the sampler. The scores come corrected already, which the objective
    does for the losses in ``LOG_Q_CORRECTED``.

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
    return negative.masked_fill(~mask, 0.0), mask.any(dim=0), weight


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
    "adaptive_hinge": adaptive_hinge_loss,
    "bpr": bpr_loss,
    "bpr_max": bpr_max_loss,
    "bpr_sigmoid": bpr_sigmoid_loss,
    "cross_entropy": cross_entropy_loss,
    "hinge": hinge_loss,
    "pointwise": pointwise_loss,
    "sampled_softmax": sampled_softmax_loss,
    "top1": top1_loss,
    "top1_max": top1_max_loss,
}

# These compare each target with every other item of the catalogue, where the rest compare it with a sample: they have
# another form, (scores, targets) -> scalar.
OVER_CATALOGUE: dict[Loss, Callable[[Tensor, Tensor], Tensor]] = {cross_entropy_loss: cross_entropy_over_catalogue}

# These get scores less the log-probability of the item in a draw.
LOG_Q_CORRECTED = (sampled_softmax_loss,)

# The mean of these is over targets that have something to be compared with; that of the others, and of one's own, is
# over pairs. Processes that share a mini-batch need to know, to weigh their parts of it.
OVER_TARGETS = (adaptive_hinge_loss, bpr_max_loss, cross_entropy_loss, sampled_softmax_loss, top1_max_loss)

# These look at single scores, where the others look at differences alone; so they can learn what all items share.
FEEL_OFFSETS = (bpr_max_loss, pointwise_loss, top1_loss, top1_max_loss)
