"""Pairs of events near each other in a session, and their sums by item or by any other group of events."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.memory.sparse_rows import keys_of
from spotlight_asars.sessions.interactions import SessionInteractions

WINDOW = 10  # events that two events are apart at most to be counted together
EVENTS_AT_ONCE = 500_000  # whose pairs are counted together


class Pairs(NamedTuple):
    """Pairs of different items near each other in a session.

    before, after : int64 (pairs,), places of the two events in the log
    items : int32 (events,), of the log
    weight : float64 (items,), :math:`1 / \\sqrt{n_i}`
    """

    before: NDArray[np.int64]
    after: NDArray[np.int64]
    items: NDArray[np.int32]
    weight: NDArray[np.float64]

    def summed(self, row: NDArray[Any], rows: int) -> tuple[NDArray[Any], ...]:
        """What the pairs add to F and G, or to matrices with a `row` for each event of the log, (events,).

        Returns
        -------
        keys : int64 (entries,)
            Row times items plus column, rising.
        follows, together : float64 (entries,)
        """
        one, other = np.r_[self.before, self.after], np.r_[self.after, self.before]
        follows = np.r_[1.0 / (self.after - self.before), np.zeros(len(self.before))]
        both = follows + 1j * self.weight[self.items[one]]  # so both are summed at once
        matrix = sp.csr_array(sp.coo_array((both, (row[one], self.items[other])), shape=(rows, len(self.weight))))
        matrix.sort_indices()
        return keys_of(matrix), matrix.data.real, matrix.data.imag


def pairs_in_parts(sessions: SessionInteractions) -> Iterator[Pairs]:
    """The pairs of all sessions, of about ``EVENTS_AT_ONCE`` events at a time."""
    weight = 1.0 / np.sqrt(np.maximum(np.bincount(sessions.items, minlength=sessions.num_items), 1))
    offsets = sessions.offsets
    cuts = np.searchsorted(offsets, np.arange(0, offsets[-1], EVENTS_AT_ONCE), side="right") - 1
    for first, last in pairwise(np.unique(np.r_[cuts, len(offsets) - 1])):
        start = offsets[first]
        begin = np.repeat(offsets[first:last], sessions.lengths[first:last])  # of the session of each event
        place = np.arange(start, offsets[last])
        late = [place[step:][begin[step:] <= place[:-step]] for step in range(1, WINDOW + 1)]
        after = np.concatenate(late)
        before = after - np.repeat(np.arange(1, WINDOW + 1), [len(part) for part in late])
        different = sessions.items[before] != sessions.items[after]
        yield Pairs(before[different], after[different], sessions.items, weight)
