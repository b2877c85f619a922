"""``LazyLog``: a log that need not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals as nw

from spotlight_asars._checks import positive, require, whole
from spotlight_asars.events import HOUR
from spotlight_asars.events.frames import WIDE
from spotlight_asars.events.times import check_unit, find_unit, in_seconds
from spotlight_asars.preparation import engines
from spotlight_asars.preparation.manifest import require_pyarrow
from spotlight_asars.preparation.shards import SessionShards
from spotlight_asars.preparation.steps import CONTEXT, KIND, Frame, Step, Support, collapse_repeats
from spotlight_asars.preparation.writing import RecordedLog, write
from spotlight_asars.sessions.cutting import LengthLimits

EVENTS_PER_SHARD = 5_000_000  # each takes some 300 bytes of memory while a shard is made


@dataclass(frozen=True)
class LazyLog:
    """A log on the engine that holds it, with the steps of an ``EventLog``, computed when the sessions are written.

    Sessions, dwell and contiguous ids are those that ``EventLog`` and ``to_sessions`` give. Sessions are cut once, at
    the `inactivity` of the log. Made by ``from_frame``; each step returns a new log and computes nothing.

    Attributes
    ----------
    recording : RecordedLog
        The events, and how their sessions are cut.
    steps : tuple
        The steps to come, in their order.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> clicks = pd.DataFrame({"user_id": list("aab"), "item_id": [7, 8, 7], "timestamp": [0, 30, 5]})
    >>> log = LazyLog.from_frame(clicks).collapse_repeats().filter_support(item=1)
    >>> shards = log.write_sessions(tempfile.mkdtemp() + "/clicks")
    >>> shards, shards[0].sequences[:, -2:].tolist()
    (<SessionShards (1 shards, 1 sessions, 2 events, 2 items)>, [[1, 2]])
    """

    recording: RecordedLog
    steps: tuple[Step | Support, ...] = ()

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        user: str = "user_id",
        item: str = "item_id",
        timestamp: str = "timestamp",
        dwell: str | None = None,
        order: str | None = None,
        inactivity: float = HOUR,
        unit: str = "s",
        *,
        kind: str | None = None,
        context: Sequence[str] = (),
    ) -> LazyLog:
        """The log of a frame of pandas, polars or pyarrow, a lazy frame of polars, or one of DuckDB or PySpark.

        Parameters
        ----------
        frame : pandas, polars or pyarrow table, polars.LazyFrame, duckdb relation, pyspark DataFrame
            One event a row, in any order, as ``polars.scan_parquet``, ``duckdb.read_parquet`` or
            ``spark.read.parquet`` open it.
        user, item : str
            Columns of raw ids, integers or strings.
        timestamp : str
            Column of numbers, or of dates and times, which count from 1970-01-01 (UTC where they have no zone).
        dwell : str, optional
            Column of measured dwell [s], which replaces the gaps between events; a missing value is unknown.
        order : str, optional
            Column of distinct values that rise in file order: the order of events of one user with equal timestamps.
            DuckDB and PySpark have no file order and need it; for the others it is the order of the rows by default.
        inactivity : float
            A session ends where its user is idle this long [s].
        unit : {"s", "ms", "us", "ns", "auto"}
            Unit of timestamps that are numbers, as in ``EventLog.from_frame``; their median is looked at.
        kind : str, optional
        context : names, optional
            Columns of kinds of events and of what is known of a session, as in ``EventLog.from_frame``, of integers or
            strings.

        Raises
        ------
        ValueError
            For a missing column, ids or timestamps of another type, and an engine that needs `order`.
        TypeError
            For a frame of another kind.
        """
        positive(inactivity, "inactivity")
        check_unit(unit)
        events, order_column = engines.to_lazy(frame, order)
        schema = events.collect_schema()
        there = [column for column in schema if order is not None or column != order_column]
        named = {"user": user, "item": item, "timestamp": timestamp, "dwell": dwell, "order": order}
        context = (context,) if isinstance(context, str) else tuple(context)
        require(len(set(context)) == len(context), "context must name different columns", list(context))
        named |= {"kind": kind} | {f"context {place}": name for place, name in enumerate(context)}
        for argument, name in named.items():
            require(name is None or name in there, f"{argument} must name one of the columns {there}", name)
        if isinstance(schema[timestamp], (nw.Datetime, nw.Date)):
            events = engines.dates_as_seconds(events, timestamp)
        else:
            events = _in_seconds(events, timestamp, unit)
        for name in (user, item):
            events = engines.uuids_as_text(events, name)
        schema = events.collect_schema()
        columns = {
            "user": _ids(user, schema, "user"),
            "item": _ids(item, schema, "item"),
            "time": nw.col(timestamp),
            "order": nw.col(order_column),
        }
        if dwell is not None:
            numeric = schema[dwell].is_numeric()
            require(numeric, f"dwell column {dwell!r} must be numbers, in seconds", str(schema[dwell]))
            columns["dwell"] = nw.col(dwell).cast(nw.Float64).fill_nan(None)
        if kind is not None:
            columns[KIND] = _ids(kind, schema, "kind")
        columns |= {f"{CONTEXT}{place}": _ids(name, schema, "context") for place, name in enumerate(context)}
        events = engines.exact_ids(events.select(**columns))
        return cls(RecordedLog(events, inactivity, measured=dwell is not None, context=context))

    def collapse_repeats(self) -> LazyLog:
        """Each run of one item inside a session becomes one event, as ``EventLog.collapse_repeats`` does."""
        return replace(self, steps=(*self.steps, collapse_repeats))

    def filter_support(self, item: int = 5, session: int = 2, user: int = 1) -> LazyLog:
        """The largest part of the log where every item, session and user has its support.

        Parameters
        ----------
        item, session, user : int
            As in ``EventLog.filter_support``.
        """
        for name, value in (("item", item), ("session", session), ("user", user)):
            whole(value, name, least=0)
        return replace(self, steps=(*self.steps, Support(item, session, user)))

    def write_sessions(
        self,
        path: str | Path,
        max_sequence_length: int = 50,
        min_sequence_length: int = 2,
        events_per_shard: int = EVENTS_PER_SHARD,
    ) -> SessionShards:
        """Write the sessions that ``to_sessions`` gives into a new folder of parquet files, and open it.

        A shard holds whole users, in the order of their ids. The folder appears when it is complete; until then its
        parts are in a hidden folder beside it, which is removed if the work fails.

        Parameters
        ----------
        path : str or Path
            Folder to make; its parent must exist.
        max_sequence_length, min_sequence_length : int
            Events of a row, as in ``to_sessions``.
        events_per_shard : int
            Recorded events that are in memory at once; a user's events are not divided, even if they are more.

        Raises
        ------
        FileExistsError
            If there is something at `path`.
        ValueError
            For an empty log, missing ids, timestamps that are not finite, negative dwell, if no events have the
            support asked for, and if no session is long enough.
        """
        require_pyarrow()
        limits = LengthLimits(max_sequence_length, min_sequence_length)
        whole(events_per_shard, "events_per_shard", least=1)
        write(self.recording, self.steps, Path(path).expanduser(), limits, events_per_shard)
        return SessionShards(path)


def _ids(name: str, schema: nw.Schema, argument: str) -> nw.Expr:
    kind = schema[name]
    text = kind in (nw.String, nw.Categorical, nw.Enum)
    rule = f"{argument} column {name!r} must hold integers of 64 bits or strings"
    require(text or (kind.is_integer() and kind not in WIDE), rule, str(kind), "Cast it to one of them")
    column = nw.col(name)
    return nw.when(~column.is_null()).then(column.cast(nw.String)) if text else column  # pandas 2 makes None a text


def _in_seconds(events: Frame, name: str, unit: str) -> Frame:
    """`events` with a column of numbers, in some unit, as seconds."""
    kind, column = events.collect_schema()[name], nw.col(name)
    rule = f"timestamp column {name!r} must be numbers of 64 bits, in seconds, or dates"
    decimal = isinstance(kind, nw.Decimal)
    require(kind.is_integer() or kind == nw.Float64 or decimal, rule, str(kind), "Cast it to int64 or float64")
    time = column.cast(nw.Int64) if kind.is_integer() else column.cast(nw.Float64)
    events = events.with_columns(time.alias(name))
    wanted = {"median": column.median(), "low": column.min(), "high": column.max()}
    found = engines.collect(events.select(**wanted)).to_pylist()[0]
    if found["median"] is not None and all(map(math.isfinite, found.values())):
        unit = find_unit(unit, column=f"timestamp column {name!r}", **{key: float(found[key]) for key in wanted})
    return events.with_columns(in_seconds(column, unit, kind.is_integer()))
