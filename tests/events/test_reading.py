"""Every file gives the same log with every library, and what cannot be read is named."""

from __future__ import annotations

import bz2
import gzip
import re
import zipfile
from io import BytesIO
from pathlib import Path

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages import refuses

from spotlight_asars import EventLog
from spotlight_asars.events import reading

TABLE = pd.DataFrame(
    {
        "user_id": ["bob", "ann", "ann", "ann", "ann", "bob"],
        "item_id": ["7"] * 5 + ["x9"],  # looks like integers at first
        "timestamp": [50, 0, 40, 100, 10000, 80],
        "dwell": [1.5, 2.0, None, 0.0, 4.0, 9.0],
    }
)
COLUMNS = {"user": "user_id", "item": "item_id", "timestamp": "timestamp", "dwell": "dwell"}
PACKINGS = {
    "": lambda text, path: path.write_bytes(text),
    ".gz": lambda text, path: path.write_bytes(gzip.compress(text)),
    ".bz2": lambda text, path: path.write_bytes(bz2.compress(text)),
    ".zst": lambda text, path: path.write_bytes(pa.compress(text, "zstd", asbytes=True)),
    ".zip": lambda text, path: zipfile.ZipFile(path, "w").writestr("inner.csv", text),
}


@pytest.fixture(params=reading.LIBRARIES)
def library(request, monkeypatch):
    """Each library in turn is the only one there is."""
    monkeypatch.setattr(reading, "LIBRARIES", (request.param,))
    return request.param


def assert_is_table(path):
    expected = EventLog.from_frame(TABLE, dwell="dwell")
    logs = (
        EventLog.read(str(path), dwell="dwell"),
        EventLog.from_frame(reading.scan_frame(path, COLUMNS), dwell="dwell"),
    )
    for log in logs:
        for name in ("user_ids", "item_ids", "timestamps"):
            assert getattr(log, name).tolist() == getattr(expected, name).tolist()
        np.testing.assert_array_equal(log.dwell_times(), expected.dwell_times())
        assert log.item_vocabulary.raw.tolist() == ["7", "x9"]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("ending", [text + packing for text in (".csv", ".CSV", ".tsv") for packing in PACKINGS])
def test_every_text_gives_the_same_log(tmp_path, library, ending, separator):
    path = tmp_path / f"events{ending}"
    text = TABLE.to_csv(index=False, sep=separator).encode()
    PACKINGS["" if path.suffix.lower() in reading.TEXT else path.suffix](b"\xef\xbb\xbf" + text, path)
    assert_is_table(path)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".csv.gz"])
def test_many_files_are_one_log(tmp_path, library, ending, monkeypatch):
    (tmp_path / "year" / "month").mkdir(parents=True)
    for path, part in (("year/a", TABLE[:2]), ("year/month/b", TABLE[2:])):
        place = tmp_path / f"{path}{ending}"
        part.to_parquet(place) if ending == ".parquet" else part.to_csv(place, index=False)
    (tmp_path / "year" / "_SUCCESS").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in (tmp_path / "year", f"{tmp_path}/**/*{ending}", "~/year", Path("~/year")):
        assert_is_table(path)


def test_files_of_other_columns_and_kinds_are_no_log(tmp_path):
    TABLE.to_parquet(tmp_path / "a.parquet")
    TABLE.assign(user_id=1).to_parquet(tmp_path / "b.parquet")
    with pytest.raises(
        ValueError, match=r"path must hold files of the same columns and types, as 'a.parquet' has; got"
    ):
        EventLog.read(tmp_path)
    TABLE.to_csv(tmp_path / "b.csv")
    with pytest.raises(
        ValueError, match=r"path must hold files of one kind, csv or parquet; got \['a.parquet', 'b.csv'"
    ):
        EventLog.read(tmp_path)


IDS = st.one_of(
    st.integers(-(2**65), 2**65).map(str),
    st.sampled_from(
        ["007", "7", "NA", "null", "nan", "None", "1.0", "1e3", "+5", "-0", " 7", "True", "2024-05-31", '"']
    ),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r"), min_size=1, max_size=4),
)


@pytest.mark.parametrize("kind", reading.LIBRARIES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ids=st.one_of(st.lists(st.integers(-9, 2**64 - 1).map(str), min_size=1), st.lists(IDS, min_size=1)))
def test_ids_are_read_as_written(tmp_path, kind, ids):
    path = tmp_path / f"{kind}.csv"
    path.write_text(
        pd.DataFrame({"user_id": ids, "item_id": ids[::-1], "timestamp": 0}).to_csv(index=False), newline=""
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "LIBRARIES", (kind,))
        logs = [EventLog.read(path), EventLog.from_frame(reading.scan_frame(path, COLUMNS))]
        texts = EventLog.from_frame(reading.read_frame(path, COLUMNS, ["item_id"])).item_vocabulary
    expected = set(map(int, ids)) if reading.reads_as_integers(ids) else set(ids)
    for log in logs:
        assert log.user_vocabulary.raw.tolist() == log.item_vocabulary.raw.tolist() == sorted(expected)
    assert texts.raw.tolist() == sorted(set(ids))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["5", "0", "-3"], [-3, 0, 5]),
        (["5", "1.5e1", ".25"], [0.25, 5, 15]),
        (["1970-01-02", "1970-01-01 00:01", "1970-01-01T00:00:02.5Z"], [2.5, 60, 86400]),
        (["1970-01-01T02:00:00+02:00", "1970-01-01T00:00:07 UTC", "1969-12-31 19:00:09-0500"], [0, 7, 9]),
    ],
)
def test_times_are_numbers_or_dates(tmp_path, library, times, expected):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\n" + "".join(f"1,1,{time}\n" for time in times))
    for frame in (reading.read_frame(path, COLUMNS), reading.scan_frame(path, COLUMNS)):
        assert EventLog.from_frame(frame).timestamps.tolist() == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "1,1,yesterday,1",
            "timestamp column 'timestamp' must be numbers, or dates such as 2024-05-31T23:59:00Z; got 'yesterday'",
        ),
        ("1,1,1,1 s", "dwell column 'dwell' must be numbers; got '1 s'"),
        (",1,1,1", "user column 'user_id' must have no missing ids; got None at 1"),
    ],
)
def test_a_text_that_is_no_value_is_named(tmp_path, library, line, message):
    path = tmp_path / "log.csv"
    path.write_text(f"user_id,item_id,timestamp,dwell\na,b,3,NA\n{line}\n")
    for read in (reading.read_frame, reading.scan_frame):
        with refuses(message):
            EventLog.from_frame(read(path, COLUMNS), dwell="dwell")


def test_text_may_have_no_header_and_another_separator(library):
    frame = reading.read_csv(BytesIO(b"1|07|a\n2|8|b\n"), library, ["b"], names=("a", "b", "c"), separator="|")
    assert frame.columns == ["a", "b", "c"]
    assert [frame[name].to_list() for name in frame.columns] == [[1, 2], ["07", "8"], ["a", "b"]]


def test_without_polars_a_scan_reads_at_once(tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    TABLE.to_csv(path, index=False)
    assert isinstance(reading.scan_frame(path, COLUMNS).to_native(), pl.LazyFrame)
    find_spec = reading.find_spec
    monkeypatch.setattr(reading, "find_spec", lambda name: find_spec(name) if name != "polars" else None)
    assert isinstance(reading.scan_frame(path, COLUMNS), nw.DataFrame)


def test_a_file_without_a_library_to_read_it_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    path.write_text("user_id,item_id,timestamp\n1,1,1\n")
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    message = (
        "reading events.csv needs one of pyarrow, polars, pandas; pip install 'spotlight-asars[frames]' brings one"
    )
    with refuses(message, ImportError):
        EventLog.read(path)


def test_pandas_alone_handles_no_parquet(monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: name == "pandas" or None)
    assert reading.installed_library("reading a.csv") == "pandas"
    message = "a.parquet needs one of pyarrow, polars; pip install 'spotlight-asars[parquet]' brings one"
    with refuses(message, ImportError):
        reading.installed_library("a.parquet", parquet=True)


READ = [EventLog.read, lambda path: reading.scan_frame(path, COLUMNS)]


@pytest.mark.parametrize("read", READ)
def test_another_ending_and_a_missing_file_are_named(tmp_path, read):
    for name in ("events.txt", "events.gz", "events.csv.rar"):
        path = str(tmp_path / name)
        with pytest.raises(ValueError, match=rf"^path must end in \.csv, .* \.parquet; got {re.escape(repr(path))}$"):
            read(path)
    (tmp_path / "empty").mkdir()
    for name in ("none.csv", "none*.csv", "empty"):
        path = str(tmp_path / name)
        message = f"path must name an existing file; got {path!r}"
        with refuses(message, FileNotFoundError):
            read(path)


@pytest.mark.parametrize("read", READ)
@pytest.mark.parametrize("ending", [".csv.gz", ".csv.bz2", ".csv.zip", ".parquet", ".csv.zst"])
def test_a_file_cut_off_is_named(tmp_path, library, read, ending):
    path = tmp_path / f"log{ending}"
    table = pd.DataFrame({"user_id": range(5000), "item_id": 1, "timestamp": np.arange(5000) * 7 % 1000})
    if ending == ".parquet":
        table.to_parquet(path)
    else:
        PACKINGS[path.suffix](table.to_csv(index=False).encode(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(
        ValueError, match=rf"must be a whole .*file; got .*log{re.escape(ending)}|'log.* must be a whole file; got"
    ):
        read(path)
