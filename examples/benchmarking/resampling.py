"""Bootstrap over test sessions: how far a mean, or the difference of two models, may be from that of other sessions.

Sessions are drawn and not targets, for the targets of one session are much alike. All models of a data set are looked
at in the same draws, so a difference is that of the same sessions: a paired test.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DRAWS = 2000
LEVEL = 0.95


@lru_cache(maxsize=1)
def draw_sessions(sessions: int, draws: int = DRAWS, seed: int = 0) -> Floats:
    """How often each session is drawn, float64 (draws, sessions): each row of as many as there are, with replacement.

    >>> draw_sessions(3, draws=2).sum(axis=1).tolist()
    [3.0, 3.0]
    """
    random = RandomState(seed)
    return (
        np.stack([np.bincount(random.randint(sessions, size=sessions), minlength=sessions) for _ in range(draws)]) * 1.0
    )


def session_sums(values: Floats, sessions: NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Sum of the values, and number of them, of each session that has one: float64 (sessions,) both."""
    _, place = np.unique(sessions, return_inverse=True)
    return np.bincount(place, values), np.bincount(place).astype(np.float64)


def drawn_means(sums: Floats, counts: Floats, drawn: Floats) -> Floats:
    r"""Mean over the targets of the drawn sessions, float64 (draws,).

    .. math:: m_b = \frac{\sum_s w_{bs} \sum_{t \in s} v_t}{\sum_s w_{bs} |s|}
    """
    return (drawn @ sums) / (drawn @ counts)


def interval(means: Floats, level: float = LEVEL) -> tuple[float, float]:
    """What lies in the middle `level` of the draws."""
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def p_value(differences: Floats) -> float:
    """Two-sided: how seldom the difference has the other sign; never 0, for there are but so many draws.

    >>> p_value(np.array([0.2, 0.1, -0.1, 0.3, 0.2, 0.1, 0.2]))
    0.5
    """
    seldom = min((differences <= 0).sum(), (differences >= 0).sum())
    return min(1.0, 2 * (1 + int(seldom)) / (1 + len(differences)))
