"""Where a session and its neighbour meet: at the latest item of the session that the neighbour has, too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from spotlight_asars.baselines.neighbours.session_index import Neighbours, SessionIndex
from spotlight_asars.baselines.neighbours.session_knn import SessionKNN
from spotlight_asars.baselines.prefixes import Events, Floats, Ints
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges


class Matches(NamedTuple):
    """Where each pair of a prefix and a neighbour meets, and the neighbours' items (entries), one pair after the other.

    steps : int64 (pairs,), how long ago the prefix viewed the latest common item; 1 is its last event
    pair : int64 (entries,), number of the pair
    items : int64 (entries,), each item of the neighbour once
    gap : int64 (entries,), distance in the neighbour between the item and the latest common one
    """

    steps: Ints
    pair: Ints
    items: Ints
    gap: Ints


def match(pairs: Neighbours, events: Events, num_rows: int, index: SessionIndex) -> Matches:
    """Find the latest common item of each pair.

    Parameters
    ----------
    pairs : Neighbours
        Each with a common item.
    events : Events
        The last event of each item of the prefixes.
    num_rows : int
        Number of prefixes.
    index : SessionIndex
        Where the neighbours are from.
    """
    offsets, sizes = index.positions.indptr, index.sizes[pairs.session]
    at = flat_ranges(offsets[pairs.session], offsets[pairs.session + 1])
    pair = np.repeat(np.arange(len(sizes)), sizes)  # (entries,)
    items, positions = index.positions.indices[at], index.positions.data[at]

    viewed = np.zeros((num_rows, index.shape[1]), dtype=np.int32)  # position in the prefix, 0 where not viewed
    lengths = np.zeros(num_rows, dtype=np.int64)
    viewed[events.row, events.items] = events.position
    lengths[events.row] = events.length
    viewed_at = viewed[pairs.row[pair], items]  # (entries,)
    first = np.cumsum(sizes) - sizes  # (pairs,)
    latest = np.maximum.reduceat(viewed_at, first) if len(first) else np.zeros(0, dtype=np.int32)  # (pairs,)
    common = viewed_at == latest[pair]  # one entry of each pair, as no two items share a position
    meeting = positions[common]  # (pairs,)
    return Matches(lengths[pairs.row] - latest + 1, pair, items, np.abs(positions - meeting[pair]))


class MatchedSessionKNN(SessionKNN):
    """Session kNN that weighs the items of a neighbour by where session and neighbour meet, and by their rarity."""

    _idf = 0.0

    def _count(self, sessions: SessionInteractions) -> None:
        super()._count(sessions)
        self._rarity = self._index.rarity(self._idf)

    def _step_weights(self, steps: Ints) -> Floats | float:
        """Weight of each neighbour by how many steps ago the session viewed the latest common item: (pairs,)."""
        return 1.0

    def _gap_weights(self, gap: Ints) -> Floats | float:
        """Weight of each item of a neighbour by its distance from the latest common item: (entries,)."""
        return 1.0

    def _sum_items(self, pairs: Neighbours, events: Events, num_rows: int) -> Floats:
        matches = match(pairs, events, num_rows, self._index)
        num_items = self._index.shape[1]
        weights = (pairs.similarity * self._step_weights(matches.steps))[matches.pair] * self._gap_weights(matches.gap)
        flat = pairs.row[matches.pair] * num_items + matches.items
        summed = np.bincount(flat, weights, minlength=num_rows * num_items).astype(np.float64, copy=False)
        return summed.reshape(num_rows, num_items) * self._rarity
