"""Parts of a log, against loops over raw events: support, splits by time, and the ids of another log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses
from reference_data import (
    LOGS,
    assert_compact,
    by_raw_user,
    collapse_by_hand,
    decoded,
    raw_log,
    sessions_by_hand,
    split_by_hand,
    support_by_hand,
)

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.events import Dropped

SUPPORT = {"item": st.integers(0, 4), "session": st.integers(0, 3), "user": st.integers(0, 2)}


@given(LOGS, st.fixed_dictionaries(SUPPORT), st.booleans())
def test_support_drops_events_and_changes_no_dwell_session_or_raw_id_of_the_others(events, support, collapse):
    log, expected = raw_log(events), sessions_by_hand(events)
    if collapse:
        log, expected = log.collapse_repeats(), collapse_by_hand(expected)
    expected = by_raw_user(support_by_hand(expected, **support))
    if not expected:
        named = {name: support[name] for name in ("item", "session", "user")}
        with refuses(f"filter_support must leave events of the {len(log)} given; got {named}"):
            log.filter_support(**support)
        return
    filtered = log.filter_support(**support)
    assert decoded(filtered) == expected
    assert_compact(filtered)


def test_a_session_that_loses_its_middle_is_still_one_and_keeps_its_dwell():
    log = EventLog([0] * 4, [1, 2, 1, 1], [0, 3000, 6000, 6001])
    filtered = log.filter_support(item=2, session=1)
    assert filtered.session_ids().tolist() == [0, 0, 0]
    np.testing.assert_array_equal(filtered.dwell_times(), [3000, 1, np.nan])


def test_two_sessions_stay_two_when_the_event_at_their_border_goes():
    log = EventLog([0] * 4, [1, 2, 1, 1], [0, 10, 3610, 3620])
    filtered = log.filter_support(item=2, session=1)
    assert filtered.session_ids().tolist() == [0, 1, 1]
    assert filtered.dwell_times()[0] == 10


def test_support_may_use_a_shorter_inactivity():
    log = EventLog([0, 0, 0], [1, 1, 1], [0, 10, 1000])
    assert log.filter_support(item=1, session=2, inactivity=900).timestamps.tolist() == [0, 10]


@pytest.mark.parametrize("name", ["item", "session", "user"])
def test_support_is_not_negative(log, name):
    with refuses(f"{name} must be 0 or more; got -1"):
        log.filter_support(**{name: -1})


UNKNOWN = st.sampled_from(["drop", "keep"])


@given(LOGS, st.sampled_from([0.25, 0.5, 0.75]), UNKNOWN)
def test_a_split_is_by_whole_sessions_in_the_order_of_their_last_events(events, test_fraction, unknown_users):
    log = raw_log(events)
    train, test, dropped = split_by_hand(sessions_by_hand(events), test_fraction, unknown_users)
    if not test:
        with pytest.raises(ValueError, match=r"must leave (sessions that end after \d+|test events)"):
            log.split_by_time(test_fraction, unknown_users=unknown_users)
        return
    left, right = log.split_by_time(test_fraction, unknown_users=unknown_users)
    assert decoded(left) == by_raw_user(train)
    assert_compact(left)
    found = [event for session in decoded(right) for event in session]
    expected = [[-user, item * 10, *rest] for user, item, *rest in test]
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert right.dropped == Dropped(*dropped)
    assert left.dropped == Dropped(0, 0, 0)
    assert right.item_vocabulary.raw.tolist() == left.item_vocabulary.raw.tolist()
    assert right.num_items == left.num_items
    assert right.user_vocabulary.raw.tolist()[: left.num_users] == left.user_vocabulary.raw.tolist()
    newcomers = {user for user, *_ in expected} - set(left.user_vocabulary.raw.tolist())
    assert right.num_users == left.num_users + len(newcomers)


@given(LOGS)
def test_test_sessions_are_those_of_the_whole_log(events):
    log = raw_log(events)
    try:
        _, test = log.split_by_time(0.5, unknown_users="keep")
    except ValueError:
        return
    place = {}
    for number, session in enumerate(sessions_by_hand(events)):
        for user, item, moment, _ in session:
            place.setdefault((-user, item * 10, moment), set()).add(number)
    for session in decoded(test):
        assert set.intersection(*(place[tuple(event[:3])] for event in session))
    assert len(decoded(test)) <= len(sessions_by_hand(events))


def test_users_are_kept_automatically_only_where_hardly_any_returns():
    moments = np.arange(400) * 10
    never = EventLog(np.arange(400), np.ones(400, int), moments)
    assert never.split_by_time(0.25)[1].dropped == Dropped(0, 0, 0)
    one_in_a_hundred = EventLog([*range(300), 0, 1, 2], [1] * 303, [*range(0, 3000, 10), 10000, 20000, 30000])
    train, test = one_in_a_hundred.split_by_time(0.25)
    assert test.num_users == train.num_users == 228
    assert test.dropped == Dropped(events=72, items=0, users=72)
    assert one_in_a_hundred.split_by_time(0.25, unknown_users="keep")[1].dropped == Dropped(0, 0, 0)


def test_a_split_names_what_is_wrong_with_its_arguments(log):
    for bad in (0, 1, -0.1, 1.5, np.nan):
        with refuses(f"test_fraction must lie between 0 and 1; got {bad!r}"):
            log.split_by_time(bad)
    with refuses("unknown_users must be one of ['auto', 'drop', 'keep']; got 'forget'"):
        log.split_by_time(unknown_users="forget")


def test_a_split_that_leaves_no_test_says_why():
    with refuses("test_fraction must leave sessions that end after 5, as the latest does; got 0.25"):
        EventLog([0, 1], [1, 1], [5, 5]).split_by_time(0.25)
    strangers = EventLog([0, 1, 1], [1, 1, 1], [0, 10, 20])
    with refuses(
        "split_by_time must leave test events of known items and users; got '2 of unknown ones'. "
        "unknown_users='keep' keeps users without a training session"
    ):
        strangers.split_by_time(0.5, unknown_users="drop")


STRANGERS = pd.DataFrame(
    {"user_id": ["zoe", "zoe", "ann", "kim"], "item_id": ["poem", "song", "story", "ode"], "timestamp": 9e5}
)


@pytest.mark.parametrize(
    ("unknown_users", "users", "items", "lost"),
    [
        ("keep", ["ann", "bob", "zoe"], ["story", "poem"], Dropped(events=2, items=2, users=0)),
        ("drop", ["ann", "bob"], ["story"], Dropped(events=3, items=2, users=2)),
    ],
)
def test_encode_like_keeps_or_drops_users_whom_the_other_does_not_know(log, unknown_users, users, items, lost):
    found = EventLog.from_frame(STRANGERS).encode_like(to_sessions(log), unknown_users=unknown_users)
    assert found.user_vocabulary.raw.tolist() == users
    assert found.item_vocabulary is log.item_vocabulary
    assert found.item_vocabulary.decode(found.item_ids).tolist() == items
    assert found.dropped == lost


def test_a_filtered_log_gets_the_ids_of_the_other_back_and_keeps_its_dwell(log):
    renumbered = log.filter_support(item=4, session=1)
    assert (renumbered.num_items, renumbered.dropped) == (2, Dropped(events=2, items=1, users=2))
    found = renumbered.encode_like(log)
    assert found.item_vocabulary is log.item_vocabulary
    assert found.item_ids.tolist() == [2] * 4
    np.testing.assert_array_equal(found.dwell_times(), renumbered.dwell_times())


def test_encode_like_says_what_is_wrong(log):
    message = "encode_like must leave events of known items and users; got '1 of unknown ones'"
    with refuses(message):
        EventLog.from_frame(STRANGERS[3:]).encode_like(log)
    with refuses("user ids of the log must be strings, as in training; got integers, like 0", TypeError):
        EventLog([0], [1], [0]).encode_like(log)
    way_out = "a log, its sessions, and a model that was trained with these do"
    with refuses(f"other must know raw ids, as {way_out}; got int without"):
        log.encode_like(7)
