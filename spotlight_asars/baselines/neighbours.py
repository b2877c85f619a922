"""Which training sessions are most like a prefix: sparse products, a sample of the most recent, the best k.

Sessions are stored with the most recent first, so in a sorted sparse row the first are the most recent.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.baselines.prefixes import Events
from spotlight_asars.baselines.rules import session_of_events
from spotlight_asars.events import DAY
from spotlight_asars.sessions.interactions import SessionInteractions

MOST_NUMBERS = 2**22  # entries of the largest intermediate array, as far as one prefix allows


class Pairs(NamedTuple):
    """Prefixes with their neighbours, by prefix.

    row : int64 (pairs,), which prefix
    session : int64 (pairs,), which session of the index
    similarity : float64 (pairs,)
    """

    row: NDArray[np.int64]
    session: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def pick(self, chosen: slice | NDArray[np.bool_]) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.row[chosen], self.session[chosen], self.similarity[chosen])


class SessionIndex:
    """Training sessions, to be found by their items.

    Attributes
    ----------
    positions : int64 (session, items), sparse
        Where each item of a session occurs last; 1 is the first event.
    incidence : float64 (session, items), sparse
        1 where a session has an item.
    sizes : int64 (session,)
        Different items of each session.
    age : float64 (session,) [days]
        From the start of the session to that of the latest; as recent as the latest where unknown.
    users : int64 (session,)
        -1 where unknown.
    """

    def __init__(self, sessions: SessionInteractions) -> None:
        times = np.arange(len(sessions)) if sessions.started is None else sessions.started
        order = np.argsort(np.nan_to_num(times, nan=-np.inf), kind="stable")[::-1]  # unknown starts are not late
        recent = sessions.take(order)
        session, place = session_of_events(recent), np.arange(len(recent.items))
        events = Events(
            session,
            recent.items.astype(np.int64),
            place - recent.offsets[session] + 1,
            recent.lengths[session],
            np.full(len(place), np.nan),
        ).latest()
        shape = len(recent), recent.num_items
        offsets = np.r_[0, np.cumsum(np.bincount(events.row, minlength=len(recent)))]
        self.positions = sp.csr_array((events.position, events.items, offsets), shape=shape)
        self.incidence = sp.csr_array((np.ones(len(events.row)), events.items, offsets), shape=shape)
        self.sizes = np.diff(offsets)
        self.sessions_of_item = sp.csr_array(self.incidence.T)
        self.support = np.diff(self.sessions_of_item.indptr)  # (items,), sessions with each item
        started = np.zeros(len(recent)) if recent.started is None else recent.started
        latest = np.nanmax(started) if len(started) and not np.isnan(started).all() else 0.0
        self.age = np.nan_to_num(latest - started) / DAY
        self.users = np.full(len(recent), -1) if recent.user_ids is None else recent.user_ids

    def overlaps(self, queries: sp.csr_array, sample_size: int | None) -> Pairs:
        """The most recent sessions that share an item with each query, and the weight of what they share.

        Parameters
        ----------
        queries : float64 (rows, items), sparse
            Weights of the items of each prefix, all positive.
        sample_size : int or None
            Sessions for each; None takes all.

        Returns
        -------
        Pairs
            By query, the most recent first.
        """
        shared = sp.csr_array(queries @ self.sessions_of_item)  # (rows, session)
        shared.sort_indices()
        counts = np.diff(shared.indptr)
        row = np.repeat(np.arange(len(counts)), counts)
        pairs = Pairs(row, shared.indices.astype(np.int64), shared.data)
        if sample_size is None or counts.max(initial=0) <= sample_size:
            return pairs
        return pairs.pick(np.arange(len(row)) - shared.indptr[:-1][row] < sample_size)


def best_pairs(pairs: Pairs, num_rows: int, k: int) -> Pairs:
    """The k most similar of each row; of equally similar ones those that stand first.

    Takes time linear in the pairs: each row's k-th highest similarity parts those that are in from those that are out.
    """
    counts = np.bincount(pairs.row, minlength=num_rows)
    if counts.max(initial=0) <= k:
        return pairs
    first = np.cumsum(counts) - counts
    keep = np.ones(len(pairs.row), dtype=np.bool_)
    crowded = np.flatnonzero(counts > k)
    width = int(counts.max())
    parts = min(-(-len(crowded) * width // MOST_NUMBERS), len(crowded))
    for rows in np.array_split(crowded, parts):
        columns = np.arange(counts[rows].max())
        real = columns < counts[rows, None]  # (rows, width)
        places = first[rows, None] + columns
        similarity = np.where(real, pairs.similarity[np.where(real, places, 0)], -np.inf)
        kth = np.partition(similarity, len(columns) - k, axis=1)[:, [len(columns) - k]]
        above, equal = similarity > kth, similarity == kth
        room = k - above.sum(axis=1, keepdims=True)
        keep[places[real]] = (above | (equal & (equal.cumsum(axis=1) <= room)))[real]
    return pairs.pick(keep)


def in_chunks(costs: NDArray[np.int64], limit: int = MOST_NUMBERS) -> Iterator[slice]:
    """Slices of rows whose costs add up to `limit` at most, or of one row that alone costs more.

    >>> [(rows.start, rows.stop) for rows in in_chunks(np.array([3, 3, 9, 1]), limit=6)]
    [(0, 2), (2, 3), (3, 4)]
    """
    total = np.r_[0, np.cumsum(costs)]
    start = 0
    while start < len(costs):
        stop = max(int(np.searchsorted(total, total[start] + limit, side="right")) - 1, start + 1)
        yield slice(start, stop)
        start = stop
