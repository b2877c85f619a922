r"""A term in the score for what was viewed in sessions like this one.

.. math:: r'_{jk} = r_{jk} + c \log(1 + 100 N_k)

with the votes N of ``NeighbourSessions``. The weight c is no parameter of the training: a training session finds itself
among the others, and the net has learned it by heart, so there the neighbours seem worth nothing. It is found on
sessions that the net has not been trained on yet, by the cross entropy, which is convex in c.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.sessions.channels import Channels, NeighbourQuery, Votes

SCALE = 100.0
LARGEST = 4.0  # weight that is tried
HALVINGS = 12  # of the interval of weights


class NeighbourTerms(nn.Module):
    """Terms from ``channels.neighbours``, for a ``RecallNet``; none in training, nor before a weight was found."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(()))

    def weights(self) -> dict[str, float]:
        """The weight, by its name."""
        return {"neighbours": float(self.weight)}

    def recall(self, items: Tensor, channels: Channels) -> NeighbourQuery | None:
        """The query for the neighbours of a batch."""
        return channels.neighbours

    def forward(self, query: NeighbourQuery | None, values: Tensor, rows: Tensor, steps: Tensor) -> list[ScoreTerms]:
        """Terms for the states after these steps of these rows, int64 (states,) each."""
        if query is None or self.training:
            return []
        votes = query.votes(rows, steps)
        return [ScoreTerms(votes.items, (self.weight * features(votes) / votes.times.clamp(min=1)).to(values.dtype))]


def features(votes: Votes) -> Tensor:
    """What the weight is for, of each slot: float (states, slots)."""
    return torch.log1p(SCALE * votes.strength) * (votes.times > 0)


class WeightSearch:
    """Finds the weight with the lowest cross entropy.

    ``add`` takes states in parts; what it keeps of each are the few items that its neighbours know.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, scores: Tensor, votes: Votes, targets: Tensor) -> None:
        """Scores without neighbours (states, items), what the neighbours say, and the targets, int64 (states,)."""
        feature = features(votes)
        share = torch.exp(scores.gather(1, votes.items) - scores.logsumexp(dim=1, keepdim=True)) / votes.times.clamp(min=1)
        of_target = torch.where(votes.items == targets.unsqueeze(1), feature, 0.0).amax(dim=1)
        self._parts.append((feature.double(), share.double(), of_target.double()))

    def best(self) -> float:
        """The weight from 0 to ``LARGEST``; 0 where nothing was added."""
        if not self._parts:
            return 0.0
        low, high = 0.0, LARGEST
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (low, middle) if self._slope(middle) > 0 else (middle, high)
        return (low + high) / 2 if low > 0 else 0.0

    def _slope(self, weight: float) -> float:
        """Derivative of the summed cross entropy by the weight."""
        total = 0.0
        for feature, share, of_target in self._parts:
            grown = share * torch.exp(weight * feature)
            rest = 1.0 - share.sum(dim=1)
            expected = (grown * feature).sum(dim=1) / (rest + grown.sum(dim=1))
            total += float((expected - of_target).sum())
        return total
