"""Slices keep their channels, or drop them; they are never misaligned."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_data import ROWS, TIME, assert_aligned, dropped, spotlight_module, telling

from spotlight_asars import SessionInteractions
from spotlight_asars.sessions.session_array import SessionArray

BOUND = st.one_of(st.none(), st.integers(-7, 7))
SLICES = st.slices(ROWS)
MASKS = st.lists(st.booleans(), min_size=ROWS, max_size=ROWS)
PICKS = st.lists(st.integers(-ROWS, ROWS - 1), min_size=1, max_size=7)
FOLLOWED_ROWS = st.one_of(
    st.integers(-ROWS, ROWS - 1),
    st.integers(-ROWS, ROWS - 1).map(np.int64),
    SLICES,
    MASKS,
    MASKS.map(np.array),
    PICKS,
    PICKS.map(np.array),
)
FOLLOWED_COLUMNS = st.builds(slice, BOUND, BOUND, st.sampled_from([None, 1]))


@given(FOLLOWED_ROWS, st.one_of(st.none(), FOLLOWED_COLUMNS), st.one_of(st.none(), FOLLOWED_COLUMNS))
def test_every_slice_of_rows_and_columns_keeps_its_channels(rows, columns, later):
    sequences = telling().sequences
    taken = sequences[rows] if columns is None else sequences[rows, columns]
    plain = np.asarray(sequences)
    expected = plain[rows] if columns is None else plain[rows, columns]
    if later is not None:
        chosen = later if taken.ndim == 1 else (slice(None), later)
        taken, expected = taken[chosen], expected[chosen]
    assert isinstance(taken, SessionArray)
    np.testing.assert_array_equal(np.asarray(taken), expected)
    assert_aligned(taken)


@given(FOLLOWED_ROWS, FOLLOWED_COLUMNS, FOLLOWED_ROWS)
def test_columns_may_come_before_rows(unused, columns, rows):
    taken = telling().sequences[:, columns][rows]
    np.testing.assert_array_equal(np.asarray(taken), np.asarray(telling().sequences)[:, columns][rows])
    assert_aligned(taken)


ANY_PART = st.one_of(
    FOLLOWED_ROWS,
    st.builds(slice, BOUND, BOUND, st.sampled_from([None, 1, -1, 2, -2])),
    st.just(Ellipsis),
    st.none(),
    st.booleans(),
    st.lists(st.integers(-TIME, TIME - 1), min_size=1, max_size=4),
    st.just(np.array(2)),
    st.just(np.ones((ROWS, TIME), dtype=bool)),
    st.just(np.zeros((2, 2), dtype=int)),
)
ANY_KEY = st.one_of(ANY_PART, st.lists(ANY_PART, max_size=3).map(tuple))


@given(ANY_KEY, ANY_KEY)
def test_whatever_is_taken_channels_are_aligned_or_dropped(first, second):
    taken = telling().sequences
    for key in (first, second):
        try:
            taken = taken[key]
        except IndexError:
            return
        if not isinstance(taken, SessionArray):
            return
        dropped(taken) or assert_aligned(taken)


def test_rows_that_are_iterated_over_bring_their_channels():
    for row, user in zip(telling().sequences, range(ROWS), strict=True):
        assert row.user_ids == user
        assert_aligned(row)


OTHER_WAYS = {
    "transpose": lambda a: a.T,
    "swapaxes": lambda a: a.swapaxes(0, 1),
    "columns_backwards": lambda a: a[:, ::-1],
    "every_other_column": lambda a: a[:, ::2],
    "some_columns": lambda a: a[:, [0, 2]],
    "one_column": lambda a: a[:, 1],
    "mask_of_columns": lambda a: a[:, np.array([True, False, True, True])],
    "pairs": lambda a: a[[0, 1], [2, 3]],
    "mask_of_events": lambda a: a[a > 0],
    "matrix_of_rows": lambda a: a[np.array([[0, 1], [2, 3]])],
    "ellipsis": lambda a: a[...],
    "ellipsis_then_columns": lambda a: a[..., :-1],
    "newaxis": lambda a: a[np.newaxis],
    "none_then_columns": lambda a: a[None, :],
    "row_as_matrix": lambda a: np.atleast_2d(a[0]),
    "row_backwards": lambda a: a[0][::-1],
    "row_picked": lambda a: a[0][[1, 2]],
    "true": lambda a: a[True],
    "sum": lambda a: a + 1,
    "comparison": lambda a: a > 1,
    "inner": lambda a: a @ a.T,
    "mean": lambda a: a.mean(axis=1),
    "copy": lambda a: a.copy(),
    "copy_module": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda a: pickle.loads(pickle.dumps(a)),
    "view": lambda a: a.view(),
    "astype": lambda a: a.astype(np.int64),
    "reshape": lambda a: a.reshape(TIME, ROWS),
    "ravel": lambda a: a.ravel(),
    "concatenate": lambda a: np.concatenate([a, a]),
    "vstack": lambda a: np.vstack([a, a]),
    "sort": lambda a: np.sort(a, axis=1),
    "roll": lambda a: np.roll(a, 1, axis=0),
    "flip": lambda a: np.flip(a),
    "take": lambda a: a.take([0, 1], axis=0),
    "compress": lambda a: np.compress([True, False], a, axis=0),
    "where": lambda a: np.where(a > 0, a, -1),
    "squeeze": lambda a: a[:1].squeeze(),
    "like": np.empty_like,
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_any_other_operation_drops_the_channels(way):
    assert dropped(OTHER_WAYS[way](telling().sequences))


@pytest.mark.parametrize("rows", [slice(None), slice(1, 3), [1, 0], np.array([True, False, True, False, True]), 2])
def test_sequences_and_their_slices_cannot_be_written_to(rows):
    taken = telling().sequences[rows]
    with pytest.raises(ValueError, match="read-only"):
        taken[...] = 1
    with pytest.raises(ValueError, match="read-only"):
        taken.sort()
    with pytest.raises(ValueError, match="read-only"):
        np.add(taken, 1, out=taken)


def test_one_channel_without_the_other_is_carried_alone():
    users = SessionInteractions([[0, 1], [2, 3]], user_ids=[7, 8]).sequences[1:, :-1]
    assert (users.user_ids.tolist(), users.dwell_times) == ([8], None)
    dwell = SessionInteractions([[0, 1], [2, 3]], dwell_times=[[0, 1], [2, 3]]).sequences[1, 1:]
    assert (dwell.user_ids, dwell.dwell_times.tolist()) == (None, [3])


def test_spotlights_evaluation_reads_the_channels_of_each_row(sessions):
    seen = []

    class Spy:
        def predict(self, sequence):
            seen.append((sequence.tolist(), int(sequence.user_ids), sequence.dwell_times.tolist()))
            return np.zeros(6)

    spotlight_module("evaluation").sequence_mrr_score(Spy(), sessions)
    users = [user for _, user, _ in seen]
    items = [items for items, _, _ in seen]
    assert users == [0, 1, -1, 0]
    assert items == [[0, 0, 1], [3, 1, 2], [0, 2, 3], [0, 0, 0]]
    np.testing.assert_array_equal(
        [dwell for _, _, dwell in seen],
        [[np.nan, np.nan, 5], [9, 1, 70], [np.nan, 33, 2], [np.nan, np.nan, np.nan]],
    )
