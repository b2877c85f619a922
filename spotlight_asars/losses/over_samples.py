"""Losses against a sample of other items, or against all that are given."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars.losses.masking import any_of, check_shapes, log_sum_exp, masked_mean


def hinge_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Hinge: the target must lead by 1 (eq. 23).

    .. math:: L = \frac{1}{|S|} \sum_{j \in S} \max(0, \; 1 - r_i + r_j)

    Eq. 23 is printed with the opposite sign, which would reward the error.

    >>> hinge_loss(torch.tensor([2.0]), torch.tensor([1.5])).item()
    0.5
    """
    check_shapes(positive, negative, mask)
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
    check_shapes(positive, negative, mask)
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
    check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(negative - positive) + torch.sigmoid(negative**2), mask)


def bpr_sigmoid_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""What Spotlight calls BPR: :math:`1 - \sigma(r_i - r_j)`, without the logarithm."""
    check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(negative - positive), mask)


def pointwise_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Spotlight's pointwise loss: :math:`1 - \sigma(r_i) + \sigma(r_j)`."""
    check_shapes(positive, negative, mask)
    return masked_mean(torch.sigmoid(-positive) + torch.sigmoid(negative), mask)


def adaptive_hinge_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Spotlight's adaptive hinge: the hinge against the highest of the samples.

    .. math:: L = \max(0, \; 1 - r_i + \max_{j \in S} r_j)

    References
    ----------
    J. Weston et al.: WSABIE: Scaling up to large vocabulary image annotation. IJCAI 2011.
    """
    check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        return hinge_loss(positive, negative, mask)
    if mask is not None:
        mask = mask.expand(negative.shape)
        negative = negative.masked_fill(~mask, torch.finfo(negative.dtype).min)
        mask = any_of(mask)
    return hinge_loss(positive, negative.amax(dim=0), mask)


def cross_entropy_loss(positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""Cross entropy of a softmax over the target and all other items.

    .. math:: L = -\log \frac{\exp r_i}{\exp r_i + \sum_{j \in S} \exp r_j}
                = -\log \sigma \Big( r_i - \log \sum_{j \in S} \exp r_j \Big)

    The mean is over targets. One without an item to compare with weighs nothing.

    >>> round(cross_entropy_loss(torch.tensor([1.0]), torch.tensor([[1.0], [1.0]])).item(), 4)
    1.0986
    """
    check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        negative = negative.unsqueeze(0)
    total, found = log_sum_exp(negative, None if mask is None else mask.expand(negative.shape))
    return masked_mean(-F.logsigmoid(positive - total), None if mask is None else found)


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
    check_shapes(positive, negative, mask)
    if negative.dim() == positive.dim():
        negative = negative.unsqueeze(0)
    if mask is None:
        return negative, None, negative.log_softmax(dim=0)
    mask = mask.expand(negative.shape)
    weight = negative.masked_fill(~mask, torch.finfo(negative.dtype).min).log_softmax(dim=0)
    return negative.masked_fill(~mask, 0.0), any_of(mask), weight
