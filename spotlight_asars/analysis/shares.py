"""How clicks concentrate within a session and come back across sessions: Figure 1 of the paper, left and middle.

Every session has the same weight, whatever its length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import one_of, whole
from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.events.distinct import distinct

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TopShares:
    """Shares of a session's clicks on its n-th most frequent item or category, n = 1..top; mean over sessions."""

    share: Floats  # (top,)
    sessions: int

    @property
    def cumulative(self) -> Floats:
        """Share of the n most frequent together, float (top,)."""
        return np.cumsum(self.share)


@dataclass(frozen=True, eq=False)
class RepeatRates:
    """Shares of a session's clicks repeated from the k sessions before it, k = 1..back; mean over sessions."""

    rate: Floats  # (back,)
    sessions: int
    earlier: int  # number of the user's earlier sessions that a session needs to count


def top_shares(log: EventLog, by: str = "item", top: int = 10, inactivity: float = HOUR) -> TopShares:
    r"""The share of a session's clicks on its most frequent items, or categories (Figure 1, left).

    .. math:: share_n = \frac{1}{|S|} \sum_{s \in S} \frac{c_{s,(n)}}{|s|}

    with :math:`c_{s,(n)}` the clicks on the n-th most frequent item of session s, 0 where it has fewer items.

    Parameters
    ----------
    log : EventLog
        All sessions count, also those of one event, where the top item has all clicks; ``log.filter_support(item=0,
        session=2)`` drops these.
    by : {"item", "category"}
    top : int
        Largest n.
    inactivity : float
        A session ends where its user is idle this long [s].

    Raises
    ------
    ValueError
        If `inactivity` or `top` is not positive, `by` is another word, or the log has no categories.
    TypeError
        If `top` is no whole number.

    Examples
    --------
    >>> top_shares(EventLog([0, 0, 0, 0, 1], [5, 5, 7, 5, 7], [0, 1, 2, 3, 4]), top=3).share
    array([0.875, 0.125, 0.   ])
    """
    whole(top, "top", least=1)
    session, _, share = _shares(log, by, inactivity)
    share = share[np.lexsort((-share, session))]  # `session` is sorted already, and so does not change
    rank = np.arange(len(session)) - np.searchsorted(session, session)
    sessions = int(session[-1]) + 1
    total = np.bincount(rank[rank < top], weights=share[rank < top], minlength=top)
    return TopShares(total / sessions, sessions)


def repeat_rates(
    log: EventLog, by: str = "item", back: int = 10, inactivity: float = HOUR, earlier: int = 1
) -> RepeatRates:
    r"""The share of a session's clicks that repeat the user's previous k sessions (Figure 1, middle).

    .. math:: rate_k = \frac{1}{|S|} \sum_{s \in S} \frac{1}{|s|} \sum_{i \in s}
              [\, i \in s_{-1} \cup \dots \cup s_{-k} \,]

    with :math:`s_{-1}` the user's session before s, and S the sessions before which their user has at least `earlier`
    others. S is the same at each k; where there are fewer than k earlier sessions, all of them count. So the rates
    never fall with k.

    Parameters
    ----------
    log : EventLog
    by : {"item", "category"}
        What is repeated.
    back : int
        Largest k.
    inactivity : float
        A session ends where its user is idle this long [s].
    earlier : int
        With ``earlier=back`` each rate at k looks back on k sessions, but only the most active users are left.

    Returns
    -------
    RepeatRates
        Its rates are NaN where no session counts.

    Raises
    ------
    ValueError
        If `inactivity`, `back` or `earlier` is not positive, `by` is another word, or the log has no categories.
    TypeError
        If `back` or `earlier` is no whole number.

    Examples
    --------
    >>> log = EventLog([0, 0, 0, 0], [1, 2, 2, 1], [0, 10000, 20000, 20001])
    >>> repeat_rates(log, back=2).rate  # [2] repeats nothing, [2, 1] one click of [2] and both of [1], [2]
    array([0.25, 0.5 ])
    """
    whole(back, "back", least=1)
    whole(earlier, "earlier", least=1)
    session, code, share = _shares(log, by, inactivity)
    user = log.user_ids[np.flatnonzero(np.diff(log.session_ids(inactivity), prepend=-1))]  # (session,)
    first = np.flatnonzero(np.diff(user, prepend=-1))
    before = np.arange(len(user)) - np.repeat(first, np.diff(np.r_[first, len(user)]))  # earlier sessions of the user
    counts = before >= earlier

    order = np.lexsort((session, code, user[session]))
    session, code, share = session[order], code[order], share[order]
    ago = np.full(len(session), back + 1)  # sessions since the user clicked it last
    again = (np.diff(code) == 0) & (np.diff(user[session]) == 0)
    ago[1:][again] = np.minimum(np.diff(session)[again], back + 1)

    counted = counts[session]
    total = np.cumsum(np.bincount(ago[counted], weights=share[counted], minlength=back + 2)[1 : back + 1])
    sessions = int(counts.sum())
    return RepeatRates(total / sessions if sessions else np.full(back, np.nan), sessions, earlier)


def _codes(log: EventLog, by: str) -> Ints:
    """A number for each event's item or category."""
    one_of(by, ("item", "category"), "by")
    if by == "item":
        return log.item_ids.astype(np.int64)
    if log.categories is None:
        raise ValueError(f"by must be 'item' for a log without categories; got {by!r}")
    return distinct(log.categories)[1]


def _shares(log: EventLog, by: str, inactivity: float) -> tuple[Ints, Ints, Floats]:
    """Each session's distinct items (or categories) and their shares of its events, sorted by session."""
    sessions, codes = log.session_ids(inactivity), _codes(log, by)
    span = int(codes.max()) + 1
    pairs, events = np.unique(sessions * span + codes, return_counts=True)
    return pairs // span, pairs % span, events / np.bincount(sessions)[pairs // span]
