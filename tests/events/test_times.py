"""Timestamps of another unit than seconds are read in it, or refused; never taken for seconds in silence."""

from __future__ import annotations

import datetime
import logging

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses

from spotlight_asars import EventLog
from spotlight_asars.events.times import EARLIEST, LATEST, PER_SECOND, seconds_of
from spotlight_asars.preparation import LazyLog

NOW = 1_717_200_000  # 2024-06-01
OTHER = "be seconds; got a median of {0}, which is of 2024-06-01 in {1}. unit='{1}' reads it"


def table(times, frame=pd.DataFrame):
    return frame({"user_id": ["a"] * len(times), "item_id": list(range(len(times))), "timestamp": times})


def lazy_times(frame, unit):
    events = LazyLog.from_frame(frame, unit=unit).recording.events
    return sorted(events.collect("pyarrow")["time"].to_list())


@given(st.lists(st.integers(EARLIEST, LATEST), min_size=1), st.sampled_from(list(PER_SECOND)), st.booleans())
def test_a_unit_is_what_is_said_or_what_fits(seconds, unit, auto):
    times = np.array(seconds) * PER_SECOND[unit]
    asked = "auto" if auto else unit
    assert EventLog.from_frame(table(times), unit=asked).timestamps.tolist() == sorted(seconds)
    for frame in (pd.DataFrame, pl.DataFrame):
        assert lazy_times(table(times, frame), asked) == sorted(seconds)


@pytest.mark.parametrize("read", [EventLog.from_frame, LazyLog.from_frame])
@pytest.mark.parametrize(
    ("times", "unit", "message"),
    [
        (
            [NOW * 1000],
            "s",
            OTHER.format(NOW * 1e3, "ms"),
        ),
        (
            [NOW * 10**6],
            "s",
            OTHER.format(NOW * 1e6, "us"),
        ),
        (
            [NOW * 10**9],
            "s",
            OTHER.format(NOW * 1e9, "ns"),
        ),
        ([20240531235959], "s", "be seconds, with a median before 2100; got 20240531235959.0"),
        (
            [20240531, 20240601],
            "s",
            "be seconds, or dates; got 20240531.0. Convert it to dates, which it reads as",
        ),
        ([0, 40, 100], "auto", None),
        ([45292.5, 45293.25], "auto", None),
    ],
)
def test_what_is_hardly_seconds_is_refused(read, times, unit, message):
    rule = (
        f"have a median between 1990 and 2100 in one of ['s', 'ms', 'us', 'ns'] for unit='auto'; got {np.median(times)}"
    )
    with refuses(f"timestamp column 'timestamp' must {message or rule}"):
        read(table(times), unit=unit)


@pytest.mark.parametrize("read", [EventLog.from_frame, LazyLog.from_frame])
def test_a_unit_that_is_none_is_named(read):
    with refuses("unit must be one of ['s', 'ms', 'us', 'ns', 'auto']; got 'days'"):
        read(table([1]), unit="days")


@pytest.mark.parametrize(
    ("times", "unit", "level", "text"),
    [
        ([NOW], "auto", logging.INFO, "timestamp column 'timestamp' is read in s: its median is then of 2024-06-01"),
        (
            [NOW * 1000],
            "auto",
            logging.WARNING,
            "timestamp column 'timestamp' is read in ms: its median",
        ),
        ([45292.5, 45293.25], "s", logging.WARNING, "timestamp column 'timestamp' lies between 45292.5 and 45293.25"),
        ([0, 40, 100], "s", None, None),
        ([NOW * 1000], "ms", None, None),
    ],
)
def test_what_was_guessed_is_logged(caplog, times, unit, level, text):
    with caplog.at_level(logging.INFO, "spotlight_asars"):
        EventLog.from_frame(table(times), unit=unit)
    assert [record.levelno for record in caplog.records] == ([] if level is None else [level])
    assert text is None or caplog.records[0].getMessage().startswith(text)


@given(st.lists(st.datetimes(datetime.datetime(1900, 1, 1), timezones=st.timezones() | st.none()), min_size=1))
def test_dates_count_from_1970_in_their_zone(dates):
    utc = [date if date.tzinfo else date.replace(tzinfo=datetime.timezone.utc) for date in dates]
    dates = [date for date in utc if not date.utcoffset() % datetime.timedelta(minutes=1)]
    np.testing.assert_allclose(seconds_of([date.isoformat() for date in dates]), [date.timestamp() for date in dates])


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Ho_Chi_Minh", "Etc/GMT+5", "Europe/Oslo", "UTC"])
@pytest.mark.parametrize("frame", [lambda table: table, pl.from_pandas])
def test_dates_of_any_zone_are_read(zone, frame):
    clock = pd.to_datetime(pd.Series([NOW, NOW + 1.5]), unit="s", utc=True).dt.tz_convert(zone)
    events = table([0, 0]).assign(timestamp=clock)
    assert EventLog.from_frame(frame(events)).timestamps.tolist() == [NOW, NOW + 1.5]
    assert lazy_times(frame(events), "s") == [NOW, NOW + 1.5]
    assert str(clock.dt.tz) == str(events.timestamp.dt.tz) == zone, "the table is as it was"


def test_dates_of_arrow_and_of_python_are_read():
    import pyarrow as pa

    days = [datetime.date(1970, 1, 2), datetime.date(1970, 1, 1)]
    arrow = table(pa.array(days, pa.date64()), pa.table)
    for events in (arrow, table(days)):
        assert EventLog.from_frame(events).timestamps.tolist() == [0, 86400]
    assert lazy_times(arrow, "s") == [0, 86400]
