"""Arrays of any shape and kind as sessions: they hold what was given, or the argument is named."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from doors import CASES, ODD, answer, explore
from hypothesis import strategies as st

from spotlight_asars import EventLog, SessionInteractions, to_sessions

LARGEST = 2**31 - 1
ITEMS = st.integers(0, 5)


def rows_of(values):
    """Two lists of one length, or of two, and as arrays of several types."""
    row = st.lists(values, min_size=3, max_size=3)
    rows = st.lists(row, min_size=1, max_size=3)
    return st.one_of(rows, rows, rows.map(np.array), rows.map(lambda given: np.array(given, dtype=float)), row, ODD)


SECONDS = st.one_of(st.floats(0, 1e6), st.just(math.nan), st.floats())
USERS = st.one_of(st.lists(st.integers(-1, 4), min_size=1, max_size=3), ODD)
SIZES = st.one_of(st.none(), st.none(), st.integers(4, 9), ODD)


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


def is_size(value, most_id):
    if value is None:
        return True
    kind = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return kind and most_id < value <= LARGEST + 1 and value >= 0


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
        if not all(-1 <= user <= LARGEST for user in owners):
            return None
    if not is_size(num_users, -1 if owners is None else max(owners)):
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
        np.testing.assert_array_equal(made.dwell, seconds.astype(np.float32))
    if starts is not None:
        np.testing.assert_array_equal(made.started, starts)
    padded = [[0] * (made.max_sequence_length - len(row)) + row for row in items]
    again = SessionInteractions(padded, owners, num_items, started=starts, num_users=num_users)
    assert again.sequences.tolist() == made.sequences.tolist() == padded


@pytest.mark.parametrize("cases", CASES)
def test_rows_are_sessions_or_the_argument_is_named(cases):
    channels = st.one_of(st.none(), rows_of(SECONDS))
    starts = st.one_of(st.none(), st.none(), st.lists(SECONDS, min_size=1, max_size=3), ODD)
    explore(check, 2 * cases, rows_of(ITEMS), st.one_of(st.none(), USERS), channels, starts, SIZES, SIZES)


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
    items = st.one_of(st.lists(st.integers(1, 4), max_size=5), st.lists(st.integers(-1, 4), max_size=5), ODD)
    cuts = st.one_of(
        st.lists(st.integers(0, 5), max_size=4).map(lambda inner: [0, *sorted(inner), 5]),
        st.lists(st.integers(-1, 6), max_size=4),
        ODD,
    )
    full = st.lists(st.integers(1, 4), min_size=5, max_size=5)
    explore(check_ragged, cases, st.one_of(items, full, full), cuts, st.one_of(st.none(), st.integers(1, 6), ODD))


def check_log(users, items, times, inactivity, most, least):
    names = ("user_ids", "item_ids", "timestamps", "a log", "inactivity", "max_sequence_length", "min_sequence_length")
    log = answer(lambda: EventLog(users, items, times), *names)
    if log is not None:
        assert len(log) == len(users)
        rows = answer(lambda: to_sessions(log, inactivity, most, least), *names)
        assert rows is None or rows.lengths.min() >= least
        assert rows is None or rows.lengths.max() <= most


@pytest.mark.parametrize("cases", CASES)
def test_columns_are_a_log_with_sessions_or_the_argument_is_named(cases):
    ids = st.one_of(st.lists(st.integers(1, 3), min_size=4, max_size=4), ODD)
    times = st.one_of(st.lists(st.one_of(st.integers(0, 9999), FINITE), min_size=4, max_size=4), ODD)
    lengths = st.one_of(st.integers(1, 3), st.integers(1, 5), ODD)
    explore(check_log, cases, ids, ids, times, st.one_of(st.floats(1, 1e4), ODD), lengths, lengths)


FINITE = st.floats(-1e9, 1e9)
