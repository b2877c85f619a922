"""The order of items that have equal scores, by popularity; and ranks among scores of which most are such ties.

A positive score grows by up to ``NUDGE`` of itself, a score of 0 becomes a number in [-1, 0), and a negative score
stays. So items without evidence have the same scores after every prefix: sorted once, they are counted by a search.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.baselines.prefixes import Floats, Ints
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.sessions.interactions import SessionInteractions

NUDGE = 1e-4  # far less than the difference of two counts, far more than the precision of float32

Scores = NDArray[np.float32]


class Ties(NamedTuple):
    """How popularity breaks ties.

    popularity : float64 (items,), in [0, 1), as ``popularity_ranks`` gives it
    absent : float32 (items,), score of each item where it has no evidence; ``NEVER`` for padding
    in_order : float32 (items,), the same, sorted
    """

    popularity: Floats
    absent: Scores
    in_order: Scores

    @classmethod
    def of(cls, popularity: Floats) -> Ties:
        """From the popularity of each item, float64 (items,)."""
        absent = (popularity - 1.0).astype(np.float32)
        absent[PADDING_IDX] = NEVER
        return cls(popularity, absent, np.sort(absent))

    @classmethod
    def learn(cls, sessions: SessionInteractions) -> Ties:
        """From the popularity in these sessions."""
        return cls.of(popularity_ranks(sessions))

    def fill(self, evidence: sp.csr_array) -> Scores:
        """Scores that differ wherever popularity does.

        Parameters
        ----------
        evidence : float64 (rows, items), sparse
            Each item at most once in a row.

        Returns
        -------
        float32 (rows, items)

        Examples
        --------
        >>> ties = Ties.of(np.array([0.0, 0.0, 0.5, 0.5]))
        >>> ties.fill(sp.csr_array([[0.0, 0.0, 0.0, 1.0]]))[0, 1:].round(5).tolist()
        [-1.0, -0.5, 1.0000499486923218]
        """
        scores = np.tile(self.absent, (evidence.shape[0], 1))
        scores[rows_of_entries(evidence), evidence.indices] = self._broken(evidence)
        scores[:, PADDING_IDX] = NEVER
        return scores

    def rank(self, evidence: sp.csr_array, targets: Ints) -> Floats:
        """Rank of one target of each row among the scores of ``fill``: float64 (rows,).

        1 is highest, ties get the mean of their ranks, and a row with a NaN gives NaN.

        >>> ties = Ties.of(np.array([0.0, 0.0, 0.5, 0.5]))
        >>> ties.rank(sp.csr_array([[0.0, 0.0, 0.0, 1.0]] * 3), np.array([3, 2, 1])).tolist()
        [1.0, 2.0, 3.0]
        """
        row, scores, absent = rows_of_entries(evidence), self._broken(evidence), self.absent[evidence.indices]
        own = self.absent[targets]  # (rows,)
        is_target = evidence.indices == targets[row]
        own[row[is_target]] = scores[is_target]

        size, its_own = len(targets), own[row]  # (rows,), (entries,)
        above = _more(row, scores > its_own, absent > its_own, size) + len(self.in_order)
        above -= np.searchsorted(self.in_order, own, side="right")
        not_below = _more(row, scores >= its_own, absent >= its_own, size) + len(self.in_order)
        not_below -= np.searchsorted(self.in_order, own, side="left")
        ranks = (above + 1 + not_below) / 2
        ranks[row[np.isnan(scores)]] = np.nan
        return ranks

    def _broken(self, evidence: sp.csr_array) -> Scores:
        """The scores of the entries, with ties broken: float32 (entries,)."""
        scores, popularity = evidence.data, self.popularity[evidence.indices]
        nudged = np.where(scores > 0, scores * (1.0 + NUDGE * popularity), scores)
        return np.where(scores == 0, popularity - 1.0, nudged).astype(np.float32)


def _more(row: Ints, present: NDArray[np.bool_], absent: NDArray[np.bool_], rows: int) -> Ints:
    """How many more entries of each row have their scores there than would without evidence, int64 (rows,)."""
    return np.bincount(row[present], minlength=rows) - np.bincount(row[absent], minlength=rows)


def rows_of_entries(matrix: sp.csr_array) -> Ints:
    """Row of each entry of a sparse matrix, int64 (entries,)."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


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
