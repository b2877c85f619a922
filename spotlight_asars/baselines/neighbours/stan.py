"""Items around the latest common item in similar sessions, of which recent ones weigh most."""

from __future__ import annotations

import numpy as np

from spotlight_asars._checks import positive
from spotlight_asars.baselines.neighbours.matching import MatchedSessionKNN
from spotlight_asars.baselines.neighbours.session_aware import REMIND_SESSIONS
from spotlight_asars.baselines.neighbours.session_index import Neighbours
from spotlight_asars.baselines.prefixes import Events, Floats, Ints


class STAN(MatchedSessionKNN):
    r"""Sequence and time aware neighbourhoods (STAN).

    .. math:: w_1(j) = e^{-(|s| - p(j, s)) / \lambda_1}, \quad w_2(n) = e^{-(t_s - t_n) / \lambda_2}, \quad
              w_3(i, n) = e^{-|p(i, n) - p(i^*, n)| / \lambda_3}

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \frac{\sum_{j \in s \cap n} w_1(j)}{\sqrt{|s| \, |n|}} \, w_2(n) \,
              w_3(i, n) \, [i \in n]

    where p is the last position of an item in a session, and :math:`i^*` the latest item of s that n has, too. The time
    t of a session is its start. As :math:`t_s` is a factor common to all neighbours of s, the start of the most recent
    of them takes its place: this changes no ranking, and no weight underflows in a log of years. Neighbours are chosen
    by similarity times :math:`w_2`.

    Parameters
    ----------
    k : int
        Number of neighbours.
    sample_size : int, optional
        Number of most recent sessions to choose them from; None uses all.
    position_decay : float
        :math:`\lambda_1`, in events.
    recency_decay : float
        :math:`\lambda_2`, in days.
    gap_decay : float
        :math:`\lambda_3`, in events.
    repeats : {"learned", "allowed"}
        As in ``SessionKNN``.
    extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        Use of the user's earlier sessions, as in ``ReturningUsers``; none by default.

    References
    ----------
    D. Garg, P. Gupta, P. Malhotra, L. Vig, G. Shroff: Sequence and time aware neighborhood for session-based
    recommendations: STAN. SIGIR 2019.

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 4, 5]])
    >>> STAN().fit(sessions).predict([1, 2]).argmax().item()
    3
    """

    def __init__(
        self,
        k: int = 500,
        sample_size: int | None = 5000,
        position_decay: float = 1.02,
        recency_decay: float = 5.0,
        gap_decay: float = 2.05,
        repeats: str = "learned",
        extend_session_length: int = 0,
        boost_own_sessions: float = 0.0,
        reminders: float = 0.0,
        remind_sessions: int = REMIND_SESSIONS,
        similar_reminders: float = 0.0,
    ) -> None:
        users = extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        super().__init__(k, sample_size, "cosine", repeats, *users)
        self._position_decay = positive(position_decay, "position_decay")  # infinity is no decay
        self._recency_decay = positive(recency_decay, "recency_decay")
        self._gap_decay = positive(gap_decay, "gap_decay")

    def _event_weights(self, events: Events) -> Floats:
        return np.exp((events.position - events.length) / self._position_decay)

    def _pair_weights(self, pairs: Neighbours, num_rows: int) -> Floats:
        age = self._index.age[pairs.session]
        newest = np.full(num_rows, np.inf)
        np.minimum.at(newest, pairs.row, age)
        return np.exp((newest[pairs.row] - age) / self._recency_decay)

    def _gap_weights(self, gap: Ints) -> Floats:
        return np.exp(-gap / self._gap_decay)
