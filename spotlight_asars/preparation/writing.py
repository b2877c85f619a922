"""Writes the sessions of a lazy log: it is read by ranges of users, and each range becomes a shard.

The rounds of ``filter_support`` share nothing but the set of items that are left: given these, it can be seen of a
session, and then of a user, alone whether it has its support. So a round goes over the ranges, one at a time, and
counts the events of each item; the last round is the one in which no item is lost. What is held in memory is the
events of one range, and tables as long as the users or the items.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial, reduce
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import narwhals as nw
import numpy as np

from spotlight_asars._checks import require
from spotlight_asars.preparation import engines, steps
from spotlight_asars.preparation.checks import check_events
from spotlight_asars.preparation.disk import explained
from spotlight_asars.preparation.shard_writer import write_shards
from spotlight_asars.preparation.steps import Frame, Step, Support
from spotlight_asars.sessions.cutting import LengthLimits

if TYPE_CHECKING:
    import pyarrow as pa


class RecordedLog(NamedTuple):
    """A log before any step: columns ``user, item, time, order`` and, where dwell was `measured`, ``dwell``.

    Also ``kind`` and ``context 0``, ..., where it has them; `context` are the names of the latter.
    """

    events: Frame
    inactivity: float
    measured: bool
    context: tuple[str, ...] = ()


def write(
    log: RecordedLog, todo: Sequence[Step | Support], path: Path, limits: LengthLimits, events_per_shard: int
) -> None:
    """Write the sessions of a log after the steps `todo` into a new folder at `path`."""
    with explained(path), _new_folder(path) as (folder, work):
        check_events(log.events, log.measured)
        labels = {name: _distinct(log.events, name) for name in steps.label_columns(log.events)}
        before = _before_support(todo)  # done once, not in each round
        parts = [
            engines.save(_apply(before, _users_between(log, low, high)), work / f"{place}.parquet")
            for place, (low, high) in enumerate(_user_ranges(log.events, events_per_shard))
        ]
        items, done = None, list[Step]()
        for number, step in enumerate(todo[len(before) :]):
            if isinstance(step, Support):
                path_of_items = work / f"items-{number}.parquet"
                items = _supported_items(parts, done, step, path_of_items)
                step = partial(step.keep, items=engines.save_table(items, path_of_items, parts[0]))
            done.append(step)
        items = _item_counts(parts) if items is None else items
        tables = (engines.collect(_apply(done, part).sort("user", *steps.IN_ORDER)) for part in parts)
        write_shards(folder, items["item"], tables, limits, labels, log.context)
        os.rename(folder, path)


@contextmanager
def _new_folder(path: Path) -> Iterator[tuple[Path, Path]]:
    """Two new folders, one to become `path` and one for intermediate files; what is left of them is removed."""
    if path.exists():
        raise FileExistsError(f"path must not exist yet; got {str(path)!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path must stand in an existing folder; got {str(path)!r}")
    made = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        folder, work = made / "sessions", made / "work"
        folder.mkdir()
        work.mkdir()
        yield folder, work
    finally:
        shutil.rmtree(made)


def _distinct(events: Frame, name: str) -> list[Any]:
    """The labels in a column, rising."""
    found: list[Any] = engines.collect(events.select(nw.col(name)).unique()).column(name).drop_null().to_pylist()
    return sorted(found)


def _user_ranges(events: Frame, events_per_shard: int) -> Iterator[tuple[Any, Any]]:
    """The first raw id of each range of users and that of the next one; None before the first and after the last."""
    counts = engines.collect(events.group_by("user").agg(n=nw.len())).sort_by("user")
    sizes = counts["n"].to_numpy().astype("int64")
    shard = (sizes.cumsum() - sizes) // events_per_shard
    later = np.flatnonzero(np.diff(shard)) + 1
    return pairwise([None, *(counts["user"][int(place)].as_py() for place in later), None])


def _users_between(log: RecordedLog, low: Any, high: Any) -> Frame:
    """Events, with sessions and dwell, of the users from `low` to before `high`."""
    events = log.events
    if low is not None:
        events = events.filter(nw.col("user") >= low)
    if high is not None:
        events = events.filter(nw.col("user") < high)
    return steps.with_sessions(events, log.inactivity, log.measured)


def _before_support(todo: Sequence[Step | Support]) -> list[Step]:
    """The steps before the first support; they need to know nothing of other users."""
    before: list[Step] = []
    for step in todo:
        if isinstance(step, Support):
            break
        before.append(step)
    return before


def _apply(done: Sequence[Step], part: Frame) -> Frame:
    return reduce(lambda events, step: step(events), done, part)


def _item_counts(parts: Sequence[Frame]) -> pa.Table:
    """Columns ``item`` and ``n``, the number of its events in all parts."""
    import pyarrow as pa

    counts = pa.concat_tables([engines.collect(steps.events_per_item(part)) for part in parts])
    return counts.group_by("item").aggregate([("n", "sum")]).select(["item", "n_sum"]).rename_columns(["item", "n"])


def _supported_items(parts: Sequence[Frame], done: Sequence[Step], support: Support, path: Path) -> pa.Table:
    """The items of the largest part of the log in which every item, session and user has its support.

    The file at `path` is written over in each round.
    """
    import pyarrow.compute as pc

    left = None
    while True:
        items = None if left is None else engines.save_table(left, path, parts[0])
        found = _item_counts([support.keep(_apply(done, part), items) for part in parts])
        left = found.filter(pc.field("n") >= max(support.item, 1))
        if not len(left):
            sizes = [engines.collect(_apply(done, part).select(n=nw.len()))["n"][0].as_py() for part in parts]
            require(False, f"filter_support must leave events of the {sum(sizes)} given", vars(support))
        if len(left) == len(found):
            return left
