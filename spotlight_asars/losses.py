r"""What a model learns from: losses of the target's score and the scores of sampled items.

A loss is a function ``(positive, negative, mask=None) -> scalar``:

positive : float (...), any shape, such as (batch, time)
    Score :math:`r_i` of each target.
negative : float (...) or (neg, ...)
    Scores :math:`r_j` of items that are not the target: sampled ones, or for the losses in ``OVER_CATALOGUE`` all.
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
        return values.mean()
    weight = mask.expand(values.shape)
    return values.masked_fill(~weight, 0.0).sum() / weight.sum().clamp(min=1)


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
    return masked_mean(F.softplus(negative - positive), mask)


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
    total = torch.logaddexp(positive, negative.logsumexp(dim=0))
    return masked_mean(total - positive, mask)


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
    "bpr_sigmoid": bpr_sigmoid_loss,
    "cross_entropy": cross_entropy_loss,
    "hinge": hinge_loss,
    "pointwise": pointwise_loss,
    "top1": top1_loss,
}

# These compare each target with every other item of the catalogue, where the rest compare it with a sample.
OVER_CATALOGUE = frozenset({cross_entropy_loss})
