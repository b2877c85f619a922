"""The items that the session viewed most, then those that everyone did."""

from __future__ import annotations

import numpy as np

from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.baselines.ties import popularity_ranks
from spotlight_asars.sessions.interactions import SessionInteractions


class SessionPopularity(Baseline):
    r"""Items by how often the session viewed them; ties, and all other items, by overall popularity.

    .. math:: r_i(s) = |\{j : s_j = i\}| + \frac{\mathrm{rank}(i)}{P}

    where rank(i) counts the popularities in training that are smaller than that of i, out of P different ones: less
    than one view in the session.

    References
    ----------
    B. Hidasi et al.: Session-based recommendations with recurrent neural networks. ICLR 2016 (as S-POP).

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 2], [0, 2, 3]])
    >>> SessionPopularity().fit(sessions).predict([3, 1, 3])[1:].tolist()
    [1.0, 0.5, 2.0]
    """

    def _learn(self, sessions: SessionInteractions) -> None:
        self._popularity = popularity_ranks(sessions)

    def scores(self, prefixes: Prefixes) -> Floats:
        """Views in the session plus a fraction for the popularity: float64 (rows, items)."""
        num_items = len(self._popularity)
        events = prefixes.events()
        flat = np.bincount(events.row * num_items + events.items, minlength=len(prefixes) * num_items)
        return flat.reshape(len(prefixes), num_items) + self._popularity
