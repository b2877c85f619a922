"""VS-KNN for returning users: earlier items extend a short session, own sessions count more, reminders are added."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp

from spotlight_asars._checks import number, whole
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.baselines.decays import PositionWeights, StepWeights
from spotlight_asars.baselines.neighbours.session_index import Neighbours
from spotlight_asars.baselines.neighbours.session_knn import Similarity
from spotlight_asars.baselines.neighbours.user_histories import UserHistories
from spotlight_asars.baselines.neighbours.vsknn import VSKNN
from spotlight_asars.baselines.prefixes import Events, Floats, Prefixes, last_of_each
from spotlight_asars.baselines.ties import rows_of_entries
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions


class UserVSKNN(VSKNN):
    r"""VS-KNN with the three extensions of Latifi, Mauro and Jannach for returning users.

    *Extend*: a session of less than m events is compared as if the user's latest earlier events, up to m in all, came
    before it. *Boost*: :math:`\mathrm{sim}'(s, n) = (1 + b \, [u_s = u_n]) \, \mathrm{sim}(s, n)`. *Remind*:

    .. math:: r'_i(s) = \frac{r_i(s)}{\max_j r_j(s)} + w \, \frac{1}{a_i}

    where :math:`a_i` counts how many of the user's sessions ago (1 is the one before) item i was viewed last, among the
    latest `remind_sessions`. For an unknown user this is VS-KNN.

    The paper has a weight each for neighbours and reminders, and leaves their scales open; division by the highest
    score leaves one weight. Of its two kinds of reminders this is that of recent interactions (IRec).

    Parameters
    ----------
    k, sample_size, weighting, weighting_score, idf, similarity, dwell, repeats
        As in ``VSKNN``.
    extend_session_length : int
        m; 1 extends only the empty session, 0 none.
    boost_own_sessions : float
        b.
    reminders : float
        w; 0 turns reminders off.
    remind_sessions : int
        Number of the user's latest sessions that reminders come from.

    References
    ----------
    S. Latifi, N. Mauro, D. Jannach: Session-aware recommendation: a surprising quest for the state-of-the-art.
    Information Sciences 573, 2021.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 3], [1, 4]], user_ids=[0, 1])
    >>> model = UserVSKNN().fit(sessions)
    >>> [int(model.predict([1], user_ids=[user]).argmax()) for user in (0, 1)]
    [3, 4]
    """

    def __init__(
        self,
        k: int = 100,
        sample_size: int | None = 1000,
        weighting: str | PositionWeights = "div",
        weighting_score: str | StepWeights = "div",
        idf: float = 5.0,
        similarity: str | Similarity = "dot",
        dwell: bool = False,
        repeats: str = "learned",
        extend_session_length: int = 3,
        boost_own_sessions: float = 0.5,
        reminders: float = 0.2,
        remind_sessions: int = 6,
    ) -> None:
        super().__init__(k, sample_size, weighting, weighting_score, idf, similarity, dwell, repeats)
        self._extend_session_length = whole(extend_session_length, "extend_session_length", least=0)
        self._boost_own_sessions = number(boost_own_sessions, "boost_own_sessions", least=0)
        self._reminders = number(reminders, "reminders", least=0)
        self._remind_sessions = whole(remind_sessions, "remind_sessions", least=1)

    def _count(self, sessions: SessionInteractions) -> None:
        super()._count(sessions)
        self._histories = UserHistories.of(sessions)

    def update(self, sessions: SequenceInteractions) -> UserVSKNN:
        """Add finished sessions to the histories of their users; neighbours and popularity stay those of ``fit``.

        Parameters
        ----------
        sessions : SessionInteractions or SequenceInteractions
            Later than those of ``fit`` and earlier updates.

        Returns
        -------
        UserVSKNN
            Itself.
        """
        catalogue = self.known_catalogue("update")
        finished = as_sessions(sessions)
        catalogue.check(finished, "sessions")
        self._histories = self._histories.followed_by(UserHistories.of(finished))
        return self

    @contextmanager
    def preserved_user_state(self) -> Iterator[None]:
        """A context that undoes all updates at its end."""
        kept = self._histories
        try:
            yield
        finally:
            self._histories = kept

    def evidence(self, prefixes: Prefixes) -> sp.csr_array:
        """Scores of VS-KNN plus reminders, sparse float64 (rows, items)."""
        scores = super().evidence(prefixes)
        if self._reminders == 0:
            return scores
        highest = scores.max(axis=1).toarray().ravel()
        highest = np.where(highest > 0, highest, 1.0)[rows_of_entries(scores)]
        scores.data = np.where(scores.data >= 0, scores.data / highest, scores.data)
        past = self._histories.latest_sessions(prefixes.users(), self._remind_sessions)
        last = last_of_each(past.row, past.items)
        recency = sp.csr_array(
            (self._reminders / past.sessions_ago[last], (past.row[last], past.items[last])), scores.shape
        )
        return sp.csr_array(scores + recency)

    def _compared_events(self, prefixes: Prefixes) -> Events:
        events = prefixes.events()
        lengths = np.bincount(events.row, minlength=len(prefixes))
        missing = np.maximum(self._extend_session_length - lengths, 0)
        earlier = self._histories.latest_events(prefixes.users(), missing)
        added = np.bincount(earlier.row, minlength=len(prefixes))
        row = np.r_[earlier.row, events.row]
        return Events(
            row,
            np.r_[earlier.items, events.items],
            np.r_[earlier.place, events.position + added[events.row]],
            (lengths + added)[row],
            np.r_[np.full(len(earlier.row), np.nan), events.dwell_times],
        )

    def _pair_weights(self, pairs: Neighbours, prefixes: Prefixes) -> Floats:
        user = prefixes.users()[pairs.row]
        own = (user >= 0) & (user == self._index.users[pairs.session])
        return 1.0 + self._boost_own_sessions * own
