"""Items of sessions that are similar in their latest items, weighed by how late both meet."""

from __future__ import annotations

import numpy as np

from spotlight_asars._checks import number, resolve
from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS, PositionWeights, StepWeights
from spotlight_asars.baselines.neighbours.matching import MatchedSessionKNN
from spotlight_asars.baselines.neighbours.session_aware import REMIND_SESSIONS
from spotlight_asars.baselines.neighbours.session_knn import Similarity
from spotlight_asars.baselines.prefixes import Events, Floats, Ints


class VSKNN(MatchedSessionKNN):
    r"""Vector-multiplication session kNN (VS-KNN): similar in the latest items, scored by the latest common one.

    .. math:: \mathrm{sim}(s, n) = \sum_{j \in s \cap n} w_p(j) \, d(j)

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, w_s(x_n) \, (1 + \lambda \, \mathrm{idf}(i)) \,
              [i \in n]

    where :math:`w_p` weighs an item by its last position in the session, :math:`w_s` a neighbour by how many steps
    :math:`x_n` ago (1 is the last item) the session viewed the latest common item, and
    :math:`\mathrm{idf}(i) = \log(|S| / |S_i|)` over the training sessions. With `dwell`, an item that was viewed for
    :math:`\delta_j` seconds has :math:`d(j) = 1 + \delta_j / \max_{j \in s} \delta_j`; where that is unknown, as for
    the last event, and without `dwell`, d = 1.

    Parameters
    ----------
    k : int
        Number of neighbours.
    sample_size : int, optional
        Number of most recent sessions to choose them from; None uses all.
    weighting : str or callable
        :math:`w_p`, one of ``POSITION_WEIGHTS`` or a function like them.
    weighting_score : str or callable
        :math:`w_s`, one of ``STEP_WEIGHTS`` or a function like them.
    idf : float
        :math:`\lambda`; 0 ignores the rarity of items.
    similarity : str or callable
        "dot" is the formula; "cosine" divides it by :math:`\sqrt{|s| \, |n|}`.
    dwell : bool
        Weigh items by their dwell times.
    repeats : {"learned", "allowed"}
        As in ``SessionKNN``.
    extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        Use of the user's earlier sessions, as in ``ReturningUsers``; none by default.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018.
    M. Ludewig, N. Mauro, S. Latifi, D. Jannach: Empirical analysis of session-based recommendation algorithms. User
    Modeling and User-Adapted Interaction 31, 2021 (the idf).

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 4]])
    >>> VSKNN().fit(sessions).predict([2, 1]).argsort()[::-1][:2].tolist()
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
        extend_session_length: int = 0,
        boost_own_sessions: float = 0.0,
        reminders: float = 0.0,
        remind_sessions: int = REMIND_SESSIONS,
        similar_reminders: float = 0.0,
    ) -> None:
        users = extend_session_length, boost_own_sessions, reminders, remind_sessions, similar_reminders
        super().__init__(k, sample_size, similarity, repeats, *users)
        resolve(weighting, POSITION_WEIGHTS, "weighting")
        resolve(weighting_score, STEP_WEIGHTS, "weighting_score")
        self._weighting, self._weighting_score, self._dwell = weighting, weighting_score, dwell
        self._idf = number(idf, "idf", least=0)

    def _event_weights(self, events: Events) -> Floats:
        weights = resolve(self._weighting, POSITION_WEIGHTS, "weighting")(events.position, events.length)
        return weights * relative_dwell(events) if self._dwell else weights

    def _step_weights(self, steps: Ints) -> Floats:
        return resolve(self._weighting_score, STEP_WEIGHTS, "weighting_score")(steps)


def relative_dwell(events: Events) -> Floats:
    """1 + the dwell time over the longest of the prefix, float64 (events,); 1 where unknown."""
    dwell = np.nan_to_num(events.dwell_times)
    longest = np.zeros(int(events.row.max(initial=-1)) + 1)
    np.maximum.at(longest, events.row, dwell)
    return 1.0 + dwell / np.where(longest > 0, longest, 1.0)[events.row]
