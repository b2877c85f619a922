r"""A term in the score for what was viewed in sessions like this one.

.. math:: r'_{jk} = r_{jk} + c \log(1 + 100 N_k)

with the votes N of ``NeighbourSessions``. The weight c is no parameter of the training: a training session finds itself
among the others, and the net has learned it by heart, so there the neighbours seem worth nothing. It is found on
sessions that the net has not been trained on yet, by the ranks of what is viewed next in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor, nn

from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.sessions.channels import Channels, NeighbourQuery, Votes

SCALE = 100.0
WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # that are tried
USUAL = WEIGHTS.index(0.3)  # what logs of all sizes come near to; taken where a small one cannot tell


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

    def forward(self, query: NeighbourQuery | None, values: Tensor, rows: Tensor, steps: Tensor) -> list[VotedTerms]:
        """Terms for the states after these steps of these rows, int64 (states,) each."""
        if query is None or self.training:
            return []
        return [VotedTerms(query, rows, steps, self.weight, values.dtype)]


class VotedTerms:
    """``Terms`` of votes that are counted once it is known for which items: for few, without the catalogue."""

    def __init__(self, query: NeighbourQuery, rows: Tensor, steps: Tensor, weight: Tensor, dtype: torch.dtype) -> None:
        self._query, self._states, self._weight, self._dtype = query, (rows, steps), weight, dtype

    @cached_property
    def _counted(self) -> ScoreTerms:
        votes = self._query.votes(*self._states)
        return ScoreTerms(votes.items, self._terms(features(votes) / votes.times.clamp(min=1)))

    def _terms(self, feature: Tensor) -> Tensor:
        return (self._weight * feature).to(self._dtype)

    def added_to(self, scores: Tensor) -> Tensor:
        """As in ``Terms``."""
        return self._counted.added_to(scores)

    def by_state(self) -> Iterator[tuple[Tensor, Tensor]]:
        """As in ``Terms``."""
        return self._counted.by_state()

    def zeros(self, columns: int) -> Tensor:
        """As in ``Terms``."""
        rows = self._states[0]
        return torch.zeros(len(rows), columns, dtype=self._dtype, device=rows.device)

    def added_to_columns(self, totals: Tensor, place: Tensor) -> Tensor:
        """As in ``Terms``."""
        strength = self._query.strength_in_columns(*self._states, place, totals.shape[1])
        return totals + self._terms(torch.log1p(SCALE * strength))

    def of(self, wanted: Tensor) -> Tensor:
        """As in ``Terms``."""
        return self._terms(torch.log1p(SCALE * self._query.strength_of(*self._states, wanted)))


def features(votes: Votes) -> Tensor:
    """What the weight is for, of each slot: float (states, slots)."""
    return torch.log1p(SCALE * votes.strength) * (votes.times > 0)


class WeightSearch:
    """Finds the weight with which targets rank highest: by the mean of 1 / log2(1 + rank), as in NDCG.

    Of the weights whose mean is within one standard error of the best one's, as paired by targets, it is the one
    nearest to the ``USUAL``: the best of a few hundred targets is often far from the best of all. ``add`` takes states
    in parts, and needs no more of them than sums.
    """

    def __init__(self) -> None:
        self._number = 0
        self._gains = self._products = torch.zeros(0)

    def add(self, scores: Tensor, votes: Votes, targets: Tensor) -> None:
        """Scores without neighbours (states, items), what the neighbours say, and the targets, int64 (states,)."""
        feature = features(votes)
        of_target = torch.where(votes.items == targets.unsqueeze(1), feature, 0.0).amax(dim=1, keepdim=True)
        scores = scores - scores.gather(1, targets.unsqueeze(1))  # the target's is 0
        voted, share = scores.gather(1, votes.items), 1.0 / votes.times.clamp(min=1)
        each = []
        for weight in WEIGHTS:
            bar = weight * of_target
            moved = (voted + weight * feature > bar).float() - (voted > bar).float()
            ahead = (scores > bar).count_nonzero(dim=1) + (moved * share).sum(dim=1)
            each.append(1.0 / torch.log2(2.0 + ahead))
        gains = torch.stack(each).double()  # (weights, states)
        if not self._number:
            self._gains, self._products = gains.new_zeros(len(WEIGHTS)), gains.new_zeros(len(WEIGHTS), len(WEIGHTS))
        self._gains, self._products = self._gains + gains.sum(dim=1), self._products + gains @ gains.T
        self._number += len(targets)

    def best(self) -> float:
        """The chosen one of ``WEIGHTS``; 0 where nothing was added."""
        if not self._number:
            return 0.0
        mean, *product = (torch.stack([self._gains, *self._products]) / self._number).cpu()
        best, square = int(mean.argmax()), torch.stack(product).diagonal()
        below = mean[best] - mean
        variance = square + square[best] - 2 * product[best] - below**2  # of the difference to the best
        level = (below <= (variance.clamp(min=0) / self._number).sqrt()).nonzero().flatten()
        return WEIGHTS[int(level[(level - USUAL).abs().argmin()])]
