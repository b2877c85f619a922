"""What this session has viewed most, and then what everyone does."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.sessions.interactions import SessionInteractions


class SessionPopularity(Baseline):
    r"""Ranks items by how often the session has viewed them; ties, and the rest, by overall popularity.

    .. math:: r_i(s) = |\{j : s_j = i\}| + \frac{\mathrm{place}(i)}{P}

    where place(i) counts the popularities in training that are smaller than that of i, out of P different ones: less
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
        """Only popularity is learned."""

    def scores(self, prefixes: Prefixes) -> NDArray[np.float64]:
        """Views in the session plus a fraction for the popularity: float64 (rows, items)."""
        num_items = len(self._popularity)
        events = prefixes.events()
        flat = np.bincount(events.row * num_items + events.items, minlength=len(prefixes) * num_items)
        return flat.reshape(len(prefixes), num_items) + self._popularity

    def _break_ties(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Popularity has had its say."""
        return scores
