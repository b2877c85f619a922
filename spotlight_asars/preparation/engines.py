"""What differs between engines: the column of file order, dates, files between two steps, and the way into memory."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw

from spotlight_asars._checks import require
from spotlight_asars.events.frames import known_types
from spotlight_asars.preparation.manifest import require_pyarrow
from spotlight_asars.preparation.steps import Frame, label_columns

if TYPE_CHECKING:
    import pyarrow as pa

KNOWN = ("pandas", "polars", "pyarrow", "duckdb", "pyspark")


def to_lazy(frame: Any, order: str | None) -> tuple[Frame, str]:
    """Any native frame as a lazy one, and the name of its column of file order.

    Raises
    ------
    TypeError
        For a frame of another kind.
    ValueError
        For an engine without file order, where `order` names no column.
    """
    try:
        known = nw.from_native(known_types(frame))
    except TypeError:
        known = None
    if known is None or known.implementation.value not in KNOWN:
        kind = type(frame)
        raise TypeError(f"frame must be one of {', '.join(KNOWN)}; got {kind.__module__}.{kind.__qualname__}")
    if known.implementation.is_pyarrow():  # has no window functions
        known = nw.from_native(_from_arrow(known.to_native()))
    if order is not None:
        return known.lazy(), order
    order = nw.generate_temporary_column_name(8, known.collect_schema().names())
    if isinstance(known, nw.DataFrame):
        return known.with_row_index(order).lazy(), order
    if known.implementation.is_polars():
        return nw.from_native(known.to_native().with_row_index(order)), order
    raise ValueError(
        f"order must name a column that tells the order of events, for {known.implementation.value} keeps none; "
        f"got None. In DuckDB read_parquet(..., file_row_number=True) makes one"
    )


def _from_arrow(table: Any) -> Any:
    if find_spec("polars"):
        import polars as pl

        return pl.from_arrow(table)
    return table.to_pandas()


def exact_ids(frame: Frame) -> Frame:
    """`frame` with whole numbers that pandas does not turn into floats when a column is shifted."""
    if not frame.implementation.is_pandas():
        return frame
    require_pyarrow()
    table = frame.collect().to_native()
    kinds = {"i": "int64[pyarrow]", "u": "uint64[pyarrow]"}
    names = ("user", "item", *label_columns(frame))
    whole = {name: kinds[kind] for name in names if (kind := table[name].dtype.kind) in kinds}
    return nw.from_native(table.astype(whole)).lazy()


def uuids_as_text(frame: Frame, name: str) -> Frame:
    """`frame` with a column of DuckDB's type UUID as text."""
    if frame.implementation.is_duckdb() and frame.collect_schema()[name] == nw.Unknown:
        native = frame.to_native()
        if str(native.types[native.columns.index(name)]) == "UUID":
            return frame.with_columns(nw.col(name).cast(nw.String))
    return frame


def dates_as_seconds(frame: Frame, name: str) -> Frame:
    """`frame` with the column `name` of dates and times as seconds since 1970-01-01, float64.

    Narwhals cannot do this on DuckDB and PySpark, so they get queries of their own.
    """
    engine, kind = frame.implementation, frame.collect_schema()[name]
    if engine.is_duckdb():
        quoted = '"' + name.replace('"', '""') + '"'
        return nw.from_native(frame.to_native().select(f"* REPLACE (epoch_us({quoted}) / 1e6 AS {quoted})"))
    if engine.is_pyspark():
        from pyspark.sql import functions

        moment = isinstance(kind, nw.Datetime) and kind.time_zone is not None
        rule = f"timestamp column {name!r} must be numbers, or timestamps with a zone, in pyspark"
        require(moment, rule, str(kind), "Its other dates depend on the zone of the session")
        seconds = functions.unix_micros(functions.col(f"`{name}`")) / 1e6
        return nw.from_native(frame.to_native().withColumn(name, seconds))
    moments = nw.col(name).cast(nw.Datetime("us")) if kind == nw.Date else nw.col(name)
    return frame.with_columns((moments.dt.timestamp("us").cast(nw.Int64) / 1e6).alias(name))


def save(frame: Frame, path: Path) -> Frame:
    """Compute `frame` into parquet at `path`, a file or a folder by the engine, and return it as a lazy frame."""
    frame.sink_parquet(str(path))  # Spark takes no Path
    return _scan(path, frame)


def save_table(table: pa.Table, path: Path, like: Frame) -> Frame:
    """Write a table to parquet at `path`, and return it as a lazy frame on the engine of `like`."""
    import pyarrow.parquet as pq

    pq.write_table(table, path)
    return _scan(path, like)


def _scan(path: Path, like: Frame) -> Frame:
    if like.implementation.is_pyspark():
        return nw.scan_parquet(str(path), backend="pyspark", session=like.to_native().sparkSession)
    return nw.scan_parquet(str(path), backend=like.implementation)


def collect(frame: Frame) -> pa.Table:
    """Compute `frame` into memory; a frame of polars with its streaming engine."""
    options = {"engine": "streaming"} if frame.implementation.is_polars() else {}
    return frame.collect("pyarrow", **options).to_native()
