"""What all loaders of data sets share: the check of an option that chooses events, and the log of raw columns."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from numpy.typing import NDArray

from spotlight_asars._checks import one_of, require
from spotlight_asars.events import EventLog
from spotlight_asars.events.vocabulary import Vocabulary


def choose(option: Collection[str] | None, choices: tuple[str, ...], argument: str) -> tuple[str, ...]:
    """The one or several `choices` named by `option`, all of them for None; ``ValueError`` for any other."""
    if option is None:
        return choices
    names = (option,) if isinstance(option, str) else tuple(option)
    for name in names:
        one_of(name, choices, argument)
    return names


def to_log(
    user: NDArray[Any],
    item: NDArray[Any],
    timestamp: NDArray[Any],
    dwell: NDArray[Any] | None = None,
    category: NDArray[Any] | None = None,
    options: str = "the file",
) -> EventLog:
    """The log of raw columns, timestamps and dwell in seconds.

    Parameters
    ----------
    user, item, timestamp, dwell, category : array (events,)
    options : str
        What chose the events, for the message if none is left.

    Raises
    ------
    ValueError
        If there is no event.
    """
    require(len(user) > 0, f"{options} must leave events of those in the file", 0)
    users, user_ids = Vocabulary.learn(user, first=0)
    items, item_ids = Vocabulary.learn(item, first=1)
    return EventLog(
        user_ids,
        item_ids,
        timestamp,
        dwell_times=dwell,
        categories=category,
        user_vocabulary=users,
        item_vocabulary=items,
    )
