"""How long does a log take on an engine, and how much memory?

The log is generated into parquet, a part at a time, unless the folder has it already; then it is prepared by `--engine`
in this process alone, whose peak memory is printed: ``EventLog`` for "memory", ``LazyLog`` for the others.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click_log import click_log
from timing import peak_memory, print_circumstances, print_table, timed

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.preparation import LazyLog

PART = 5_000_000  # events that are generated at once
ENGINES = ("memory", "polars", "duckdb", "pyspark")


def generated(events: int, folder: Path) -> Path:
    """The folder of a log of `events`, with a column ``order``; made if need be."""
    made = folder / f"clicks-{events}"
    made.mkdir(parents=True, exist_ok=True)
    parts = max(events // PART, 1)
    for part in range(parts):
        file = made / f"{part:03d}.parquet"
        if not file.exists():
            columns = click_log(events, part=part, parts=parts)
            order = part * (events // parts) + np.arange(len(columns["timestamp"]))
            pq.write_table(pa.table({**columns, "order": order}), file)
    return made


def opened(engine: str, log: Path, memory: str) -> Any:
    """The log at the folder `log` as a frame of the engine."""
    files = f"{log}/*.parquet"
    if engine == "polars":
        import polars as pl

        return pl.scan_parquet(files)
    if engine == "duckdb":
        import duckdb

        duckdb.execute(f"SET memory_limit = '{memory}'")
        return duckdb.read_parquet(files)
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[*]").config("spark.driver.memory", memory)
    return builder.config("spark.ui.enabled", "false").getOrCreate().read.parquet(str(log))


def main(argv: list[str] | None = None) -> None:
    """Time one engine on one log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=ENGINES, default="memory")
    parser.add_argument("--events", type=float, default=1e6)
    parser.add_argument("--events-per-shard", type=float, default=5e6)
    parser.add_argument("--memory", default="4GB", help="limit of DuckDB, and of Spark's Java")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "clicks")
    options = parser.parse_args(argv)
    log = generated(int(options.events), options.folder)

    def in_memory() -> None:
        events = EventLog.from_frame(pq.read_table(log))
        print(to_sessions(events.collapse_repeats().filter_support(item=5, session=2)))

    def on_an_engine() -> None:
        frame = opened(options.engine, log, options.memory.replace("GB", "g" if options.engine == "pyspark" else "GB"))
        events = LazyLog.from_frame(frame, order="order").collapse_repeats().filter_support(item=5, session=2)
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            print(events.write_sessions(f"{folder}/sessions", events_per_shard=int(options.events_per_shard)))

    before = peak_memory()
    seconds = timed(in_memory if options.engine == "memory" else on_an_engine)
    row = [options.engine, f"{options.events:.0e}", f"{seconds.wall:.1f}", f"{seconds.cpu:.1f}"]
    print_table(
        ["engine", "events", "wall [s]", "cpu [s]", "peak [GB]", "before [GB]"],
        [[*row, f"{peak_memory():.2f}", f"{before:.2f}"]],
    )
    print_circumstances("numpy", "narwhals", "pyarrow", "polars", "duckdb", "pyspark")


if __name__ == "__main__":
    main()
