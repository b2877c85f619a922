"""Raw ids, tables and live sessions: the result is that of plain contiguous ids."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
import polars as pl
import pytest
from fuzzing import CASES, answer, explore, spoiled
from hypothesis import strategies as st

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions

NAMES = ("sessions", "k", "exclude_seen", "candidates", "user_ids", "dwell_times", "started", "item", "user", "dwell")
ITEMS = {item: place for place, item in enumerate("abcde", 1)}  # raw ids and contiguous ones; "x", "y" are unknown
USERS = {"ann": 0, "bob": 1, "cy": 2}
VIEWED = {"ann": [(0, "abc"), (9000, "ab")], "bob": [(10, "bde"), (20000, "aed")], "cy": [(300, "bd")]}  # and when [s]
EVENTS = {
    "user_id": ["ann"] * 5 + ["bob"] * 6 + ["cy"] * 2,
    "item_id": list("abc") + list("ab") + list("bde") + list("aed") + list("bd"),
    "timestamp": [0, 5, 9, 9000, 9030, 10, 15, 99, 20000, 20001, 20050, 300, 400],
}


@functools.cache
def fitted():
    options = {"n_iter": 2, "embedding_dim": 4, "hidden_dim": 4, "user_dim": 3, "time_dim": 3, "random_state": 0}
    return ASARSSequenceModel(**options).fit(to_sessions(EventLog.from_frame(pd.DataFrame(EVENTS))))


def known(row):
    """The items of a row that the model knows, in its ids."""
    return [ITEMS[item] for item in row if item in ITEMS]


def expected(row, user=None, dwell=None, started=None):
    """Scores of all items after one row of raw ids, by ``predict``."""
    seconds = None if dwell is None else [value for value, item in zip(dwell, row, strict=True) if item in ITEMS]
    return fitted().predict(known(row) or [0], None, USERS.get(user, -1), seconds or None, started)


RAW = st.sampled_from(["a", "b", "c", "d", "e", "x", "y"])
USER = st.one_of(st.none(), st.sampled_from(["ann", "bob", "cy", "zoe"]))
SECONDS = st.one_of(st.floats(0, 1e4), st.just(float("nan")))


def lists(values, size):
    return st.lists(values, min_size=size, max_size=size)


@st.composite
def recommend_arguments(draw):
    """Arguments of ``recommend`` that fit each other."""
    rows = draw(st.lists(st.lists(RAW, min_size=1, max_size=4), min_size=1, max_size=3))
    return (
        rows,
        draw(st.integers(1, 9)),
        draw(st.sampled_from([False, True, "session", "history"])),
        draw(st.one_of(st.none(), st.lists(RAW, min_size=1, max_size=4))),
        draw(st.one_of(st.none(), lists(USER, len(rows)))),
        draw(st.one_of(st.none(), st.tuples(*(lists(SECONDS, len(row)) for row in rows)).map(list))),
        draw(st.one_of(st.none(), lists(st.floats(0, 1e5), len(rows)))),
    )


def check_lists(rows, k, seen, candidates, users, dwell, starts):
    best = answer(
        lambda: fitted().recommend(
            rows, k, seen, candidates, user_ids=users, dwell_times=dwell, started=starts, raw=True
        ),
        *NAMES,
    )
    if best is None:
        return
    among = set(ITEMS) if candidates is None else set(ITEMS) & set(np.ravel(candidates).tolist())
    table = best.to_frame("pandas")
    for place, row in enumerate(rows if not rows or isinstance(rows[0], list) else [rows]):
        user = None if users is None else np.atleast_1d(np.array(users, dtype=object))[place]
        start = None if starts is None else np.atleast_1d(starts)[place]
        seconds = dwell[place] if isinstance(dwell, list) and dwell and isinstance(dwell[0], list) else dwell
        scores = expected(row, user, seconds, start)
        left = among - set(row) if seen else among
        for began, items in VIEWED.get(user, []) if seen == "history" else []:
            left = left if start is not None and start <= began else left - set(items)
        wanted = sorted((scores[ITEMS[item]] for item in left), reverse=True)[: int(k)]
        found = [item for item in best.items[place].tolist() if item is not None][: len(wanted)]
        assert len(set(found)) == len(found) == len(wanted)
        assert set(found) <= left
        np.testing.assert_allclose(best.scores[place][: len(found)], wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose([scores[ITEMS[item]] for item in found], wanted, rtol=1e-4, atol=1e-4)
        assert table["item_id"][table["session"] == place].tolist() == found


@pytest.mark.parametrize("cases", CASES)
def test_raw_lists_are_answered_as_contiguous_ones_or_the_argument_is_named(cases):
    explore(check_lists, cases, spoiled(recommend_arguments()))


def check_table(events, library, k):
    columns = [list(column) for column in zip(*events, strict=True)]
    table = dict(zip(("user_id", "item_id", "timestamp"), columns, strict=True))
    best = fitted().recommend(pd.DataFrame(table) if library == "pandas" else pl.DataFrame(table), k)
    rows = []
    for user, item, time in sorted(events, key=lambda event: (event[0], event[2])):
        if not rows or rows[-1][0] != user or time - rows[-1][2][-1] >= 3600:
            rows.append((user, [], []))
        rows[-1][1].append(item)
        rows[-1][2].append(time)
    assert best.user_ids.tolist() == [user for user, _, _ in rows]
    assert best.unknown.users == len({user for user, _, _ in rows if user not in USERS})
    for place, (user, row, times) in enumerate(rows):
        scores = expected(row, user, [*np.diff(times), np.nan], times[0])
        wanted = sorted(scores[1:], reverse=True)[:k]
        np.testing.assert_allclose(best.scores[place], wanted, rtol=1e-4, atol=1e-4)
        found = [scores[ITEMS[item]] for item in best.items[place]]
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cases", CASES)
def test_tables_are_answered_as_the_sessions_in_them(cases):
    event = st.tuples(USER.filter(bool), RAW, st.integers(0, 9999))
    explore(check_table, cases, st.tuples(st.lists(event, min_size=1, max_size=8), LIBRARY, st.integers(1, 9)))


LIBRARY = st.sampled_from(["pandas", "polars"])


def check_live(user, started, items, dwell, k):
    session = answer(lambda: fitted().start_session(user, started, raw=True), "user", "started")
    if session is None or not isinstance(items, list) or not isinstance(dwell, list):
        return
    row, seconds = [], []
    for item, before in zip(items, dwell, strict=False):
        before = before if row else None
        if answer(lambda i=item, b=before: session.append(i, b), *NAMES) is None:
            continue
        seconds[-1:] = [] if not row else [np.nan if before is None else before]
        row, seconds = [*row, item], [*seconds, np.nan]
    scores = expected(row, user, seconds, started)
    np.testing.assert_allclose(session.scores(), scores, rtol=1e-4, atol=1e-4)
    assert session.unknown.events == len(row) - len(known(row))
    best = answer(lambda: session.recommend(k), "k")
    if best is not None:
        np.testing.assert_allclose(best.scores[0], sorted(scores[1:], reverse=True)[:k], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cases", CASES)
def test_a_live_session_is_at_each_event_where_predict_is(cases):
    started = st.one_of(st.none(), st.floats(0, 1e5))
    rows = st.lists(RAW, max_size=5)
    explore(check_live, cases, spoiled(USER, started, rows, lists(SECONDS, 5), st.integers(1, 9)))
