"""What similar sessions have viewed, where the latest items weigh most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import number, resolve
from spotlight_asars.baselines.decays import POSITION_WEIGHTS, STEP_WEIGHTS, ByPosition, ByStep
from spotlight_asars.baselines.matches import match, sum_matches
from spotlight_asars.baselines.neighbours import Pairs
from spotlight_asars.baselines.prefixes import Events
from spotlight_asars.baselines.session_knn import SessionKNN, Similarity, check_neighbours
from spotlight_asars.sessions.interactions import SessionInteractions

Floats = NDArray[np.float64]


class VSKNN(SessionKNN):
    r"""Vector-multiplication session kNN (VS-KNN): similar in the latest items, scored by the latest in common.

    .. math:: \mathrm{sim}(s, n) = \sum_{j \in s \cap n} w_p(j) \, d(j)

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, w_s(x_n) \, (1 + \lambda \, \mathrm{idf}(i)) \,
              [i \in n]

    where :math:`w_p` weighs an item by its last position in the session, :math:`w_s` a neighbour by how many steps
    :math:`x_n` ago (1 is the last item) the session viewed what both have in common, and
    :math:`\mathrm{idf}(i) = \log(|S| / |S_i|)` over the training sessions. Dwell, where it is used, makes
    :math:`d(j) = 1 + \delta_j / \max_{j \in s} \delta_j`; unknown dwell has d = 1, as has the last event.

    Parameters
    ----------
    k : int
        Neighbours.
    sample_size : int, optional
        Most recent sessions among which they are; None looks at all.
    weighting : str or callable
        :math:`w_p`, one of ``POSITION_WEIGHTS`` or a function like them.
    weighting_score : str or callable
        :math:`w_s`, one of ``STEP_WEIGHTS`` or a function like them.
    idf : float
        :math:`\lambda`; 0 leaves the rarity of items out.
    similarity : str or callable
        "dot" is the formula; "cosine" divides it by :math:`\sqrt{|s| \, |n|}`.
    dwell : bool
        Weigh items by the dwell on them.
    repeats : {"learned", "allowed"}
        As in ``SessionKNN``.

    References
    ----------
    M. Ludewig, D. Jannach: Evaluation of session-based recommendation algorithms. User Modeling and User-Adapted
    Interaction 28, 2018.
    M. Ludewig, N. Mauro, S. Latifi, D. Jannach: Empirical analysis of session-based recommendation algorithms. User
    Modeling and User-Adapted Interaction 31, 2021 (the idf).

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 1, 4]])
    >>> VSKNN().fit(sessions).predict([2, 1]).argsort()[::-1][:2].tolist()
    [3, 4]
    """

    def __init__(
        self,
        k: int = 100,
        sample_size: int | None = 1000,
        weighting: str | ByPosition = "div",
        weighting_score: str | ByStep = "div",
        idf: float = 5.0,
        similarity: str | Similarity = "dot",
        dwell: bool = False,
        repeats: str = "learned",
    ) -> None:
        check_neighbours(k, sample_size, similarity, repeats)
        resolve(weighting, POSITION_WEIGHTS, "weighting")
        resolve(weighting_score, STEP_WEIGHTS, "weighting_score")
        number(idf, "idf", least=0)
        super().__init__(k, sample_size, similarity, repeats)
        self._weighting, self._weighting_score, self._idf, self._dwell = weighting, weighting_score, idf, dwell

    def _learn(self, sessions: SessionInteractions) -> None:
        super()._learn(sessions)
        self._rarity = 1.0 + self._idf * inverse_frequency(self._index.support, len(self._index.sizes))

    def _event_weights(self, events: Events) -> Floats:
        weights = resolve(self._weighting, POSITION_WEIGHTS, "weighting")(events.position, events.length)
        return weights * relative_dwell(events) if self._dwell else weights

    def _sum_items(self, pairs: Pairs, events: Events, rows: slice, shape: tuple[int, int]) -> Floats:
        matches = match(pairs, events, rows, self._index)
        weigh = resolve(self._weighting_score, STEP_WEIGHTS, "weighting_score")
        return sum_matches(pairs.similarity * weigh(matches.steps), pairs, matches, shape) * self._rarity


def inverse_frequency(support: NDArray[np.int64], num_sessions: int) -> Floats:
    r""":math:`\log(|S| / |S_i|)`, float64 (items,); that of a single session where an item has none."""
    return np.log(num_sessions / np.maximum(support, 1))


def relative_dwell(events: Events) -> Floats:
    """1 + dwell over the longest of the prefix, float64 (events,); 1 where unknown."""
    dwell = np.nan_to_num(events.dwell)
    longest = np.zeros(int(events.row.max(initial=-1)) + 1)
    np.maximum.at(longest, events.row, dwell)
    return 1.0 + dwell / np.where(longest > 0, longest, 1.0)[events.row]
