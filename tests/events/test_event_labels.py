"""Kinds of events and the context of sessions in a log: how they are read, kept, and translated."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import EventLog, SessionInteractions, to_sessions
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.timeline import last_changes

COLUMNS = {
    "user_id": ["u", "u", "u", "v", "v", "u"],
    "item_id": [7, 7, 9, 7, 8, 8],
    "timestamp": [0, 10, 20, 5, 15, 9000],
    "behavior": ["view", "buy", None, "view", "cart", "view"],
    "device": ["tv", "tv", "phone", None, "tv", "phone"],
    "country": [49, 49, 49, 33, 33, 33],
}
NAMES = {"kind": "behavior", "context": ["device", "country"]}


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame, pa.table, "csv"])
def test_labels_are_read_from_tables_and_files(table, tmp_path):
    if table == "csv":
        pd.DataFrame(COLUMNS).to_csv(tmp_path / "log.csv", index=False)
        log = EventLog.read(tmp_path / "log.csv", **NAMES)
    else:
        log = EventLog.from_frame(table(COLUMNS), **NAMES)
    assert log.kind_vocabulary.raw.tolist() == ["buy", "cart", "view"]
    assert {name: one.raw.tolist() for name, one in log.context_vocabularies.items()} == {
        "device": ["phone", "tv"],
        "country": [33, 49],
    }
    assert log.kinds.tolist() == [3, 1, 0, 3, 3, 2]
    sessions = to_sessions(log, min_sequence_length=1)
    assert sessions.kinds.tolist() == [[0] * 47 + [3, 1, 0], [0] * 49 + [3], [0] * 48 + [3, 2]]
    assert sessions.context.tolist() == [[2, 2], [1, 1], [0, 1]], "of the first event of each session"
    assert (sessions.num_kinds, sessions.context_sizes) == (4, (3, 3))
    assert EventLog.from_frame(pd.DataFrame(COLUMNS)).kinds is None


def test_every_step_keeps_labels_with_their_events():
    log = EventLog.from_frame(pd.DataFrame(COLUMNS), **NAMES)
    assert log.collapse_repeats().kinds.tolist() == [1, 0, 3, 3, 2], "of a view and a purchase the purchase stays"
    assert log.filter_support(item=2, session=1).kinds.tolist() == [3, 1, 3, 3, 2]
    train, test = log.split_by_time(0.4)
    assert (train.kinds.tolist(), test.kinds.tolist()) == ([3, 1, 0, 3, 2], [3])
    assert test.kind_vocabulary is log.kind_vocabulary
    assert test.context.tolist() == [[1, 1]]
    sessions = to_sessions(log, min_sequence_length=1)
    taken = sessions.take(np.array([2, 0]))
    assert taken.flat_kinds.tolist() == [3, 2, 3, 1, 0]
    assert (taken.context.tolist(), taken.num_kinds) == ([[0, 1], [2, 2]], 4)
    early, late = sessions.split_latest(0.4)
    assert early.flat_kinds.tolist() + late.flat_kinds.tolist() == [3, 1, 0, 3, 2, 3]


def test_labels_of_another_log_are_translated_and_those_it_lacks_are_unknown():
    log = EventLog.from_frame(pd.DataFrame(COLUMNS), **NAMES)
    other = pd.DataFrame(COLUMNS).replace({"behavior": {"cart": "add", "buy": "abuy"}, "device": {"tv": "radio"}})
    columns = {"kind": "behavior", "context": ["country", "device"]}
    for like in (log, to_sessions(log)):
        same = EventLog.from_frame(other, **columns).encode_like(like)
        assert same.kinds.tolist() == [3, 0, 0, 3, 3, 0]
        assert same.context.tolist() == [[0, 2], [0, 2], [1, 2], [1, 1], [0, 1], [0, 1]]
        assert same.kind_vocabulary is like.kind_vocabulary
        assert list(same.context_vocabularies) == ["device", "country"]
        assert to_sessions(same).kind_vocabulary is like.kind_vocabulary
    plain = EventLog.from_frame(pd.DataFrame(COLUMNS))
    assert plain.encode_like(log).kinds is None


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_kind_of_a_run_is_what_became_of_it(runs):
    first = np.cumsum([0, *map(len, runs)])[:-1]
    found = last_changes(np.array([kind for run in runs for kind in run]), first)
    for run, kind in zip(runs, found.tolist(), strict=True):
        others = [one for one in run if one not in (0, run[0])]
        assert kind == (others[-1] if others else run[0])


def test_codes_without_names_are_their_own():
    log = EventLog([0, 0], [1, 2], [0, 1], kinds=[2, 0], context=[[1], [0]])
    assert log.kind_vocabulary.raw.tolist() == [1, 2]
    assert log.context_vocabularies["0"].raw.tolist() == [1]
    sessions = SessionInteractions([[1, 2]], kinds=[[2, 0]], context=[[1]])
    assert sessions.kind_vocabulary is None
    assert (sessions.num_kinds, sessions.context_sizes) == (3, (2,))
    ragged = SessionInteractions.from_ragged([1, 2, 1], [0, 2, 3], kinds=[1, 0, 3], context=[[1], [0]])
    assert ragged.kinds.tolist() == [[1, 0], [0, 3]]
    piece = ragged.sequences[:, 1:]
    assert (piece.kinds.tolist(), piece.context.tolist()) == ([[0], [3]], [[1], [0]])
    assert piece[1].kinds.tolist() == [3]
    assert (piece + 1).kinds is None


NAME = Vocabulary(np.array(["view"], object), first=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kinds": [1]}, r"kinds must have the shape of user_ids, \(2,\)"),
        ({"kinds": [1, -1]}, "kinds must be 0, which is unknown, or more"),
        ({"kinds": [1, 2], "kind_vocabulary": NAME}, "kinds must be at most 1, as its vocabulary has"),
        ({"context": [1, 1]}, r"context must have the shape \(2, columns\)"),
        ({"context": [[1], [1]], "context_vocabularies": {"a": NAME, "b": NAME}}, "must be those of 1 columns"),
        ({"context": [[1], [2]], "context_vocabularies": {"a": NAME}}, "context 'a' must be at most 1"),
    ],
)
def test_labels_that_do_not_fit_a_log_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        EventLog([0, 0], [1, 2], [0, 1], **arguments)


def test_labels_that_do_not_fit_sessions_or_tables_are_refused():
    with pytest.raises(ValueError, match="kinds must have the shape of sequences"):
        SessionInteractions([[1, 2]], kinds=[[1]])
    with pytest.raises(ValueError, match="kinds must have one value for each of the 2 events"):
        SessionInteractions.from_ragged([1, 2], [0, 2], kinds=[1])
    with pytest.raises(ValueError, match=r"context must have shape \(1, columns\)"):
        SessionInteractions([[1, 2]], context=[[1], [1]])
    with pytest.raises(ValueError, match="kind must name one of the columns"):
        EventLog.from_frame(pd.DataFrame(COLUMNS), kind="no such")
    with pytest.raises(ValueError, match="context must name different columns"):
        EventLog.from_frame(pd.DataFrame(COLUMNS), context=["device", "device"])
