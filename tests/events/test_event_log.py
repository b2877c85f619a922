"""The log: its order, sessions, dwell and checks, against loops over raw events."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses
from reference_data import (
    HOUR,
    LOGS,
    assert_compact,
    by_raw_user,
    collapse_by_hand,
    columns,
    decoded,
    raw_log,
    sessions_by_hand,
    spotlight_module,
)

from spotlight_asars import EventLog, to_sessions
from spotlight_asars._spotlight import Interactions
from spotlight_asars.events import Dropped, Vocabulary


def test_six_events_read_at_a_glance(log):
    assert repr(log) == "<EventLog (2 users x 2 items x 6 events)>"
    assert decoded(log) == [
        [["ann", "story", 0, 40], ["ann", "story", 40, 60], ["ann", "poem", 100, None]],
        [["ann", "story", 10000, None]],
        [["bob", "poem", 50, 30], ["bob", "story", 80, None]],
    ]
    assert log.dropped == Dropped(0, 0, 0)


@given(LOGS)
def test_a_log_is_its_events_in_order_with_their_gaps_and_sessions(events):
    log = raw_log(events)
    assert decoded(log) == by_raw_user(sessions_by_hand(events))
    assert_compact(log)


@given(LOGS, st.sampled_from([1, 600, 601, 10**6, np.inf]))
def test_any_inactivity_cuts_the_same_log(events, inactivity):
    assert decoded(raw_log(events), inactivity) == by_raw_user(sessions_by_hand(events, inactivity))


def test_equal_timestamps_keep_the_order_given():
    log = EventLog([0] * 5, [5, 1, 4, 2, 3], [7, 7, 7, 7, 6])
    assert log.item_ids.tolist() == [3, 5, 1, 4, 2]
    assert log.dwell_times().tolist()[:4] == [1, 0, 0, 0]


@given(LOGS)
def test_collapsing_joins_each_run_of_one_item_in_a_session(events):
    log = raw_log(events).collapse_repeats()
    assert decoded(log) == by_raw_user(collapse_by_hand(sessions_by_hand(events)))
    assert_compact(log)
    assert decoded(log.collapse_repeats()) == decoded(log)


@given(LOGS, st.data())
def test_a_measured_dwell_replaces_the_gaps_and_is_summed_in_a_run(events, data):
    measured = data.draw(st.lists(st.one_of(st.none(), st.integers(0, 99)), min_size=len(events), max_size=len(events)))
    users, items, times = columns(events)
    log = EventLog(
        users, items, times, dwell_times=np.array([np.nan if dwell is None else dwell for dwell in measured])
    )
    order = sorted(range(len(events)), key=lambda place: (users[place], times[place]))
    sessions = sessions_by_hand(events)
    for event, place in zip((event for session in sessions for event in session), order, strict=True):
        event[3] = measured[place]
    assert decoded(log) == sessions
    assert decoded(log.collapse_repeats()) == collapse_by_hand(sessions)


STEPS = {
    "collapse_repeats": lambda log: log.collapse_repeats(),
    "filter_support": lambda log: log.filter_support(item=2, session=1),
    "split_by_time": lambda log: log.split_by_time(0.5),
    "to_sessions": to_sessions,
    "dwell_times": lambda log: log.dwell_times().fill(-1),
    "session_ids": lambda log: log.session_ids().fill(-1),
}


@pytest.mark.parametrize("measured", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_no_step_modifies_the_log_it_is_given(six_events, step, measured):
    six_events["dwell"], six_events["topic"] = 1.0, list("abcabc")
    log = EventLog.from_frame(six_events, dwell="dwell" if measured else None, category="topic")
    before = pickle.dumps(vars(log))
    STEPS[step](log)
    assert pickle.dumps(vars(log)) == before


def test_categories_go_with_their_events(six_events):
    log = EventLog.from_frame(six_events.assign(topic=list("abcdef")), category="topic")
    assert log.categories.tolist() == list("bcdeaf")
    assert log.collapse_repeats().categories.tolist() == list("bdeaf")
    assert log.filter_support(item=3, session=1).categories.tolist() == list("bcef")
    train, test = log.split_by_time(0.5)
    assert train.categories.tolist() + test.categories.tolist() == list("bcdafe")


def test_the_old_names_of_the_vocabularies_are_deprecated():
    users, items = Vocabulary(np.array(["ann"]), first=0), Vocabulary(np.array(["poem"]), first=1)
    with pytest.warns(DeprecationWarning, match=r"^EventLog\(users=...\) is deprecated .* use user_vocabulary$"):
        log = EventLog([0], [1], [0], users=users, item_vocabulary=items)
    with pytest.warns(DeprecationWarning, match=r"^EventLog\(items=...\) is deprecated .* use item_vocabulary$"):
        EventLog([0], [1], [0], items=items)
    with pytest.warns(DeprecationWarning, match=r"^EventLog.users is deprecated .* use user_vocabulary$"):
        assert log.users is log.user_vocabulary is users
    with pytest.warns(DeprecationWarning, match=r"^EventLog.items is deprecated .* use item_vocabulary$"):
        assert log.items is log.item_vocabulary is items


def test_ids_without_raw_ids_are_their_own():
    log = EventLog([2, 0], [3, 5], [0, 0])
    assert (log.num_users, log.num_items) == (3, 6)
    assert log.user_vocabulary.decode(log.user_ids).tolist() == [0, 2]
    assert log.item_vocabulary.decode(log.item_ids).tolist() == [5, 3]
    kept = log.filter_support(item=1, session=1)
    assert (kept.user_vocabulary.raw.tolist(), kept.item_vocabulary.raw.tolist()) == ([0, 2], [3, 5])


def test_sizes_may_be_larger_than_the_ids_need_but_not_smaller():
    log = EventLog([0], [1], [0], num_users=7, num_items=9)
    assert (log.num_users, log.num_items, len(log.user_vocabulary), len(log.item_vocabulary)) == (7, 9, 7, 8)
    with pytest.raises(ValueError, match=r"user.*number of users|user_ids must be below num_users=2; got 2"):
        EventLog([2], [1], [0], num_users=2)
    with pytest.raises(ValueError, match=r"item.*number of items|item_ids must be below num_items=2; got 2"):
        EventLog([0], [2], [0], num_items=2)


@pytest.mark.parametrize(
    ("arguments", "message", "error"),
    [
        (([], [], []), "a log must have at least one event; got 0", ValueError),
        (([[0]], [[1]], [[0]]), "user_ids must have one axis; got (1, 1)", ValueError),
        (([0, -3], [1, 1], [0, 0]), "user_ids must not be negative; got -3 at 1", ValueError),
        (([0], [0], [0]), "item_ids must be 1 or more, for 0 is padding; got 0 at 0", ValueError),
        (([0, 0], [1, -7], [0, 0]), "item_ids must be 1 or more, for 0 is padding; got -7 at 1", ValueError),
        (([2**31], [1], [0]), "user_ids must be int32, as Spotlight's are; got 2147483648 at 0", ValueError),
        (([0], [2**32 + 1], [0]), "item_ids must be int32, as Spotlight's are; got 4294967297 at 0", ValueError),
        (([0], [1.5], [0]), "item_ids must be whole numbers of 64 bits; got 1.5 at 0", ValueError),
        (([0, 1], [1], [0]), "item_ids must have the shape of user_ids, (2,); got (1,)", ValueError),
        (([0], [1], [0, 1]), "timestamps must have the shape of user_ids, (1,); got (2,)", ValueError),
        (([0], [1], [np.nan]), "timestamps must be finite; got nan at 0", ValueError),
        (([0], [1], None), "timestamps must be numbers [s]; got dtype object", TypeError),
        (([0], [1], ["noon"]), "timestamps must be numbers [s]; got dtype <U4", TypeError),
        ((["ann"], [1], [0]), "user_ids must be an array of integers; got dtype <U3", TypeError),
    ],
)
def test_columns_are_checked_at_the_door(arguments, message, error):
    with refuses(message, error):
        EventLog(*arguments)


@pytest.mark.parametrize(
    ("dwell", "message"),
    [
        ([-1.0], "dwell_times must not be negative; got -1.0 at 0"),
        ([np.inf], "dwell_times must be finite as float32, or NaN where unknown; got inf at 0"),
        ([1.0, 2.0], "dwell_times must have the shape of user_ids, (1,); got (2,)"),
    ],
)
def test_measured_dwell_is_checked_at_the_door(dwell, message):
    with refuses(message):
        EventLog([0], [1], [0], dwell_times=dwell)


@pytest.mark.parametrize("step", ["session_ids", "dwell_times", "collapse_repeats", "filter_support", "split_by_time"])
def test_inactivity_is_positive(log, step):
    for bad in (0, -5.0, np.nan):
        with refuses(f"inactivity must be positive; got {bad!r}"):
            getattr(log, step)(inactivity=bad)


def test_timestamps_stay_integers_or_floats_through_every_step():
    for dtype in (np.int64, np.float64):
        log = EventLog([0, 0, 0, 0], [1, 1, 2, 1], np.array([0, 1, 2, 9000], dtype))
        for other in (log, log.collapse_repeats(), log.filter_support(1, 1), *log.split_by_time(0.5)):
            assert other.timestamps.dtype == dtype


def test_a_log_is_a_spotlight_interactions(log):
    assert isinstance(log, Interactions)
    assert len(log) == 6
    assert (log.ratings, log.weights) == (None, None)
    assert log.tocsr().toarray().tolist() == [[0, 1, 3], [0, 1, 1]]  # poem is 1, story 2
    sequences = log.to_sequence(max_sequence_length=3)
    assert sequences.sequences.tolist() == [[2, 1, 2], [0, 0, 2], [0, 1, 2]]
    assert sequences.user_ids.tolist() == [0, 0, 1]


@pytest.mark.parametrize("split", ["user_based_train_test_split", "random_train_test_split"])
def test_spotlights_splits_take_a_log_and_its_halves_become_sessions(split):
    random = np.random.RandomState(0)
    log = EventLog(random.randint(40, size=900), random.randint(1, 9, size=900), random.randint(40 * HOUR, size=900))
    halves = getattr(spotlight_module("cross_validation"), split)(log, 0.3, random_state=random)
    assert sum(len(half) for half in halves) == len(log)
    for half in halves:
        assert half.timestamps.dtype == np.int64
        sessions = to_sessions(half)
        expected = sessions_by_hand(list(zip(half.user_ids, half.item_ids, half.timestamps, strict=True)))
        assert len(sessions) == sum(len(session) >= 2 for session in expected)
        assert (sessions.num_items, sessions.num_users) == (log.num_items, log.num_users)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda log: pickle.loads(pickle.dumps(log))])
def test_a_copy_is_the_same_log(log, copied):
    other = copied(log.collapse_repeats())
    assert decoded(other) == decoded(log.collapse_repeats())


def test_yoochoose_is_what_pandas_makes_of_it(data_folder):
    path = data_folder / "yoochoose" / "events.csv.gz"
    log = EventLog.read(path).collapse_repeats().filter_support(item=5, session=2)
    table = pd.read_csv(path).sort_values(["user_id", "timestamp"], kind="stable")
    cut = (table.user_id != table.user_id.shift()) | (table.timestamp - table.timestamp.shift() >= HOUR)
    table["session"] = cut.cumsum()
    table["dwell"] = (table.timestamp.shift(-1) - table.timestamp).where(table.session == table.session.shift(-1))
    run = ((table.session != table.session.shift()) | (table.item_id != table.item_id.shift())).cumsum()
    dwell = table.dwell.groupby(run).sum(min_count=1)
    table = table.groupby(run).first().assign(dwell=dwell)
    before = 0
    while before != len(table):
        before = len(table)
        table = table[table.groupby("item_id").item_id.transform("size") >= 5]
        table = table[table.groupby("session").session.transform("size") >= 2]
    assert (len(log), log.num_items - 1) == (len(table), table.item_id.nunique()) == (61196, 2218)
    assert log.session_ids()[-1] + 1 == table.session.nunique() == 16825
    assert log.item_vocabulary.decode(log.item_ids).tolist() == table.item_id.tolist()
    assert log.user_vocabulary.decode(log.user_ids).tolist() == table.user_id.tolist()
    assert log.session_ids().tolist() == pd.factorize(table.session)[0].tolist()
    np.testing.assert_allclose(log.dwell_times(), table.dwell, rtol=1e-12)


def test_otto_loads_from_its_compressed_file(data_folder):
    log = EventLog.read(data_folder / "otto" / "events.csv.gz", category="behavior")
    assert (len(log), log.num_users, log.num_items - 1) == (862, 20, 510)
    assert log.session_ids()[-1] + 1 == 138
    assert set(log.categories) == {"clicks", "carts", "orders"}


def test_sessions_that_are_known_are_kept_whatever_the_inactivity():
    log = EventLog([0, 0, 0, 1, 0], [1, 2, 3, 1, 4], [0, 10, 9000, 5, 9001], sessions=[7, 7, 7, 7, 8])
    for inactivity in (1, 3600, 10**6):
        assert log.session_ids(inactivity).tolist() == [0, 0, 0, 1, 2]
    np.testing.assert_array_equal(log.dwell_times(), [10, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(log.dwell_times(10**4), [10, 8990, np.nan, np.nan, np.nan])


def test_known_sessions_survive_a_filter_that_takes_their_middle():
    log = EventLog([0] * 4, [1, 2, 1, 1], [0, 3000, 6000, 6001], sessions=[5, 5, 5, 6])
    assert log.filter_support(item=2, session=1).session_ids().tolist() == [0, 0, 1]


def test_sessions_that_overlap_stand_in_the_order_of_their_starts():
    log = EventLog([0, 0, 0, 0, 1], [1, 2, 3, 4, 5], [3, 2, 9, 5, 0], sessions=[7, 8, 7, 8, 7])
    assert log.item_ids.tolist() == [2, 4, 1, 3, 5]
    assert log.session_ids().tolist() == [0, 0, 1, 1, 2]
    np.testing.assert_array_equal(log.dwell_times(), [3, np.nan, 6, np.nan, np.nan])
    with pytest.raises(ValueError, match=r"sessions must have the shape of user_ids, \(3,\); got \(1,\)"):
        EventLog([0, 0, 0], [1, 2, 3], [0, 1, 2], sessions=[7])


def test_a_column_of_sessions_is_read(six_events):
    log = EventLog.from_frame(six_events.assign(visit=["b", "a", "a", "a", "a", "b"]), session="visit")
    assert log.session_ids().tolist() == [0, 0, 0, 0, 1, 1]
