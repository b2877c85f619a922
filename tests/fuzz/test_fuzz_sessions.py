"""Arrays of any shape and type as sessions: they hold the same values, or the error names the argument."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from fuzzing import CASES, answer, explore, spoiled
from hypothesis import strategies as st

from spotlight_asars import EventLog, SessionInteractions, to_sessions

LARGEST = 2**31 - 1
SECONDS = st.one_of(st.floats(0, 1e6), st.just(math.nan), st.sampled_from([0.0, 1e300, math.inf, -1.0, -0.0]))
STARTS = st.one_of(st.floats(-1e9, 1e9), st.just(math.nan), st.sampled_from([2.0**53, 2.0**54, -math.inf]))


@np.errstate(over="ignore")
def narrow(rows):
    return np.array(rows, dtype=np.float32)


ARRAYS = (list, np.array, lambda rows: np.array(rows, dtype=float), narrow)


def lists(values, size):
    return st.lists(values, min_size=size, max_size=size)


@st.composite
def rows_with_channels(draw):
    """Rows, users, dwell times and starts, num_items and num_users, that mostly fit each other."""
    size, width = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    made = draw(st.sampled_from(ARRAYS))
    seconds = draw(st.sampled_from([st.floats(0, 1e6), st.floats(0, 1e6), SECONDS]))
    return (
        made(draw(lists(lists(st.integers(0, 5), width), size))),
        draw(st.one_of(st.none(), lists(st.integers(-1, 4), size))),
        draw(st.one_of(st.none(), lists(lists(seconds, width), size).map(made))),
        draw(st.one_of(st.none(), lists(STARTS, size))),
        draw(st.sampled_from([None, None, 6, 9, 3])),
        draw(st.sampled_from([None, None, 5, 9, 3])),
    )


def numeric(given, whole):
    """`given` as a numeric array; None where it is no such thing."""
    try:
        array = np.asarray(given)
    except ValueError:
        return None
    if array.dtype.kind not in "iuf":
        return None
    if not whole:
        return array.astype(float)
    exact = array.ravel().tolist()
    reach = 2 ** (np.finfo(array.dtype).nmant + 1) if array.dtype.kind == "f" else 2**63
    if not all(math.isfinite(value) and value == math.floor(value) and -reach <= value < reach for value in exact):
        return None
    if reach < 2**63 and -reach in exact:
        return None
    return np.array([int(value) for value in exact], dtype=object).reshape(array.shape)


def is_size(value, most_id, largest=LARGEST):
    if value is None:
        return True
    kind = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return kind and most_id < value <= largest + 1 and value >= 0


def expected(rows, users, dwell, started, num_items, num_users):
    """Items, users, dwell and starts of each session; None where the docstrings say that they are refused."""
    matrix = numeric(rows, whole=True)
    if matrix is None or matrix.ndim > 2:
        return None
    matrix = np.atleast_2d(matrix)
    if 0 in matrix.shape or not all(0 <= item <= LARGEST for item in matrix.ravel()):
        return None
    if not is_size(num_items, max(matrix.ravel())):
        return None
    owners = starts = seconds = None
    if users is not None:
        owners = numeric(users, whole=True)
        if owners is None or np.atleast_1d(owners).shape != (len(matrix),):
            return None
        owners = np.atleast_1d(owners).tolist()
        if not all(user >= -1 for user in owners):
            return None
    if not is_size(num_users, -1 if owners is None else max(owners), largest=2**63 - 1):
        return None
    if started is not None:
        starts = numeric(started, whole=False)
        if starts is None or np.atleast_1d(starts).shape != (len(matrix),):
            return None
        starts = np.atleast_1d(starts)
        if (np.abs(starts) > 2**53).any():
            return None
    real = (matrix != 0).astype(bool)
    if dwell is not None:
        seconds = numeric(dwell, whole=False)
        if seconds is None or np.atleast_2d(seconds).shape != matrix.shape:
            return None
        seconds = np.atleast_2d(seconds)[real]
        if (seconds < 0).any() or (seconds > np.finfo(np.float32).max).any():
            return None
    return [row[row != 0].tolist() for row in matrix], owners, seconds, starts


def check(rows, users, dwell, started, num_items, num_users):
    made = answer(
        lambda: SessionInteractions.from_rows(
            rows, users, num_items, dwell_times=dwell, started=started, num_users=num_users
        ),
        *("rows", "user_ids", "num_items", "dwell_times", "started", "num_users"),
    )
    wanted = expected(rows, users, dwell, started, num_items, num_users)
    assert (made is None) == (wanted is None), (rows, users, dwell, started, num_items, num_users)
    if made is None:
        return
    items, owners, seconds, starts = wanted
    assert [part.tolist() for part in np.split(made.items, made.offsets[1:-1])] == items
    assert (None if made.user_ids is None else made.user_ids.tolist()) == owners
    if seconds is not None:
        np.testing.assert_array_equal(made.flat_dwell_times, seconds.astype(np.float32))
    if starts is not None:
        np.testing.assert_array_equal(made.started, starts)
    padded = [[0] * (made.max_sequence_length - len(row)) + row for row in items]
    again = SessionInteractions(padded, owners, num_items, started=starts, num_users=num_users)
    assert again.sequences.tolist() == made.sequences.tolist() == padded


@pytest.mark.parametrize("cases", CASES)
def test_rows_are_sessions_or_the_argument_is_named(cases):
    explore(check, cases, spoiled(rows_with_channels()))


def check_ragged(items, offsets, longest):
    made = answer(
        lambda: SessionInteractions.from_ragged(items, offsets, max_sequence_length=longest),
        *("items", "sequences", "offsets", "max_sequence_length"),
    )
    flat, cuts = numeric(items, whole=True), numeric(offsets, whole=True)
    valid = flat is not None and cuts is not None and flat.ndim == cuts.ndim == 1 and len(cuts) > 1
    valid = valid and all(1 <= item <= LARGEST for item in flat)
    valid = valid and cuts[0] == 0 and cuts[-1] == len(flat)
    valid = valid and all(low <= high for low, high in pairwise(cuts))
    if valid:
        most = max(1, *(high - low for low, high in pairwise(cuts)))
        valid = longest is None or (is_size(longest, most - 1) and longest <= LARGEST)
    assert (made is not None) == valid, (items, offsets, longest)
    if valid:
        assert made.items.tolist() == flat.tolist()
        assert made.lengths.sum() == len(flat)


@pytest.mark.parametrize("cases", CASES)
def test_flat_arrays_are_sessions_or_the_argument_is_named(cases):
    cuts = st.lists(st.integers(0, 5), max_size=4).map(lambda inner: [0, *sorted(inner), 5])
    unordered = st.lists(st.integers(-1, 6), max_size=4)
    longest = st.one_of(st.none(), st.integers(1, 6))
    items = st.sampled_from([lists(st.integers(1, 4), 5), lists(st.integers(1, 4), 5), lists(st.integers(0, 4), 5)])
    explore(check_ragged, cases, spoiled(items.flatmap(lambda kind: kind), st.one_of(cuts, cuts, unordered), longest))


def check_log(users, items, times, inactivity, most, least):
    names = ("user_ids", "item_ids", "timestamps", "a log", "inactivity", "max_sequence_length", "min_sequence_length")
    log = answer(lambda: EventLog(users, items, times), *names)
    rows = log and answer(lambda: to_sessions(log, inactivity, most, least), *names)
    if rows is None:
        return
    events = sorted(zip(users, times, range(len(users)), items, strict=True), key=lambda event: event[:3])
    sessions = [[events[0]]]
    for before, event in pairwise(events):
        if event[0] != before[0] or event[1] - before[1] >= inactivity:
            sessions.append([])
        sessions[-1].append(event)
    wanted = []
    for session in sessions:
        short = len(session) % most
        parts = [session[:short], *(session[at : at + most] for at in range(short, len(session), most))]
        wanted += [part for part in parts if len(part) >= least]
    assert [part.tolist() for part in np.split(rows.items, rows.offsets[1:-1])] == [
        [event[3] for event in part] for part in wanted
    ]
    assert rows.user_ids.tolist() == [part[0][0] for part in wanted]
    assert rows.started.tolist() == [part[0][1] for part in wanted]


@pytest.mark.parametrize("cases", CASES)
def test_columns_are_a_log_with_sessions_or_the_argument_is_named(cases):
    times = st.one_of(lists(st.integers(0, 9999), 4), lists(st.floats(-1e9, 1e9), 4))
    ids, lengths = lists(st.integers(1, 3), 4), st.integers(1, 4)
    explore(check_log, cases, spoiled(ids, ids, times, st.floats(1, 1e4), lengths, lengths))
