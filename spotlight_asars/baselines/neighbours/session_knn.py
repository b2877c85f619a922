"""Items of the most similar sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import numpy as np
import scipy.sparse as sp

from spotlight_asars._checks import number, one_of, resolve, whole
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.baselines.base import CountedBaseline
from spotlight_asars.baselines.chunks import MOST_ENTRIES, in_chunks
from spotlight_asars.baselines.neighbours.nearest import nearest, rows_of
from spotlight_asars.baselines.neighbours.session_aware import REMIND_SESSIONS, ReturningUsers
from spotlight_asars.baselines.neighbours.session_index import Neighbours, SessionIndex
from spotlight_asars.baselines.neighbours.user_histories import UserHistories
from spotlight_asars.baselines.prefixes import Events, Floats, Ints, Prefixes
from spotlight_asars.baselines.repeats import REPEATS, Repeats
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

KNN = TypeVar("KNN", bound="SessionKNN")
Similarity = Callable[[Floats, Ints, Ints], Floats]

SIMILARITIES: dict[str, Similarity] = {
    "cosine": lambda shared, own, other: shared / np.sqrt(own * other),
    "dot": lambda shared, own, other: shared,
}


class SessionKNN(CountedBaseline):
    r"""Session kNN (S-KNN): the items of the k most similar training sessions.

    .. math:: \mathrm{sim}(s, n) = \frac{|s \cap n|}{\sqrt{|s| \, |n|}}, \qquad
              r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, [i \in n]

    where s and n are the sets of items of the session and of a neighbour, which is one of the `sample_size` most recent
    sessions that share an item with s.

    Parameters
    ----------
    k : int
        Number of neighbours.
    sample_size : int, optional
        Number of most recent sessions to choose them from; None uses all.
    similarity : str or callable
        One of ``SIMILARITIES``, or a function like them of the shared weight and of both numbers of items.
    repeats : {"learned", "allowed"}
        "learned" excludes items that hardly ever come again in training; see ``Repeats``. Otherwise the last item
        itself, which the best neighbours share, often ranks first.
    extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        Use of the user's earlier sessions, as in ``ReturningUsers``; none by default.

    References
    ----------
    D. Jannach, M. Ludewig: When recurrent neural networks meet the neighborhood for session-based recommendation.
    RecSys 2017.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 4]])
    >>> SessionKNN(k=1).fit(sessions).predict([1, 2]).argsort()[-1].item()
    3
    """

    def __init__(
        self,
        k: int = 500,
        sample_size: int | None = 1000,
        similarity: str | Similarity = "cosine",
        repeats: str = "learned",
        extend_session_length: int = 0,
        boost_own_sessions: float = 0.0,
        reminders: float = 0.0,
        remind_sessions: int = REMIND_SESSIONS,
        similar_reminders: float = 0.0,
    ) -> None:
        self._k = whole(k, "k", least=1)
        self._sample_size = None if sample_size is None else whole(sample_size, "sample_size", least=1)
        resolve(similarity, SIMILARITIES, "similarity")
        one_of(repeats, REPEATS, "repeats")
        self._similarity, self._repeats = similarity, repeats
        self._extend_session_length = whole(extend_session_length, "extend_session_length", least=0)
        self._boost_own_sessions = number(boost_own_sessions, "boost_own_sessions", least=0)
        self._reminders = number(reminders, "reminders", least=0)
        self._similar_reminders = number(similar_reminders, "similar_reminders", least=0)
        self._remind_sessions = whole(remind_sessions, "remind_sessions", least=1)

    def _count(self, sessions: SessionInteractions) -> None:
        self._index = SessionIndex(sessions, self._sample_size)
        self._excluded = Repeats.learn(sessions) if self._repeats == "learned" else Repeats()
        self._users = ReturningUsers(
            UserHistories.of(sessions),
            self._extend_session_length,
            self._boost_own_sessions,
            self._reminders,
            self._remind_sessions,
            self._similar_reminders,
        )

    def update(self: KNN, sessions: SequenceInteractions) -> KNN:
        """Add finished sessions to the histories of their users; neighbours and popularity stay those of ``fit``.

        Parameters
        ----------
        sessions : SessionInteractions or SequenceInteractions
            Later than those of ``fit`` and earlier updates.

        Returns
        -------
        SessionKNN
            Itself.
        """
        catalogue = self.known_catalogue("update")
        finished = as_sessions(sessions)
        catalogue.check(finished, "sessions")
        self._users = replace(self._users, histories=self._users.histories.followed_by(UserHistories.of(finished)))
        return self

    @contextmanager
    def preserved_user_state(self) -> Iterator[Callable[[SessionInteractions], object]]:
        """A context that undoes all updates at its end; it gives the function that updates."""
        kept = self._users
        try:
            yield self.update
        finally:
            self._users = kept

    def evidence(self, prefixes: Prefixes) -> sp.csr_array:
        """Scores of the neighbours' items and of those that users are reminded of, sparse float64 (rows, items)."""
        index, events = self._index, self._users.extended(prefixes).latest()
        costs = np.bincount(events.row, index.found_by(events.items), minlength=len(prefixes))
        parts = [sp.csr_array((0, index.shape[1]))]
        for rows in in_chunks(costs, MOST_ENTRIES):
            own = rows_of(events, rows)
            pairs = self._neighbours(own, prefixes[rows])
            entries = np.bincount(pairs.row, index.sizes[pairs.session], minlength=rows.stop - rows.start)
            for part in in_chunks(entries + len(np.unique(own.items)), MOST_ENTRIES // 4):
                parts.append(self._sum_items(rows_of(pairs, part), rows_of(own, part), part.stop - part.start))
        found = self._excluded.exclude(sp.vstack(parts, format="csr"), prefixes)
        return self._users.remind(found, prefixes)

    def _neighbours(self, events: Events, prefixes: Prefixes) -> Neighbours:
        """The k nearest sessions of each prefix, by the last event of each of its items."""
        index, num_rows = self._index, len(prefixes)
        weights = self._event_weights(events)
        queries = sp.csr_array((weights, (events.row, events.items)), shape=(num_rows, index.shape[1]))
        queries.eliminate_zeros()
        pairs = index.sharing(queries)
        own = np.bincount(events.row, minlength=num_rows)
        compare = resolve(self._similarity, SIMILARITIES, "similarity")
        similarity = compare(pairs.similarity, own[pairs.row], index.sizes[pairs.session])
        similarity = similarity * self._pair_weights(pairs, num_rows) * self._users.boosts(pairs, prefixes, index)
        return nearest(pairs._replace(similarity=similarity), num_rows, self._k)

    def _event_weights(self, events: Events) -> Floats:
        """Weight of each item of a prefix in the comparison, float64 (events,)."""
        return np.ones(len(events.items))

    def _pair_weights(self, pairs: Neighbours, num_rows: int) -> Floats | float:
        """Factor of each similarity, before the nearest are chosen: float64 (pairs,)."""
        return 1.0

    def _sum_items(self, pairs: Neighbours, events: Events, num_rows: int) -> sp.csr_array:
        """Scores of the items of the neighbours, sparse float64 (rows, items)."""
        return pairs.table(pairs.session, num_rows, self._index.shape[0]) @ self._index.incidence
