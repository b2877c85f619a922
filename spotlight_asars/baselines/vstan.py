"""STAN and VS-KNN in one: both weigh what is viewed late, STAN recent sessions, VS-KNN the latest match and rarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import number
from spotlight_asars.baselines.matches import match, sum_matches
from spotlight_asars.baselines.neighbours import Pairs
from spotlight_asars.baselines.prefixes import Events
from spotlight_asars.baselines.stan import STAN, check_decays
from spotlight_asars.baselines.vsknn import inverse_frequency
from spotlight_asars.sessions.interactions import SessionInteractions

Floats = NDArray[np.float64]


class VSTAN(STAN):
    r"""STAN with the sequence-aware score and the idf of VS-KNN (VSTAN).

    .. math:: r_i(s) = \sum_{n \in N_k(s)} \mathrm{sim}(s, n) \, w_2(n) \, w_3(i, n) \, e^{-(x_n - 1) / \lambda_4} \,
              (1 + \lambda_5 \, \mathrm{idf}(i)) \, [i \in n]

    with the similarity and the weights of ``STAN``, and as in ``VSKNN`` :math:`x_n`, how many steps ago (1 is the last
    item) the session viewed what both have in common, and the idf.

    Parameters
    ----------
    k, sample_size, position_decay, recency_decay, gap_decay, repeats
        As in ``STAN``.
    match_decay : float
        :math:`\lambda_4`, in events.
    idf : float
        :math:`\lambda_5`; 0 leaves the rarity of items out.

    References
    ----------
    M. Ludewig, N. Mauro, S. Latifi, D. Jannach: Empirical analysis of session-based recommendation algorithms. User
    Modeling and User-Adapted Interaction 31, 2021.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 4, 5]])
    >>> VSTAN().fit(sessions).predict([1, 2]).argmax()
    np.int64(3)
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
    ) -> None:
        check_decays(match_decay=match_decay)
        number(idf, "idf", least=0)
        super().__init__(k, sample_size, position_decay, recency_decay, gap_decay, repeats)
        self._match_decay, self._idf = match_decay, idf

    def _learn(self, sessions: SessionInteractions) -> None:
        super()._learn(sessions)
        self._rarity = 1.0 + self._idf * inverse_frequency(self._index.support, len(self._index.sizes))

    def _sum_items(self, pairs: Pairs, events: Events, rows: slice, shape: tuple[int, int]) -> Floats:
        matches = match(pairs, events, rows, self._index)
        weights = pairs.similarity * np.exp((1 - matches.steps) / self._match_decay)
        gaps = np.exp(-matches.gap / self._gap_decay)
        return sum_matches(weights, pairs, matches, shape, gaps) * self._rarity
