"""Sizes of a log and how its sessions look, as in Table 1 of the paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.events.vocabulary import Vocabulary


@dataclass(frozen=True)
class Summary:
    """The log in numbers; shares lie in 0..1."""

    events: int
    users: int  # with an event in this log; likewise items and categories
    items: int
    categories: int | None  # None for a log without categories
    sessions: int
    events_per_session: float  # mean
    median_events_per_session: float
    sessions_per_user: float  # mean
    single_sessions: float  # share of the sessions that have one event
    repeated_steps: float  # share of the steps inside sessions that stay on the item; NaN without steps


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
        categories=None if log.categories is None else len(Vocabulary.learn(log.categories, first=0)[0]),
        sessions=len(lengths),
        events_per_session=float(lengths.mean()),
        median_events_per_session=float(np.median(lengths)),
        sessions_per_user=len(lengths) / users,
        single_sessions=float((lengths == 1).mean()),
        repeated_steps=float(stays.mean()) if len(stays) else np.nan,
    )
