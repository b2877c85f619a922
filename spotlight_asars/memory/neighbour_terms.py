r"""Terms in the score for what was viewed in sessions like this one, and for what this one has viewed already.

.. math:: r'_{jk} = r_{jk} + c \log(1 + 100 N_k) + g \, [k \in S_j]

with the votes N of ``NeighbourSessions``, and the items :math:`S_j` of the session's latest 20 events. The weights c
and g are no parameters of the training: a training session finds itself among the others, and the net has learned it by
heart, so there neighbours seem worth nothing, and what is new in it seems surer than it is, beside what comes again.
They are found on sessions that the net has not been trained on yet, by the ranks of what is viewed next in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars.memory.latest_events import LatestEvents
from spotlight_asars.memory.neighbour_sessions import OWN
from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import Channels, NeighbourQuery, Votes

SCALE = 100.0
WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)  # c that are tried
UNSEEN = 4  # targets more than were seen, whose rank differs as much as it can, in a standard error
REPEATS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0)  # g that are tried, each with each c but 0


class Weights(NamedTuple):
    """Weights of ``NeighbourTerms``: of what neighbours have viewed, and of what the session itself has."""

    weight: float
    repeats: float


USUAL = Weights(0.5, 3.0)  # what logs of all sizes come near to; taken where a small one cannot tell


class NeighbourTerms(nn.Module):
    """Terms from ``channels.neighbours``, for a ``RecallNet``; none in training, nor before weights were found."""

    weight: Tensor
    repeats: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("repeats", torch.zeros(()))

    def weights(self) -> dict[str, float]:
        """The weight of the neighbours, and that of an item that the session has viewed, by their names."""
        return {"neighbours": float(self.weight), "again": float(self.repeats)}

    def take(self, found: Weights) -> None:
        """Take other weights, in place."""
        self.weight.fill_(found.weight)
        self.repeats.fill_(found.repeats)

    def recall(self, items: Tensor, channels: Channels) -> tuple[NeighbourQuery, LatestEvents] | None:
        """The query for the neighbours of a batch, and the events of its sessions."""
        return None if self.training or channels.neighbours is None else (channels.neighbours, LatestEvents(items))

    def forward(
        self, recalled: tuple[NeighbourQuery, LatestEvents] | None, values: Tensor, rows: Tensor, steps: Tensor
    ) -> list[VotedTerms | ScoreTerms]:
        """Terms for the states after these steps of these rows, int64 (states,) each."""
        if recalled is None or self.training:
            return []
        query, events = recalled
        own = distinct(events.before(rows, steps, OWN)[0])
        again = ScoreTerms(own, self.repeats.to(values.dtype) * (own != PADDING_IDX))
        return [VotedTerms(query, rows, steps, self.weight, values.dtype), again]


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


def distinct(items: Tensor) -> Tensor:
    """`items` (states, n) with 0 in the place of those that come again in their row."""
    again = (items.unsqueeze(2) == items.unsqueeze(1)).tril(-1).any(dim=2)
    return items.masked_fill(again, PADDING_IDX)


class WeightSearch:
    """Finds the weights with which targets rank highest: by the mean of 1 / log2(1 + rank), as in NDCG.

    Of the pairs whose mean is within one standard error of the best one's, as paired by targets, it is the one nearest
    to the ``USUAL``: the best of a few hundred targets is often far from the best of all, and few of them may be
    repeats. ``add`` takes states in parts, and needs no more of them than sums.
    """

    _pairs = (Weights(0.0, 0.0), *(Weights(*pair) for pair in product(WEIGHTS[1:], REPEATS)))

    def __init__(self) -> None:
        self._number = 0
        self._gains = self._products = torch.zeros(0)

    def add(self, scores: Tensor, votes: Votes, own: Tensor, targets: Tensor) -> None:
        """Scores without neighbours (states, items), what these say, and the targets, int64 (states,).

        `own`, int64 (states, n), are the items of each state's session, which have no votes.
        """
        own, target = distinct(own), targets.unsqueeze(1)
        feature, is_own, repeated = features(votes), own != PADDING_IDX, (own == target).any(dim=1)
        of_target = torch.where(votes.items == target, feature, 0.0).amax(dim=1, keepdim=True)
        scores = scores - scores.gather(1, target)  # the target's is 0
        voted, viewed, share = scores.gather(1, votes.items), scores.gather(1, own), 1.0 / votes.times.clamp(min=1)
        room = torch.empty_like(scores)

        def ahead_of(bar: Any) -> Tensor:
            return torch.gt(scores, bar, out=room).sum(dim=1)  # in the same memory, as floats: ten times as fast

        ahead_of_repeated = {bar: ahead_of(bar) for bar in REPEATS}
        below_repeated = {bar: share * (voted <= bar) for bar in REPEATS}
        gain = {}
        for weight in WEIGHTS:
            raised, bar = voted + weight * feature, weight * of_target
            of_others = ahead_of(bar) + torch.where((raised > bar) & (voted <= bar), share, 0.0).sum(dim=1)
            for repeats in REPEATS if weight else REPEATS[:1]:
                risen = torch.where(raised > repeats, below_repeated[repeats], 0.0)
                of_repeated = ahead_of_repeated[repeats] + risen.sum(dim=1)
                own_bar = torch.where(repeated.unsqueeze(1), repeats, bar)
                again = ((viewed + repeats > own_bar) & (viewed <= own_bar) & is_own).count_nonzero(dim=1)
                gain[weight, repeats] = 1.0 / torch.log2(2.0 + torch.where(repeated, of_repeated, of_others) + again)
        each = [gain[pair] for pair in self._pairs]
        gains = torch.stack(each).double()  # (pairs, states)
        if not self._number:
            self._gains, self._products = gains.new_zeros(len(gains)), gains.new_zeros(len(gains), len(gains))
        self._gains, self._products = self._gains + gains.sum(dim=1), self._products + gains @ gains.T
        self._number += len(targets)

    def best(self) -> Weights:
        """The chosen pair of ``WEIGHTS`` and ``REPEATS``; of zeros where nothing was added."""
        if not self._number:
            return Weights(0.0, 0.0)
        mean, *products = (torch.stack([self._gains, *self._products]) / self._number).cpu()
        best, square = int(mean.argmax()), torch.stack(products).diagonal()
        below = mean[best] - mean
        variance = square + square[best] - 2 * products[best] - below**2  # of the difference to the best
        error = (variance.clamp(min=0) * self._number + UNSEEN).sqrt() / self._number
        level = (below <= error).nonzero().flatten()
        return min((self._pairs[n] for n in level.tolist()), key=_from_usual)


def _from_usual(found: Weights) -> int:
    """How many steps away from the usual weights others are."""
    return abs(WEIGHTS.index(found.weight) - WEIGHTS.index(USUAL.weight)) + abs(
        REPEATS.index(found.repeats) - REPEATS.index(USUAL.repeats)
    )
