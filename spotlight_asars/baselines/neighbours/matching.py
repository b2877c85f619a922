"""Where a session and its neighbour meet: at the latest item of the session that the neighbour has, too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp

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

    distinct, column = np.unique(events.items, return_inverse=True)
    column_of = np.full(index.shape[1], len(distinct))  # of all items that no prefix has: the last
    column_of[distinct] = np.arange(len(distinct))
    viewed = np.zeros((num_rows, len(distinct) + 1), dtype=np.int32)  # position in the prefix, 0 where not viewed
    lengths = np.zeros(num_rows, dtype=np.int64)
    viewed[events.row, column] = events.position
    lengths[events.row] = events.length
    viewed_at = viewed[pairs.row[pair], column_of[items]]  # (entries,)
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

    def _sum_items(self, pairs: Neighbours, events: Events, num_rows: int) -> sp.csr_array:
        matches = match(pairs, events, num_rows, self._index)
        weighted = pairs._replace(similarity=pairs.similarity * self._step_weights(matches.steps))
        offsets = np.r_[0, np.cumsum(self._index.sizes[pairs.session])]
        weights = np.broadcast_to(np.asarray(self._gap_weights(matches.gap), dtype=np.float64), len(matches.items))
        items = sp.csr_array((weights, matches.items, offsets), shape=(len(matches.steps), self._index.shape[1]))
        scores = weighted.table(np.arange(len(matches.steps)), num_rows, len(matches.steps)) @ items
        scores.data *= self._rarity[scores.indices]
        return scores
