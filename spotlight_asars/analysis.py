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
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from spotlight_asars._checks import one_of, reject, require
from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.vocabulary import Vocabulary

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

REACH = 0.9  # quantile of dwell up to which there are bars
BINS = 50  # bars up to there, at most
FINEST = 1e-6  # [s] narrowest bar
SAME = 1e-9  # of log mean - mean log: dwell times as near to each other as this have no gamma fit


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
class DwellHistogram:
    """Dwell times above zero in bars, beside their gamma distribution.

    A bar holds its right edge: on whole seconds (0, 5] and (5, 10] hold five values each.
    """

    edges: Floats  # (bins + 1,) [s]
    density: Floats  # (bins,) [1/s], observed
    fitted: Floats  # (bins,) [1/s], of the gamma distribution, mean over each bar
    positive: int  # number of dwell times above zero, on which all but `zeros` rests
    zeros: float  # share of zero in the known dwell times; a gamma distribution has no room for it
    outside: float  # share that no bar holds
    median: float  # [s]
    shape: float
    scale: float  # [s]
    distance: float  # Kolmogorov-Smirnov: largest distance, 0..1, of observed and fitted cumulative distribution


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


def dwell_histogram(log: EventLog, edges: ArrayLike | None = None, inactivity: float = HOUR) -> DwellHistogram:
    r"""Dwell times as a normalised histogram, with the gamma distribution nearest to them (Figure 1, right).

    .. math:: f(\delta) = \frac{\delta^{a-1} e^{-\delta / b}}{\Gamma(a)\, b^a}, \quad \delta > 0

    of shape a and scale b, by greatest likelihood over the positive dwell times. Gaps between sessions are no dwell;
    the fit takes no account of the cut that `inactivity` makes.

    Parameters
    ----------
    log : EventLog
        Its measured dwell where it has that, else the gaps inside sessions.
    edges : float (bins + 1,), optional
        Of the bars [s], ascending from 0 or more. By default round numbers, in at most 50 bars, up to the 90 %
        quantile; on dwell in whole seconds they are whole.
    inactivity : float
        A session ends where its user is idle this long [s].

    Returns
    -------
    DwellHistogram
        Densities are 0 without a positive dwell. Where all dwell is the same there is no fit: shape, scale, distance
        and ``fitted`` are NaN.

    Raises
    ------
    ValueError
        If `inactivity` is not positive, or `edges` do not ascend from 0 or more.

    Examples
    --------
    >>> found = dwell_histogram(EventLog([0] * 5, [1, 2, 3, 4, 5], [0, 10, 25, 25, 55]), edges=[0, 20, 40])
    >>> found.density.round(4), found.zeros
    (array([0.0333, 0.0167]), 0.25)
    """
    dwell = log.dwell_times(inactivity)
    dwell = dwell[~np.isnan(dwell)]
    positive = np.sort(dwell[dwell > 0])
    bars = _round_edges(positive) if edges is None else _check_edges(edges)
    held = np.diff(np.searchsorted(positive, bars, side="right"))
    shape, scale = _fit_gamma(positive)
    below = stats.gamma.cdf(positive, shape, scale=scale)
    steps = np.arange(len(positive) + 1) / max(len(positive), 1)
    distance = max(np.max(steps[1:] - below), np.max(below - steps[:-1])) if len(positive) else np.nan
    return DwellHistogram(
        edges=bars,
        density=held / np.diff(bars) / max(len(positive), 1),
        fitted=np.diff(stats.gamma.cdf(bars, shape, scale=scale)) / np.diff(bars),
        positive=len(positive),
        zeros=1 - len(positive) / len(dwell) if len(dwell) else np.nan,
        outside=1 - held.sum() / len(positive) if len(positive) else np.nan,
        median=float(np.median(positive)) if len(positive) else np.nan,
        shape=shape,
        scale=scale,
        distance=float(distance),
    )


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


def _fit_gamma(positive: Floats) -> tuple[float, float]:
    """Shape and scale [s] of greatest likelihood; NaN where the values do not differ."""
    if not len(positive) or np.log(positive.mean()) - np.log(positive).mean() < SAME:
        return np.nan, np.nan
    shape, _, scale = stats.gamma.fit(positive, floc=0)
    return float(shape), float(scale)


def _round_edges(positive: Floats) -> Floats:
    """Edges of bars that are 1, 2 or 5 times a power of ten wide, and whole where dwell is in whole seconds."""
    if not len(positive):
        return np.array([0.0, 1.0])
    reach = np.quantile(positive, REACH)
    finest = 1.0 if (positive == np.floor(positive)).all() else FINEST
    width = max(reach / BINS, finest)
    power = 10.0 ** np.floor(np.log10(width))
    width = power * next(step for step in (1, 2, 5, 10) if step * power >= width * (1 - SAME))
    return width * np.arange(np.ceil(reach / width) + 1)


def _check_edges(edges: ArrayLike) -> Floats:
    bars = np.asarray(edges, dtype=np.float64)
    require(bars.ndim == 1 and len(bars) >= 2, "edges must have one axis, and two edges or more", bars.shape)
    reject(~np.isfinite(bars) | (bars < 0), bars, "edges must be finite and 0 or more [s]")
    reject(np.diff(bars, prepend=-1.0) <= 0, bars, "edges must ascend")
    return bars


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
