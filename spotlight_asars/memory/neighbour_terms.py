r"""Terms in the score for what was viewed in sessions like this one, what in this one already, and for demand.

.. math:: r'_{jk} = r_{jk} + c \log(1 + 100 N_k) + g \, (1 + \tfrac{1}{4} \log_2 v_{jk}) \, [v_{jk} > 0]
        + h \, t_k + p \log(1 + n_k)

with the votes N, trends t and events n of ``NeighbourSessions``, and the number :math:`v_{jk}` of the session's latest
20 events that are on item k, of which the very last counts half, and the one before it twice.

The weights c, g, h and p are no parameters of the training: a training session finds itself among the others, and the
net has learned it by heart. So there neighbours seem worth nothing, what is new in it seems surer than it is, beside
what comes again, and no item goes out of fashion. ``WeightSearch`` finds them on sessions that the net has not been
trained on yet; beside a net that has learned little, the first two count ``gain`` times as much.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from spotlight_asars.memory.latest_events import LatestEvents, distinct, views
from spotlight_asars.memory.neighbour_sessions import OWN
from spotlight_asars.memory.score_terms import ScoreTerms
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import Channels, NeighbourQuery, Votes

SCALE = 100.0
VIEWED_TWICE = 0.25  # of the weight of repeats, that twice as many views add to it


class Weights(NamedTuple):
    """Weights of ``NeighbourTerms``: of what neighbours have viewed, what the session itself has, and of demand."""

    weight: float
    repeats: float
    trend: float
    popularity: float


class NeighbourTerms(nn.Module):
    """Terms from ``channels.neighbours``, for a ``RecallNet``; none in training, nor before weights were found.

    Parameters
    ----------
    gain : float
        What found weights of neighbours and repeats are multiplied by.
    """

    gain: Tensor
    weight: Tensor
    repeats: Tensor
    demand: Tensor

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(gain))
        self.register_buffer("weight", torch.zeros(()))
        self.register_buffer("repeats", torch.zeros(()))
        self.register_buffer("demand", torch.zeros(2))
        self._weighed: tuple[Tensor, int, Tensor] | None = None

    @property
    def is_worth_something(self) -> bool:
        """Whether any weight that was found is not 0."""
        return any(self.weights().values())

    def weights(self) -> dict[str, float]:
        """The weights of neighbours, of items that the session has viewed, of trends and popularity, by their names."""
        trend, popularity = self.demand.tolist()
        return {
            "neighbours": float(self.weight),
            "again": float(self.repeats),
            "trend": trend,
            "popularity": popularity,
        }

    def of_demand(self, demand: Tensor) -> Tensor:
        """The terms that all states have alike, float (num_items,), by trends and popularity (2, num_items).

        They are made once, for they are as long as the catalogue.
        """
        kept, version = self._weighed, self.demand._version
        if kept is None or kept[0] is not demand or kept[1] != version:
            kept = self._weighed = demand, version, (self.demand.unsqueeze(1) * demand).sum(dim=0)
        return kept[2]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_weighed": None}  # they can be made again

    def take(self, found: Weights) -> None:
        """Take the weights that were found, in place."""
        self.weight.copy_(self.gain * found.weight)
        self.repeats.copy_(self.gain * found.repeats)
        self.demand[0].fill_(found.trend)
        self.demand[1].fill_(found.popularity)

    def recall(self, items: Tensor, channels: Channels) -> tuple[NeighbourQuery, LatestEvents] | None:
        """The query for the neighbours of a batch, and the events of its sessions."""
        return None if self.training or channels.neighbours is None else (channels.neighbours, LatestEvents(items))

    def forward(
        self, recalled: tuple[NeighbourQuery, LatestEvents] | None, values: Tensor, rows: Tensor, steps: Tensor
    ) -> list[VotedTerms | ScoreTerms | CommonTerms]:
        """Terms for the states after these steps of these rows, int64 (states,) each."""
        if recalled is None or self.training:
            return []
        query, events = recalled
        viewed = events.before(rows, steps, OWN)[0]
        own, terms = distinct(viewed), (self.repeats * repeat_features(viewed)).to(values.dtype)
        again = ScoreTerms(own, terms * (own != PADDING_IDX))
        common = CommonTerms(self.of_demand(query.demand).to(values.dtype), len(rows))
        return [VotedTerms(query, rows, steps, self.weight, values.dtype), again, common]


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


class CommonTerms:
    """``Terms`` that all of some `states` have alike: `values`, float (num_items,)."""

    def __init__(self, values: Tensor, states: int) -> None:
        self._values, self._states = values, states

    def added_to(self, scores: Tensor) -> Tensor:
        """As in ``Terms``."""
        return scores.add_(self._values)

    def by_state(self) -> Iterator[tuple[Tensor, Tensor]]:
        """None: ``Terms`` has here what sets states apart."""
        return iter(())

    def zeros(self, columns: int) -> Tensor:
        """As in ``Terms``."""
        return self._values.new_zeros(self._states, columns)

    def added_to_columns(self, totals: Tensor, place: Tensor) -> Tensor:
        """As in ``Terms``."""
        return totals + self._values.new_zeros(totals.shape[1]).scatter_(0, place, self._values)

    def of(self, wanted: Tensor) -> Tensor:
        """As in ``Terms``."""
        return self._values[wanted]


def features(votes: Votes) -> Tensor:
    """What the weight of neighbours is for, of each slot: float (states, slots)."""
    return torch.log1p(SCALE * votes.strength) * (votes.times > 0)


def repeat_features(viewed: Tensor) -> Tensor:
    """What the weight of repeats is for, of each event: float (states, n), 0 where there is none.

    `viewed`, int64 (states, n), are the items of the latest events, the last one first. Those that are alike have the
    same.
    """
    return (1 + VIEWED_TWICE * torch.log2(views(viewed))) * (viewed != PADDING_IDX)
