"""A linear model of items that share sessions and of items that follow each other, solved in closed form."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from spotlight_asars._checks import number, one_of, positive, require, whole
from spotlight_asars.baselines.base import Baseline
from spotlight_asars.baselines.chunks import MOST_ENTRIES, in_chunks
from spotlight_asars.baselines.counting import divide_rows, occurrences, session_ages, session_of_events
from spotlight_asars.baselines.prefixes import Floats, Ints, Prefixes
from spotlight_asars.baselines.repeats import REPEATS, Repeats
from spotlight_asars.baselines.ties import popularity_ranks, rows_of_entries
from spotlight_asars.sessions.interactions import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges

MOST_ITEMS = 20_000  # two dense matrices (items, items) of float64: 6.4 GB
NUDGE = 1e-9  # of popularity, which orders items without any score


class SLIST(Baseline):
    r"""Session-aware linear similarity and transition model (SLIST).

    .. math:: \min_B \; \alpha \, \| W^{1/2} (X - \bar X B) \|^2
                     + (1 - \alpha) \, \| W'^{1/2} (T - \bar S B) \|^2 + \lambda \, \| B \|^2

    .. math:: B = \left( \alpha \bar X^\top W \bar X + (1 - \alpha) \bar S^\top W' \bar S + \lambda I \right)^{-1}
                  \left( \alpha \bar X^\top W X + (1 - \alpha) \bar S^\top W' T \right)

    .. math:: r_i(s) = \sum_{j=1}^{|s|} e^{-(|s| - j) / \delta_3} \, B_{s_j i}

    X has a row for each session, 1 for its items. S and T have a row for each event t of a session but the last: S the
    events p up to t, with the weights :math:`e^{-(t - p) / \delta_2}`, and T those after it, with
    :math:`e^{-(p - t - 1) / \delta_2}`. A bar divides rows by their sum. W and W' weigh each row by the age of its
    session, :math:`e^{-a_s / \delta_1}`.

    The solve takes the time of items³, and the memory of two dense matrices (items, items) of float64. Rare items, of
    which the log says little, can stay out of it: they keep their places in sessions, but have no columns, and score 0.

    Parameters
    ----------
    alpha : float
        Share of similarity, from 0 to 1; the rest is transition. 0 is SLIT, and 1 is SLIS without its bound on the
        diagonal of B.
    regularization : float
        :math:`\lambda`.
    recency_decay : float
        :math:`\delta_1`, in days. As in ``STAN``, age counts from the latest session; 0 where unknown.
    gap_decay : float
        :math:`\delta_2`, in events.
    position_decay : float
        :math:`\delta_3`, in events.
    min_support : int
        Items in fewer training sessions stay out of the solve.
    repeats : {"learned", "allowed"}
        As in ``SessionKNN``.

    Raises
    ------
    ValueError
        From ``fit``, if more than ``MOST_ITEMS`` items are to be solved.

    References
    ----------
    M. Choi, J. Kim, J. Lee, H. Shim, J. Lee: Session-aware linear item-item models for session-based recommendation.
    WWW 2021. That inputs are divided by their sum, and targets are not, is from its code, jin530/SLIST.

    Examples
    --------
    >>> sessions = SessionInteractions([[1, 2, 3], [0, 4, 5]])
    >>> SLIST().fit(sessions).predict([1, 2]).argmax().item()
    3
    """

    def __init__(
        self,
        alpha: float = 0.5,
        regularization: float = 10.0,
        recency_decay: float = 80.0,
        gap_decay: float = 1.0,
        position_decay: float = 1.5,
        min_support: int = 1,
        repeats: str = "learned",
    ) -> None:
        self._alpha = number(alpha, "alpha")
        require(0 <= alpha <= 1, "alpha must lie between 0 and 1", alpha)
        self._regularization = positive(regularization, "regularization")
        self._recency_decay = positive(recency_decay, "recency_decay")  # infinity is no decay
        self._gap_decay = positive(gap_decay, "gap_decay")
        self._position_decay = positive(position_decay, "position_decay")
        self._min_support = whole(min_support, "min_support", least=1)
        one_of(repeats, REPEATS, "repeats")
        self._repeats = repeats

    def _learn(self, sessions: SessionInteractions) -> None:
        support = np.bincount(occurrences(sessions).indices, minlength=sessions.num_items)
        self._solved = np.flatnonzero(support >= self._min_support)  # (solved,)
        if len(self._solved) > MOST_ITEMS:
            enough = np.sort(support)[-MOST_ITEMS - 1] + 1
            rule = f"min_support must be {enough} or more, so that {MOST_ITEMS} items or fewer are to be solved for"
            require(False, rule, self._min_support)
        gram, weights = self._products(sessions)
        gram[np.diag_indices_from(gram)] += self._regularization
        if len(self._solved):
            factor = scipy.linalg.cho_factor(gram, overwrite_a=True, check_finite=False)
            weights = scipy.linalg.cho_solve(factor, weights, overwrite_b=True, check_finite=False)
            del factor
        del gram
        self._weights = np.ascontiguousarray(weights)  # B; a sparse product would copy it each time
        self._popularity = popularity_ranks(sessions)
        self._excluded = Repeats.learn(sessions) if self._repeats == "learned" else Repeats()

    def _products(self, sessions: SessionInteractions) -> tuple[Floats, Floats]:
        """Both sums in the equation of B, without its regularization: float64 (solved, solved) each."""
        gram, shared = (np.zeros((len(self._solved),) * 2, order="F") for _ in range(2))  # as LAPACK has it: no copies
        weights = np.exp(-session_ages(sessions) / self._recency_decay)
        for rows in in_chunks(sessions.lengths**2, MOST_ENTRIES):
            chunk, weight = sessions.take(np.arange(rows.start, rows.stop)), weights[rows]
            viewed = occurrences(chunk)
            viewed.data[:] = 1.0
            past, future, session = partial_sessions(chunk, self._gap_decay)
            for inputs, targets, factor in (
                (viewed, viewed, self._alpha * weight),
                (past, future, (1 - self._alpha) * weight[session]),
            ):
                inputs, targets = inputs[:, self._solved], targets[:, self._solved]
                inputs = divide_rows(inputs, inputs.sum(axis=1))
                weighted = sp.csr_array(inputs.T @ sp.diags_array(factor))
                for total, product in ((gram, weighted @ inputs), (shared, weighted @ targets)):
                    total[rows_of_entries(product), product.indices] += product.data  # which has each place once
        return gram, shared

    def scores(self, prefixes: Prefixes) -> Floats:
        """Weighted sums of the rows of B, float64 (rows, items)."""
        events = prefixes.events()
        weight = np.exp((events.position - events.length) / self._position_decay)
        shape = len(prefixes), len(self._popularity)
        viewed = sp.csr_array(sp.coo_array((weight, (events.row, events.items)), shape=shape))
        scores = np.tile(NUDGE * self._popularity, (len(prefixes), 1))
        scores[:, self._solved] += viewed[:, self._solved] @ self._weights
        self._excluded.apply(scores, prefixes)
        return scores


def partial_sessions(sessions: SessionInteractions, gap_decay: float) -> tuple[sp.csr_array, sp.csr_array, Ints]:
    """The past and the future of each event but the last of its session, weighted by their distance from it.

    Returns
    -------
    past, future : float64 (rows, items), sparse
        S and T of ``SLIST``.
    session : int64 (rows,)
        The session of each row.

    Examples
    --------
    >>> past, future, _ = partial_sessions(SessionInteractions([[1, 2, 3]]), gap_decay=1.0)
    >>> past.toarray().round(2).tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.37, 1.0, 0.0]]
    >>> future.toarray().round(2).tolist()
    [[0.0, 0.0, 1.0, 0.37], [0.0, 0.0, 0.0, 1.0]]
    """
    session = session_of_events(sessions)
    start, stop = sessions.offsets[session], sessions.offsets[session + 1]
    event = np.flatnonzero(np.arange(len(session)) < stop - 1)  # (rows,)

    def weighted(first: Ints, end: Ints, nearest: Ints) -> sp.csr_array:
        """The events from `first` up to `end` of each row, where that at `nearest` weighs 1."""
        at = flat_ranges(first, end)
        weight = np.exp(-np.abs(at - np.repeat(nearest, end - first)) / gap_decay)
        columns, offsets = sessions.items[at].astype(np.int64), np.r_[0, np.cumsum(end - first)]
        return sp.csr_array((weight, columns, offsets), shape=(len(first), sessions.num_items))

    past, future = weighted(start[event], event + 1, event), weighted(event + 1, stop[event], event + 1)
    return past, future, session[event]
