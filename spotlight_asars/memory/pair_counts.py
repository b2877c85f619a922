"""Pairs of events near each other in a session, and their sums by item or by any other group of events.

Both are several times as large as the log, so they come in parts: pairs by sessions, and their sums by items.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.memory.sparse_rows import keys_of, matrix_of
from spotlight_asars.sessions.interactions import SessionInteractions

WINDOW = 10  # events that two events are apart at most to be counted together
EVENTS_AT_ONCE = 500_000  # whose pairs are found together
PAIRS_AT_ONCE = 10_000_000  # that are summed together


class Pairs(NamedTuple):
    """Pairs of different items near each other in a session, each pair both ways.

    one : int64 (pairs,), place of an event in the log
    distance : int8 (pairs,), from it to the other: events ahead, or less than 0
    """

    one: NDArray[np.int64]
    distance: NDArray[np.int8]

    def summed(
        self, row: NDArray[Any], rows: int, items: NDArray[np.integer[Any]], weight: NDArray[np.float64]
    ) -> tuple[NDArray[Any], ...]:
        """What the pairs add to matrices of F and G.

        Parameters
        ----------
        row : int (pairs,)
            To which of so many `rows` each adds.
        items : int32 (events,)
            Of the log.
        weight : float64 (items,)
            :math:`1 / \\sqrt{n_i}`

        Returns
        -------
        keys : int64 (entries,)
            Row times items plus column, rising.
        follows, together : float64 (entries,)
        """
        both = np.empty(len(self.one), np.complex128)  # so both are summed at once
        both.real = np.where(self.distance > 0, 1.0 / self.distance.astype(np.float64), 0.0)
        both.imag = weight[items[self.one]]
        column = items[self.one + self.distance]
        matrix = sp.csr_array(sp.coo_array((both, (row, column)), shape=(rows, len(weight))))
        matrix.sort_indices()
        return keys_of(matrix), matrix.data.real, matrix.data.imag


def weight_of(sessions: SessionInteractions) -> NDArray[np.float64]:
    """:math:`1 / \\sqrt{n_i}` of each item: float64 (items,)."""
    return 1.0 / np.sqrt(np.maximum(np.bincount(sessions.items, minlength=sessions.num_items), 1))


def parts_of(sessions: SessionInteractions) -> Iterator[tuple[int, int]]:
    """The first and the last session, not included, of parts of about ``EVENTS_AT_ONCE`` events."""
    offsets = sessions.offsets
    cuts = np.searchsorted(offsets, np.arange(0, offsets[-1], EVENTS_AT_ONCE), side="right") - 1
    return pairwise(np.unique(np.r_[0, cuts, len(offsets) - 1]).tolist())


def pairs_of(sessions: SessionInteractions, first: int, last: int, of_items: tuple[int, int] | None = None) -> Pairs:
    """The pairs of the sessions from `first` up to but not `last`; those whose `one` is in a range of items, or all."""
    offsets, items = sessions.offsets, sessions.items
    start = offsets[first]
    begin = np.repeat(offsets[first:last], sessions.lengths[first:last])  # of the session of each event
    place, one, distance = np.arange(start, offsets[last]), [], []
    for step in range(1, WINDOW + 1):
        after = place[step:][begin[step:] <= place[:-step]]
        after = after[items[after] != items[after - step]]
        for ahead, event in ((step, after - step), (-step, after)):
            if of_items is not None:
                item = items[event]
                event = event[(item >= of_items[0]) & (item < of_items[1])]
            one.append(event)
            distance.append(np.full(len(event), ahead, np.int8))
    return Pairs(np.concatenate(one), np.concatenate(distance))


def counts_by_item(sessions: SessionInteractions) -> Iterator[list[sp.csr_array]]:
    """The sums F and G of all pairs, (some items, items) each: the rows of all items, block after block."""
    items, num_items, weight = sessions.items, sessions.num_items, weight_of(sessions)
    for first, last in _blocks(sessions):
        block = None if last - first == num_items else (first, last)
        parts = [pairs_of(sessions, *part, of_items=block) for part in parts_of(sessions)]
        pairs = Pairs(*map(np.concatenate, zip(*parts, strict=True)))
        keys, *values = pairs.summed(items[pairs.one] - first, last - first, items, weight)
        yield [matrix_of(value, keys, (last - first, num_items)) for value in values]


def _blocks(sessions: SessionInteractions) -> Iterator[tuple[int, int]]:
    """The first and the last item, not included, of blocks that have about ``PAIRS_AT_ONCE`` pairs each."""
    total = 2 * sum(int(np.maximum(sessions.lengths - step, 0).sum()) for step in range(1, WINDOW + 1))
    number = max(-(-total // PAIRS_AT_ONCE), 1)
    events = np.bincount(sessions.items, minlength=sessions.num_items).cumsum()
    cuts = np.searchsorted(events, events[-1] * np.arange(1, number) / number)
    return pairwise(np.unique(np.r_[0, cuts, sessions.num_items]).tolist())
