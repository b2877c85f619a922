"""A folder of sessions: whole users in each shard, all or nothing on disk, and no other folder taken for one."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from messages import refuses

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.preparation import LazyLog, SessionShards, manifest, read_sessions, shard_writer

MANIFEST = {"format": "spotlight_asars sessions 1", "num_items": 4, "num_users": 3, "max_sequence_length": 50}


@pytest.fixture
def table():
    """Users of three, two, two and four events; the second has no session of two."""
    return pd.DataFrame(
        {
            "user_id": [3, 3, 3, 5, 5, 8, 8, 9, 9, 9, 9],
            "item_id": list("abcabbcabab"),
            "timestamp": [0, 1, 2, 0, 9999, 5, 6, 0, 2, 9999, 10005],
        }
    )


@pytest.fixture
def folder(table, tmp_path):
    LazyLog.from_frame(table).write_sessions(tmp_path / "clicks", events_per_shard=3)
    return tmp_path / "clicks"


def test_shards_hold_whole_users_in_order_and_are_together_the_log(table, folder):
    shards, expected = SessionShards(folder), to_sessions(EventLog.from_frame(table))
    assert repr(shards) == "<SessionShards (3 shards, 4 sessions, 9 events, 3 items)>"
    assert (len(shards), shards.num_sessions, shards.num_events) == (3, 4, 9)
    assert [sorted(set(shard.user_ids)) for shard in shards] == [[0], [2], [3]]
    assert shards.user_vocabulary.raw.tolist() == [3, 5, 8, 9], "those without a session, too, as in the log"
    assert shards.item_vocabulary.raw.tolist() == ["a", "b", "c"]
    for shard in shards:
        assert (shard.num_items, shard.num_users, shard.max_sequence_length) == (4, 4, 50)
    for sessions in (shards.read(), read_sessions(folder), read_sessions(str(folder))):
        for name in ("items", "offsets", "user_ids", "started", "flat_dwell_times"):
            ours, theirs = getattr(sessions, name), getattr(expected, name)
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)


def test_the_old_names_of_the_vocabularies_are_deprecated(folder):
    shards = SessionShards(folder)
    for old, new in (("users", "user_vocabulary"), ("items", "item_vocabulary")):
        with pytest.warns(DeprecationWarning, match=f"^SessionShards.{old} is deprecated .* use {new}$"):
            assert getattr(shards, old) is getattr(shards, new)


def test_shards_are_a_sequence(folder):
    shards = SessionShards(folder)
    assert shards[-1].items.tolist() == shards[2].items.tolist() == [1, 2, 1, 2]
    assert [shard.user_ids.tolist() for shard in shards[1:]] == [[2], [3, 3]]
    with pytest.raises(IndexError):
        shards[3]


def test_the_manifest_says_what_there_is(folder):
    saved = json.loads((folder / "manifest.json").read_text())
    assert {name: saved[name] for name in MANIFEST} == MANIFEST | {"num_users": 4}
    assert saved["shards"][0] == {"file": "sessions-00000.parquet", "sessions": 1, "events": 3}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["manifest.json", "users.parquet", "items.parquet", *(shard["file"] for shard in saved["shards"])]
    )


def test_nothing_is_left_of_work_that_fails(table, tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no space left")

    monkeypatch.setattr(shard_writer.Manifest, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        LazyLog.from_frame(table).write_sessions(tmp_path / "clicks")
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_written_over(table, folder, tmp_path):
    log = LazyLog.from_frame(table)
    with refuses(f"path must not exist yet; got {str(folder)!r}", FileExistsError):
        log.write_sessions(folder)
    nowhere = tmp_path / "none" / "clicks"
    with refuses(f"path must stand in an existing folder; got {str(nowhere)!r}", FileNotFoundError):
        log.write_sessions(nowhere)


def test_folders_need_pyarrow(table, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "find_spec", lambda name: None)
    for work in (lambda: SessionShards(folder), lambda: LazyLog.from_frame(table).write_sessions(tmp_path / "other")):
        message = "sessions in folders need pyarrow; pip install 'spotlight-asars[parquet]' brings it"
        with refuses(message, ImportError):
            work()


def test_a_folder_of_something_else_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with refuses(
            f"path must be a folder that write_sessions wrote, with a manifest.json; got {str(path)!r}",
            FileNotFoundError,
        ):
            SessionShards(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be a manifest of sessions; got Expecting property name"),
        ("[1]", "must have the format 'spotlight_asars sessions 1'; got 'list'"),
        ('{"format": "other"}', "must have the format 'spotlight_asars sessions 1'; got 'other'"),
        (json.dumps(MANIFEST), "must be a manifest of sessions; got 'shards'"),
        (json.dumps(MANIFEST | {"shards": [{"name": "x"}]}), "must be a manifest of sessions; got .*'name'"),
    ],
)
def test_a_manifest_of_something_else_is_refused(folder, text, message):
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=f"^'{re.escape(str(folder / 'manifest.json'))}' {message}"):
        SessionShards(folder)


@pytest.mark.parametrize("file", ["users.parquet", "items.parquet", "sessions-00001.parquet"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with refuses(f"path must have all files of its manifest; got no {file} in {str(folder)!r}", FileNotFoundError):
        SessionShards(folder)


def test_a_damaged_shard_is_named_and_the_others_are_read(folder):
    shards, path = SessionShards(folder), folder / "sessions-00001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"^'{re.escape(str(path))}' must be a parquet file; got "):
        shards[1]
    assert len(shards[0]) == 1


def test_a_shard_that_is_not_the_one_of_the_manifest_is_refused(folder):
    path = folder / "sessions-00001.parquet"
    shutil.copy(folder / "sessions-00002.parquet", path)
    asked = "Shard(file='sessions-00001.parquet', sessions=1, events=2)"
    found = "Shard(file='sessions-00001.parquet', sessions=2, events=4)"
    with refuses(f"{str(path)!r} must hold what the manifest says, {asked}; got {found}"):
        SessionShards(folder)[1]
    pq.write_table(pa.table({"x": [1]}), path)
    columns = "['user_id', 'started', 'items', 'dwell']"
    with refuses(f"{str(path)!r} must have the columns {columns}; got ['x']"):
        SessionShards(folder)[1]


def test_a_vocabulary_of_another_size_is_refused(folder):
    pq.write_table(pa.table({"raw": ["a"]}), folder / "items.parquet")
    with refuses("items.parquet must hold the 3 ids of the manifest; got 1"):
        SessionShards(folder).item_vocabulary  # noqa: B018


def test_a_model_that_was_fitted_on_a_folder_knows_its_raw_ids(folder, table):
    model = ASARSSequenceModel(n_iter=1, random_state=0).fit(read_sessions(folder))
    assert set(model.recommend([["a", "b"]], k=3, user_ids=3).items[0]) == {"a", "b", "c"}
    assert SessionShards(folder)[0].take(np.array([0])).item_vocabulary.raw.tolist() == ["a", "b", "c"]
    numbered_otherwise = to_sessions(EventLog.from_frame(table.replace("a", "z")))  # b, c, z
    with pytest.raises(ValueError, match=r"^test must have the item ids that the model was trained with, .*; got 'b'"):
        evaluate(model, numbered_otherwise)


def test_shards_have_the_ids_of_a_model_and_new_ones_after_them(table, folder):
    train = pd.DataFrame({"user_id": [8, 8, 1, 1], "item_id": list("bxca"), "timestamp": [0, 1, 0, 1]})
    model = ASARSSequenceModel(n_iter=1, random_state=0).fit(to_sessions(EventLog.from_frame(train)))
    shards, expected = SessionShards(folder, like=model), EventLog.from_frame(table).encode_like(model, grow=True)
    assert shards.item_vocabulary.raw.tolist() == expected.item_vocabulary.raw.tolist() == ["a", "b", "c", "x"]
    assert shards.user_vocabulary.raw.tolist() == [1, 8, 3, 5, 9]
    rows, own = shards.read(), to_sessions(expected)
    raw = [
        sessions.item_vocabulary.decode(sessions.items).tolist() for sessions in (rows, SessionShards(folder).read())
    ]
    assert raw[0] == raw[1]
    assert sorted(rows.items) == sorted(own.items)
    assert rows.user_vocabulary.decode(rows.user_ids).tolist() == [3, 8, 9, 9]
    model.update(read_sessions(folder, like=model))
    with pytest.raises(TypeError, match=r"item ids of the shards must be integers, .*; got strings, like 'a'"):
        read_sessions(folder, like=EventLog([1, 1], [1, 2], [0, 1]))


def test_shards_are_not_read_like_a_model_without_raw_ids(folder):
    with pytest.raises(ValueError, match=r"other must know raw ids, .*; got int without"):
        SessionShards(folder, like=3)


def test_kinds_and_context_of_another_vocabulary_come_after_its_own(tmp_path):
    table = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 2, 1], "timestamp": range(4)})
    table = table.assign(what=["view", "buy", "sell", None], device=["tv", "tv", "car", "car"])
    labels = {"kind": "what", "context": "device"}
    LazyLog.from_frame(table, **labels).write_sessions(tmp_path / "clicks")
    known = EventLog.from_frame(table.assign(what="view", device="phone"), kind="what", context=["device"])
    read = SessionShards(tmp_path / "clicks", like=known).read()
    assert read.kind_vocabulary.raw.tolist() == ["view", "buy", "sell"]
    assert read.flat_kinds.tolist() == [1, 2, 3, 0]
    assert read.context_vocabularies["device"].raw.tolist() == ["phone", "car", "tv"]
    assert read.context[:, 0].tolist() == [3, 2]
    own = SessionShards(tmp_path / "clicks")
    assert own[0].kind_vocabulary.raw.tolist() == ["buy", "sell", "view"]
    plain = EventLog.from_frame(table)
    assert SessionShards(tmp_path / "clicks", like=plain).read().flat_kinds.tolist() == own.read().flat_kinds.tolist()
