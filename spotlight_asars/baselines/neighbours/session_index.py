"""Training sessions indexed by their items, the most recent first: so each sparse row lists recent sessions first."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars.baselines.counting import session_ages, session_of_events
from spotlight_asars.baselines.prefixes import Floats, Ints, last_of_each
from spotlight_asars.baselines.ties import rows_of_entries
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

    def table(self, columns: Ints, num_rows: int, num_columns: int) -> sp.csr_array:
        """The similarities, each in the row of its prefix and in one of the `columns` (pairs,)."""
        offsets = np.r_[0, np.cumsum(np.bincount(self.row, minlength=num_rows))]
        return sp.csr_array((self.similarity, columns, offsets), shape=(num_rows, num_columns))


class SessionIndex:
    """Training sessions that can be found by their items.

    Parameters
    ----------
    sessions : SessionInteractions
    sample_size : int, optional
        How many of the most recent sessions to compare with a prefix; None takes all that share an item with it. No
        other than the most recent `sample_size` sessions of each of its items can be among these, so that the others
        are not even listed.

    Attributes
    ----------
    positions : int64 (session, items), sparse
        Where each item of a session occurs last; 1 is the first event.
    incidence : float64 (session, items), sparse
        1 where a session has an item.
    sessions_of_item : float64 (items, session), sparse
        1 for the most recent `sample_size` sessions that have an item.
    sizes : int64 (session,)
        Different items of each session.
    support : int64 (items,)
        Sessions that have each item.
    age : float64 (session,) [days]
        From the start of the session to that of the latest; 0 where unknown.
    users : int64 (session,)
        -1 where unknown.
    """

    def __init__(self, sessions: SessionInteractions, sample_size: int | None = None) -> None:
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
        sessions_of_item = sp.csr_array(self.incidence.T)
        self.sizes, self.support = np.diff(offsets), np.diff(sessions_of_item.indptr)
        self.sessions_of_item, self._sample_size = first_of_each_row(sessions_of_item, sample_size), sample_size
        self.age = session_ages(recent)
        self.users = np.full(len(recent), UNKNOWN_USER) if recent.user_ids is None else recent.user_ids

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of sessions and of items."""
        return self.incidence.shape

    def rarity(self, idf: float) -> Floats:
        r"""1 + `idf` times :math:`\log(|S| / |S_i|)`, float64 (items,); an item without sessions counts as in one."""
        return 1.0 + idf * np.log(len(self.sizes) / np.maximum(self.support, 1))

    def found_by(self, items: Ints) -> Ints:
        """How many sessions are looked at for each of these items, int64 (events,)."""
        return np.diff(self.sessions_of_item.indptr)[items]

    def sharing(self, queries: sp.csr_array) -> Neighbours:
        """The most recent sessions that share an item with each query, and as similarity the weight of what they share.

        Parameters
        ----------
        queries : float64 (rows, items), sparse
            Weights of the items of each prefix, all positive.

        Returns
        -------
        Neighbours
            Of each query the most recent first.
        """
        shared = queries @ self.sessions_of_item  # (rows, session)
        shared.sort_indices()
        shared = first_of_each_row(shared, self._sample_size)
        return Neighbours(rows_of_entries(shared), shared.indices.astype(np.int64), shared.data)


def first_of_each_row(matrix: sp.csr_array, count: int | None) -> sp.csr_array:
    """The first `count` entries of each row of a sparse matrix; None keeps all.

    >>> first_of_each_row(sp.csr_array([[1, 2, 3], [0, 0, 4]]), 2).toarray().tolist()
    [[1, 2, 0], [0, 0, 4]]
    """
    lengths = np.diff(matrix.indptr)
    if count is None or lengths.max(initial=0) <= count:
        return matrix
    kept = np.arange(len(matrix.indices)) - np.repeat(matrix.indptr[:-1], lengths) < count
    offsets = np.r_[0, np.cumsum(np.minimum(lengths, count))]
    return sp.csr_array((matrix.data[kept], matrix.indices[kept], offsets), shape=matrix.shape)
