"""Losses: functions of scores, one scalar out.

The first four are for implicit feedback with sampled negatives and take a ``mask``, True where an
entry counts; an all-False mask gives NaN. The last three are for observed ratings.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from spotlight_asars._core.torch_utils import assert_no_grad


def _masked_mean(loss: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return loss.mean()
    weight = mask.float()
    return (loss * weight).sum() / weight.sum()


def pointwise_loss(positive_predictions: Tensor, negative_predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of ``1 - sigmoid(positive) + sigmoid(negative)``."""
    missed = 1.0 - torch.sigmoid(positive_predictions)
    return _masked_mean(missed + torch.sigmoid(negative_predictions), mask)


def bpr_loss(positive_predictions: Tensor, negative_predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of ``1 - sigmoid(positive - negative)``: upstream's BPR has no logarithm."""
    return _masked_mean(1.0 - torch.sigmoid(positive_predictions - negative_predictions), mask)


def hinge_loss(positive_predictions: Tensor, negative_predictions: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean of ``max(0, 1 - positive + negative)``."""
    return _masked_mean(torch.clamp(negative_predictions - positive_predictions + 1.0, min=0.0), mask)


def adaptive_hinge_loss(
    positive_predictions: Tensor, negative_predictions: Tensor, mask: Tensor | None = None
) -> Tensor:
    """Hinge loss against the highest of several negatives, as in WSABIE.

    Parameters
    ----------
    positive_predictions : float (batch, ...)
    negative_predictions : float (neg, batch, ...)
        One row of negatives per draw.
    mask : bool (batch, ...), optional
    """
    highest, _ = torch.max(negative_predictions, 0)
    return hinge_loss(positive_predictions, highest.squeeze(), mask=mask)


def regression_loss(observed_ratings: Tensor, predicted_ratings: Tensor) -> Tensor:
    """Mean squared error."""
    assert_no_grad(observed_ratings)
    return ((observed_ratings - predicted_ratings) ** 2).mean()


def poisson_loss(observed_ratings: Tensor, predicted_ratings: Tensor) -> Tensor:
    """Mean negative Poisson log-likelihood, up to a constant; predictions are rates above 0."""
    assert_no_grad(observed_ratings)
    return (predicted_ratings - observed_ratings * torch.log(predicted_ratings)).mean()


def logistic_loss(observed_ratings: Tensor, predicted_ratings: Tensor) -> Tensor:
    """Mean cross entropy of logits against ratings of +1 and -1."""
    assert_no_grad(observed_ratings)
    return F.binary_cross_entropy_with_logits(predicted_ratings, observed_ratings.clamp(0, 1))
