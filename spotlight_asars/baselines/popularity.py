"""The same ranking for everyone: what is viewed most."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.sessions.interactions import SessionInteractions


class MostPopular(Baseline):
    r"""Ranks items by their number of events in training, whatever the session.

    .. math:: r_i = |\{\text{events of item } i\}|

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 2], [0, 2, 3]])
    >>> MostPopular().fit(sessions).predict([1])[1:].tolist()
    [1.0, 3.0, 1.0]
    """

    def _learn(self, sessions: SessionInteractions) -> None:
        self._counts = np.bincount(sessions.items, minlength=sessions.num_items).astype(np.float64)

    def scores(self, prefixes: Prefixes) -> NDArray[np.float64]:
        """Numbers of events, the same in every row: float64 (rows, items)."""
        return np.tile(self._counts, (len(prefixes), 1))

    def _break_ties(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Popularity has had its say."""
        return scores
