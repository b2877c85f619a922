"""Terms of the memories as parts of a graph: transitions and neighbours are constants, histories are inputs.

Only the last state of each session is scored, so every term is added to a row of the whole catalogue. The design
satisfies:

- the numbers are those of ``HistoryTerms``, ``TransitionTerms`` and ``NeighbourTerms``, to rounding;
- tables keep their length, and a look-up gathers the rows of the latest events alone;
- there are tensors alone, no loop and no shape that depends on data, so that both formats can hold it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._checks import require
from spotlight_asars.memory import HistoryTerms, RecallNet, TransitionTerms
from spotlight_asars.memory.item_transitions import LATEST, Transitions
from spotlight_asars.memory.neighbour_sessions import OWN, NeighbourSessions
from spotlight_asars.memory.neighbour_terms import SCALE, NeighbourTerms, repeat_features
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import History

MEMORIES = {"history": HistoryTerms, "transitions": TransitionTerms, "neighbours": NeighbourTerms}
HISTORY_INPUTS = tuple(f"history_{name}" for name in History._fields)


def memories_of(fitted: FittedNet, wanted: bool | Iterable[str]) -> nn.ModuleDict:
    """The memories that change the scores of a fitted net, all or those with some names, to be traced on the CPU.

    Neighbours that are worth nothing are left out. ``ValueError`` for names of others than the net has.
    """
    own = {_name(terms): terms for terms in fitted.net.terms} if isinstance(fitted.net, RecallNet) else {}
    if isinstance(wanted, bool):
        wanted = own if wanted else ()
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    for name in names:
        require(name in own, f"memories must be True, False, or of those of the model, {sorted(own)}", name)
    graph = nn.ModuleDict()
    for name in names:
        terms = copy.deepcopy(own[name]).cpu().eval().requires_grad_(False)
        if isinstance(terms, HistoryTerms):
            graph[name] = HistoryInGraph(terms)
        elif isinstance(terms, TransitionTerms) and fitted.transitions is not None:
            graph[name] = TransitionsInGraph(terms, fitted.transitions)
        elif isinstance(terms, NeighbourTerms) and fitted.neighbours is not None:
            graph[name] = NeighboursInGraph(terms, fitted.neighbours)
    return graph


def _name(terms: nn.Module) -> str:
    return next(name for name, kind in MEMORIES.items() if isinstance(terms, kind))


@torch.no_grad()
def history_inputs(fitted: FittedNet, user_ids: NDArray[np.int64], started: NDArray[np.float64]) -> dict[str, Any]:
    """What a graph is to know of users (batch,) at some moments (batch,) [s]: arrays by the names of its inputs."""
    inputs: dict[str, Any] = {"user_ids": user_ids, "started": started}
    if fitted.users.memory is not None:
        users, moments = torch.from_numpy(user_ids).to(fitted.device), torch.from_numpy(started).to(fitted.device)
        history = fitted.users.memory.recall(users, moments)
        inputs |= {name: column.cpu().numpy() for name, column in zip(HISTORY_INPUTS, history, strict=True)}
    return inputs


class HistoryInGraph(nn.Module):
    """The items of the session itself, and of its user's earlier ones."""

    def __init__(self, terms: HistoryTerms) -> None:
        super().__init__()
        self.terms = terms

    def forward(
        self,
        scores: Tensor,
        state: Tensor,
        items: Tensor,
        kinds: Tensor | None,
        asked: Tensor | None,
        history: History,
    ) -> Tensor:
        """`scores` (batch, items) with the terms of states (batch, state) of sessions (batch, time).

        `kinds` (batch, time) are those of their events, and `asked` (batch,) those of the events to come.
        """
        gates = self.terms.gates(state)  # (batch, 2)
        step = torch.arange(items.shape[1])
        comes_again = (items.unsqueeze(2) == items.unsqueeze(1)) & (step.unsqueeze(0) > step.unsqueeze(1))
        latest = (items != PADDING_IDX) & ~comes_again.any(dim=2)  # view of each item
        number = (items != PADDING_IDX).cumsum(dim=1)
        here = self.terms.session_terms((number[:, -1:] - number).to(state.dtype)) + gates[:, :1]
        if self.terms.of_kind is not None and kinds is not None:
            here = here + self.terms.of_kind(kinds)
        before = gates[:, 1:]
        if self.terms.of_pair is not None and self.terms.of_earlier_pair is not None and asked is not None:
            viewed = torch.zeros_like(items) if kinds is None else kinds
            here = here + self.terms.of_pair(viewed, asked.unsqueeze(1))
            before = before + self.terms.of_earlier_pair(history.kinds, asked.unsqueeze(1))
        earlier = self.terms.earlier_terms(history) + before * (history.items != PADDING_IDX)
        return scores.scatter_add(
            1, torch.cat([items, history.items], 1), self.terms.gain * torch.cat([here * latest, earlier], 1)
        )


class TransitionsInGraph(nn.Module):
    """What followed, or came with, the latest items in training."""

    weight: Tensor
    place: Tensor
    gain: Tensor

    def __init__(self, terms: TransitionTerms, transitions: Transitions) -> None:
        super().__init__()
        offsets, (items, *strength), width = transitions.table.on_host()
        self.table = GatheredRows(offsets, [items, terms.value(strength)], width)
        self.gate, self.of_kind, self.of_asked = terms.gate, terms.of_kind, terms.of_asked
        self.register_buffer("weight", terms.place.detach())
        self.register_buffer("gain", terms.gain)
        self.register_buffer("place", 1.0 / torch.arange(1, LATEST + 1))

    def forward(
        self,
        scores: Tensor,
        state: Tensor,
        items: Tensor,
        kinds: Tensor | None,
        asked: Tensor | None,
        history: History | None = None,
    ) -> Tensor:
        """As in ``HistoryInGraph``."""
        events = latest_events(items, LATEST)
        real = events != PADDING_IDX
        candidates, value = self.table.rows(events, real)  # (batch, events, width)
        weight = self.gain * (self.weight + self.gate(state) * self.place) * real
        if self.of_kind is not None and kinds is not None:
            weight = weight * self.of_kind(latest_events(items, LATEST, kinds))
        if self.of_asked is not None and asked is not None:
            weight = weight * self.of_asked(asked.unsqueeze(1))
        return scores.scatter_add(1, candidates.flatten(1), (value * weight.unsqueeze(2)).flatten(1))


class NeighboursInGraph(nn.Module):
    """What was viewed in earlier sessions like this one, in this one itself, and what is in demand."""

    weight: Tensor
    repeats: Tensor
    common: Tensor

    def __init__(self, terms: NeighbourTerms, neighbours: NeighbourSessions) -> None:
        super().__init__()
        self.register_buffer("weight", terms.weight)
        self.register_buffer("repeats", terms.repeats)
        self.register_buffer("common", terms.of_demand(neighbours.demand.cpu()))
        self._neighbours = neighbours.with_table(lambda table: GatheredRows(*table.on_host()))

    def forward(self, scores: Tensor, state: Tensor, items: Tensor, *_: Any) -> Tensor:
        """As in ``HistoryInGraph``."""
        own = latest_events(items, OWN)
        voted, value = self._neighbours.single_votes(own)
        strength = torch.zeros_like(scores).scatter_add(1, voted, value)
        terms = self.weight * torch.log1p(SCALE * strength)
        return scores + self.common + terms.scatter(1, own, self.repeats * repeat_features(own))


class GatheredRows(nn.Module):
    """A table like ``RaggedRows`` whose look-ups gather entries: a graph has no views of overlapping windows."""

    offsets: Tensor

    def __init__(self, offsets: Tensor, columns: list[Tensor], width: int) -> None:
        super().__init__()
        self.width, self.columns = width, len(columns)
        self.register_buffer("offsets", offsets)
        for number, column in enumerate(columns):
            self.register_buffer(f"column_{number}", column)

    def rows(self, numbers: Tensor, real: Tensor) -> tuple[Tensor, ...]:
        """See ``RaggedRows.rows``."""
        start = self.offsets[numbers]
        length = (self.offsets[numbers + 1] - start) * real
        slot = torch.arange(self.width)
        place, beyond = start.unsqueeze(-1) + slot, slot >= length.unsqueeze(-1)
        columns = (getattr(self, f"column_{number}") for number in range(self.columns))
        items, *values = (column[place].masked_fill(beyond, 0) for column in columns)
        return items.long(), *values


def latest_events(items: Tensor, count: int, kinds: Tensor | None = None) -> Tensor:
    """The items of the last `count` events of sessions (batch, time), the latest first; 0 where there was none.

    With `kinds` of the events, (batch, time), these and not the items.
    """
    real = items != PADDING_IDX
    number = real.cumsum(dim=1)
    left = torch.where(real, number[:, -1:] - number, -1).unsqueeze(1)  # events after each, (batch, 1, time)
    here = left == torch.arange(count).view(1, -1, 1)
    return ((items if kinds is None else kinds).unsqueeze(1) * here).sum(dim=2)
