"""Training sessions indexed by their items, the most recent first: so each sparse row lists recent sessions first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.baselines.counting import session_of_events
from spotlight_asars.baselines.prefixes import Floats, Ints, last_of_each
from spotlight_asars.events import DAY
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions


class Neighbours(NamedTuple):
    """Pairs of a prefix and a neighbour session, sorted by prefix.

    row : int64 (pairs,), number of the prefix
    session : int64 (pairs,), number of the session in the index
    similarity : float64 (pairs,)
    """

    row: Ints
    session: Ints
    similarity: Floats

    def pick(self, chosen: NDArray[np.bool_]) -> Neighbours:
        """The pairs where `chosen` is True."""
        return Neighbours._make(column[chosen] for column in self)


class SessionIndex:
    """Training sessions that can be found by their items.

    Attributes
    ----------
    positions : int64 (session, items), sparse
        Where each item of a session occurs last; 1 is the first event.
    incidence : float64 (session, items), sparse
        1 where a session has an item.
    sessions_of_item : float64 (items, session), sparse
        Its transpose.
    sizes : int64 (session,)
        Different items of each session.
    support : int64 (items,)
        Sessions that have each item.
    age : float64 (session,) [days]
        From the start of the session to that of the latest; 0 where unknown.
    users : int64 (session,)
        -1 where unknown.
    """

    def __init__(self, sessions: SessionInteractions) -> None:
        times = np.arange(len(sessions)) if sessions.started is None else sessions.started
        order = np.argsort(np.nan_to_num(times, nan=-np.inf), kind="stable")[::-1]  # unknown starts are not late
        recent = sessions.take(order)
        session = session_of_events(recent)
        last = last_of_each(session, recent.items.astype(np.int64))  # (entries,)
        session, items = session[last], recent.items[last].astype(np.int64)
        shape = len(recent), recent.num_items
        offsets = np.r_[0, np.cumsum(np.bincount(session, minlength=len(recent)))]
        self.positions = sp.csr_array((last - recent.offsets[session] + 1, items, offsets), shape=shape)
        self.incidence = sp.csr_array((np.ones(len(items)), items, offsets), shape=shape)
        self.sessions_of_item = sp.csr_array(self.incidence.T)
        self.sizes, self.support = np.diff(offsets), np.diff(self.sessions_of_item.indptr)
        started = np.zeros(len(recent)) if recent.started is None else recent.started
        latest = np.nanmax(started) if len(started) and not np.isnan(started).all() else 0.0
        self.age = np.nan_to_num(latest - started) / DAY
        self.users = np.full(len(recent), UNKNOWN_USER) if recent.user_ids is None else recent.user_ids

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sessions and of items."""
        return self.incidence.shape

    def rarity(self, idf: float) -> Floats:
        r"""1 + `idf` times :math:`\log(|S| / |S_i|)`, float64 (items,); an item without sessions counts as in one."""
        return 1.0 + idf * np.log(len(self.sizes) / np.maximum(self.support, 1))

    def sharing(self, queries: sp.csr_array, sample_size: int | None) -> Neighbours:
        """The most recent sessions that share an item with each query, and as similarity the weight of what they share.

        Parameters
        ----------
        queries : float64 (rows, items), sparse
            Weights of the items of each prefix, all positive.
        sample_size : int or None
            Sessions per query; None returns all.

        Returns
        -------
        Neighbours
            Of each query the most recent first.
        """
        shared = sp.csr_array(queries @ self.sessions_of_item)  # (rows, session)
        shared.sort_indices()
        counts = np.diff(shared.indptr)
        row = np.repeat(np.arange(len(counts)), counts)
        pairs = Neighbours(row, shared.indices.astype(np.int64), shared.data)
        if sample_size is None or counts.max(initial=0) <= sample_size:
            return pairs
        return pairs.pick(np.arange(len(row)) - shared.indptr[:-1][row] < sample_size)
