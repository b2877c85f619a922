"""The most viewed items, the same for everyone."""

from __future__ import annotations

import numpy as np

from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.sessions.interactions import SessionInteractions


class MostPopular(Baseline):
    r"""Items by their number of events in training, whatever the session.

    .. math:: r_i = |\{\text{events of item } i\}|

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 2], [0, 2, 3]])
    >>> MostPopular().fit(sessions).predict([1])[1:].tolist()
    [1.0, 3.0, 1.0]
    """

    def _learn(self, sessions: SessionInteractions) -> None:
        self._counts = np.bincount(sessions.items, minlength=sessions.num_items).astype(np.float64)

    def scores(self, prefixes: Prefixes) -> Floats:
        """Events of each item, the same in every row: float64 (rows, items)."""
        return np.tile(self._counts, (len(prefixes), 1))
