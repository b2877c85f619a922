"""Ids of all kinds through every door and back, unsorted logs on every engine, and files of all kinds."""

from __future__ import annotations

import bz2
import csv
import gzip
import sys
import tempfile
import zipfile
from pathlib import Path
from uuid import UUID

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from fuzzing import CASES, answer, explore
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.cli.writing import write_log
from spotlight_asars.events import reading
from spotlight_asars.preparation import LazyLog

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
ODD = st.sampled_from(
    ["007", "7", "NA", "nan", "null", "None", "", " ", "1.0", "1e3", "2024-05-31", '"', ",", "\0", "x" * 999]
)
IDS = st.sampled_from(
    [
        st.integers(-(2**63), 2**63 - 1),
        st.integers(0, 2**64 - 1),
        st.sampled_from([5, 2**63 - 1, 2**63, 2**53, 2**53 + 1]),
        st.sampled_from([1_700_000_000_000_000_001, 1_700_000_000_000_000_002, -1]),
        st.uuids(),
        st.one_of(TEXT, ODD),
    ]
)
FRAMES = ("pandas", "polars", "pyarrow")


@st.composite
def logs(draw):
    """Users, items and times of a log in any order, with ties; each column of ids of one kind."""
    size = draw(st.integers(2, 12))

    def column():
        few = draw(st.lists(draw(IDS), min_size=1, max_size=4, unique=True))
        return draw(st.lists(st.sampled_from(few), min_size=size, max_size=size))

    times = draw(st.lists(st.integers(0, 4).map(lambda tick: tick * 1800), min_size=size, max_size=size))
    return {"user_id": column(), "item_id": column(), "timestamp": times}


def plain(ids):
    return [str(value) if isinstance(value, UUID) else value for value in ids]


def typed(values):
    """The narrowest type of narwhals that holds all values."""
    if isinstance(values[0], str):
        return nw.String
    return nw.UInt64 if max(values) >= 2**63 else nw.Int64


def table(columns, kind):
    columns = {name: plain(values) for name, values in columns.items()}
    series = [nw.new_series(name, values, typed(values), backend=kind) for name, values in columns.items()]
    return nw.from_dict({one.name: one for one in series}).to_native()


def events_of(log):
    users, items = log.user_vocabulary.decode(log.user_ids), log.item_vocabulary.decode(log.item_ids)
    return list(zip(users.tolist(), items.tolist(), log.timestamps.tolist(), strict=True))


def sorted_events(columns):
    rows = list(zip(plain(columns["user_id"]), plain(columns["item_id"]), columns["timestamp"], strict=True))
    return sorted(rows, key=lambda row: (row[0], row[2]))


def check_doors(columns, kind):
    expected = sorted_events(columns)
    log = EventLog.from_frame(table(columns, kind))
    assert events_of(log) == expected
    raw = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    assert events_of(EventLog.from_frame(raw.astype({"timestamp": int}))) == expected
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for ending in (".parquet", ".csv", ".csv.gz"):
            path = folder / f"log{ending}"
            if answer(lambda path=path: write_log(log, 3600.0, path) or True, "a csv file") is None:
                assert ending != ".parquet"
                continue
            assert sorted(events_of(EventLog.read(path))) == sorted(expected)
        sessions = to_sessions(log, min_sequence_length=1)
        if np.diff(sessions.offsets).max() < 2:
            return
        options = {"embedding_dim": 2, "hidden_dim": 2, "n_iter": 0, "random_state": 0}
        model = ASARSSequenceModel(**options).fit(sessions)
        model.save(folder / "model")
        model = ASARSSequenceModel.load(folder / "model")
    best = model.recommend(table(columns, kind), k=99)
    items, users = set(plain(columns["item_id"])), set(plain(columns["user_id"]))
    found = nw.from_native(best.to_frame())
    assert set(found["item_id"].to_list()) == set(best.items.ravel().tolist()) == items
    assert set(found["user_id"].to_list()) == users
    assert best.unknown == (0, 0, 0)
    row, user = columns["item_id"][:1], columns["user_id"][0]
    one = model.recommend([row, row], k=1, raw=True, user_ids=[user, None])
    assert one.unknown == (0, 0, 0)
    assert nw.from_native(one.to_frame(kind))["user_id"].to_list() == [*plain([user]), None]


@pytest.mark.parametrize("cases", CASES)
def test_ids_leave_through_every_door_as_they_came_in(cases):
    explore(check_doors, cases, st.tuples(logs(), st.sampled_from(FRAMES)))


def check_engine(columns, engine, collapse, support):
    columns = {**columns, "nr": list(range(len(columns["timestamp"])))}
    frame, options = table(columns, engine if engine in FRAMES else "pyarrow"), {}
    if engine == "lazy":
        frame = pl.from_arrow(frame).lazy()
    if engine == "duckdb":
        duckdb = pytest.importorskip("duckdb")
        frame, options = duckdb.from_arrow(frame), {"order": "nr"}
    log, lazy = EventLog.from_frame(table(columns, "pyarrow")), LazyLog.from_frame(frame, **options)
    if collapse:
        log, lazy = log.collapse_repeats(), lazy.collapse_repeats()
    try:
        log = log.filter_support(support, 1)
    except ValueError:
        return
    lazy = lazy.filter_support(support, 1)
    with tempfile.TemporaryDirectory() as folder:
        shards = lazy.write_sessions(Path(folder) / "sessions", min_sequence_length=1, events_per_shard=3)
        found, expected = shards.read(), to_sessions(log, min_sequence_length=1)
        for name in ("items", "offsets", "user_ids", "started"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        np.testing.assert_allclose(found.flat_dwell_times, expected.flat_dwell_times)
        assert shards.item_vocabulary.raw.tolist() == log.item_vocabulary.raw.tolist()
        assert shards.user_vocabulary.raw.tolist() == log.user_vocabulary.raw.tolist()


@pytest.mark.parametrize("cases", CASES)
def test_unsorted_logs_are_the_same_on_every_engine(cases):
    engines = st.sampled_from([*FRAMES, "lazy", "duckdb"])
    explore(check_engine, cases, st.tuples(logs(), engines, st.booleans(), st.integers(1, 2)))


PACK = {
    "": lambda text: text,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda text: pa.compress(text, "zstd", asbytes=True),
}
NAMES = ("path", "log.csv", "frame", "user", "item", "timestamp")
FIELD = st.one_of(TEXT, ODD, st.integers(-9, 2**64).map(str))


def check_file(fields, separator, packing, bad):
    """Every library, at once or lazily, reads the same of a file, or refuses it."""
    if sys.version_info < (3, 11) and "\0" in "".join(map("".join, fields)):
        return  # Python 3.10 writes no csv file with it
    rows = pd.DataFrame(fields, columns=["user_id", "item_id", "timestamp"])
    returns = "\r" in "".join(map("".join, fields))  # which Python before 3.13 leaves bare, where it may end a line
    quoting = csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL
    text = rows.to_csv(index=False, sep=separator, quoting=quoting).encode()
    text = text[: len(text) // 2] if bad else text
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log.csv{packing}"
        if packing == ".zip":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("log.csv", text)
        else:
            path.write_bytes(PACK[packing](text))
        columns = {"user": "user_id", "item": "item_id", "timestamp": "timestamp"}
        for library in reading.LIBRARIES:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(reading, "LIBRARIES", (library,))
                for read in (reading.read_frame, reading.scan_frame):
                    log = answer(lambda read=read: EventLog.from_frame(read(path, columns)), *NAMES)
                    found.append(log and events_of(log))
    assert bad or all(one == found[0] for one in found), found
    if not bad and found[0] is not None:
        kinds = [
            list(map(int, ids)) if reading.reads_as_integers(ids) else list(ids) for ids in zip(*fields, strict=True)
        ]
        expected = sorted(zip(*kinds, strict=True), key=lambda row: (row[0], row[2]))
        assert found[0] == expected


@pytest.mark.parametrize("cases", CASES)
def test_every_library_reads_the_same_of_a_file(cases):
    rows = st.lists(st.tuples(FIELD, FIELD, st.integers(0, 9).map(str)), min_size=1, max_size=6)
    packing = st.sampled_from([*PACK, ".zip"])
    explore(
        check_file,
        cases,
        st.tuples(rows, st.sampled_from(",;\t"), packing, st.sampled_from([False, False, False, True])),
    )
