"""What a log shows before any model sees it: the data analysis of section 1.2 and Figure 1 of the paper.

Three questions, each with a function, and ``analyse`` for all of them:

- do a few items or categories fill a session (``top_shares``)?
- do users come back to what they clicked in earlier sessions (``repeat_rates``)?
- how long do they look, and is that gamma distributed (``dwell_histogram``)?

It must satisfy: every session weighs the same, whatever its length; the same sessions count at every k; a dwell of
zero is counted, never nudged; what has no answer, such as the repeats of users who never return, is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import one_of, require
from spotlight_asars.analysis.dwell import DwellHistogram, dwell_histogram
from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.events.vocabulary import Vocabulary

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Summary:
    """The log in numbers, as in Table 1 of the paper. Shares lie in 0..1."""

    events: int
    users: int  # with an event in this log, as items and categories
    items: int
    categories: int | None  # None for a log without categories
    sessions: int
    events_per_session: float  # mean
    median_events_per_session: float
    sessions_per_user: float  # mean
    single_sessions: float  # share of the sessions that are one event; there the top item has all clicks
    repeated_steps: float  # share of the steps inside sessions that stay on the item; NaN without steps


@dataclass(frozen=True, eq=False)
class TopShares:
    """Share of a session's clicks on its n-th most frequent item or category, n = 1..top; mean over `sessions`."""

    share: Floats  # (top,)
    sessions: int

    @property
    def cumulative(self) -> Floats:
        """Share of the n most frequent together, float (top,)."""
        return np.cumsum(self.share)


@dataclass(frozen=True, eq=False)
class RepeatRates:
    """Share of a session's clicks repeated from the k sessions before it, k = 1..back; mean over `sessions`."""

    rate: Floats  # (back,)
    sessions: int
    earlier: int  # sessions of the user before it that a session needs to count


@dataclass(frozen=True, eq=False)
class Analysis:
    """What ``analyse`` finds; None for the categories of a log without them. As text it is a table."""

    summary: Summary
    top_items: TopShares
    top_categories: TopShares | None
    repeated_items: RepeatRates
    repeated_categories: RepeatRates | None
    dwell: DwellHistogram

    def __str__(self) -> str:
        log, dwell = self.summary, self.dwell
        numbers = {
            "events": f"{log.events:,}",
            "users": f"{log.users:,}",
            "items": f"{log.items:,}",
            "categories": "-" if log.categories is None else f"{log.categories:,}",
            "sessions": f"{log.sessions:,}",
            "events per session, mean": _number(log.events_per_session),
            "events per session, median": _number(log.median_events_per_session),
            "sessions per user, mean": _number(log.sessions_per_user),
            "sessions of one event [%]": _percent(log.single_sessions),
            "steps that stay on the item [%]": _percent(log.repeated_steps),
            "dwell times that are zero [%]": _percent(dwell.zeros),
            "dwell times above zero": f"{dwell.positive:,}",
            "their median [s]": _number(dwell.median),
            "their gamma fit: shape": _number(dwell.shape),
            "their gamma fit: scale [s]": _number(dwell.scale),
            "distance from it (Kolmogorov-Smirnov)": _number(dwell.distance),
        }
        top = [("n-th most frequent", *map(str, range(1, len(self.top_items.share) + 1)))]
        for name, shares in (("item", self.top_items), ("category", self.top_categories)):
            if shares is not None:
                top.append((name, *map(_percent, shares.share)))
                top.append((f"{name}, first n together", *map(_percent, shares.cumulative)))
        back = [("k", *map(str, range(1, len(self.repeated_items.rate) + 1)))]
        for name, repeated in (("item", self.repeated_items), ("category", self.repeated_categories)):
            if repeated is not None:
                back.append((name, *map(_percent, repeated.rate)))
        parts = [
            _table(list(numbers.items())),
            f"share of a session's clicks [%], mean of {self.top_items.sessions:,} sessions\n{_table(top)}",
            f"clicks repeated from the user's previous k sessions [%], mean of {self.repeated_items.sessions:,} "
            f"sessions with at least {self.repeated_items.earlier} before them\n{_table(back)}",
        ]
        return "\n\n".join(parts)


def analyse(log: EventLog, inactivity: float = HOUR, top: int = 10, back: int = 10, earlier: int = 1) -> Analysis:
    """The data analysis of the paper, on any log: its summary and the three panels of Figure 1.

    Parameters
    ----------
    log : EventLog
        With or without categories.
    inactivity : float
        A session ends where its user is idle this long [s].
    top, back : int
        Largest n of ``top_shares`` and largest k of ``repeat_rates``.
    earlier : int
        Sessions of the user that ``repeat_rates`` asks for before one that counts.

    Returns
    -------
    Analysis
        Results by name; ``print`` shows them as a table, ``plots.plot_analysis`` as a figure.

    Raises
    ------
    ValueError
        If `inactivity` is not positive, or `top`, `back` or `earlier` not a whole number of 1 or more.

    References
    ----------
    Section 1.2, Figure 1 and Table 1 of the paper.

    Examples
    --------
    >>> log = EventLog([0, 0, 0], [1, 2, 1], [0, 30, 90000])
    >>> analyse(log).repeated_items.rate[:2]
    array([1., 1.])
    """
    categorised = log.categories is not None
    return Analysis(
        summary=summarise(log, inactivity),
        top_items=top_shares(log, "item", top, inactivity),
        top_categories=top_shares(log, "category", top, inactivity) if categorised else None,
        repeated_items=repeat_rates(log, "item", back, inactivity, earlier),
        repeated_categories=repeat_rates(log, "category", back, inactivity, earlier) if categorised else None,
        dwell=dwell_histogram(log, inactivity=inactivity),
    )


def summarise(log: EventLog, inactivity: float = HOUR) -> Summary:
    """Sizes of a log, and how its sessions look.

    Raises
    ------
    ValueError
        If `inactivity` is not positive.

    Examples
    --------
    >>> summarise(EventLog([0, 0, 1], [2, 2, 2], [0, 30, 7])).repeated_steps
    1.0
    """
    sessions = log.session_ids(inactivity)
    lengths = np.bincount(sessions)
    users = len(np.unique(log.user_ids))
    stays = (np.diff(log.item_ids) == 0)[np.diff(sessions) == 0]
    return Summary(
        events=len(log),
        users=users,
        items=len(np.unique(log.item_ids)),
        categories=None if log.categories is None else len(np.unique(_codes(log, "category"))),
        sessions=len(lengths),
        events_per_session=float(lengths.mean()),
        median_events_per_session=float(np.median(lengths)),
        sessions_per_user=len(lengths) / users,
        single_sessions=float((lengths == 1).mean()),
        repeated_steps=float(stays.mean()) if len(stays) else np.nan,
    )


def top_shares(log: EventLog, by: str = "item", top: int = 10, inactivity: float = HOUR) -> TopShares:
    r"""How much of a session its most frequent items, or categories, take (Figure 1, left).

    .. math:: share_n = \frac{1}{|S|} \sum_{s \in S} \frac{c_{s,(n)}}{|s|}

    with :math:`c_{s,(n)}` the clicks on the n-th most frequent item of session s; 0 in a session with fewer items.

    Parameters
    ----------
    log : EventLog
        All its sessions count, also those of one event, which put 1 on their top item: ``log.filter_support(item=0,
        session=2)`` leaves them out.
    by : {"item", "category"}
    top : int
        Largest n.
    inactivity : float
        A session ends where its user is idle this long [s].

    Raises
    ------
    ValueError
        If `inactivity` or `top` is not positive, `by` is another word, or the log has no categories.

    Examples
    --------
    >>> top_shares(EventLog([0, 0, 0, 0, 1], [5, 5, 7, 5, 7], [0, 1, 2, 3, 4]), top=3).share
    array([0.875, 0.125, 0.   ])
    """
    _whole(top, "top")
    session, _, share = _shares(log, by, inactivity)
    share = share[np.lexsort((-share, session))]  # sessions stand in order already, and so stay in place
    rank = np.arange(len(session)) - np.searchsorted(session, session)
    sessions = int(session[-1]) + 1
    total = np.bincount(rank[rank < top], weights=share[rank < top], minlength=top)
    return TopShares(total / sessions, sessions)


def repeat_rates(
    log: EventLog, by: str = "item", back: int = 10, inactivity: float = HOUR, earlier: int = 1
) -> RepeatRates:
    r"""How much of a session repeats the same user's previous k sessions (Figure 1, middle).

    .. math:: rate_k = \frac{1}{|S|} \sum_{s \in S} \frac{1}{|s|} \sum_{i \in s}
              [\, i \in s_{-1} \cup \dots \cup s_{-k} \,]

    with :math:`s_{-1}` the user's session before s. S holds every session whose user has at least `earlier` sessions
    before it, the same at each k: where there are fewer than k, all there are count. So the rates never fall with k.

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
        At ``earlier=back`` no rate at k rests on fewer than k sessions; but only the most active users are left.

    Returns
    -------
    RepeatRates
        Its rates are NaN where no session counts.

    Raises
    ------
    ValueError
        If `inactivity`, `back` or `earlier` is not positive, `by` is another word, or the log has no categories.

    Examples
    --------
    >>> log = EventLog([0, 0, 0, 0], [1, 2, 2, 1], [0, 10000, 20000, 20001])
    >>> repeat_rates(log, back=2).rate  # [2] repeats nothing, [2, 1] one click of [2] and both of [1], [2]
    array([0.25, 0.5 ])
    """
    _whole(back, "back")
    _whole(earlier, "earlier")
    session, code, share = _shares(log, by, inactivity)
    user = log.user_ids[np.flatnonzero(np.diff(log.session_ids(inactivity), prepend=-1))]  # (session,)
    first = np.flatnonzero(np.diff(user, prepend=-1))
    before = np.arange(len(user)) - np.repeat(first, np.diff(np.r_[first, len(user)]))  # a user's sessions adjoin
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
    return Vocabulary.learn(log.categories, first=0)[1]


def _shares(log: EventLog, by: str, inactivity: float) -> tuple[Ints, Ints, Floats]:
    """Each session's distinct items (or categories) and their shares of its events, sorted by session."""
    sessions, codes = log.session_ids(inactivity), _codes(log, by)
    span = int(codes.max()) + 1
    pairs, events = np.unique(sessions * span + codes, return_counts=True)
    return pairs // span, pairs % span, events / np.bincount(sessions)[pairs // span]


def _whole(value: int, argument: str) -> None:
    require(isinstance(value, (int, np.integer)) and value >= 1, f"{argument} must be a whole number, 1 or more", value)


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    """Rows of cells under each other: names to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [[f"{row[0]:<{widths[0]}}", *map("{:>{}}".format, row[1:], widths[1:])] for row in rows]
    return "\n".join(map("  ".join, lines))
