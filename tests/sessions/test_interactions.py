"""Sessions are the same whether they come as a matrix, flat, or from Spotlight."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses
from reference_data import ROWS, assert_aligned, telling

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import Interactions, SequenceInteractions
from spotlight_asars.sessions.interactions import as_sessions


def test_matrices_cannot_be_written_to():
    sessions = telling()
    with pytest.raises(ValueError, match="read-only"):
        sessions.sequences[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        sessions.dwell_times[0, 0] = 1


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
        flat, offsets, users, 9, dwell_times=flat * 2.0 if with_channels else None, max_sequence_length=width
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
            assert sessions.flat_dwell_times.dtype == sessions.dwell_times.dtype == np.float32
            np.testing.assert_array_equal(sessions.dwell_times, np.where(matrix > 0, matrix * 2.0, np.nan))
            assert sessions.user_ids.tolist() == users
        else:
            assert sessions.flat_dwell_times is sessions.dwell_times is sessions.user_ids is None
    again = SessionInteractions(padded.sequences, num_items=9)
    np.testing.assert_array_equal(again.sequences, matrix)
    assert (again.user_ids is None, again.flat_dwell_times is None) == (not with_channels, not with_channels)


def test_a_slice_makes_sessions_with_its_channels(sessions):
    part = SessionInteractions(sessions.sequences[1:3, :-1], num_items=6)
    assert part.user_ids.tolist() == [1, -1]
    assert part.sequences.tolist() == [[3, 1, 2], [0, 2, 3]]
    np.testing.assert_array_equal(part.flat_dwell_times, [9, 1, 70, 33, 2])
    other = SessionInteractions(sessions.sequences[1:3], user_ids=[5, 6], num_items=6)
    assert other.user_ids.tolist() == [5, 6]


def test_rows_may_be_padded_anywhere():
    rows = [[1, 0, 2], [3, 0, 0]]
    sessions = SessionInteractions.from_rows(rows, [4, 5], 9, dwell_times=[[1, -7, 2], [3, 0, 0]], started=[8, 9])
    assert sessions.sequences.tolist() == [[0, 1, 2], [0, 0, 3]]
    assert sessions.flat_dwell_times.tolist() == [1, 2, 3]
    assert (sessions.user_ids.tolist(), sessions.started.tolist()) == ([4, 5], [8, 9])
    with refuses("sequence must not have negative item ids; got -1 at (0, 1)"):
        SessionInteractions.from_rows([1, -1], argument="sequence")


@given(st.lists(st.integers(0, ROWS - 1), min_size=1, max_size=9))
def test_sessions_that_are_taken_are_aligned(rows):
    taken = telling().take(np.array(rows))
    np.testing.assert_array_equal(np.asarray(taken.sequences), np.asarray(telling().sequences)[rows])
    assert_aligned(taken.sequences)
    assert (taken.num_items, taken.num_users) == (telling().num_items, ROWS)


def test_sessions_are_taken_by_a_mask_or_a_list():
    mask = np.arange(ROWS) % 2 == 1
    for rows in (mask, mask.tolist(), np.flatnonzero(mask).tolist()):
        np.testing.assert_array_equal(telling().take(rows).items, telling().take(np.flatnonzero(mask)).items)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([0, -1], f"rows must lie in 0..{ROWS - 1}; got -1 at 1"),
        ([ROWS], f"rows must lie in 0..{ROWS - 1}; got {ROWS} at 0"),
        ([], "rows must be a list of one session or more; got []"),
        ([False] * ROWS, f"rows must be a list of one session or more; got {[False] * ROWS}"),
        ([True], f"rows must have shape ({ROWS},) as a mask; got (1,)"),
        ([0.5], "rows must be whole numbers of 64 bits; got 0.5 at 0"),
    ],
)
def test_rows_that_there_are_none_of_are_refused(rows, message):
    with refuses(message):
        telling().take(rows)


def test_sessions_of_unknown_start_come_first_in_the_order_of_time():
    sessions = telling()
    sessions.started = np.array([5.0, np.nan, 4.0, np.nan, 3.0])
    assert sessions.in_order_of_time().tolist() == [1, 3, 4, 2, 0]
    assert SessionInteractions([[1, 2]] * 20).in_order_of_time().tolist() == list(range(20))


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
    np.testing.assert_array_equal(one.flat_dwell_times, [9, 1, 70, np.nan])


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
    assert sessions.flat_dwell_times.tolist() == [2]


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


def test_the_old_name_of_flat_dwell_times_is_deprecated(sessions):
    message = r"^SessionInteractions.dwell is deprecated .* use flat_dwell_times$"
    with pytest.warns(DeprecationWarning, match=message):
        assert sessions.dwell is sessions.flat_dwell_times


def test_arrays_given_are_not_kept_to_be_changed_later():
    matrix, users, dwell = np.array([[1, 2]]), np.array([3]), np.array([[4.0, 5.0]])
    sessions = SessionInteractions(matrix, users, dwell_times=dwell)
    for array in (matrix, users, dwell):
        array[...] = 0
    assert (sessions.items.tolist(), sessions.user_ids.tolist(), sessions.flat_dwell_times.tolist()) == (
        [1, 2],
        [3],
        [4, 5],
    )


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
    assert sessions.flat_dwell_times is None
    assert sessions.num_items == 9
    assert as_sessions(sessions) is sessions
    assert as_sessions(SequenceInteractions(telling().sequences, num_items=99)).flat_dwell_times is not None


@pytest.mark.parametrize("other", [None, np.array([[1, 2]]), Interactions(np.array([0]), np.array([1]))])
def test_what_is_no_sequence_is_refused(other):
    with refuses(
        f"sessions must be SessionInteractions or Spotlight's SequenceInteractions; got {type(other).__name__}. "
        "to_sessions(interactions) makes them of a log",
        TypeError,
    ):
        as_sessions(other)
