"""The order of items that have equal scores: by popularity."""

from __future__ import annotations

import numpy as np

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.baselines.prefixes import Floats
from spotlight_asars.sessions.interactions import SessionInteractions

NUDGE = 1e-4  # far less than the difference of two counts, far more than the precision of float32


def break_ties(scores: Floats, popularity: Floats) -> Floats:
    """Scores (rows, items) that differ wherever popularity does.

    A positive score grows by up to ``NUDGE`` of itself, 0 becomes a number in [-1, 0), and a negative score stays.

    Parameters
    ----------
    scores : float64 (rows, items)
    popularity : float64 (items,)
        In [0, 1), as ``popularity_ranks`` gives it.

    Examples
    --------
    >>> break_ties(np.array([[0.0, 0.0, 1.0]]), np.array([0.0, 0.5, 0.5])).tolist()
    [[-1.0, -0.5, 1.00005]]
    """
    nudged = np.where(scores > 0, 1.0 + NUDGE * popularity, 1.0)
    nudged *= scores
    np.copyto(nudged, popularity - 1.0, where=scores == 0)
    return nudged


def popularity_ranks(sessions: SessionInteractions) -> Floats:
    """Rank of each item's popularity, the least popular first, over the number of ranks: float64 (items,), in [0, 1).

    Equally popular items share a rank. In float32 ranks stay distinct where large popularities would not.

    >>> popularity_ranks(SessionInteractions([[1, 2, 2], [0, 2, 3]])).tolist()
    [0.0, 0.0, 0.5, 0.0]
    """
    counts = np.bincount(sessions.items, minlength=sessions.num_items)
    counts[PADDING_IDX] = counts[1:].min(initial=len(sessions.items))  # padding adds no rank
    values, rank = np.unique(counts, return_inverse=True)
    return rank / len(values)
