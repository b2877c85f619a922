"""The terms of all memories for one session after its latest event, in arrays on the host; those of few items.

The numbers are those of ``HistoryTerms``, ``TransitionTerms`` and ``NeighbourTerms``, to rounding. One session has a
few hundred of them: to look these up as tensors of a batch takes ten times as long as the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.memory.history_terms import HistoryTerms
from spotlight_asars.memory.item_transitions import LATEST, Transitions
from spotlight_asars.memory.kind_weights import KindWeights
from spotlight_asars.memory.latest_events import BEFORE, LAST
from spotlight_asars.memory.neighbour_sessions import (
    GAP_DECAY,
    NEIGHBOURS,
    OWN,
    POSITION_DECAY,
    REACH,
    NeighbourSessions,
)
from spotlight_asars.memory.neighbour_sessions import LATEST as SHARED
from spotlight_asars.memory.neighbour_terms import SCALE, VIEWED_TWICE, NeighbourTerms
from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.memory.transition_terms import TransitionTerms
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.channels import History

Found = tuple[NDArray[Any], NDArray[np.float32]]  # items and terms, (n,) each: an item has the sum of all its terms

SHARE = np.exp(-np.arange(SHARED, dtype=np.float32) / POSITION_DECAY)
OFFSETS = np.arange(-REACH, REACH + 1)
NEAR = np.exp(-np.abs(OFFSETS) / GAP_DECAY).astype(np.float32)
PLACES = 1.0 / np.arange(1, LATEST + 1, dtype=np.float32)


class SessionTerms:
    """The terms for one session, whose user has a history, or none.

    Parameters
    ----------
    net : RecallNet
        Its weights as they are now are taken.
    transitions : Transitions, optional
    neighbours : NeighbourSessions, optional
    history : History, optional
        Of the user alone, (1, slots).
    """

    def __init__(
        self,
        net: RecallNet,
        transitions: Transitions | None,
        neighbours: NeighbourSessions | None,
        history: History | None,
    ) -> None:
        self._parts: list[Any] = []
        for terms in net.terms:
            if isinstance(terms, HistoryTerms):
                self._parts.append(_Viewed(terms, history))
            elif isinstance(terms, TransitionTerms) and transitions is not None:
                self._parts.append(_Followers(terms, transitions))
            elif isinstance(terms, NeighbourTerms) and neighbours is not None:
                self._parts.append(_Neighbours(terms, neighbours))

    def of(self, state: NDArray[np.float32], items: Sequence[int], kinds: Sequence[int]) -> Found:
        """Items and terms for the net's state (size,) after these events, of which there may be none."""
        found = [pair for part in self._parts for pair in part.of(state, items, kinds)]
        if not found:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        return np.concatenate([pair[0] for pair in found]), np.concatenate([pair[1] for pair in found])


class _Viewed:
    """See ``HistoryTerms``."""

    def __init__(self, terms: HistoryTerms, history: History | None) -> None:
        self._gates, self._here, self._gain = _array(terms.gates.weight), _array(terms.here), _array(terms.gain)
        self._decay = np.exp(_array(terms.log_decay)[2])
        self._of_kind = None if terms.of_kind is None else _OfKind(terms.of_kind)
        self._earlier: Found | None = None
        if history is not None:
            items, values = _array(history.items)[0], _array(terms.earlier_terms(history))[0]
            real = items != PADDING_IDX
            self._earlier = items[real], values[real]

    def of(self, state: NDArray[np.float32], items: Sequence[int], kinds: Sequence[int]) -> list[Found]:
        gates, found = self._gates @ state, []
        if self._earlier is not None:
            found.append((self._earlier[0], self._earlier[1] + gates[1]))
        if items:
            last = {item: step for step, item in enumerate(items)}
            steps = np.fromiter(last.values(), np.int64, len(last))
            ago = (len(items) - 1 - steps).astype(np.float32)
            here, steps_ago, latest = self._here
            terms = here + gates[0] + steps_ago * np.exp(-self._decay * np.log1p(ago)) + latest * (ago == 0)
            if self._of_kind is not None:
                terms = terms + self._of_kind(np.asarray(kinds)[steps])
            found.append((np.fromiter(last, np.int64, len(last)), terms))
        return [(items, self._gain * terms) for items, terms in found]


class _Followers:
    """See ``TransitionTerms``."""

    def __init__(self, terms: TransitionTerms, transitions: Transitions) -> None:
        self._table = transitions.table.arrays
        self._gate, self._place, self._kind = _array(terms.gate.weight)[0], _array(terms.place), _array(terms.kind)
        self._gain = _array(terms.gain)
        self._beta = np.exp(_array(terms.log_beta))
        self._of_kind = None if terms.of_kind is None else _OfKind(terms.of_kind)

    def of(self, state: NDArray[np.float32], items: Sequence[int], kinds: Sequence[int]) -> list[Found]:
        if not items:
            return []
        latest = np.asarray(items[: -LATEST - 1 : -1])
        weight = self._gain * (self._place + (self._gate @ state) * PLACES)[: len(latest)]
        if self._of_kind is not None:
            weight = weight * self._of_kind(np.asarray(kinds[: -LATEST - 1 : -1]))
        lengths, (followers, *counts) = self._table.rows(latest)
        logs = [kind * np.log1p(beta * one) for kind, beta, one in zip(self._kind, self._beta, counts, strict=True)]
        return [(followers, np.repeat(weight, lengths) * (logs[0] + logs[1]))]


class _Neighbours:
    """See ``NeighbourSessions`` and ``NeighbourTerms``."""

    def __init__(self, terms: NeighbourTerms, neighbours: NeighbourSessions) -> None:
        self._weight, self._repeats = np.float32(terms.weight.item()), np.float32(terms.repeats.item())
        self._sessions = neighbours.on_host

    def of(self, state: NDArray[np.float32], items: Sequence[int], kinds: Sequence[int]) -> list[Found]:
        if not items:
            return []
        places, similarity = self._similar(items[: -SHARED - 1 : -1])
        near = places[:, None] + OFFSETS  # (neighbours, offsets)
        session, offsets = self._sessions.session[places], self._sessions.offsets
        inside = (near >= offsets[session][:, None]) & (near < offsets[session + 1][:, None])
        votes = (similarity[:, None] * NEAR)[inside]
        voted, slot = np.unique(self._sessions.items[near[inside]], return_inverse=True)
        strength = np.bincount(slot, votes, len(voted)).astype(np.float32)
        own, times = np.unique(items[-OWN:], return_counts=True)
        strength[np.isin(voted, own)] = 0.0
        before = own == items[-2] if len(items) > 1 else 0
        views = times + (LAST - 1) * (own == items[-1]) + (BEFORE - 1) * before  # see ``latest_events.views``
        again = self._repeats * (1 + VIEWED_TWICE * np.log2(views)).astype(np.float32)
        return [(voted, self._weight * np.log1p(np.float32(SCALE) * strength)), (own, again)]

    def _similar(self, latest: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.float32]]:
        """Where each neighbour has the latest shared item, and its similarity: int and float32 (neighbours,)."""
        ahead = {item: place for place, item in reversed([*enumerate(latest)])}  # its latest event
        items, place = np.fromiter(ahead, np.int64, len(ahead)), np.fromiter(ahead.values(), np.int64, len(ahead))
        lengths, (number,) = self._sessions.events_of.rows(items)
        events, place = number - 1, np.repeat(place, lengths)
        session = self._sessions.session[events]
        order = np.argsort(session * np.int64(SHARED) + place)
        session = session[order]
        first = np.flatnonzero(np.diff(session, prepend=-1))
        if not len(first):
            return first, np.zeros(0, np.float32)
        similarity = np.add.reduceat(SHARE[place[order]], first) * self._sessions.weight[session[first]]
        events = events[order[first]]
        if len(events) > NEIGHBOURS:
            best = np.argpartition(similarity, -NEIGHBOURS)[-NEIGHBOURS:]
            events, similarity = events[best], similarity[best]
        return events, similarity


class _OfKind:
    """See ``KindWeights``."""

    def __init__(self, weights: KindWeights) -> None:
        self._weight, self._start = _array(weights.weight), np.float32(weights.start)

    def __call__(self, kinds: NDArray[Any]) -> NDArray[np.float32]:
        known = (kinds > 0) & (kinds < len(self._weight))
        return np.where(known, self._weight[np.where(known, kinds, 0)], self._start)


def _array(tensor: Tensor) -> NDArray[Any]:
    """On the host, in the same memory where that is possible."""
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
