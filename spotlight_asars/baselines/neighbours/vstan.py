"""STAN and VS-KNN in one: STAN's recent sessions and near items, VS-KNN's late matches and rare items."""

from __future__ import annotations

import numpy as np

from spotlight_asars._checks import number, positive
from spotlight_asars.baselines.neighbours.session_aware import REMIND_SESSIONS
from spotlight_asars.baselines.neighbours.stan import STAN
from spotlight_asars.baselines.prefixes import Floats, Ints


class VSTAN(STAN):
    r"""STAN with the sequence-aware score and the idf of VS-KNN (VSTAN).

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, w_2(n) \, w_3(i, n) \, e^{-(x_n - 1) / \lambda_4} \,
              (1 + \lambda_5 \, \mathrm{idf}(i)) \, [i \in n]

    with the similarity and the weights of ``STAN``. As in ``VSKNN``, :math:`x_n` is how many steps ago (1 is the last
    item) the session viewed the latest common item, and idf the rarity of an item.

    Parameters
    ----------
    k, sample_size, position_decay, recency_decay, gap_decay, repeats
        As in ``STAN``.
    match_decay : float
        :math:`\lambda_4`, in events.
    idf : float
        :math:`\lambda_5`; 0 ignores the rarity of items.
    extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        Use of the user's earlier sessions, as in ``ReturningUsers``; none by default.

    References
    ----------
    M. Ludewig, N. Mauro, S. Latifi, D. Jannach: Empirical analysis of session-based recommendation algorithms. User
    Modeling and User-Adapted Interaction 31, 2021.

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 4, 5]])
    >>> VSTAN().fit(sessions).predict([1, 2]).argmax().item()
    3
    """

    def __init__(
        self,
        k: int = 500,
        sample_size: int | None = 5000,
        position_decay: float = 1.02,
        recency_decay: float = 5.0,
        gap_decay: float = 2.05,
        match_decay: float = 1.02,
        idf: float = 5.0,
        repeats: str = "learned",
        extend_session_length: int = 0,
        boost_own_sessions: float = 0.0,
        reminders: float = 0.0,
        remind_sessions: int = REMIND_SESSIONS,
        similar_reminders: float = 0.0,
    ) -> None:
        users = extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        super().__init__(k, sample_size, position_decay, recency_decay, gap_decay, repeats, *users)
        self._match_decay = positive(match_decay, "match_decay")
        self._idf = number(idf, "idf", least=0)

    def _step_weights(self, steps: Ints) -> Floats:
        return np.exp((1 - steps) / self._match_decay)
