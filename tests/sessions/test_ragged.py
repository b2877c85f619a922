"""Flat arrays: what does not fit is refused by name; ranges and padding against loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from messages import refuses

from spotlight_asars import SessionInteractions
from spotlight_asars.sessions.ragged import flat_ranges, padded, real_steps


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4)), min_size=1))
def test_ranges_stand_one_after_the_other(ranges):
    starts, lengths = (np.array(column) for column in zip(*ranges, strict=True))
    expected = [place for start, length in ranges for place in range(start, start + length)]
    assert flat_ranges(starts, starts + lengths).tolist() == expected


@given(st.lists(st.lists(st.integers(1, 9), max_size=4), min_size=1), st.integers(4, 6))
def test_rows_are_padded_from_the_left(rows, time):
    flat = np.array([value for row in rows for value in row], dtype=np.int32)
    matrix = padded(flat, real_steps(np.array([len(row) for row in rows]), time), -1)
    assert matrix.tolist() == [[-1] * (time - len(row)) + row for row in rows]
    assert matrix.dtype == flat.dtype


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
    "dwell": (
        ([1, 2], [0, 2]),
        {"dwell_times": [1.0]},
        "dwell_times must have one value for each of the 2 events; got (1,)",
    ),
}


@pytest.mark.parametrize("case", RAGGED_ERRORS)
def test_flat_arrays_that_do_not_fit_are_refused(case):
    arguments, options, message = RAGGED_ERRORS[case]
    with refuses(message):
        SessionInteractions.from_ragged(*arguments, **options)


def test_the_old_name_of_dwell_times_is_deprecated():
    with pytest.warns(DeprecationWarning, match=r"^from_ragged\(dwell=...\) is deprecated .* use dwell_times$"):
        sessions = SessionInteractions.from_ragged([1, 2], [0, 2], dwell=[3.0, 4.0])
    assert sessions.flat_dwell_times.tolist() == [3, 4]
