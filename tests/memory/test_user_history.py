"""What the memory recalls, against a dictionary that is filled session by session."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from simulated_device import SIMULATED, simulated_device

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import user_history
from spotlight_asars.memory.user_history import HOST, Memory
from spotlight_asars.runtime.devices import moved

QUESTIONS = st.lists(  # users, some of whom no memory has, and when their sessions start
    st.tuples(st.integers(-1, 4), st.one_of(st.integers(0, 8), st.just(math.nan))), min_size=1
)


@st.composite
def logs(draw, min_size=1):
    """Sessions of a few users with repeats, ties in time, unknown users, dwell times, starts and kinds."""
    size = draw(st.integers(min_size, 12))
    rows = [draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)) for _ in range(size)]
    users = draw(st.lists(st.integers(-1, 2), min_size=size, max_size=size))
    started = draw(st.lists(st.one_of(st.integers(0, 6), st.just(math.nan)), min_size=size, max_size=size))
    flat = [item for row in rows for item in row]
    dwell = draw(st.lists(st.one_of(st.integers(0, 50), st.just(math.nan)), min_size=len(flat), max_size=len(flat)))
    kinds = draw(st.one_of(st.none(), st.lists(st.integers(0, 3), min_size=len(flat), max_size=len(flat))))
    offsets, channels = np.r_[0, np.cumsum([len(row) for row in rows])], {"dwell_times": dwell, "kinds": kinds}
    return SessionInteractions.from_ragged(flat, offsets, users, 6, num_users=3, started=started, **channels)


def by_hand(sessions, user, now):
    """{item: (times, sessions ago, seconds ago, mean dwell, kind)} of sessions before `now`, NaN for after all."""
    mine = []
    for row in range(len(sessions)):
        start = sessions.started[row]
        if sessions.user_ids[row] == user >= 0 and (math.isnan(now) or start < now):
            mine.append((math.inf if math.isnan(start) else start, row))
    mine.sort()
    starts = sessions.started[sessions.user_ids >= 0]
    latest = np.nanmax(starts, initial=-np.inf)
    actual, dwells = {}, defaultdict(list)
    for place, (start, row) in enumerate(mine):
        for event in range(*sessions.offsets[row : row + 2]):
            item, dwell = int(sessions.items[event]), float(sessions.flat_dwell_times[event])
            kind = 0 if sessions.flat_kinds is None else int(sessions.flat_kinds[event])
            times = actual.get(item, (0,))[0] + 1
            if not math.isnan(dwell):
                dwells[item].append(dwell)
            mean = np.mean(dwells[item]) if dwells[item] else math.nan
            ago = math.nan if start == math.inf else (latest if math.isnan(now) else now) - start
            actual[item] = (times, len(mine) - place, ago, mean, kind)
    return actual


def recalled(history, row):
    """The same of what a memory recalls."""
    columns = (history.times, history.sessions_ago, history.seconds_ago, history.dwell, history.kinds)
    return {
        int(item): tuple(float(column[row, slot]) for column in columns)
        for slot, item in enumerate(history.items[row])
        if item != 0
    }


def assert_same(actual, expected):
    assert actual.keys() == expected.keys()
    for item, values in expected.items():
        np.testing.assert_allclose(actual[item], values, rtol=1e-6, err_msg=f"item {item}")


def asked(questions):
    """Users and starts as tensors."""
    users, started = zip(*questions, strict=True)
    return torch.tensor(users), torch.tensor(started, dtype=torch.float64)


@given(logs(), QUESTIONS)
def test_it_recalls_what_a_dictionary_says(sessions, questions):
    history = Memory(sessions).recall(*asked(questions))
    for row, (user, moment) in enumerate(questions):
        assert_same(recalled(history, row), by_hand(sessions, user, moment))
        items = history.items[row]
        assert len(items.nonzero()) == len(items[items != 0].unique()), "each item stands there once"


@given(logs(min_size=2), st.data(), QUESTIONS, st.integers(1, 4))
def test_on_a_device_it_recalls_and_views_the_same_and_recalling_waits_for_nothing(sessions, data, questions, size):
    cut = data.draw(st.integers(1, len(sessions) - 1))
    first, later = sessions.take(np.arange(cut)), sessions.take(np.arange(cut, len(sessions)))
    with pytest.MonkeyPatch.context() as patch, simulated_device() as waits:
        patch.setattr(user_history, "LARGE_ADDITION", data.draw(st.sampled_from([0.25, 100.0])))
        memory, small = (Memory(first, most, SIMULATED).with_sessions(later) for most in (100, size))
        assert memory.device == small.device == SIMULATED
        users, now = (moved(column, SIMULATED) for column in asked(questions))
        waits.clear()
        histories = memory.recall(users, now), small.recall(users, now)
        assert not waits
        history, latest = (one.to(HOST) for one in histories)
        viewed = small.viewed(users, now).to(HOST)
    assert latest.items.shape[1] <= size
    for row, (user, moment) in enumerate(questions):
        everything = by_hand(sessions, user, moment)
        assert_same(recalled(history, row), everything)
        some = recalled(latest, row)
        assert_same(some, {item: everything[item] for item in some})
        assert {*viewed[row].tolist(), 0} == {*everything, 0}
    for column in history:
        assert not column[history.items == 0].any(), "padding is 0 throughout"


@given(logs(), QUESTIONS)
def test_all_that_was_viewed_is_beyond_its_size(sessions, questions):
    viewed = Memory(sessions, size=1).viewed(*asked(questions))
    for row, (user, moment) in enumerate(questions):
        assert {*viewed[row].tolist(), 0} == {*by_hand(sessions, user, moment), 0}


@given(logs(min_size=2), st.data())
def test_sessions_that_come_in_pieces_are_remembered_alike(sessions, data):
    cuts = sorted(data.draw(st.lists(st.integers(1, len(sessions) - 1), min_size=1, max_size=4)))
    first, *others = np.split(np.arange(len(sessions)), cuts)
    large = data.draw(st.sampled_from([0.25, 100.0]))  # with and without sorting additions in
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(user_history, "LARGE_ADDITION", large)
        pieces = Memory(sessions.take(first))
        for rows in others:
            if len(rows):
                pieces = pieces.with_sessions(sessions.take(rows))
    whole = Memory(sessions)
    assert repr(pieces) == repr(whole)
    for name, column in whole.arrays().items():
        np.testing.assert_array_equal(pieces.arrays()[name], column, err_msg=name)
    questions = asked([(user, now) for user in range(-1, 3) for now in (*range(7), math.nan)])
    for one, other in zip(pieces.recall(*questions), whole.recall(*questions), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@given(logs(), st.integers(1, 4))
def test_a_small_memory_recalls_the_latest_views(sessions, size):
    small = Memory(sessions, size).recall(*asked((user, math.nan) for user in range(3)))
    for row, user in enumerate(range(3)):
        whole = by_hand(sessions, user, math.nan)
        actual = recalled(small, row)
        assert len(actual) <= size
        for item, values in actual.items():
            np.testing.assert_allclose(values, whole[item], rtol=1e-6)
        left_out = [values[1] for item, values in whole.items() if item not in actual]
        assert min(left_out, default=math.inf) >= max((values[1] for values in actual.values()), default=0)


@given(logs(), st.integers(0, 6))
def test_sessions_that_begin_later_are_not_seen(sessions, now):
    earlier = np.flatnonzero(sessions.started < now)
    questions = asked((user, now) for user in range(3))
    whole = Memory(sessions).recall(*questions)
    alone = (Memory(sessions.take(earlier)) if len(earlier) else Memory()).recall(*questions)
    for row in range(3):
        assert_same(recalled(whole, row), recalled(alone, row))


def test_an_empty_memory_recalls_nothing(sessions):
    nobody = SessionInteractions(np.asarray(sessions.sequences))
    for memory in (Memory(), Memory(nobody)):
        assert len(memory) == 0
        assert not memory.recall(*asked([(0, 0.0), (-1, math.nan)])).items.any()


@pytest.mark.parametrize("user", [-1, 9])
def test_unknown_users_have_no_history(sessions, user):
    assert not Memory(sessions).recall(*asked([(user, math.nan)])).items.any()


def test_its_size_is_that_of_the_events_and_not_of_the_catalogue_or_the_ids():
    rows = SessionInteractions([[7, 10**9, 7]], user_ids=[10**12], started=[0.0], num_items=10**9 + 1)
    memory = Memory(rows)
    assert repr(memory) == "<Memory (1 users x 1 sessions x 2 postings)>"
    assert recalled(memory.recall(*asked([(10**12, math.nan)])), 0)[10**9][0] == 1


def test_a_pickle_is_loaded_to_where_it_is_wanted(sessions, tmp_path):
    torch.save(Memory(sessions), tmp_path / "memory.pt")
    loaded = torch.load(tmp_path / "memory.pt", map_location="meta", weights_only=False)
    assert loaded.device.type == "meta"


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^size must be 1 or more; got 0$"):
        Memory(size=0)
