"""Any Spotlight log becomes the sessions that a loop over its events makes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses
from reference_data import LOGS, columns, rows_by_hand, sessions_by_hand

from spotlight_asars import EventLog, SessionInteractions, to_sessions
from spotlight_asars._spotlight import Interactions, SequenceInteractions


def as_rows(sessions):
    """(user, items, dwell) of each session, without padding."""
    found = []
    for row, user, dwell in zip(sessions.sequences, sessions.user_ids, sessions.dwell_times, strict=True):
        real = np.asarray(row) != 0
        assert real.tolist() == sorted(real.tolist())
        assert np.isnan(dwell[~real]).all()
        found.append((user, row[real].tolist(), [None if np.isnan(value) else value for value in dwell[real]]))
    return found


@given(
    LOGS,
    st.integers(1, 3).flatmap(lambda low: st.tuples(st.just(low), st.integers(low, 6))),
    st.sampled_from([600, 3600, np.inf]),
    st.booleans(),
)
def test_sessions_are_those_of_a_loop_over_events(events, lengths, inactivity, plain):
    low, high = lengths
    users, items, times = columns(events)
    log = (Interactions if plain else EventLog)(users, items, timestamps=times, num_users=9, num_items=11)
    made_by_hand = sessions_by_hand(events, inactivity)
    rows = rows_by_hand(made_by_hand, high, low)
    expected = [(row[0][0], [event[1] for event in row], [event[3] for event in row]) for row in rows]
    if not rows:
        longest = max(len(row) for row in rows_by_hand(made_by_hand, high, 1))
        with refuses(
            f"min_sequence_length must leave at least one session, and the longest has {longest} events; got {low}"
        ):
            to_sessions(log, inactivity, high, low)
        return
    sessions = to_sessions(log, inactivity, max_sequence_length=high, min_sequence_length=low)
    assert as_rows(sessions) == expected
    assert sessions.started.tolist() == [row[0][2] for row in rows]
    assert (sessions.num_items, sessions.num_users, sessions.max_sequence_length) == (11, 9, high)
    assert sessions.sequences.shape == (len(rows), high)
    assert isinstance(sessions, SessionInteractions)
    assert isinstance(sessions, SequenceInteractions)


def test_six_events_become_two_sessions(log):
    sessions = to_sessions(log, max_sequence_length=4)
    assert sessions.sequences.tolist() == [[0, 2, 2, 1], [0, 0, 1, 2]]
    assert sessions.user_ids.tolist() == [0, 1]
    np.testing.assert_array_equal(sessions.dwell_times, [[np.nan, 40, 60, np.nan], [np.nan, np.nan, 30, np.nan]])


def test_windows_are_cut_from_the_end_and_know_the_dwell_that_leads_into_the_next():
    log = EventLog([0] * 5, [1, 2, 3, 4, 5], [0, 1, 3, 6, 10])
    sessions = to_sessions(log, max_sequence_length=3)
    assert sessions.sequences.tolist() == [[0, 1, 2], [3, 4, 5]]
    np.testing.assert_array_equal(sessions.dwell_times, [[np.nan, 1, 2], [3, 4, np.nan]])
    assert to_sessions(log, max_sequence_length=3, min_sequence_length=3).sequences.tolist() == [[3, 4, 5]]


def test_a_measured_dwell_is_kept_at_the_last_event_too():
    log = EventLog([0, 0], [1, 2], [0, 5], dwell_times=[3, 8])
    assert to_sessions(log).flat_dwell_times.tolist() == [3, 8]


def test_events_in_any_order_give_the_same_sessions():
    random = np.random.RandomState(0)
    users, items, times = random.randint(3, size=50), random.randint(1, 9, size=50), random.permutation(50) * 900
    order = random.permutation(50)
    one = to_sessions(Interactions(users, items, timestamps=times))
    other = to_sessions(Interactions(users[order], items[order], timestamps=times[order]))
    assert as_rows(one) == as_rows(other)


def test_the_log_itself_stays_as_it_was():
    columns = np.array([1, 0]), np.array([2, 1]), np.array([5, 0])
    to_sessions(Interactions(columns[0], columns[1], timestamps=columns[2]), min_sequence_length=1)
    assert [column.tolist() for column in columns] == [[1, 0], [2, 1], [5, 0]]


def plain(users=(0, 0), items=(1, 2), times=(0, 1)):
    return Interactions(np.array(users), np.array(items), timestamps=None if times is None else np.array(times))


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (plain(times=None), "log must have timestamps; got None"),
        (plain(items=(1, 0)), "item_ids must be 1 or more, for 0 is padding; got 0 at 1"),
        (plain(users=(-4, 0)), "user_ids must not be negative; got -4 at 0"),
        (plain(times=(0, np.nan)), "timestamps must be finite; got nan at 1"),
        (
            plain(users=(0, 1)),
            "min_sequence_length must leave at least one session, and the longest has 1 events; got 2",
        ),
    ],
)
def test_a_log_without_sessions_is_refused(log, message):
    with refuses(message):
        to_sessions(log)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inactivity": 0}, "inactivity must be positive; got 0"),
        ({"inactivity": np.nan}, "inactivity must be positive; got nan"),
        ({"min_sequence_length": 0}, "min_sequence_length must be 1 or more; got 0"),
        ({"min_sequence_length": 1.5}, "min_sequence_length must be a whole number; got 1.5"),
        ({"max_sequence_length": 1}, "max_sequence_length must be at least min_sequence_length, 2; got 1"),
        ({"max_sequence_length": 5.5}, "max_sequence_length must be a whole number; got 5.5"),
    ],
)
def test_bad_lengths_and_pauses_are_refused(options, message):
    with refuses(message, TypeError if "whole number" in message else ValueError):
        to_sessions(plain(), **options)


@pytest.mark.parametrize("log", [None, [1, 2], SequenceInteractions(np.array([[1, 2]]))])
def test_what_is_no_log_is_refused(log):
    with refuses(f"log must be a Spotlight Interactions; got {type(log).__name__}", TypeError):
        to_sessions(log)
