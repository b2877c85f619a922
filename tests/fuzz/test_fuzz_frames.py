"""Tables of any columns: the log has their events in order, or the error names the column."""

from __future__ import annotations

import datetime
import decimal
import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fuzzing import CASES, answer, explore
from hypothesis import strategies as st

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.events.times import LATEST

REFUSED = None  # instead of the values of a column that must be refused
WIDTHS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@st.composite
def integers(draw, size, missing=False):
    """Integers of every width and pandas' nullable ones, few or many distinct."""
    width = draw(st.sampled_from(WIDTHS))
    low, high = np.iinfo(width).min, np.iinfo(width).max
    value = draw(st.sampled_from([st.integers(max(low, -2), 3), st.integers(0, 3), st.integers(low, high)]))
    values = draw(st.lists(value, min_size=size, max_size=size))
    if not draw(st.booleans()):
        return pd.Series(values, dtype=width), values
    holes = draw(st.lists(st.booleans(), min_size=size, max_size=size)) if missing else [False] * size
    given = [None if hole else value for hole, value in zip(holes, values, strict=True)]
    return pd.Series(given, dtype=width.replace("i", "I").replace("uI", "UI")), REFUSED if any(holes) else given


@st.composite
def floats(draw, size):
    """Floats of every width; ids where they are whole."""
    width = draw(st.sampled_from([16, 32, 64]))
    value = draw(st.sampled_from([st.integers(-3, 3), st.integers(0, 9), st.floats(width=width)]))
    values = draw(st.lists(value.map(float), min_size=size, max_size=size))
    reach = 2.0 ** {16: 11, 32: 24, 64: 53}[width]  # beyond, floats are rounded integers
    fits = all(math.isfinite(value) and value == math.floor(value) and abs(value) < reach for value in values)
    return pd.Series(values, dtype=f"float{width}"), [int(value) for value in values] if fits else REFUSED


@st.composite
def texts(draw, size):
    """Strings as objects, strings and categories, some of them missing."""
    kind = draw(st.sampled_from([object, "string", "category", "str"]))
    text = st.one_of(st.sampled_from(["a", "b", "", "7", "nan", "None"]), st.text(max_size=3))
    values = draw(st.lists(text, min_size=size, max_size=size))
    holes = [draw(st.integers(0, 19)) == 19 for _ in range(size)]
    given = [None if hole else value for hole, value in zip(holes, values, strict=True)]
    return pd.Series(given, dtype=kind), REFUSED if any(holes) else values


NO_IDS = st.sampled_from(
    [
        True,
        datetime.datetime(2020, 1, 1),
        datetime.timedelta(days=1),
        b"a",
        decimal.Decimal("1.5"),
        (1, 2),
        1j,
        2**70,
        [1],
        None,
        np.nan,
    ]
)


@st.composite
def no_ids(draw, size):
    """One value over and over that is no id, or ids of several types."""
    if size > 1 and draw(st.booleans()):
        return pd.Series(["a", 1] * size, dtype=object)[:size], REFUSED
    return pd.Series([draw(NO_IDS)] * size, dtype=draw(st.sampled_from([object, None]))), REFUSED


@st.composite
def moments(draw, size):
    """Seconds of every width, dates, and other things."""
    kind = draw(st.sampled_from(["int", "float", "date", "date", "date", "other"]))
    if kind == "int":
        column, values = draw(integers(size))
        fits = all(abs(value) <= 2**53 for value in values) and abs(np.median(values)) <= LATEST
        return column, values if fits else REFUSED
    if kind == "float":
        column, _ = draw(floats(size))
        bits = np.finfo(column.dtype).nmant + 1
        fits = np.isfinite(column).all() and (column.abs().astype(float) <= 2.0 ** min(bits, 53)).all()
        fits = fits and abs(np.median(column.astype(float))) <= LATEST
        return column, [float(value) for value in column] if fits else REFUSED
    if kind == "date":
        dates = st.datetimes(datetime.datetime(1950, 1, 1), datetime.datetime(2050, 1, 1))
        values = draw(st.lists(dates, min_size=size, max_size=size))
        start = datetime.datetime(1970, 1, 1)
        seconds = [(value - start) // datetime.timedelta(microseconds=1) / 1e6 for value in values]
        return pd.Series(values, dtype="datetime64[us]"), seconds
    return draw(st.sampled_from([["5"] * size, [True] * size, [None] * size, [1j] * size])), REFUSED


@st.composite
def durations(draw, size):
    """Measured dwell: nothing, or numbers that are not negative, NaN where unknown."""
    if draw(st.booleans()):
        return None, None
    column, _ = draw(floats(size))
    values = [float(value) for value in column]
    largest = float(np.finfo(np.float32).max)
    return column, values if all(math.isnan(value) or 0 <= value <= largest for value in values) else REFUSED


class Table:
    """A frame with a text that cannot fail, as that of pandas can for float16."""

    def __init__(self, frame):
        self.frame = frame

    def __repr__(self):
        return str({name: (str(column.dtype), column.tolist()) for name, column in self.frame.items()})


@st.composite
def tables(draw):
    """A table, and the values of its columns, or REFUSED."""
    size = draw(st.integers(1, 6))
    fit = [integers(size), floats(size), texts(size), texts(size), st.just((["a"] * size, ["a"] * size))]
    kinds = st.sampled_from([*fit, *fit, integers(size, missing=True), no_ids(size)])
    columns = {"user": draw(draw(kinds)), "item": draw(draw(kinds)), "timestamp": draw(moments(size))}
    dwell = draw(durations(size))
    if dwell[0] is not None:
        columns["dwell"] = dwell
    frame = pd.DataFrame(
        {name: list(given) if isinstance(given, list) else given for name, (given, _) in columns.items()}
    )
    frame.index = draw(st.permutations(range(size)))
    return Table(frame), {name: values for name, (_, values) in columns.items()}


def converted(frame, library):
    """The same table in another library, or itself where that library has no such column."""
    try:
        if library == "polars":
            return pl.from_pandas(frame.reset_index(drop=True))
        if library == "pyarrow":
            return pa.Table.from_pandas(frame, preserve_index=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, TypeError, ValueError, OverflowError):
        pass
    return frame


def check(table, library):
    frame, values = table[0].frame, table[1]
    names = {name: name for name in values}
    log = answer(lambda: EventLog.from_frame(converted(frame, library), **names), *values)
    refused = any(column is REFUSED for column in values.values())
    assert (log is None) == refused, table
    if log is None:
        return
    dwell = values.get("dwell", [math.nan] * len(frame))
    events = list(zip(values["user"], values["timestamp"], range(len(frame)), values["item"], dwell, strict=True))
    users, times, _, items, seconds = zip(*sorted(events, key=lambda event: event[:3]), strict=True)
    assert log.user_vocabulary.decode(log.user_ids).tolist() == list(users)
    assert log.item_vocabulary.decode(log.item_ids).tolist() == list(items)
    assert log.timestamps.tolist() == list(times)
    if "dwell" in values:
        np.testing.assert_array_equal(log.dwell_times(), seconds)
    rows = to_sessions(log, min_sequence_length=1, max_sequence_length=len(log))
    assert rows.items.tolist() == log.item_ids.tolist()


@pytest.mark.parametrize("cases", CASES)
def test_a_table_is_the_log_of_its_events_or_the_column_is_named(cases):
    explore(check, cases, st.tuples(tables(), st.sampled_from(["pandas", "polars", "pyarrow"])))
