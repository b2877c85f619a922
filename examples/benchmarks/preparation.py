"""Preparation: a table of events becomes sessions, beside the same steps as group-bys of pandas, and by engines.

Cut at an hour without an event, dwell from the gaps, repeats collapsed, items with 5 events and sessions with 2 kept to
a fixed point, contiguous ids, rows of at most 50 events.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
from data import LONGEST, click_log
from harness import Comparison, memory

from spotlight_asars import EventLog, SessionInteractions, to_sessions
from spotlight_asars.events import HOUR
from spotlight_asars.preparation import LazyLog

PART = 5_000_000  # events that are generated at once, and of a shard


def preparation(events: int = 10_000_000) -> Iterator[Comparison]:
    """How fast does a log become sessions, beside the same steps as group-bys of pandas?"""
    for ids in ("integers", "strings"):
        table = pd.DataFrame(click_log(events, text=ids == "strings"))
        runs = {"EventLog": prepared, "group-bys of pandas": prepared_by_group_bys}
        work = {name: (partial(run, table), len(table)) for name, run in runs.items()}
        yield Comparison(f"{len(table):,} events to sessions, {ids}", "events/s", work, {tuple(work): ">= 10"})


def prepared(events: pd.DataFrame | pl.DataFrame) -> SessionInteractions:
    """Sessions by ``EventLog``."""
    log = EventLog.from_frame(events).collapse_repeats(HOUR).filter_support(item=5, session=2, inactivity=HOUR)
    return to_sessions(log, HOUR, max_sequence_length=LONGEST)


def prepared_by_group_bys(events: pd.DataFrame) -> pd.DataFrame:
    """Sessions by pandas: a row each, with its user, start, and lists of items and dwell."""
    events = events.sort_values(["user_id", "timestamp"], kind="stable")
    gap = events.groupby("user_id")["timestamp"].diff()
    events["session"] = (gap.isna() | (gap >= HOUR)).cumsum()
    events["dwell"] = -events.groupby("session")["timestamp"].diff(-1)
    run = (events["item_id"] != events.groupby("session")["item_id"].shift()).cumsum()
    dwell = events.groupby(run)["dwell"].sum(min_count=1)
    events = events[~run.duplicated()].assign(dwell=dwell.to_numpy())
    size = None
    while size != len(events):
        size = len(events)
        events = events[events.groupby("item_id")["item_id"].transform("size") >= 5]
        events = events[events.groupby("session")["session"].transform("size") >= 2]
    events = events.assign(
        user=pd.factorize(events["user_id"], sort=True)[0],
        item=pd.factorize(events["item_id"], sort=True)[0] + 1,
        window=events.groupby("session").cumcount(ascending=False) // LONGEST,
    )
    rows = events.groupby(["session", "window"], sort=False).agg(
        user=("user", "first"), started=("timestamp", "first"), items=("item", list), dwell=("dwell", list)
    )
    return rows[rows["items"].str.len() >= 2]


def preparation_at_scale(
    events: int = 10_000_000, engines: Sequence[str] = ("memory", "polars", "duckdb")
) -> Iterator[Comparison]:
    """How much processor time and memory does a log on disk take, by ``EventLog`` and by the engines of ``LazyLog``?"""
    with tempfile.TemporaryDirectory() as folder:
        for part in range(parts := max(events // PART, 1)):
            columns = click_log(events, part, parts)
            order = part * PART + np.arange(len(columns["timestamp"]))
            pl.DataFrame({**columns, "order": order}).write_parquet(Path(folder, f"{part:03d}.parquet"))
        for unit in ("s", "MB"):
            work = {engine: (partial(cost_of_engine, engine, folder, unit), None) for engine in engines}
            pairs = {(engine, engines[0]): "" for engine in engines}
            yield Comparison(f"{events:,} events on disk to sessions", unit, work, pairs)


def cost_of_engine(engine: str, folder: str, unit: str) -> float:
    """Processor time [s] of preparing the log in the folder, or the most memory [MB] that the process held."""
    start, files = time.process_time(), f"{folder}/*.parquet"
    if engine == "memory":
        prepared(pl.read_parquet(files))
    else:
        duckdb.execute("SET memory_limit = '4GB'")
        frame = pl.scan_parquet(files) if engine == "polars" else duckdb.read_parquet(files)
        log = LazyLog.from_frame(frame, order="order").collapse_repeats().filter_support(item=5, session=2)
        log.write_sessions(f"{folder}/{engine} {unit}", events_per_shard=PART)
    return time.process_time() - start if unit == "s" else memory("VmHWM")
