"""What all loaders of data sets share: their options, their count of lines, and the log they make."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from numpy.typing import NDArray

from spotlight_asars._checks import one_of, require
from spotlight_asars.datasets.files import TextFile
from spotlight_asars.events import EventLog
from spotlight_asars.events.vocabulary import Vocabulary


def chosen(option: Collection[str] | None, choices: tuple[str, ...], argument: str) -> tuple[str, ...]:
    """The `choices` that `option` asks for, all of them for None; ``ValueError`` for any other."""
    if option is None:
        return choices
    asked = (option,) if isinstance(option, str) else tuple(option)
    for choice in asked:
        one_of(choice, choices, argument)
    return asked


def check_lines(lines: int, published: Collection[int], files: Collection[TextFile], partial: bool) -> None:
    """Raise ``ValueError`` unless the files have as many lines as were published, or are allowed to be a part."""
    labels = " and ".join(file.label for file in files)
    numbers = " or ".join(f"{number:,}" for number in published)
    way_out = "A file cut off has fewer; partial=True reads a part on purpose"
    require(partial or lines in published, f"{labels} must have the {numbers} events published", lines, way_out)


def to_log(
    user: NDArray[Any],
    item: NDArray[Any],
    timestamp: NDArray[Any],
    dwell: NDArray[Any] | None = None,
    category: NDArray[Any] | None = None,
    asked: str = "the file",
) -> EventLog:
    """The log of raw columns, timestamps and dwell in seconds; `asked` names the options that chose the events."""
    require(len(user) > 0, f"{asked} must leave events of those in the file", 0)
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
