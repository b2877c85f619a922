"""Where a session and its neighbour meet: the latest item of the session that the neighbour has, too."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.baselines.neighbours import Pairs, SessionIndex
from spotlight_asars.baselines.prefixes import Events

Floats = NDArray[np.float64]


class Matches(NamedTuple):
    """What is to know of pairs of a prefix and a neighbour, and of the neighbours' items, one pair after the other.

    steps : int64 (pairs,), how long ago the prefix viewed the latest item in common; 1 is its last event
    pair : int64 (entries,), which pair
    items : int64 (entries,), each item of the neighbour once
    gap : int64 (entries,), positions between the item and that in common, in the neighbour
    """

    steps: NDArray[np.int64]
    pair: NDArray[np.int64]
    items: NDArray[np.int64]
    gap: NDArray[np.int64]


def match(pairs: Pairs, events: Events, rows: slice, index: SessionIndex) -> Matches:
    """Where the `pairs` meet, whose rows count from ``rows.start``.

    Parameters
    ----------
    pairs : Pairs
        Each of which has an item in common.
    events : Events
        The latest event of each item of the prefixes.
    rows : slice
        Of the prefixes that `pairs` are of.
    index : SessionIndex
    """
    offsets, num_items = index.positions.indptr, index.positions.shape[1]
    sizes = index.sizes[pairs.session]
    first = np.cumsum(sizes) - sizes  # (pairs,)
    pair = np.repeat(np.arange(len(sizes)), sizes)  # (entries,)
    at = np.arange(len(pair)) + (offsets[pairs.session] - first)[pair]
    items, positions = index.positions.indices[at], index.positions.data[at]

    viewed = np.full((rows.stop - rows.start, num_items), 0, dtype=np.int32)  # position in the prefix, 0 nowhere
    lengths = np.zeros(len(viewed), dtype=np.int64)
    own = events.pick(np.flatnonzero((events.row >= rows.start) & (events.row < rows.stop)))
    viewed[own.row - rows.start, own.items] = own.position
    lengths[own.row - rows.start] = own.length
    seen_at = viewed[pairs.row[pair], items]  # (entries,)
    latest = np.maximum.reduceat(seen_at, first) if len(first) else np.zeros(0, dtype=np.int32)  # (pairs,)
    common = seen_at == latest[pair]  # one entry in each pair, for no two items stand at one position
    meeting = positions[common]  # (pairs,)
    return Matches(lengths[pairs.row] - latest + 1, pair, items, np.abs(positions - meeting[pair]))


def sum_matches(
    weights: Floats, pairs: Pairs, matches: Matches, shape: tuple[int, int], by_entry: Floats | float = 1.0
) -> Floats:
    """Weight of the pairs, times that of each item in its neighbour, summed up by prefix and item: (rows, items)."""
    flat = pairs.row[matches.pair] * shape[1] + matches.items
    summed = np.bincount(flat, weights[matches.pair] * by_entry, minlength=shape[0] * shape[1])
    return summed.astype(np.float64, copy=False).reshape(shape)
