"""Columns of a data frame as checked numpy arrays: pandas, polars and pyarrow alike, through narwhals."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import integers, moments, reject, require
from spotlight_asars.events.distinct import distinct_texts
from spotlight_asars.events.vocabulary import Vocabulary


def to_frame(frame: Any) -> nw.DataFrame[Any]:
    """A pandas, polars or pyarrow table as a narwhals frame, collected if it is lazy; at least one event."""
    try:
        table = nw.from_native(frame)
    except TypeError:
        kind = type(frame)
        raise TypeError(
            f"frame must be a pandas, polars or pyarrow table; got {kind.__module__}.{kind.__qualname__}"
        ) from None
    table = table.collect() if isinstance(table, nw.LazyFrame) else table
    require(len(table) > 0, "frame must have at least one event", len(table))
    return table


def _column(frame: nw.DataFrame[Any], name: str, argument: str) -> nw.Series[Any]:
    require(name in frame.columns, f"{argument} must name one of the columns {list(frame.columns)}", name)
    return frame[name]


def ids(frame: nw.DataFrame[Any], name: str, argument: str) -> NDArray[Any]:
    """Raw ids of one column: integers, whole floats, strings or categories; none may be missing."""
    column = _column(frame, name, argument)
    rule = f"{argument} column {name!r} must have no missing ids"
    missing = column.is_null().to_numpy()
    reject(missing, np.full(len(missing), None), rule)
    values = column.to_numpy()
    if values.dtype.kind == "f":
        reject(np.isnan(values), values, rule)
    if values.dtype.kind in "OU":
        objects = values.tolist()
        types = {type(value) for value in objects}
        alike = len(types) == 1 and all(issubclass(type_, (str, int, float, np.number)) for type_ in types)
        rule = f"{argument} column {name!r} must hold ids of one type, integers or strings"
        require(alike and bool not in types, rule, sorted(type_.__name__ for type_ in types))
        if issubclass(types.pop(), str):
            bad = [value for value in {*objects} if value.endswith("\0")]  # numpy's fixed-width text would drop the NUL
            require(not bad, f"{argument} column {name!r} must have no ids that end in NUL", bad)
            return values.astype(object)  # with fixed width, one long id would widen them all
        values = np.array(objects)
    rule = f"{argument} column {name!r} must hold integers of 64 bits, or strings"
    require(values.dtype.kind in "iuf", rule, str(values.dtype))
    return integers(values, f"{argument} column {name!r}") if values.dtype.kind == "f" else values


def encoded(frame: nw.DataFrame[Any], name: str, argument: str, first: int) -> tuple[Vocabulary, NDArray[np.int64]]:
    """The vocabulary of the raw ids in one column (as of ``ids``), numbered from `first`, and the encoded column."""
    texts = distinct_texts(_column(frame, name, argument))
    if texts is None:
        return Vocabulary.learn(ids(frame, name, argument), first)
    return Vocabulary(texts[0], first), texts[1] + first


def timestamps(frame: nw.DataFrame[Any], name: str) -> NDArray[Any]:
    """Seconds as int64 or float64; dates and times become seconds since 1970-01-01 (UTC if they have no zone)."""
    column = _column(frame, name, "timestamp")
    if column.dtype in (nw.Datetime, nw.Date):
        reject(column.is_null().to_numpy(), column.to_numpy(), f"timestamp column {name!r} must not be missing")
        microseconds = column.cast(nw.Datetime("us")) if column.dtype == nw.Date else column
        return microseconds.dt.timestamp("us").to_numpy().astype(np.int64) / 1e6
    return moments(numbers(frame, name, "timestamp"), f"timestamp column {name!r}")


def numbers(frame: nw.DataFrame[Any], name: str, argument: str) -> NDArray[Any]:
    """One numeric column; a missing value is NaN."""
    column = _column(frame, name, argument)
    require(column.dtype.is_numeric(), f"{argument} column {name!r} must be numbers, in seconds", str(column.dtype))
    if column.is_null().any():
        return column.cast(nw.Float64).to_numpy().astype(np.float64)
    return column.to_numpy()
