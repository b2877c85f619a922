"""Every file gives the same log with every library, and what cannot be read is named."""

from __future__ import annotations

import re
from io import BytesIO

import numpy as np
import pandas as pd
import pytest

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


@pytest.fixture(params=reading.LIBRARIES)
def library(request, monkeypatch):
    """Each library in turn is the only one there is."""
    monkeypatch.setattr(reading, "LIBRARIES", (request.param,))
    return request.param


@pytest.mark.parametrize("ending", reading.ENDINGS)
def test_every_file_gives_the_same_log(tmp_path, library, ending):
    path = tmp_path / f"events{ending}"
    TABLE.to_parquet(path) if ending == ".parquet" else TABLE.to_csv(path, index=False)
    expected = EventLog.from_frame(TABLE, dwell="dwell")
    for log in (EventLog.read(str(path), dwell="dwell"), EventLog.from_frame(reading.scan_frame(path), dwell="dwell")):
        for name in ("user_ids", "item_ids", "timestamps"):
            assert getattr(log, name).tolist() == getattr(expected, name).tolist()
        np.testing.assert_array_equal(log.dwell_times(), expected.dwell_times())
        assert log.item_vocabulary.raw.tolist() == ["7", "x9"]


def test_text_columns_are_taken_as_written(tmp_path, library):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id,timestamp\n1,007,5\n1,7,6\n")
    for frame in (reading.read_frame(path, ["item_id", "user_id"]), reading.scan_frame(path, ["item_id", "user_id"])):
        log = EventLog.from_frame(frame)
        assert log.item_vocabulary.raw.tolist() == ["007", "7"]
        assert log.user_vocabulary.raw.tolist() == ["1"]


def test_text_may_have_no_header_and_another_separator(library):
    frame = reading.read_csv(BytesIO(b"1|07|a\n2|8|b\n"), library, ["b"], names=("a", "b", "c"), separator="|")
    assert frame.columns == ["a", "b", "c"]
    assert [frame[name].to_list() for name in frame.columns] == [[1, 2], ["07", "8"], ["a", "b"]]


def test_without_polars_a_scan_reads_at_once(tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    TABLE.to_csv(path, index=False)
    find_spec = reading.find_spec
    monkeypatch.setattr(reading, "find_spec", lambda name: find_spec(name) if name != "polars" else None)
    assert len(reading.scan_frame(path)) == 6


def test_a_file_without_a_library_to_read_it_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "events.csv"
    path.write_text("user_id,item_id,timestamp\n1,1,1\n")
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    message = (
        "reading events.csv needs one of pandas, pyarrow, polars; pip install 'spotlight-asars[frames]' brings one"
    )
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        EventLog.read(path)


def test_pandas_alone_handles_no_parquet(monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: name == "pandas" or None)
    assert reading.installed_library("reading a.csv") == "pandas"
    message = "a.parquet needs one of pyarrow, polars; pip install 'spotlight-asars[parquet]' brings one"
    with pytest.raises(ImportError, match=f"^{re.escape(message)}$"):
        reading.installed_library("a.parquet", parquet=True)


@pytest.mark.parametrize("read", [EventLog.read, reading.scan_frame])
def test_another_ending_and_a_missing_file_are_named(tmp_path, read):
    for name in ("events.txt", "events.gz", "events.csv.zip"):
        path = str(tmp_path / name)
        with pytest.raises(
            ValueError, match=rf"^path must end in \.csv, .* or \.parquet; got {re.escape(repr(path))}$"
        ):
            read(path)
    path = str(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=rf"^path must name an existing file; got {re.escape(repr(path))}$"):
        read(path)
