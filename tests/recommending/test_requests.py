"""Raw ids end to end: what goes in raw comes out raw, and nobody's ids are taken for another's."""

from __future__ import annotations

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.evaluation import evaluate

ITEMS = ["ant", "bee", "cat", "dog", "eel", "fox"]
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}


def make_frame(name=str, users=("ann", "bob", "cem")):
    """Each user views four animals in a circle, in each of three sessions."""
    rows = [
        (user, name(ITEMS[(3 * place + session + step) % 6]), 100_000 * session + 20 * step)
        for place, user in enumerate(users)
        for session in range(3)
        for step in range(4)
    ]
    return dict(zip(("user_id", "item_id", "timestamp"), map(list, zip(*rows, strict=True)), strict=True))


def quick(**changes):
    options = {"n_iter": 2, "batch_size": 4, "embedding_dim": 8, "hidden_dim": 8, "random_state": 0}
    return ASARSSequenceModel(**{**options, **changes})


@pytest.fixture(scope="module")
def log():
    return EventLog.from_frame(pd.DataFrame(make_frame()))


@pytest.fixture(scope="module")
def model(log):
    return quick().fit(to_sessions(log))


def contiguous(model, rows, **more):
    """What the same request gives in contiguous ids, decoded by hand."""
    found = model.recommend([model.item_vocabulary.encode(row).tolist() for row in rows], **more)
    return [[ITEMS[item - 1] for item in row] for row in found.items], found.scores


def test_sessions_and_models_know_the_raw_ids_of_their_log(log, model):
    sessions = to_sessions(log)
    assert sessions.item_vocabulary is log.item_vocabulary
    assert sessions.take(np.array([1])).user_vocabulary is log.user_vocabulary
    assert model.item_vocabulary.raw.tolist() == ITEMS
    assert quick().fit(SessionInteractions([[1, 2]])).item_vocabulary is None
    assert model.set_params(n_iter=2).item_vocabulary is None
    model.fit(sessions)


@pytest.mark.parametrize("rows", [[["ant", "bee"]], [["cat"], ["ant", "bee", "cat"], []]], ids=["one", "three"])
def test_strings_in_strings_out(model, rows):
    found = model.recommend(rows, k=3)
    items, scores = contiguous(model, [row or [0] for row in rows] if [] not in rows else rows[:-1], k=3)
    assert found.items[: len(items)].tolist() == items
    np.testing.assert_allclose(found.scores[: len(items)], scores, rtol=1e-5)
    assert found.items.dtype.kind == "O"
    assert found.unknown == (0, 0, 0)


def test_a_batch_gives_what_single_calls_give(model):
    rows, users = [["ant", "bee"], ["fox"], ["cat", "dog", "eel"]], ["ann", None, "nobody"]
    together = model.recommend(rows, k=4, user_ids=users)
    for place, (row, user) in enumerate(zip(rows, users, strict=True)):
        alone = model.recommend(row, k=4, user_ids=user)
        assert alone.items.tolist() == together.items[place : place + 1].tolist()
        np.testing.assert_allclose(alone.scores[0], together.scores[place], rtol=1e-5)
        assert alone.user_ids is None if user is None else alone.user_ids.tolist() == [user]
    assert together.unknown == (0, 0, 1)
    assert together.user_ids.tolist() == users


def test_a_user_who_has_viewed_nothing_yet_is_recommended_for(model):
    wanted = model.recommend([[0]], k=3, user_ids=[1])
    for rows, users in (([[]], [1]), ([], [1]), ([[], []], [1, 1]), ([[], [2]], [1, -1])):
        found = model.recommend(rows, k=3, user_ids=users)
        assert found.items[0].tolist() == wanted.items[0].tolist()
    found = model.recommend([[1], [1]], k=3, user_ids=[None, 1])
    assert found.items.tolist() == model.recommend([[1], [1]], k=3, user_ids=[-1, 1]).items.tolist()
    assert found.found.all()
    raw = model.recommend([[]], k=3, user_ids=model.user_vocabulary.decode([1]), raw=True)
    assert raw.items.tolist() == model.item_vocabulary.decode(wanted.items).tolist()


def test_integers_are_raw_only_when_the_caller_says_so():
    log = EventLog.from_frame(pd.DataFrame(make_frame(name=lambda item: 100 - ITEMS.index(item))))
    model = quick().fit(to_sessions(log))
    for rows in ([[99, 98], [100]], [[99, 98]], np.array([[99, 98]])):
        raw = model.recommend(rows, k=2, raw=True)
        own = model.recommend([log.item_vocabulary.encode(row).tolist() for row in rows], k=2)
        assert raw.items.tolist() == log.item_vocabulary.decode(own.items).tolist()
        np.testing.assert_allclose(raw.scores, own.scores, rtol=1e-5)
    assert model.recommend([[1, 2]], k=2).items.max() <= 6
    with pytest.raises(TypeError, match=r"^sessions must be integers, as in training; got strings, like '99'$"):
        model.recommend([["99", "98"]])


def test_unknown_items_are_skipped_and_counted_and_unknown_users_are_the_unknown_one(model):
    found = model.recommend([["ant", "yak", "bee", "yak", "gnu"], ["gnu"]], k=3, user_ids=["zoe", "ann"])
    assert found.unknown == (4, 2, 1)
    plain = model.recommend([["ant", "bee"], []], k=3, user_ids=[None, "ann"])
    np.testing.assert_array_equal(found.items, plain.items)
    np.testing.assert_allclose(found.scores, plain.scores, rtol=1e-5)


def test_dwell_and_start_come_along(model):
    with_channels = model.recommend([["ant", "bee"]], k=3, user_ids="ann", dwell_times=[[40, None]], started=3e5)
    own = model.predict([1, 2], user_ids=0, dwell_times=[40, np.nan], started=3e5)
    np.testing.assert_allclose(with_channels.scores[0], -np.sort(-own)[:3], rtol=1e-5)
    skipped = model.recommend(["ant", "yak", "bee"], k=3, user_ids="ann", dwell_times=[40, 7, None], started=3e5)
    np.testing.assert_array_equal(skipped.scores, with_channels.scores)
    with pytest.raises(ValueError, match=r"^dwell_times must have the lengths of sessions, \[2\]; got \[1\]$"):
        model.recommend([["ant", "bee"]], dwell_times=[[4]])


@pytest.mark.parametrize(
    ("sessions", "given", "message"),
    [
        ([["a"], 5], {}, r"sessions must be one list, or lists only; got \[\['a'\], 5\]"),
        ([["a"], np.array("b")], {}, r"sessions must be one list, or lists only; got \[\[.a.\], array.*"),
        (b"a", {}, "sessions must be lists of raw ids with raw=True; got 'bytes'"),
        (["a"], {"dwell_times": 5}, r"dwell_times must have the lengths of sessions, \[1\]; got 5"),
        (["a", "b"], {"dwell_times": [1, [2]]}, r"dwell_times must be one list, or lists only; got \[1, \[2\]\]"),
        (["a"], {"dwell_times": [-3]}, r"dwell_times must not be negative; got -3\.0 at 0"),
    ],
)
def test_sessions_and_dwell_times_are_lists_of_their_kind(model, sessions, given, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.recommend(sessions, raw=True, **given)


@pytest.mark.parametrize("kind", KINDS)
def test_a_table_gives_a_table_of_its_kind(kind, model):
    events = {
        "who": ["bob", "bob", "ann", "zoe", "bob"],
        "what": ["ant", "bee", "cat", "dog", "yak"],
        "at": [900_000, 900_030, 900_000, 900_000, 910_000],
    }
    columns = {"user": "who", "item": "what", "timestamp": "at"}
    found = model.recommend(KINDS[kind](events), k=2, columns=columns)
    assert found.items.shape == (4, 2), "one row for each session: ann's, bob's two, zoe's"
    assert found.user_ids.tolist() == ["ann", "bob", "bob", "zoe"]
    assert found.unknown == (1, 1, 1)
    by_hand = model.recommend(
        [["cat"], ["ant", "bee"], [], ["dog"]],
        k=2,
        user_ids=["ann", "bob", "bob", None],
        dwell_times=[[None], [30, None], [], [None]],
        started=[900_000, 900_000, 910_000, 900_000],
    )
    np.testing.assert_array_equal(found.items, by_hand.items)
    np.testing.assert_allclose(found.scores, by_hand.scores, rtol=1e-5)
    frame = found.to_frame()
    assert isinstance(frame, pa.Table if kind == "pyarrow" else KINDS[kind])
    table = frame.to_pydict() if kind == "pyarrow" else {name: list(frame[name]) for name in frame.columns}
    assert list(table) == ["who", "session", "rank", "what", "score"]
    assert table["who"] == ["ann", "ann", "bob", "bob", "bob", "bob", "zoe", "zoe"]
    assert table["rank"] == [1, 2] * 4
    assert table["what"] == found.items.ravel().tolist()


def test_a_log_of_its_own_numbering_is_understood(model, log):
    events = pd.DataFrame({"user_id": ["zed", "cem"], "item_id": ["fox", "eel"], "timestamp": [5e5, 5e5]})
    own = EventLog.from_frame(events)
    assert own.item_vocabulary.decode([1]).tolist() == ["eel"]
    found = model.recommend(own, k=3)
    assert (
        found.items.tolist()
        == contiguous(model, [["eel"], ["fox"]], k=3, user_ids=[2, -1], started=5e5 + np.zeros(2))[0]
    )
    assert model.recommend(own, k=3, raw=False).items.max() <= 6
    frame = found.to_frame("pandas")
    assert frame["user_id"].tolist() == ["cem"] * 3 + ["zed"] * 3
    with pytest.raises(ValueError, match=r"^backend must be 'pandas', .* where sessions are no such frame; got None$"):
        found.to_frame()
    sessions = to_sessions(log)
    named = model.recommend(sessions, k=3, raw=True)
    assert named.items.tolist() == model.item_vocabulary.decode(model.recommend(sessions, k=3).items).tolist()


def test_seen_items_are_left_out_of_the_session_or_of_the_history(model, log):
    rows, users = [["ant", "yak", "bee"], ["cat"]], ["zoe", "ann"]
    for seen in (True, "session"):
        found = model.recommend(rows, k=9, exclude_seen=seen, user_ids=users)
        assert set(found.items[0]) == {"cat", "dog", "eel", "fox", None}
        assert set(found.items[1]) == set(ITEMS) - {"cat"} | {None}
    anns = set(log.item_vocabulary.decode(log.item_ids[log.user_ids == 0]))
    found = model.recommend(rows, k=9, exclude_seen="history", user_ids=users, raw=True)
    assert set(found.items[0]) - {None} == {"cat", "dog", "eel", "fox"}
    assert set(found.items[1]) - {None} == set(ITEMS) - anns - {"cat"}
    before_all = model.recommend(["cat"], k=9, exclude_seen="history", user_ids="ann", started=-1.0)
    assert set(before_all.items[0]) - {None} == set(ITEMS) - {"cat"}
    assert len(found.to_frame("polars")) == (found.items != None).sum()  # noqa: E711
    short = quick(history_size=1).fit(to_sessions(log))
    found = short.recommend(["cat"], k=9, exclude_seen="history", user_ids="ann")
    assert set(found.items[0]) - {None} == set(ITEMS) - anns - {"cat"}, "all of the history, whatever its size"


def test_candidates_are_ranked_alone(model):
    everything = model.recommend([["ant"], ["bee", "cat"]], k=6)
    for exclude in (False, True):
        some = model.recommend(
            [["ant"], ["bee", "cat"]], k=9, candidates=["fox", "bee", "yak", "bee"], exclude_seen=exclude
        )
        assert some.items.shape == (2, 2)
        for row in range(2):
            expected = [
                item
                for item in everything.items[row]
                if item in ("fox", "bee") and not (exclude and row and item == "bee")
            ]
            assert [item for item in some.items[row] if item] == expected
    own = model.recommend([[1], [2]], k=1, candidates=[6, 2])
    assert set(own.items.ravel()) <= {2, 6}
    with pytest.raises(ValueError, match=r"^candidates must lie in 1\.\.6; got 0 at 0$"):
        model.recommend([[1]], candidates=[0, 3])
    with pytest.raises(ValueError, match=r"^candidates must name at least one item that the model knows; got 1$"):
        model.recommend(["ant"], candidates=["yak"])


def test_baselines_speak_raw_ids_too(log):
    model = BASELINES["sequential_rules"]().fit(to_sessions(log))
    assert model.recommend(["ant"], k=1).items.tolist() == [["bee"]]
    with pytest.raises(
        ValueError, match=r"^exclude_seen must be False or 'session' .* without history; got 'history'$"
    ):
        model.recommend(["ant"], exclude_seen="history")
    memoryless = quick(history=False).fit(to_sessions(log))
    with pytest.raises(
        ValueError, match=r"^exclude_seen must be False or 'session' .* without history; got 'history'$"
    ):
        memoryless.recommend(["ant"], exclude_seen="history")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sessions": [[1, 2]], "exclude_seen": "all"}, r"exclude_seen must be one of \[.*\]; got 'all'"),
        ({"sessions": [[1, 2]], "columns": {"user": "who"}}, r"columns must come with a frame of events; got \{.*\}"),
        ({"sessions": ["ant"], "user_ids": ["ann", "bob"]}, r"user_ids must have shape \(1,\); got \(2,\)"),
        (
            {"sessions": SessionInteractions([[1]]), "started": 4.0},
            "started must be left out where sessions .*; got 4.0",
        ),
        ({"sessions": 7, "raw": True}, "sessions must be lists of raw ids with raw=True; got 'int'"),
    ],
)
def test_a_request_that_cannot_be_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.recommend(**arguments)


def test_a_model_without_raw_ids_says_how_to_get_them():
    model = quick().fit(SessionInteractions([[1, 2, 3]]))
    with pytest.raises(
        ValueError, match=r"^sessions must be contiguous ids for a model .*; got raw ones. fit.* learn them$"
    ):
        model.recommend(["ant"])
    with pytest.raises(ValueError, match=r"^other must know raw ids, as a log, .*; got ASARSSequenceModel without$"):
        EventLog([0], [1], [0]).encode_like(model)


def test_a_renumbered_log_is_refused_until_it_is_encoded_like_the_model(model, log):
    renumbered = log.filter_support(item=6, session=1)
    assert renumbered.dropped.events == len(log) - len(renumbered) > 0
    assert renumbered.dropped.items == 6 - (renumbered.num_items - 1) > 0
    sessions = to_sessions(renumbered)
    message = (
        "must have the item ids that the model was trained with, where 1 is 'ant'; got '.*'. log.encode_like.* a log"
    )
    calls = (model.update, model.fit, model.recommend, lambda test: evaluate(model, test))
    for call, argument in zip(calls, ("sessions", "interactions", "sessions", "test"), strict=True):
        with pytest.raises(ValueError, match=f"^{argument} {message}$"):
            call(sessions)
    same = renumbered.encode_like(model)
    assert same.item_vocabulary is model.item_vocabulary
    assert (
        same.item_vocabulary.decode(same.item_ids).tolist()
        == renumbered.item_vocabulary.decode(renumbered.item_ids).tolist()
    )
    np.testing.assert_array_equal(same.dwell_times(), renumbered.dwell_times())
    evaluate(model, to_sessions(same))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [str, lambda item: 2**60 + ITEMS.index(item)], ids=["text", "integers"])
def test_a_missing_user_of_a_table_is_the_unknown_one(kind, name):
    events = make_frame(name, users=tuple(map(name, ITEMS[:3])))
    model = quick().fit(to_sessions(EventLog.from_frame(pd.DataFrame(events))))
    table = {"user_id": [None, name("bee"), None], "item_id": list(map(name, ["ant", "cat", "fox"]))}
    table = pd.DataFrame(table, dtype=object).assign(timestamp=[0, 5, 9])
    frame = {"pandas": lambda: table, "polars": lambda: pl.DataFrame(table.to_dict("list"))}
    frame["pyarrow"] = lambda: pa.table(table.to_dict("list"))
    best = model.recommend(frame[kind](), k=2)
    seen, channels = (
        [[name("cat")], [name("ant"), name("fox")]],
        {"started": [5, 0], "dwell_times": [[None], [9, None]]},
    )
    alone = model.recommend(seen, k=2, raw=True, user_ids=[name("bee"), None], **channels)
    assert best.user_ids.tolist() == [name("bee"), None]
    assert best.items.tolist() == alone.items.tolist()
    assert (best.unknown.users, best.unknown.items) == (0, 0)
    assert nw.from_native(best.to_frame())["user_id"].to_list() == [name("bee")] * 2 + [None] * 2
    nobody = model.recommend(frame[kind]()[:1] if kind != "pyarrow" else frame[kind]().slice(0, 1), k=2)
    assert nobody.user_ids.tolist() == [None]


def test_sessions_of_a_table_end_at_the_inactivity_asked_for(log, model):
    table = pd.DataFrame({"user_id": "ann", "item_id": ["ant", "bee", "cat"], "timestamp": [0, 3000, 9000]})
    for given in (table, EventLog.from_frame(table)):
        for inactivity, rows in ((100, [["ant"], ["bee"], ["cat"]]), (None, [["ant", "bee"], ["cat"]])):
            best = model.recommend(given, k=3, inactivity=inactivity)
            starts = [0, 3000, 9000] if inactivity else [0, 9000]
            users, dwell = ["ann"] * len(rows), [[3000.0, None] if len(row) > 1 else [None] for row in rows]
            alone = model.recommend(rows, k=3, user_ids=users, started=starts, dwell_times=dwell)
            assert best.items.tolist() == alone.items.tolist()
    with pytest.raises(ValueError, match=r"^inactivity must come with a frame of events or a log; got 100$"):
        model.recommend([["ant"]], inactivity=100)


def test_a_column_of_lists_is_a_list_of_sessions(model):
    rows = [["ant", "bee"], ["cat"]]
    expected = model.recommend(rows, k=3).items.tolist()
    for column in (pd.Series(rows), pl.Series(rows), pl.DataFrame({"seen": rows})["seen"], pa.chunked_array([rows])):
        assert model.recommend(column, k=3).items.tolist() == expected
    codes = [[1, 2], [3]]
    assert model.recommend(pd.Series(codes), k=3).items.tolist() == model.recommend(codes, k=3).items.tolist()


def test_what_a_relation_of_duckdb_asks_for_needs_a_kind_of_frame(model):
    duckdb = pytest.importorskip("duckdb")
    best = model.recommend(duckdb.sql("select 'ann' user_id, 'ant' item_id, 5 as timestamp"), k=2)
    assert best.to_frame("polars")["item_id"].to_list() == best.items[0].tolist()
    rule = r"^backend must be 'pandas', 'polars' or 'pyarrow' where sessions are no such frame; got 'duckdb'$"
    with pytest.raises(ValueError, match=rule):
        best.to_frame()
