"""Every kind of table gives the same log, and bad columns are refused with their name and value."""

from __future__ import annotations

import datetime
import re
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from spotlight_asars import EventLog
from spotlight_asars.analysis import top_shares
from spotlight_asars.events import frames

COLUMNS = {
    "user_id": ["bob", "ann", "ann", "ann", "ann", "bob"],
    "item_id": [-(2**62) - 1, 2**62 + 1, 7, 2**62 + 2, 7, 7],
    "timestamp": [50, 0, 40, 100, 10000, 80],
    "dwell": [1.5, 2.0, None, 0.0, 4.0, 9.0],
    "topic": ["verse", "prose", "prose", "verse", "prose", "prose"],
}
TABLES = {
    "pandas": pd.DataFrame,
    "pandas_objects": lambda columns: pd.DataFrame({name: pd.Series(c, dtype=object) for name, c in columns.items()}),
    "pandas_nullable": lambda columns: pd.DataFrame(columns).convert_dtypes(),
    "pandas_arrow": lambda columns: pd.DataFrame(columns).convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame,
    "polars_lazy": pl.LazyFrame,
    "pyarrow": pa.table,
    "pyarrow_chunks": lambda columns: pa.concat_tables([pa.table(columns).slice(0, 2), pa.table(columns).slice(2)]),
}


def refuses(message, error=ValueError):
    """Expect exactly this message."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def change(**changes):
    """A pandas table of ``COLUMNS`` with some of them changed."""
    return pd.DataFrame({**COLUMNS, **changes})


def assert_same(one, other):
    for name in ("user_ids", "item_ids", "timestamps", "categories"):
        ours, theirs = getattr(one, name), getattr(other, name)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(one.dwell_times(), other.dwell_times())
    for ours, theirs in ((one.user_vocabulary, other.user_vocabulary), (one.item_vocabulary, other.item_vocabulary)):
        assert ours.raw.dtype == theirs.raw.dtype
        assert ours.raw.tolist() == theirs.raw.tolist()


@pytest.fixture
def expected():
    """The log of ``COLUMNS``, written out."""
    log = EventLog([1, 0, 0, 0, 0, 1], [1, 3, 2, 4, 2, 2], COLUMNS["timestamp"])
    assert log.user_ids.tolist() == [0, 0, 0, 0, 1, 1]
    return log


@pytest.mark.parametrize("table", [name for name in TABLES if name != "pandas_objects"])
def test_every_table_gives_the_same_log(table, expected):
    log = EventLog.from_frame(TABLES[table](COLUMNS), dwell="dwell", category="topic")
    assert log.user_ids.tolist() == expected.user_ids.tolist()
    assert log.item_ids.tolist() == expected.item_ids.tolist()
    assert log.timestamps.dtype == np.int64
    assert log.timestamps.tolist() == expected.timestamps.tolist() == [0, 40, 100, 10000, 50, 80]
    np.testing.assert_array_equal(log.dwell_times(), [2.0, np.nan, 0.0, 4.0, 1.5, 9.0])
    assert log.user_vocabulary.raw.tolist() == ["ann", "bob"]
    assert log.item_vocabulary.raw.tolist() == [-(2**62) - 1, 7, 2**62 + 1, 2**62 + 2]
    assert log.item_vocabulary.raw.dtype == np.int64
    assert log.categories.tolist() == ["prose", "prose", "verse", "prose", "verse", "prose"]


def test_ids_kept_as_objects_are_the_same_ids(expected):
    table = TABLES["pandas_objects"](COLUMNS).astype({"timestamp": "int64"})
    log = EventLog.from_frame(table)
    assert log.item_ids.tolist() == expected.item_ids.tolist()
    assert log.item_vocabulary.raw.dtype == np.int64


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame(COLUMNS).astype({"user_id": "category", "item_id": "category", "topic": "category"}),
        pl.DataFrame(COLUMNS).with_columns(pl.col("user_id", "topic").cast(pl.Categorical)),
        pl.DataFrame(COLUMNS).with_columns(pl.col("user_id").cast(pl.Enum(["bob", "zoe", "ann"]))),
        pa.table({**COLUMNS, "user_id": pa.array(COLUMNS["user_id"]).dictionary_encode()}),
        pa.table({**COLUMNS, "user_id": pa.array(COLUMNS["user_id"], pa.large_string())}),
    ],
    ids=["pandas", "polars", "polars_enum", "pyarrow", "large_string"],
)
def test_categories_are_read_as_what_they_name(table):
    plain = EventLog.from_frame(pd.DataFrame(COLUMNS), dwell="dwell", category="topic")
    assert_same(EventLog.from_frame(table, dwell="dwell", category="topic"), plain)


@pytest.mark.parametrize("frame", [None, {"user_id": [1]}, pd.Series([1])])
def test_other_types_are_no_tables(frame):
    kind = type(frame)
    with pytest.raises(TypeError, match=r"^frame must be a pandas, polars or pyarrow table; got .*" + kind.__name__):
        EventLog.from_frame(frame)


@pytest.mark.parametrize("argument", ["user", "item", "timestamp", "dwell", "category"])
def test_a_missing_column_is_named_beside_those_there_are(argument):
    with refuses(f"{argument} must name one of the columns {list(COLUMNS)}; got 'visitor'"):
        EventLog.from_frame(change(), **{argument: "visitor"})


@pytest.mark.parametrize(
    "table",
    [pd.DataFrame(COLUMNS).head(0), pl.DataFrame(COLUMNS).head(0), pd.DataFrame(columns=list(COLUMNS))],
    ids=["pandas", "polars", "pandas_untyped"],
)
def test_an_empty_table_is_refused(table):
    with refuses("frame must have at least one event; got 0"):
        EventLog.from_frame(table)


@pytest.mark.parametrize("argument", ["user", "item", "category"])
@pytest.mark.parametrize("table", TABLES)
def test_missing_ids_are_refused(argument, table):
    column = {"user": "user_id", "item": "item_id", "category": "topic"}[argument]
    values = [*COLUMNS[column][:2], None, *COLUMNS[column][3:]]
    message = rf"^{argument} column '{column}' must have no missing ids; got (nan|None|<NA>) at 2$"
    with pytest.raises(ValueError, match=message):
        frames.ids(frames.to_frame(TABLES[table]({**COLUMNS, column: values})), column, argument)


def test_ids_that_are_not_numbers_are_missing_in_polars_too():
    table = pl.DataFrame({**COLUMNS, "item_id": [1.0, 2.0, np.nan, 4.0, 5.0, 6.0]})
    with refuses("item column 'item_id' must have no missing ids; got None at 2"):
        EventLog.from_frame(table)


def test_ids_of_mixed_types_are_refused():
    with refuses("user column 'user_id' must be raw ids, all strings or all integers; got ['int', 'strings']"):
        EventLog.from_frame(change(user_id=["ann", 1, "ann", 1, 1, 1]))


@pytest.mark.parametrize(
    ("ids", "dtype", "message"),
    [
        ([True] * 6, object, "be raw ids, all strings or all integers; got ['bool']"),
        ([b"a"] * 6, object, "be raw ids, all strings or all integers; got ['bytes']"),
        ([(1, 2)] * 6, object, "be raw ids, all strings or all integers; got ['tuple']"),
        ([1.5, 1.5, 2.0, 1.0, 1.0, 1.0], object, "be whole numbers of 64 bits; got 1.5 at 0"),
        ([-1, 2**63] * 3, object, f"be integers of 64 bits, all int64 or all uint64; got -1 and {2**63}"),
        ([True] * 6, bool, "hold integers of 64 bits, or strings; got 'bool'"),
        ([2**70, 0] * 3, object, f"be integers of 64 bits, all int64 or all uint64; got 0 and {2**70}"),
        (
            [2.0**53] * 6,
            float,
            f"be below 2**53 as float64, which rounds larger numbers; got {2.0**53} at 0. Give int64",
        ),
    ],
)
def test_other_types_are_no_ids(ids, dtype, message):
    with refuses(f"user column 'user_id' must {message}"):
        EventLog.from_frame(change(user_id=pd.Series(ids, dtype=dtype)))


def test_whole_floats_are_integer_ids_and_others_none():
    log = EventLog.from_frame(change(user_id=[2.0, 1.0, 1.0, 1.0, 1.0, 2.0]))
    assert log.user_vocabulary.raw.dtype == np.int64
    for bad in (1.5, np.inf):
        with refuses(f"user column 'user_id' must be whole numbers of 64 bits; got {bad} at 3"):
            EventLog.from_frame(change(user_id=[2.0, 1.0, 1.0, bad, 1.0, 2.0]))


def test_the_extreme_integers_are_ids():
    extremes = [-(2**63), 2**63 - 1, 0, 0, 0, 0]
    log = EventLog.from_frame(change(item_id=extremes))
    assert log.item_vocabulary.raw.tolist() == [-(2**63), 0, 2**63 - 1]
    hashes = np.array([2**64 - 1, 2**64 - 2, 0, 0, 0, 0], np.uint64)
    log = EventLog.from_frame(change(item_id=hashes))
    assert log.item_vocabulary.raw.tolist() == [0, 2**64 - 2, 2**64 - 1]


def test_one_long_text_does_not_widen_the_others():
    values = frames.ids(frames.to_frame(change(user_id=["x" * 10**5, *"abcde"])), "user_id", "user")
    assert values.dtype == object


@pytest.mark.parametrize(
    "dtype", [np.int8, np.uint8, np.int32, np.uint64, np.int64, np.float16, np.float32, np.float64]
)
def test_timestamps_are_int64_or_float64(dtype):
    log = EventLog.from_frame(change(timestamp=np.array([5, 0, 1, 2, 100, 6], dtype)))
    assert log.timestamps.dtype == (np.float64 if np.dtype(dtype).kind == "f" else np.int64)
    assert log.timestamps.tolist() == [0, 1, 2, 100, 5, 6]


def test_milliseconds_in_floats_and_seconds_in_integers_are_kept_exactly():
    clock = 1659304800.025
    log = EventLog.from_frame(change(timestamp=[clock, *[clock + 1] * 5]))
    assert clock in log.timestamps.tolist()
    log = EventLog.from_frame(change(timestamp=[2**53, -(2**53), 0, 0, 0, 0]))
    assert log.timestamps.tolist() == [-(2**53), 0, 0, 0, 0, 2**53]


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_timestamps_that_are_not_finite_are_refused(bad):
    for table in (pd.DataFrame, pl.DataFrame):
        with refuses(f"timestamp column 'timestamp' must be finite; got {bad} at 2"):
            EventLog.from_frame(table({**COLUMNS, "timestamp": [0.0, 1.0, bad, 2.0, 3.0, 4.0]}))


@pytest.mark.parametrize("table", [name for name in TABLES if name != "pandas_objects"])
def test_timestamps_that_are_missing_are_refused(table):
    with refuses("timestamp column 'timestamp' must be finite; got nan at 1"):
        EventLog.from_frame(TABLES[table]({**COLUMNS, "timestamp": [0, None, 1, 2, 3, 4]}))


@pytest.mark.parametrize("dtype", [object, float, "Int64", "string"])
def test_a_column_of_missing_dwell_is_unknown_whatever_its_type(dtype):
    log = EventLog.from_frame(change(dwell=pd.Series([None] * 6, dtype=dtype)), dwell="dwell")
    assert np.isnan(log.dwell_times()).all()


def test_two_columns_of_one_name_are_refused():
    table = change()
    with refuses("frame must have columns of different names: Expected unique column names, got: - 'item_id' 2 times"):
        EventLog.from_frame(pd.concat([table, table[["item_id"]]], axis=1))


def test_timestamps_and_dwell_that_are_text_are_refused():
    for argument in ("timestamp", "dwell"):
        with refuses(f"{argument} column 'topic' must be numbers, in seconds; got 'String'"):
            EventLog.from_frame(change(), **{argument: "topic"})


@pytest.mark.parametrize(
    ("bad", "dtype", "bits"), [(2**53 + 1, np.int64, 53), (float(np.float32(1659304800)), np.float32, 24)]
)
def test_timestamps_out_of_reach_are_refused(bad, dtype, bits):
    values = np.array([0, 1, bad, 2, 3, 4], dtype)
    rule = f"timestamp column 'timestamp' must lie within 2**{bits} s of 1970; got {bad!r} at 2. Give int64 or float64"
    with refuses(rule):
        EventLog.from_frame(change(timestamp=values))


DATES = [
    "2024-03-31 00:30",
    "2024-03-31 02:30",
    "2024-03-31 03:30",
    "2024-03-31 04:30:00.125",
    "2024-04-01",
    "1969-12-31",
]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_without_a_zone_count_as_utc(unit):
    clock = pd.to_datetime(pd.Series(DATES), format="ISO8601").astype(f"datetime64[{'ms' if unit == 's' else unit}]")
    seconds = [moment.replace(tzinfo=datetime.timezone.utc).timestamp() for moment in clock]
    for table in (change(timestamp=clock), pl.from_pandas(change(timestamp=clock)), pa.table(change(timestamp=clock))):
        log = EventLog.from_frame(table)
        assert log.timestamps.dtype == np.float64
        assert log.timestamps.tolist() == sorted(seconds[1:5]) + sorted([seconds[0], seconds[5]])


def test_dates_with_a_zone_count_by_it():
    clock = pd.to_datetime(pd.Series(DATES), format="ISO8601").dt.tz_localize("UTC")
    utc = EventLog.from_frame(change(timestamp=clock))
    oslo = change(timestamp=clock.dt.tz_convert("Europe/Oslo"))  # where 31 March 2024 has no third hour
    for table in (oslo, pl.from_pandas(oslo), pa.table(oslo)):
        assert EventLog.from_frame(table).timestamps.tolist() == utc.timestamps.tolist()


def test_days_count_from_midnight():
    days = [datetime.date(1970, 1, day) for day in (1, 2, 3, 4, 5, 6)]
    log = EventLog.from_frame(pl.DataFrame({**COLUMNS, "timestamp": days}))
    assert log.timestamps.tolist() == [86400.0 * day for day in (1, 2, 3, 4, 0, 5)]


def test_a_missing_date_is_refused():
    clock = pd.to_datetime(pd.Series([*DATES[:3], None, *DATES[4:]]), format="ISO8601")
    for table in (change(timestamp=clock), pl.from_pandas(change(timestamp=clock))):
        with refuses("timestamp column 'timestamp' must not be missing; got None at 3"):
            EventLog.from_frame(table)


def test_the_name_of_a_column_may_be_a_number(expected):
    table = change().rename(columns={"user_id": 0, "item_id": 1})
    log = EventLog.from_frame(table, user=0, item=1)
    assert log.item_ids.tolist() == expected.item_ids.tolist()
    with refuses("user must name one of the columns [0, 1, 'timestamp', 'dwell', 'topic']; got '0'"):
        EventLog.from_frame(table, user="0", item=1)


@pytest.mark.parametrize("dtype", [pl.Int128, pl.Decimal(20, 0)])
def test_integers_of_types_that_numpy_lacks_are_ids_and_times(dtype, expected):
    table = pl.DataFrame(COLUMNS).with_columns(pl.col("item_id", "timestamp").cast(dtype))
    log = EventLog.from_frame(table)
    assert log.item_vocabulary.raw.tolist() == sorted({*COLUMNS["item_id"]})
    assert log.timestamps.tolist() == expected.timestamps.tolist()
    with refuses("item column 'item_id' must be whole numbers of 64 bits; got Decimal('1.50') at 0"):
        EventLog.from_frame(table.with_columns(item_id=pl.lit("1.5").cast(pl.Decimal(5, 2))))


@pytest.mark.parametrize("kind", ["pandas", "polars", "pyarrow"])
def test_a_missing_category_is_none(kind):
    texts, numbers = ["verse", None, *COLUMNS["topic"][2:]], [2**60 + 1, None, 5, 5, 5, 5]
    log = EventLog.from_frame(TABLES[kind]({**COLUMNS, "topic": texts}), category="topic")
    assert log.categories.tolist() == [None, "prose", "verse", "prose", "verse", "prose"]
    assert top_shares(log, by="category").share[0] > 0
    numbers = pd.array(numbers, "Int64") if kind == "pandas" else numbers
    log = EventLog.from_frame(TABLES[kind]({**COLUMNS, "topic": numbers}), category="topic")
    assert log.categories.tolist() == [None, 5, 5, 5, 2**60 + 1, 5]


def test_a_table_is_not_modified():
    table = change()
    before = table.copy(deep=True)
    log = EventLog.from_frame(table, dwell="dwell", category="topic")
    log.timestamps += 1
    log.collapse_repeats().filter_support(item=1)
    pd.testing.assert_frame_equal(table, before)


def test_times_and_dwell_of_decimals_are_numbers_in_pandas_too():
    table = pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "timestamp": [Decimal("1.5"), Decimal("2.75")]})
    assert EventLog.from_frame(table).dwell_times()[0] == 1.25
    table["spent"] = [Decimal("9.5"), None]
    np.testing.assert_array_equal(EventLog.from_frame(table, dwell="spent").dwell_times(), [9.5, np.nan])
    with refuses("timestamp column 'timestamp' must be numbers, in seconds; got 'Object'"):
        EventLog.from_frame(table.assign(timestamp=[Decimal(1), object()]))
