"""Look-ups in rows of different lengths are lists, padded."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from simulated_device import SIMULATED, simulated_device

from spotlight_asars.memory.ragged_rows import RaggedRows
from spotlight_asars.runtime.devices import moved

ROWS = st.lists(st.lists(st.integers(1, 99), max_size=5), min_size=1, max_size=6)


def table_of(rows, device):
    flat = np.array([item for row in rows for item in row], dtype=np.int64)
    return RaggedRows(np.cumsum([0, *map(len, rows)]), flat, flat / 2, -flat, device=device)


def test_items_are_whole_numbers_however_large():
    first = 2**24 + 1  # which float32 does not have
    table = RaggedRows(np.array([0, 2]), np.array([first, first + 2]), np.ones(2), device=torch.device("cpu"))
    assert table.rows(torch.tensor([0]), torch.tensor([True]))[0].tolist() == [[first, first + 2]]


@given(ROWS, st.data())
def test_rows_are_lists_padded_to_the_longest(rows, data):
    numbers = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=6))
    real = data.draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    items, half, minus = table_of(rows, torch.device("cpu")).rows(
        torch.tensor(numbers, dtype=torch.int64), torch.tensor(real, dtype=torch.bool)
    )
    width = max(1, *map(len, rows), 0)
    wanted = [rows[number] if there else [] for number, there in zip(numbers, real, strict=True)]
    assert (items.shape, items.dtype, half.dtype) == ((len(numbers), width), torch.int64, torch.float32)
    assert items.tolist() == [row + [0] * (width - len(row)) for row in wanted]
    assert torch.equal(half, items / 2)
    assert torch.equal(minus, -items.float())


def test_numbers_of_any_shape_are_looked_up_without_a_wait():
    rows = [[3], [], [4, 5]]
    numbers = torch.tensor([[0, 1], [2, 2]])
    with simulated_device() as waits:
        table, there = table_of(rows, SIMULATED), moved(numbers, SIMULATED)
        waits.clear()
        items, *_ = table.rows(there, there >= 0)
        assert not waits
        assert table.device == SIMULATED
        assert items.tolist() == [[[3, 0], [0, 0]], [[4, 5], [4, 5]]]
