"""Tables that compare logs: the numbers of Table 1 of the paper and more."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spotlight_asars._checks import require
from spotlight_asars.analysis import summarise
from spotlight_asars.analysis.tables import markdown_table
from spotlight_asars.events import DAY, HOUR, EventLog


def describe(log: EventLog, inactivity: float = HOUR) -> dict[str, float]:
    r"""The numbers of a log by name, each a row of ``comparison_table``.

    Density is the share of the user-item pairs that occur, repeat the share of the events on an item that the user has
    clicked before:

    .. math:: density = \frac{|\{(u, i)\}|}{|U| |I|}, \qquad repeat = 1 - \frac{|\{(u, i)\}|}{events}

    Parameters
    ----------
    log : EventLog
    inactivity : float
        A session ends where its user is idle this long [s].

    Returns
    -------
    dict of int and float
        Shares in percent. The numbers of dwell are of the known dwell times, NaN where there are none.

    Raises
    ------
    ValueError
        If `inactivity` is not positive.

    References
    ----------
    Table 1 of the paper.

    Examples
    --------
    >>> numbers = describe(EventLog([0, 0, 0, 1], [1, 2, 1, 2], [0, 30, 90, 5]))
    >>> numbers["dwell, median [s]"], numbers["repeated items [%]"], numbers["density [%]"]
    (45.0, 25.0, 75.0)
    """
    summary = summarise(log, inactivity)
    pairs = len(np.unique(log.user_ids.astype(np.int64) * log.num_items + log.item_ids))
    support = np.bincount(log.item_ids)
    support = support[support > 0]
    dwell = log.dwell_times(inactivity)
    dwell = dwell[~np.isnan(dwell)]
    quartile, median, high = np.quantile(dwell, [0.25, 0.5, 0.95]) if len(dwell) else np.full(3, np.nan)
    times = np.asarray(log.timestamps)
    return {
        "events": summary.events,
        "users": summary.users,
        "items": summary.items,
        "sessions": summary.sessions,
        "days": float(times.max() - times.min()) / DAY,
        "sessions per user, mean": summary.sessions_per_user,
        "events per session, mean": summary.events_per_session,
        "events per session, median": summary.median_events_per_session,
        "sessions of one event [%]": 100 * summary.single_sessions,
        "events per item, mean": float(support.mean()),
        "events per item, median": float(np.median(support)),
        "items with fewer than 5 events [%]": 100 * float((support < 5).mean()),
        "dwell known [%]": 100 * len(dwell) / len(log),
        "dwell, lower quartile [s]": float(quartile),
        "dwell, median [s]": float(median),
        "dwell, 95 % quantile [s]": float(high),
        "dwell of zero [%]": 100 * float((dwell == 0).mean()) if len(dwell) else np.nan,
        "repeated items [%]": 100 * (1 - pairs / summary.events),
        "steps that stay on the item [%]": 100 * summary.repeated_steps,
        "density [%]": 100 * pairs / (summary.users * summary.items),
    }


def comparison_table(logs: Mapping[str, EventLog], inactivity: float = HOUR) -> str:
    r"""``describe`` of several logs as a Markdown table: a row for each number, a column for each log.

    Parameters
    ----------
    logs : dict
        Logs by the heads of their columns.
    inactivity : float
        A session ends where its user is idle this long [s].

    Raises
    ------
    ValueError
        If there is no log, or `inactivity` is not positive.

    Examples
    --------
    >>> table = comparison_table({"one": EventLog([0, 0], [1, 2], [0, 30]), "two": EventLog([0, 1], [1, 1], [0, 864])})
    >>> print("\n".join(table.splitlines()[:4]))
    |                                    |       one |  two |
    |:-----------------------------------|----------:|-----:|
    | events                             |         2 |    2 |
    | users                              |         1 |    2 |
    """
    require(len(logs) > 0, "logs must have at least one log", dict(logs))
    numbers = {name: describe(log, inactivity) for name, log in logs.items()}
    names = next(iter(numbers.values()))
    rows = [(name, *(_format(column[name]) for column in numbers.values())) for name in names]
    return markdown_table(("", *numbers), rows)


def _format(value: float) -> str:
    if np.isnan(value):
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
