"""The steps of a log as queries: each takes a lazy frame of events and returns one.

The columns are ``user, item, time, order`` and, after ``with_sessions``, ``session`` and ``dwell``; and ``kind`` and
``context 0``, ``context 1``, ... where the log has them. Sessions are
numbered within their user, so that no step counts across users and a part of the log with whole users can be treated
alone. On every engine the steps must give what ``timeline`` gives for sorted arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import narwhals as nw

Frame = nw.LazyFrame[Any]
Step = Callable[[Frame], Frame]

KIND, CONTEXT = "kind", "context "  # of the columns of context, this is the beginning
IN_ORDER = ("time", "order")  # equal times keep file order


def with_sessions(events: Frame, inactivity: float, measured: bool) -> Frame:
    """Events with their ``session``, int64 from 1 in each user, and ``dwell`` [s], float64, null where unknown.

    Events come as ``user, item, time, order`` and, where dwell was `measured`, ``dwell``; else dwell is the gap to the
    user's next event, if shorter than `inactivity`.
    """
    time = nw.col("time")
    events = events.with_columns(
        pause=(time - time.shift(1).over("user", order_by=IN_ORDER)).cast(nw.Float64),
        gap=(time.shift(-1).over("user", order_by=IN_ORDER) - time).cast(nw.Float64),
    )
    starts = (nw.col("pause").is_null() | (nw.col("pause") >= inactivity)).cast(nw.Int64)
    if not measured:
        events = events.with_columns(dwell=nw.when(nw.col("gap") < inactivity).then(nw.col("gap")))
    events = events.with_columns(starts=starts)
    session = nw.col("starts").cum_sum().over("user", order_by=IN_ORDER).cast(nw.Int64)
    return events.with_columns(session=session).drop("pause", "gap", "starts")


def collapse_repeats(events: Frame) -> Frame:
    """Each run of one item inside a session becomes its first event, with the sum of the known dwell.

    Its kind is the last in the run that is known and not that of its first event, else that of its first event.
    Its ``order`` is the number of the run, for the smallest order of its events may be that of a later one.
    """
    item, session, dwell = nw.col("item"), nw.col("session"), nw.col("dwell")
    events = events.with_columns(
        last_item=item.shift(1).over("user", order_by=IN_ORDER),
        last_session=session.shift(1).over("user", order_by=IN_ORDER),
    )
    same = (item == nw.col("last_item")) & (session == nw.col("last_session"))
    events = events.with_columns(starts=nw.when(same).then(nw.lit(0)).otherwise(nw.lit(1)))
    events = events.with_columns(run=nw.col("starts").cum_sum().over("user", order_by=IN_ORDER).cast(nw.Int64))
    names = label_columns(events)
    events, labels = _of_runs(events, names) if names else (events, [])
    runs = events.group_by("user", "session", "run").agg(
        item.min(),
        nw.col("time").min(),
        *(nw.col(place).max() for place, _ in labels),
        total=dwell.sum(),
        known=dwell.count(),
    )
    for place, columns in labels:
        there = events.select("user", nw.col("number").alias(place), *columns)
        runs = runs.join(there, on=["user", place], how="left").drop(place)
    total = nw.when(nw.col("known") > 0).then(nw.col("total").cast(nw.Float64))
    return runs.with_columns(dwell=total, order=nw.col("run")).drop("run", "total", "known")


def label_columns(events: Frame) -> list[str]:
    """The columns of kinds and of the context, where there are some."""
    return [name for name in events.collect_schema() if name == KIND or name.startswith(CONTEXT)]


def _of_runs(events: Frame, names: list[str]) -> tuple[Frame, list[tuple[str, list[str]]]]:
    """Events with their ``number``, int64 from 1 in each user, and columns that hold, in every event of a run, the
    number of the event from which the run has its labels: each column with the names of these labels."""
    run, number, kind = ["user", "run"], nw.col("number"), nw.col(KIND)
    events = events.with_columns(one=nw.lit(1))
    events = events.with_columns(number=nw.col("one").cum_sum().over("user", order_by=IN_ORDER).cast(nw.Int64))
    events = events.with_columns(first=number.min().over(*run))
    context = [("first", [name for name in names if name != KIND])]
    if KIND not in names:
        return events, context
    first = events.filter(number == nw.col("first")).select(*run, kind.alias("of_first"))
    events, of_first = events.join(first, on=run, how="left"), nw.col("of_first")
    changed = ~kind.is_null() & (of_first.is_null() | (kind != of_first))
    events = events.with_columns(changed=nw.when(changed).then(number).otherwise(nw.lit(0)))
    events = events.with_columns(last=nw.col("changed").max().over(*run))
    last = nw.when(nw.col("last") == 0).then(nw.col("first")).otherwise(nw.col("last"))
    return events.with_columns(last=last), [*context, ("last", [KIND])]


@dataclass(frozen=True)
class Support:
    """The arguments of ``filter_support``: events per item, events per session, sessions per user."""

    item: int
    session: int
    user: int

    def keep(self, events: Frame, items: Frame | None) -> Frame:
        """Events of `items`, None for all, in sessions and of users that have their support among these events."""
        if items is not None:
            events = events.join(items, on="item", how="semi")
        if self.session > 1:
            events = events.with_columns(size=nw.len().over("user", "session"))
            events = events.filter(nw.col("size") >= self.session).drop("size")
        if self.user > 1:
            sessions = events.select("user", "session").unique(subset=["user", "session"])
            users = sessions.group_by("user").agg(n=nw.len()).filter(nw.col("n") >= self.user)
            events = events.join(users.select("user"), on="user", how="semi")
        return events


def events_per_item(events: Frame) -> Frame:
    """Columns ``item`` and ``n``, the number of its events."""
    return events.group_by("item").agg(n=nw.len())
