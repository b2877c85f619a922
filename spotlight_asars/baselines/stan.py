"""What similar sessions have viewed around the latest item in common, where recent sessions weigh most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import positive
from spotlight_asars.baselines.matches import match, sum_matches
from spotlight_asars.baselines.neighbours import Pairs
from spotlight_asars.baselines.prefixes import Events, Prefixes
from spotlight_asars.baselines.session_knn import SessionKNN, check_neighbours

Floats = NDArray[np.float64]


class STAN(SessionKNN):
    r"""Sequence and time aware neighbourhoods (STAN).

    .. math:: w_1(j) = e^{-(|s| - p(j, s)) / \lambda_1}, \quad w_2(n) = e^{-(t_s - t_n) / \lambda_2}, \quad
              w_3(i, n) = e^{-|p(i, n) - p(i^*, n)| / \lambda_3}

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \frac{\sum_{j \in s \cap n} w_1(j)}{\sqrt{|s| \, |n|}} \, w_2(n) \,
              w_3(i, n) \, [i \in n]

    where p is the last position of an item in a session, and :math:`i^*` the latest item of s that n has, too. Of a
    session's time t its start is known. That of the current one is a factor common to all its neighbours; in its place
    stands that of the most recent of them: no ranking changes, and nothing vanishes in a log of years. Neighbours are
    chosen by similarity times :math:`w_2`.

    Parameters
    ----------
    k : int
        Neighbours.
    sample_size : int, optional
        Most recent sessions among which they are; None looks at all.
    position_decay : float
        :math:`\lambda_1`, in events.
    recency_decay : float
        :math:`\lambda_2`, in days.
    gap_decay : float
        :math:`\lambda_3`, in events.
    repeats : {"learned", "allowed"}
        As in ``SessionKNN``.

    References
    ----------
    D. Garg, P. Gupta, P. Malhotra, L. Vig, G. Shroff: Sequence and time aware neighborhood for session-based
    recommendations: STAN. SIGIR 2019.

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 4, 5]])
    >>> STAN().fit(sessions).predict([1, 2]).argmax()
    np.int64(3)
    """

    def __init__(
        self,
        k: int = 500,
        sample_size: int | None = 5000,
        position_decay: float = 1.02,
        recency_decay: float = 5.0,
        gap_decay: float = 2.05,
        repeats: str = "learned",
    ) -> None:
        check_neighbours(k, sample_size, "cosine", repeats)
        check_decays(position_decay=position_decay, recency_decay=recency_decay, gap_decay=gap_decay)
        super().__init__(k, sample_size, "cosine", repeats)
        self._position_decay, self._recency_decay, self._gap_decay = position_decay, recency_decay, gap_decay

    def _event_weights(self, events: Events) -> Floats:
        return np.exp((events.position - events.length) / self._position_decay)

    def _pair_weights(self, pairs: Pairs, prefixes: Prefixes) -> Floats | float:
        age = self._index.age[pairs.session]
        newest = np.full(len(prefixes), np.inf)
        np.minimum.at(newest, pairs.row, age)
        return np.exp((newest[pairs.row] - age) / self._recency_decay)

    def _sum_items(self, pairs: Pairs, events: Events, rows: slice, shape: tuple[int, int]) -> Floats:
        matches = match(pairs, events, rows, self._index)
        return sum_matches(pairs.similarity, pairs, matches, shape, np.exp(-matches.gap / self._gap_decay))


def check_decays(**decays: float) -> None:
    """Raise ``ValueError`` unless all are positive; infinity is no decay."""
    for name, decay in decays.items():
        positive(decay, name)
