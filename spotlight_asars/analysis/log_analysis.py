"""The data analysis of the paper (section 1.2, Figure 1) on any log: its summary, shares, repeats and dwell times.

What has no answer, such as the repeats of users who never return, is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotlight_asars.analysis.dwell import DwellHistogram, dwell_histogram
from spotlight_asars.analysis.shares import RepeatRates, TopShares, repeat_rates, top_shares
from spotlight_asars.analysis.summary import Summary, summarise
from spotlight_asars.analysis.tables import text_table
from spotlight_asars.events import HOUR, EventLog


@dataclass(frozen=True, eq=False)
class Analysis:
    """The results of ``analyse``; None for the categories of a log without them. As text it is a table."""

    summary: Summary
    top_items: TopShares
    top_categories: TopShares | None
    repeated_items: RepeatRates
    repeated_categories: RepeatRates | None
    dwell: DwellHistogram

    def __str__(self) -> str:
        top, repeated = self.top_items, self.repeated_items
        head, *numbers = self._numbers().items()
        shares: list[tuple[str, ...]] = []
        for name, part in (("item", top), ("category", self.top_categories)):
            if part is not None:
                shares.append((name, *map(_percent, part.share)))
                shares.append((f"{name}, first n together", *map(_percent, part.cumulative)))
        by_name = (("item", repeated), ("category", self.repeated_categories))
        rates = [(name, *map(_percent, part.rate)) for name, part in by_name if part is not None]
        return "\n".join(
            [
                text_table(head, numbers),
                f"\nshare of a session's clicks [%], mean of {top.sessions:,} sessions",
                text_table(("n-th most frequent", *range(1, len(top.share) + 1)), shares),
                f"\nclicks repeated from the user's previous k sessions [%], mean of {repeated.sessions:,} sessions "
                f"with at least {repeated.earlier} before them",
                text_table(("k", *range(1, len(repeated.rate) + 1)), rates),
            ]
        )

    def _numbers(self) -> dict[str, str]:
        log, dwell = self.summary, self.dwell
        return {
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


def analyse(log: EventLog, inactivity: float = HOUR, top: int = 10, back: int = 10, earlier: int = 1) -> Analysis:
    """The data analysis of the paper on any log: its summary and the three panels of Figure 1.

    Parameters
    ----------
    log : EventLog
        With or without categories.
    inactivity : float
        A session ends where its user is idle this long [s].
    top, back : int
        Largest n of ``top_shares`` and largest k of ``repeat_rates``.
    earlier : int
        Number of the user's earlier sessions that a session needs to count in ``repeat_rates``.

    Returns
    -------
    Analysis
        ``print`` shows it as tables, ``plots.plot_analysis`` as a figure.

    Raises
    ------
    ValueError
        If `inactivity`, `top`, `back` or `earlier` is not positive.
    TypeError
        If `top`, `back` or `earlier` is no whole number.

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


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.4g}"


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f}"
