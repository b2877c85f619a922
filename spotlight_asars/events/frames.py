"""Columns of a data frame as checked numpy arrays: pandas, polars and pyarrow alike, through narwhals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from types import NoneType
from typing import Any

import narwhals as nw
import numpy as np
from narwhals.exceptions import DuplicateError
from numpy.typing import NDArray

from spotlight_asars._checks import integers, moments, reject, require
from spotlight_asars.events.distinct import distinct_texts
from spotlight_asars.events.labels import UNKNOWN
from spotlight_asars.events.times import check_unit, find_unit, in_seconds, seconds_of
from spotlight_asars.events.vocabulary import Vocabulary, raw_array

DTYPES: dict[str, Any] = {"i": nw.Int64, "u": nw.UInt64, "O": nw.String}
WIDE = (nw.Int128, nw.UInt128, nw.Decimal)  # types that numpy does not have


def to_frame(frame: Any) -> nw.DataFrame[Any]:
    """A pandas, polars or pyarrow table as a narwhals frame, collected if it is lazy; at least one event."""
    try:
        table = nw.from_native(known_types(frame))
    except TypeError:
        kind = type(frame)
        raise TypeError(
            f"frame must be a pandas, polars or pyarrow table; got {kind.__module__}.{kind.__qualname__}"
        ) from None
    except DuplicateError as error:
        raise ValueError(f"frame must have columns of different names: {' '.join(str(error).split())}") from None
    table = table.collect() if isinstance(table, nw.LazyFrame) else table
    require(len(table) > 0, "frame must have at least one event", len(table))
    return table


def log_columns(
    frame: Any,
    user: str,
    item: str,
    timestamp: str,
    dwell: str | None,
    category: str | None,
    session: str | None,
    unit: str,
    missing_users: bool,
    kind: str | None,
    context: Sequence[str],
) -> dict[str, Any]:
    """The arguments of ``EventLog`` from those of ``EventLog.from_frame``.

    Where users may be missing, the events of these are of one user after the last of the vocabulary.
    """
    table = to_frame(frame)
    users, user_ids = encoded(table, user, "user", first=0, missing=missing_users)
    items, item_ids = encoded(table, item, "item", first=1)
    return {
        "user_ids": user_ids,
        "item_ids": item_ids,
        "timestamps": timestamps(table, timestamp, unit),
        "dwell_times": None if dwell is None else numbers(table, dwell, "dwell"),
        "categories": None if category is None else optional_ids(table, category, "category"),
        "sessions": None if session is None else encoded(table, session, "session", first=0)[1],
        "user_vocabulary": users,
        "item_vocabulary": items,
        "num_users": max(len(users), int(user_ids.max()) + 1),
        **labels(table, kind, context),
    }


def labels(table: nw.DataFrame[Any], kind: str | None, context: Sequence[str]) -> dict[str, Any]:
    """The kinds and the context among the arguments of ``EventLog``, where columns of them are named."""
    found: dict[str, Any] = {}
    if kind is not None:
        found["kind_vocabulary"], found["kinds"] = _labels(table, kind, "kind")
    if context:
        require(len(set(context)) == len(context), "context must name different columns", list(context))
        columns = {name: _labels(table, name, "context") for name in context}
        found["context_vocabularies"] = {name: vocabulary for name, (vocabulary, _) in columns.items()}
        found["context"] = np.stack([codes for _, codes in columns.values()], axis=1)
    return found


def _labels(table: nw.DataFrame[Any], name: str, argument: str) -> tuple[Vocabulary, NDArray[np.int64]]:
    vocabulary, codes = encoded(table, name, argument, first=1, missing=True)
    return vocabulary, np.where(codes > len(vocabulary), UNKNOWN, codes)


def known_types(frame: Any) -> Any:
    """`frame` with dates of kinds that narwhals knows: pandas has zones and pyarrow a date64 that it does not."""
    table = nw.from_native(frame, pass_through=True)
    if not isinstance(table, nw.DataFrame) or nw.Unknown not in table.schema.values():
        return frame
    if table.implementation.is_pandas():
        import pandas as pd

        frame = table.to_native().copy(deep=False)
        for name, dtype in frame.dtypes.items():
            if isinstance(dtype, pd.DatetimeTZDtype):
                frame[name] = frame[name].dt.tz_convert("UTC")
    if table.implementation.is_pyarrow():
        import pyarrow as pa

        frame, days, moment = table.to_native(), pa.date64(), pa.timestamp("ms")
        kinds = [field.with_type(moment) if field.type == days else field for field in frame.schema]
        frame = frame.cast(pa.schema(kinds))
    return frame


def column_of(frame: nw.DataFrame[Any], name: str, argument: str) -> nw.Series[Any]:
    """The column of a name; ``ValueError`` where there is none."""
    require(name in frame.columns, f"{argument} must name one of the columns {list(frame.columns)}", name)
    return frame.get_column(name)  # a name may be a number in pandas


def ids(frame: nw.DataFrame[Any], name: str, argument: str) -> NDArray[Any]:
    """Raw ids of one column: integers, whole floats and decimals, strings, categories or UUIDs; none is missing."""
    column = column_of(frame, name, argument)
    rule = f"{argument} column {name!r} must have no missing ids"
    missing = _missing(column)
    reject(missing, np.where(missing, None, 0), rule)  # type: ignore[call-overload]
    values = np.array(column.to_list(), object) if column.dtype in WIDE else column.to_numpy()
    label = f"{argument} column {name!r}"
    if values.dtype.kind == "f":
        return integers(values, label)
    if all(isinstance(value, (float, np.floating, Decimal)) for value in values.flat):  # stops at the first other
        values = _whole(values, label)
    require(values.dtype.kind in "iuOU", f"{label} must hold integers of 64 bits, or strings", str(values.dtype))
    try:
        return raw_array(values, label)
    except TypeError as error:
        raise ValueError(str(error)) from None


def optional_ids(frame: nw.DataFrame[Any], name: str, argument: str) -> NDArray[Any]:
    """As ``ids``, with None where one is missing."""
    missing = _missing(column_of(frame, name, argument))
    if not missing.any():
        return ids(frame, name, argument)
    values = np.full(len(missing), None, dtype=object)
    if not missing.all():
        values[~missing] = ids(frame.filter((~missing).tolist()), name, argument)
    return values


def _missing(column: nw.Series[Any]) -> NDArray[np.bool_]:
    missing = column.is_null()
    if column.dtype in (nw.Float32, nw.Float64):
        missing = missing | column.is_nan().fill_null(True)
    return missing.to_numpy().astype(bool)


def _whole(values: NDArray[Any], argument: str) -> NDArray[Any]:
    """Floats and decimals as integers."""
    broken = np.array([value != value // 1 for value in values.tolist()], dtype=bool)
    reject(broken, values, f"{argument} must be whole numbers of 64 bits")
    return np.fromiter(map(int, values.tolist()), object, len(values))


def encoded(
    frame: nw.DataFrame[Any], name: str, argument: str, first: int, missing: bool = False
) -> tuple[Vocabulary, NDArray[np.int64]]:
    """The vocabulary of the raw ids in one column (as of ``ids``), numbered from `first`, and the encoded column.

    Where ids may be `missing`, they are encoded as the number that follows the last of the vocabulary.
    """
    texts = distinct_texts(column_of(frame, name, argument))
    if texts is not None:
        return Vocabulary(texts[0], first), texts[1] + first
    if not missing:
        return Vocabulary.learn(ids(frame, name, argument), first)
    values = optional_ids(frame, name, argument)
    known = (
        np.array([value is not None for value in values]) if values.dtype.kind == "O" else np.ones(len(values), bool)
    )
    vocabulary, codes = Vocabulary.learn(raw_array(values[known], argument), first)
    encoded = np.full(len(values), first + len(vocabulary), dtype=np.int64)
    encoded[known] = codes
    return vocabulary, encoded


def timestamps(frame: nw.DataFrame[Any], name: str, unit: str = "s") -> NDArray[Any]:
    """Seconds as int64 or float64; dates and times become seconds since 1970-01-01 (UTC if they have no zone)."""
    check_unit(unit)
    column = column_of(frame, name, "timestamp")
    label = f"timestamp column {name!r}"
    if column.dtype in (nw.Datetime, nw.Date):
        reject(column.is_null().to_numpy(), column.to_numpy(), f"{label} must not be missing")
        microseconds = column.cast(nw.Datetime("us")) if column.dtype == nw.Date else column
        return microseconds.dt.timestamp("us").to_numpy().astype(np.int64) / 1e6
    if column.dtype == nw.Object and all(isinstance(value, date) for value in column.to_list()):
        return seconds_of([value.isoformat() for value in column.to_list()])
    times = numbers(frame, name, "timestamp")
    if not (times.dtype.kind == "f" and not np.isfinite(times).all()):
        unit = find_unit(unit, float(np.median(times)), float(times.min()), float(times.max()), label)
        times = in_seconds(times, unit, times.dtype.kind in "iu")
    return moments(times, label)


def numbers(frame: nw.DataFrame[Any], name: str, argument: str) -> NDArray[Any]:
    """One numeric column; a missing value is NaN."""
    column = column_of(frame, name, argument)
    if column.is_null().all():  # of any type
        return np.full(len(column), np.nan)
    if column.dtype == nw.Object and all(isinstance(value, (Decimal, float, int, NoneType)) for value in column):
        return np.array([np.nan if value is None else value for value in column], dtype=np.float64)  # pandas' decimals
    require(column.dtype.is_numeric(), f"{argument} column {name!r} must be numbers, in seconds", str(column.dtype))
    if column.dtype in WIDE or column.is_null().any():
        return column.cast(nw.Float64).to_numpy().astype(np.float64)
    return column.to_numpy()


def exact_column(name: str, values: NDArray[Any], backend: Any) -> nw.Series[Any]:
    """A column of these values: 2**60 + 1 stays a whole number, though None is beside it; UUIDs become text."""
    if values.dtype.kind != "O":
        return nw.new_series(name, values, backend=backend)
    here = np.array([value is not None for value in values], dtype=bool)
    known = raw_array(values[here], name)
    kept = values.copy()
    kept[here] = known
    if not here.all() and nw.Implementation.from_backend(backend).is_pandas():
        return nw.new_series(name, kept, nw.Object, backend=backend)  # whole numbers with gaps would be floats
    return nw.new_series(name, kept.tolist(), DTYPES[known.dtype.kind], backend=backend)
