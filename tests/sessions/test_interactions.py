"""Channels stay beside the items they belong to, or are dropped; they are never misaligned."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference_data import spotlight_module

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import Interactions, SequenceInteractions
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import as_sessions
from spotlight_asars.sessions.session_array import SessionArray

ROWS, TIME = 5, 4
LENGTHS = [4, 2, 1, 3, 4]


def refuses(message, error=ValueError):
    """Expect exactly this message."""
    return pytest.raises(error, match=f"^{re.escape(message)}$")


def telling():
    """Sessions whose items tell their row and place: row 2, place 1 holds item 32, of user 2, of dwell 32 s."""
    matrix = 10 * (np.arange(ROWS)[:, None] + 1) + np.arange(TIME) + 1
    matrix[np.arange(TIME) < TIME - np.array(LENGTHS)[:, None]] = 0
    return SessionInteractions(matrix, np.arange(ROWS), dwell_times=matrix, started=1000 * np.arange(ROWS))


def assert_aligned(array):
    """Users, dwell and starts say the same as the items do."""
    assert array.dwell_times.shape == array.shape
    assert np.shape(array.user_ids) == np.shape(array.started) == array.shape[:-1]
    items = np.asarray(array)
    real = items != 0
    np.testing.assert_array_equal(array.dwell_times[real], items[real])
    assert np.isnan(array.dwell_times[~real]).all()
    owner = np.broadcast_to(np.expand_dims(array.user_ids, -1), items.shape)
    np.testing.assert_array_equal(owner[real], items[real] // 10 - 1)
    np.testing.assert_array_equal(array.started, 1000 * np.asarray(array.user_ids))
    assert not array.flags.writeable


def dropped(array):
    return all(getattr(array, name, None) is None for name in ("user_ids", "dwell_times", "started"))


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


def test_matrices_cannot_be_written_to():
    sessions = telling()
    with pytest.raises(ValueError, match="read-only"):
        sessions.sequences[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        sessions.dwell_times[0, 0] = 1


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


RAGGED = st.lists(st.lists(st.integers(1, 8), max_size=5), min_size=1, max_size=6).filter(
    lambda rows: max(map(len, rows))
)


@given(RAGGED, st.integers(0, 2), st.booleans())
def test_matrix_and_ragged_sessions_are_the_same(rows, spare, with_channels):
    width = max(map(len, rows)) + spare
    matrix = np.array([[0] * (width - len(row)) + row for row in rows])
    flat = np.array([item for row in rows for item in row])
    offsets = np.cumsum([0, *map(len, rows)])
    users = list(range(len(rows))) if with_channels else None
    padded = SessionInteractions(matrix, users, 9, dwell_times=matrix * 2.0 if with_channels else None)
    ragged = SessionInteractions.from_ragged(
        flat, offsets, users, 9, dwell=flat * 2.0 if with_channels else None, max_sequence_length=width
    )
    for sessions in (padded, ragged):
        assert sessions.sequences.tolist() == matrix.tolist()
        assert sessions.sequences.dtype == sessions.items.dtype == np.int32
        assert sessions.items.tolist() == flat.tolist()
        assert sessions.offsets.tolist() == offsets.tolist()
        assert sessions.lengths.tolist() == [len(row) for row in rows]
        assert len(sessions) == len(rows)
        assert (sessions.num_items, sessions.max_sequence_length) == (9, width)
        if with_channels:
            assert sessions.dwell.dtype == sessions.dwell_times.dtype == np.float32
            np.testing.assert_array_equal(sessions.dwell_times, np.where(matrix > 0, matrix * 2.0, np.nan))
            assert sessions.user_ids.tolist() == users
        else:
            assert sessions.dwell is sessions.dwell_times is sessions.user_ids is None
    again = SessionInteractions(padded.sequences, num_items=9)
    np.testing.assert_array_equal(again.sequences, matrix)
    assert (again.user_ids is None, again.dwell is None) == (not with_channels, not with_channels)


def test_a_slice_makes_sessions_with_its_channels(sessions):
    part = SessionInteractions(sessions.sequences[1:3, :-1], num_items=6)
    assert part.user_ids.tolist() == [1, -1]
    assert part.sequences.tolist() == [[3, 1, 2], [0, 2, 3]]
    np.testing.assert_array_equal(part.dwell, [9, 1, 70, 33, 2])
    other = SessionInteractions(sessions.sequences[1:3], user_ids=[5, 6], num_items=6)
    assert other.user_ids.tolist() == [5, 6]


def test_rows_may_be_padded_anywhere():
    rows = [[1, 0, 2], [3, 0, 0]]
    sessions = SessionInteractions.from_rows(rows, [4, 5], 9, dwell_times=[[1, -7, 2], [3, 0, 0]], started=[8, 9])
    assert sessions.sequences.tolist() == [[0, 1, 2], [0, 0, 3]]
    assert sessions.dwell.tolist() == [1, 2, 3]
    assert (sessions.user_ids.tolist(), sessions.started.tolist()) == ([4, 5], [8, 9])
    with refuses("sequence must not have negative item ids; got -1 at (0, 1)"):
        SessionInteractions.from_rows([1, -1], argument="sequence")


@given(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=9))
def test_sessions_that_are_taken_are_aligned(rows):
    taken = telling().take(np.array(rows))
    np.testing.assert_array_equal(np.asarray(taken.sequences), np.asarray(telling().sequences)[rows])
    assert_aligned(taken.sequences)
    assert (taken.num_items, taken.num_users) == (telling().num_items, ROWS)


def test_the_latest_sessions_are_split_off():
    sessions = telling()
    sessions.started = np.array([5.0, 1.0, 4.0, 2.0, 3.0])
    early, late = sessions.split_latest(0.4)
    assert (early.user_ids.tolist(), late.user_ids.tolist()) == ([1, 3, 4], [0, 2])
    with refuses("validation must be a share between 0 and 1, or sessions; got 1"):
        sessions.split_latest(1)
    with refuses("validation must be a share that splits 5 sessions in two; got 0.01"):
        sessions.split_latest(0.01)
    with refuses("validation must be sessions where their starts are unknown; got 0.5"):
        SessionInteractions([[1, 2], [3, 4]]).split_latest(0.5)


def test_a_session_of_an_unknown_user_is_its_own():
    assert SessionInteractions([[1], [2], [3]], [1, -1, 1]).owners().tolist() == [1, 3, 1]
    assert SessionInteractions([[1], [2]]).owners().tolist() == [0, 1]


def test_one_row_is_one_session(sessions):
    one = SessionInteractions(sessions.sequences[1])
    assert (one.sequences.tolist(), one.user_ids.tolist()) == ([[3, 1, 2, 4]], [1])
    np.testing.assert_array_equal(one.dwell, [9, 1, 70, np.nan])


def test_sizes_follow_from_the_largest_ids_unless_given():
    sessions = SessionInteractions([[0, 5]], user_ids=[3])
    assert (sessions.num_items, sessions.num_users) == (6, 4)
    sessions = SessionInteractions([[0, 5]], user_ids=[3], num_items=10, num_users=20)
    assert (sessions.num_items, sessions.num_users) == (10, 20)
    assert SessionInteractions([[0, 5]]).num_users == 0
    assert SessionInteractions([[0, 5]], user_ids=[-1]).num_users == 0
    assert repr(sessions) == "<SessionInteractions (1 sessions x 2 events at most, 9 items)>"


def test_what_stands_at_padding_is_no_dwell():
    sessions = SessionInteractions([[0, 5]], dwell_times=[[-3, 2]])
    assert sessions.dwell.tolist() == [2]


ERRORS = {
    "padding inside": (
        {"sequences": [[1, 2], [1, 0]]},
        "sequences must be padded with 0 from the left only, for item id 0 is padding; got 0 at (1, 1)",
    ),
    "negative item": ({"sequences": [[0, 1], [-3, 2]]}, "sequences must not have negative item ids; got -3 at (1, 0)"),
    "item beyond": (
        {"sequences": [[0, 4]], "num_items": 4},
        "sequences must have item ids below num_items, 4; got 4 at (0, 1)",
    ),
    "item too large": ({"sequences": [[2**31]]}, "sequences must be int32, as Spotlight's are; got 2147483648 at 0"),
    "half an item": ({"sequences": [[1.5]]}, "sequences must be whole numbers of 64 bits; got 1.5 at (0, 0)"),
    "three axes": (
        {"sequences": [[[1]]]},
        "sequences must be (time,) or (session, time), with a step or more; got (1, 1, 1)",
    ),
    "no session": ({"sequences": np.zeros((0, 3), int)}, "sequences must have at least one session; got 0"),
    "users of another shape": ({"user_ids": [1, 2, 3]}, "user_ids must have shape (2,); got (3,)"),
    "users too small": ({"user_ids": [0, -2]}, "user_ids must be 0 or more, or -1 where unknown; got -2 at 1"),
    "users beyond": ({"user_ids": [0, 7], "num_users": 7}, "user_ids must be below num_users, 7; got 7 at 1"),
    "dwell of another shape": (
        {"dwell_times": [[1.0], [2.0]]},
        "dwell_times must have the shape of sequences, (2, 2); got (2, 1)",
    ),
    "starts of another shape": ({"started": [1.0]}, "started must have shape (2,); got (1,)"),
    "infinite start": ({"started": [1.0, np.inf]}, "started must be finite, or NaN where unknown; got inf at 1"),
    "negative dwell": ({"dwell_times": [[0, 1], [2, -4]]}, "dwell_times must not be negative; got -4.0 at (1, 1)"),
    "infinite dwell": (
        {"dwell_times": [[0, np.inf], [2, 4]]},
        "dwell_times must be finite as float32, or NaN where unknown; got inf at (0, 1)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_values_out_of_order_are_refused_by_name(case):
    arguments, message = ERRORS[case]
    with refuses(message):
        SessionInteractions(**{"sequences": [[0, 1], [2, 3]], **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequences": [["a"]]}, "sequences must be an array of integers; got dtype <U1"),
        ({"sequences": None}, "sequences must be an array of integers; got dtype object"),
        ({"user_ids": ["ann", "bob"]}, "user_ids must be an array of integers; got dtype <U3"),
        ({"dwell_times": [[None, 1], [1, 1]]}, "dwell_times must be numbers [s]; got dtype object"),
    ],
)
def test_values_of_another_type_are_refused(arguments, message):
    with refuses(message, TypeError):
        SessionInteractions(**{"sequences": [[0, 1], [2, 3]], **arguments})


RAGGED_ERRORS = {
    "start": (([1, 2], [1, 2]), {}, "offsets must start with 0; got 1"),
    "end": (([1, 2], [0, 1]), {}, "offsets must end with the number of items, 2; got 1"),
    "order": (([1, 2], [0, 2, 1, 2]), {}, "offsets must not fall; got -1 at 1"),
    "none": (([1, 2], []), {}, "offsets must have one axis, and start with 0; got (0,)"),
    "no session": (([], [0]), {}, "sequences must have at least one session; got 0"),
    "axes": (([[1, 2]], [0, 2]), {}, "items must have one axis; got (1, 2)"),
    "padding": (([1, 0], [0, 2]), {}, "sequences must not have item id 0, for it is padding; got 0 at 1"),
    "negative": (([1, -2], [0, 2]), {}, "sequences must not have negative item ids; got -2 at 1"),
    "width": (
        ([1, 2], [0, 2]),
        {"max_sequence_length": 1},
        "max_sequence_length must be at least that of the longest session, 2; got 1",
    ),
    "dwell": (([1, 2], [0, 2]), {"dwell": [1.0]}, "dwell_times must have one value for each of the 2 events; got (1,)"),
}


@pytest.mark.parametrize("case", RAGGED_ERRORS)
def test_flat_arrays_that_do_not_fit_are_refused(case):
    arguments, options, message = RAGGED_ERRORS[case]
    with refuses(message):
        SessionInteractions.from_ragged(*arguments, **options)


def test_arrays_given_are_not_kept_to_be_changed_later():
    matrix, users, dwell = np.array([[1, 2]]), np.array([3]), np.array([[4.0, 5.0]])
    sessions = SessionInteractions(matrix, users, dwell_times=dwell)
    for array in (matrix, users, dwell):
        array[...] = 0
    assert (sessions.items.tolist(), sessions.user_ids.tolist(), sessions.dwell.tolist()) == ([1, 2], [3], [4, 5])


@pytest.mark.parametrize("looked_at", [False, True])
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_copied_sessions_have_their_channels_whether_the_matrices_were_made_or_not(copied, looked_at):
    sessions = telling()
    if looked_at:
        assert sessions.sequences.user_ids is not None
        assert sessions.dwell_times is not None
    other = copied(sessions)
    assert_aligned(other.sequences)
    assert_aligned(other.sequences[1:, :-1])
    assert repr(other) == repr(sessions)
    assert_aligned(sessions.sequences)


def test_spotlights_sequences_become_sessions_with_their_users():
    plain = Interactions(np.array([0, 0, 4]), np.array([1, 2, 3]), timestamps=np.arange(3), num_items=9).to_sequence(2)
    sessions = as_sessions(plain)
    assert sessions.sequences.tolist() == plain.sequences.tolist() == [[1, 2], [0, 3]]
    assert sessions.user_ids.tolist() == [0, 4]
    assert sessions.dwell is None
    assert sessions.num_items == 9
    assert as_sessions(sessions) is sessions
    assert as_sessions(SequenceInteractions(telling().sequences, num_items=99)).dwell is not None


@pytest.mark.parametrize("other", [None, np.array([[1, 2]]), Interactions(np.array([0]), np.array([1]))])
def test_what_is_no_sequence_is_refused(other):
    with refuses(
        f"sessions must be SessionInteractions or Spotlight's SequenceInteractions; got {type(other).__name__}. "
        "to_sessions(interactions) makes them of a log",
        TypeError,
    ):
        as_sessions(other)


def test_channels_of_rows_and_steps_are_cut_alike():
    channels = Channels(torch.tensor([4, 5, 6]), torch.arange(6.0).reshape(3, 2), torch.tensor([7.0, 8.0, 9.0]))
    assert channels.rows(slice(1, 3)).user_ids.tolist() == [5, 6]
    assert channels.rows(slice(1, 3)).started.tolist() == [8, 9]
    assert channels.steps(slice(-1)).started.tolist() == [7, 8, 9]
    assert channels.rows(slice(1, 3)).dwell_times.tolist() == [[2, 3], [4, 5]]
    assert channels.steps(slice(-1)).user_ids.tolist() == [4, 5, 6]
    assert channels.steps(slice(-1)).dwell_times.tolist() == [[0], [2], [4]]
    for nothing in (Channels().rows(slice(1)), Channels().steps(slice(1))):
        assert nothing == Channels()
