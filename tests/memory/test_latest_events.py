"""What is said of the latest events of a session, against loops over lists."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.memory.latest_events import distinct, views

ROWS = st.integers(1, 6).flatmap(lambda size: st.lists(st.lists(st.integers(0, 4), min_size=size, max_size=size)))


def some(rows):
    return torch.tensor(rows, dtype=torch.int64).view(len(rows), len(rows[0]) if rows else 1)


@given(ROWS)
def test_views_count_the_last_event_half_and_the_one_before_it_twice(rows):
    weights = [0.5, 2.0, *[1.0] * 20]
    by_hand = [[sum(w for w, one in zip(weights, row, strict=False) if one == item) for item in row] for row in rows]
    assert views(some(rows)).tolist() == by_hand


@given(ROWS)
def test_an_item_that_comes_again_is_distinct_once_where_it_is_first(rows):
    by_hand = [[0 if item in row[:place] else item for place, item in enumerate(row)] for row in rows]
    assert distinct(some(rows)).tolist() == by_hand
