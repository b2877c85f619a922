"""Every engine writes the sessions that a log in memory gives: the same rows, dwell and ids."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from messages import refuses
from reference_data import LOGS, columns

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.preparation import LazyLog

SPARK = pytest.param("pyspark", marks=pytest.mark.spark)
WITHOUT_ORDER = ("duckdb", "pyspark")


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
        session = builder.config("spark.sql.shuffle.partitions", "1").getOrCreate()
    yield session
    session.stop()


@pytest.fixture
def lazy_log(engine, request):
    """Makes a ``LazyLog`` of a pandas table on an engine; where it keeps no order the rows come shuffled."""

    def make(table, **options):
        if engine in WITHOUT_ORDER:
            table = table.assign(nr=np.arange(len(table))).sample(frac=1.0, random_state=0)
            options = {"order": "nr", **options}
        return LazyLog.from_frame(opened(table), **options)

    def opened(table):
        if engine == "pyspark":
            return request.getfixturevalue("spark").createDataFrame(pa.Table.from_pandas(table, preserve_index=False))
        if engine == "duckdb":
            import duckdb

            return duckdb.from_arrow(pa.Table.from_pandas(table, preserve_index=False))
        return {
            "pandas": lambda: table,
            "polars": lambda: pl.from_pandas(table),
            "polars_lazy": lambda: pl.from_pandas(table).lazy(),
            "pyarrow": lambda: pa.Table.from_pandas(table),
        }[engine]()

    return make


def written(log, **options):
    """The sessions of a log, through a folder that is gone afterwards, with the raw ids."""
    with tempfile.TemporaryDirectory() as folder:
        shards = log.write_sessions(Path(folder) / "sessions", **options)
        assert [path.name for path in Path(folder).iterdir()] == ["sessions"]
        return shards.read(), shards.user_vocabulary, shards.item_vocabulary


def assert_same_sessions(found, expected, log):
    sessions, users, items = found
    for name in ("items", "offsets", "user_ids", "started"):
        np.testing.assert_array_equal(getattr(sessions, name), getattr(expected, name))
    np.testing.assert_allclose(sessions.flat_dwell_times, expected.flat_dwell_times, rtol=1e-6)
    for name in ("num_items", "num_users", "max_sequence_length"):
        assert getattr(sessions, name) == getattr(expected, name)
    for name in ("flat_kinds", "context", "num_kinds", "context_sizes"):
        np.testing.assert_array_equal(getattr(sessions, name), getattr(expected, name))
    if log.kind_vocabulary is not None:
        assert sessions.kind_vocabulary.raw.tolist() == log.kind_vocabulary.raw.tolist()
    for name, labels in log.context_vocabularies.items():
        assert sessions.context_vocabularies[name].raw.tolist() == labels.raw.tolist()
    assert users.raw.tolist() == log.user_vocabulary.raw.tolist()
    assert items.raw.tolist() == log.item_vocabulary.raw.tolist()


NEAR = 1_700_000_000_000_000_000  # as floats, items near it would be one

TASKS = st.fixed_dictionaries(
    {
        "events": LOGS,
        "text": st.booleans(),
        "measured": st.booleans(),
        "labelled": st.booleans(),
        "steps": st.lists(
            st.one_of(
                st.just(None), st.tuples(st.sampled_from([0, 1, 2, 4]), st.integers(0, 3), st.sampled_from([0, 1, 2]))
            ),
            max_size=2,
        ),
        "inactivity": st.sampled_from([600, 3600, 10**6]),
        "lengths": st.sampled_from([(50, 2), (3, 1), (2, 2), (4, 3)]),
        "events_per_shard": st.sampled_from([1, 7, 1000]),
    }
)


LABELS = {"kind": "what", "context": ["device", "place"]}


def labelled(table):
    """The table with kinds and a context of strings and of numbers, some missing."""
    place = np.arange(len(table))
    kinds = np.array(["view", "buy", None, "view", "cart"], object)[place * 7 % 5]
    devices = np.array(["tv", None, "phone"], object)[place % 3]
    return table.assign(what=kinds, device=devices, place=place * 3 % 4 - 1)


def table_of(events, text, measured):
    users, items, times = columns(events)
    users, items = 7 - 2 * users, items + NEAR
    table = pd.DataFrame({"user_id": users, "item_id": items, "timestamp": times})
    if text:
        table = table.assign(user_id=[f"u{user}" for user in users], item_id=[f"é{item}" for item in items])
    if measured:
        table["look"] = np.where(items == NEAR + 2, np.nan, times % 1000 / 8)
    return table


def same_or_same_error(task, lazy_log):
    """``EventLog`` and ``LazyLog`` write the same sessions, or refuse the log with the same words."""
    table, inactivity = table_of(task["events"], task["text"], task["measured"]), task["inactivity"]
    dwell, labels = "look" if task["measured"] else None, {}
    if task["labelled"]:
        table, labels = labelled(table), LABELS
    most, least = task["lengths"]
    log, lazy = (
        EventLog.from_frame(table, dwell=dwell, **labels),
        lazy_log(table, dwell=dwell, inactivity=inactivity, **labels),
    )
    try:
        for step in task["steps"]:
            lazy = lazy.collapse_repeats() if step is None else lazy.filter_support(*step)
            log = log.collapse_repeats(inactivity) if step is None else log.filter_support(*step, inactivity)
        expected = to_sessions(log, inactivity, most, least)
    except ValueError as error:
        with refuses(str(error)):
            written(lazy, max_sequence_length=most, min_sequence_length=least)
        return
    assert_same_sessions(
        written(lazy, max_sequence_length=most, min_sequence_length=least, events_per_shard=task["events_per_shard"]),
        expected,
        log,
    )


@pytest.mark.parametrize(
    ("engine", "examples"),
    [
        ("pandas", 10),
        ("polars", 20),
        ("polars_lazy", 20),
        ("pyarrow", 10),
        ("duckdb", 12),
        pytest.param("pyspark", 4, marks=pytest.mark.spark),
    ],
)
def test_sessions_are_those_of_the_log_in_memory(engine, examples, lazy_log):
    @settings(max_examples=examples, phases=[Phase.generate] if engine == "pyspark" else settings().phases)
    @given(TASKS)
    def check(task):
        same_or_same_error(task, lazy_log)

    check()


ENGINES = ["pandas", "polars_lazy", "pyarrow", "duckdb", SPARK]
UNSORTED = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from([NEAR + 1, NEAR + 2]), st.integers(0, 3).map(lambda t: t * 1800)),
    min_size=1,
    max_size=9,
)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(UNSORTED)
@example([("a", 2, 5), ("a", 1, 0), ("a", 2, 0)])
def test_runs_of_an_unsorted_log_are_those_of_the_log_in_memory(engine, lazy_log, events):
    table = labelled(pd.DataFrame(events, columns=["user_id", "item_id", "timestamp"]))
    expected = to_sessions(log := EventLog.from_frame(table, **LABELS).collapse_repeats(), min_sequence_length=1)
    lazy = lazy_log(table, **LABELS).collapse_repeats()
    assert_same_sessions(written(lazy, min_sequence_length=1, events_per_shard=4), expected, log)


@pytest.mark.parametrize("engine", ["pandas", "polars_lazy", "pyarrow"])
def test_ids_around_2_to_the_63_are_three(engine, lazy_log):
    table = pd.DataFrame({"user_id": np.array([5, 2**63 - 1, 2**63], np.uint64), "timestamp": 0})
    table["item_id"] = table.user_id
    _, users, items = written(lazy_log(table), min_sequence_length=1)
    assert users.raw.tolist() == items.raw.tolist() == [5, 2**63 - 1, 2**63]


def test_ids_of_duckdb_are_kept_or_refused():
    import duckdb

    events = duckdb.sql("select ('0000000' || i || '-0000-0000-0000-000000000000')::uuid u, i, i t from range(3) s(i)")
    options = {"user": "u", "item": "u", "timestamp": "t", "order": "t"}
    _, users, items = written(LazyLog.from_frame(events, **options), min_sequence_length=1)
    assert users.raw.tolist() == items.raw.tolist() == [str(UUID(int=i << 96)) for i in range(3)]
    assert EventLog.from_frame(events, "u", "u", "t").item_vocabulary.raw.tolist() == items.raw.tolist()
    huge = duckdb.sql("select i, i::hugeint + 4611686018427387904 as h from range(3) s(i)")
    assert EventLog.from_frame(huge, "h", "i", "i").user_vocabulary.raw.tolist() == [2**62, 2**62 + 1, 2**62 + 2]
    with refuses("user column 'h' must hold integers of 64 bits or strings; got 'Int128'. Cast it to one of them"):
        LazyLog.from_frame(huge, "h", "i", "i", order="i")


TIES = pd.DataFrame(
    {
        "user_id": ["b", "a", "a", "a", "a", "b", "a"],
        "item_id": [9, 3, 1, 2, 3, 9, 1],
        "timestamp": [5, 7, 7, 7, 7, 6, 4],
    }
)


@pytest.mark.parametrize("engine", ENGINES)
def test_equal_timestamps_keep_file_order(engine, lazy_log):
    sessions, users, items = written(lazy_log(TIES))
    assert items.decode(sessions.items).tolist() == [1, 3, 1, 2, 3, 9, 9]
    np.testing.assert_array_equal(sessions.flat_dwell_times, [3, 0, 0, 0, np.nan, 1, np.nan])
    assert users.raw.tolist() == ["a", "b"]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("zone", [None, "Europe/Oslo"])
def test_dates_are_seconds(engine, lazy_log, zone):
    clock = pd.to_datetime(TIES.timestamp * 1000 + 125, unit="ms", utc=zone is not None).astype(
        "datetime64[us]" if zone is None else "datetime64[us, UTC]"
    )
    clock = clock if zone is None else clock.dt.tz_convert(zone)
    sessions, _, _ = written(lazy_log(TIES.assign(timestamp=clock)))
    assert sessions.started.tolist() == [4.125, 5.125]
    np.testing.assert_array_equal(sessions.flat_dwell_times, [3, 0, 0, 0, np.nan, 1, np.nan])


@pytest.mark.parametrize("engine", ENGINES)
def test_an_order_of_ones_own_breaks_ties(engine, lazy_log):
    sessions, _, items = written(lazy_log(TIES.assign(rank=range(7, 0, -1)), order="rank"))
    assert items.decode(sessions.items).tolist() == [1, 3, 2, 1, 3, 9, 9]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"user_id": ["a", "b", None, "b", None, "a", "a"]}, "user must have no missing values; got '2 of 7'"),
        ({"timestamp": [0.0, 1.0, np.inf, 2.0, 3.0, 4.0, 5.0]}, "timestamp must be finite; got '1 others of 7'"),
        ({"timestamp": [0, 1, 2**53 + 2, 2, 3, 4, 5]}, f"timestamp must lie within 2**53 s of 1970; got {2**53 + 2}"),
        ({"look": [0.0, 1.0, -2.5, 2.0, 3.0, 4.0, 5.0]}, "dwell must not be negative; got -2.5"),
        ({"look": [0.0, 1.0, 1e39, 2.0, 3.0, 4.0, 5.0]}, "dwell must be finite as float32, or missing; got 1e+39"),
    ],
)
def test_a_log_with_bad_values_is_refused_before_work_starts(engine, lazy_log, changes, message):
    with refuses(message):
        written(lazy_log(TIES.assign(**changes), dwell="look" if "look" in changes else None))


@pytest.mark.parametrize("engine", ["pandas", "polars_lazy", "duckdb", SPARK])
def test_an_empty_log_is_refused(engine, lazy_log):
    with refuses("frame must have at least one event; got 0"):
        written(lazy_log(TIES.head(0).astype({"user_id": "int64"})))


@pytest.mark.parametrize(
    ("options", "table", "message"),
    [
        ({"item": "what"}, TIES, "item must name one of the columns ['user_id', 'item_id', 'timestamp']; got 'what'"),
        ({"order": "nr"}, TIES, "order must name one of the columns ['user_id', 'item_id', 'timestamp']; got 'nr'"),
        ({"inactivity": 0}, TIES, "inactivity must be positive; got 0"),
        (
            {},
            TIES.assign(item_id=1.5),
            "item column 'item_id' must hold integers of 64 bits or strings; got 'Float64'. Cast it to one of them",
        ),
        (
            {},
            TIES.assign(timestamp=np.float32(1)),
            "timestamp column 'timestamp' must be numbers of 64 bits, in seconds, or dates; got 'Float32'. "
            "Cast it to int64 or float64",
        ),
        ({"dwell": "user_id"}, TIES, "dwell column 'user_id' must be numbers, in seconds; got 'String'"),
    ],
)
@pytest.mark.parametrize("frame", [pl.from_pandas, lambda table: pl.from_pandas(table).lazy()])
def test_columns_that_are_missing_or_of_another_type_are_refused(options, table, message, frame):
    with refuses(message):
        LazyLog.from_frame(frame(table), **options)


def test_an_engine_without_file_order_asks_for_one():
    import duckdb

    with refuses(
        "order must name a column that tells the order of events, for duckdb keeps none; got None. "
        "In DuckDB read_parquet(..., file_row_number=True) makes one"
    ):
        LazyLog.from_frame(duckdb.from_arrow(pa.Table.from_pandas(TIES)))


@pytest.mark.parametrize("frame", [None, {"user_id": [1]}, np.zeros((2, 3))])
def test_what_is_no_frame_is_refused(frame):
    kind = f"{type(frame).__module__}.{type(frame).__qualname__}"
    with refuses(f"frame must be one of pandas, polars, pyarrow, duckdb, pyspark; got {kind}", TypeError):
        LazyLog.from_frame(frame)


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda log: log.filter_support(item=-1),
            "item must be 0 or more; got -1",
        ),
        (lambda log: written(log, events_per_shard=0), "events_per_shard must be 1 or more; got 0"),
        (
            lambda log: written(log, min_sequence_length=0),
            "min_sequence_length must be 1 or more; got 0",
        ),
        (
            lambda log: written(log, min_sequence_length=6),
            "min_sequence_length must leave at least one session, and the longest has 5 events; got 6",
        ),
    ],
)
def test_steps_refuse_bad_arguments(work, message):
    with refuses(message):
        work(LazyLog.from_frame(TIES))
