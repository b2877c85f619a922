"""Terms in the rows of a table, computed for the items alone that are asked for, against those of all items."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.memory import table_terms
from spotlight_asars.memory.ragged_rows import RaggedRows
from spotlight_asars.memory.score_terms import Columns
from spotlight_asars.memory.table_terms import TableTerms

ITEMS, COLUMNS = 9, ([3], [8, 1], [2, 3, 2, 7, 5, 1])


@st.composite
def terms(draw):
    """Some rows of a table whose values are its second column, in part; states have them, and some have none."""
    rows = draw(st.lists(st.sets(st.integers(1, ITEMS - 1)), min_size=1, max_size=4))
    items = np.concatenate([sorted(row) for row in rows]).astype(np.int32)
    values = np.arange(1.0, len(items) + 1), np.arange(len(items), 0.0, -1)
    table = RaggedRows(np.cumsum([0, *map(len, rows)]), items, *values, device=torch.device("cpu"))
    numbers = draw(st.lists(st.tuples(st.integers(0, len(rows) - 1), st.booleans()), min_size=1, max_size=5))
    found = table.found(*(torch.tensor(part) for part in zip(*numbers, strict=True)))
    states, each = draw(st.integers(0, 4)), draw(st.integers(1, 3))
    row = torch.from_numpy(np.random.RandomState(0).randint(len(numbers), size=(states, each)))
    real = torch.from_numpy(np.random.RandomState(1).rand(states, each) < 0.7)
    weight = (torch.arange(1.0, row.numel() + 1).view(row.shape) % 3 - 1).requires_grad_()
    scale = torch.tensor([0.5, 2.0], requires_grad=True)
    value = lambda parts: scale[0] * parts[0] + scale[1] * parts[1]  # noqa: E731
    made = TableTerms(found, value, row, real, weight * real)
    kept = draw(st.none() | st.lists(st.booleans(), min_size=ITEMS, max_size=ITEMS))
    return (made if kept is None else made.of_items(torch.tensor(kept))), (scale, weight)


def assert_same_with_gradients(one, other, inputs):
    torch.testing.assert_close(one, other)
    if one.requires_grad:
        draw = torch.randn(one.shape, generator=torch.Generator().manual_seed(0))
        gradients = (torch.autograd.grad((scores * draw).sum(), inputs, retain_graph=True) for scores in (one, other))
        torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("dense", [0, 10_000])
@given(made=terms(), columns=st.sampled_from(COLUMNS))
def test_items_that_all_states_score_have_their_terms(dense, made, columns):
    (one, inputs), item_ids = made, torch.tensor(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_terms, "DENSE", dense)
        found = Columns(item_ids, ITEMS).terms([one, one])
    assert_same_with_gradients(found, Columns(item_ids, ITEMS).terms([one.full, one.full]), inputs)


@given(terms(), st.integers(1, 3))
def test_items_of_each_states_own_have_their_terms(made, count):
    one, inputs = made
    states = len(one.zeros(1))
    wanted = torch.from_numpy(np.random.RandomState(2).randint(ITEMS, size=(states, count)))
    assert_same_with_gradients(one.of(wanted), one.full.of(wanted), inputs)


@given(terms())
def test_the_whole_catalogue_has_their_terms(made):
    one, inputs = made
    every = Columns(torch.arange(1, ITEMS), ITEMS).terms([one])
    assert_same_with_gradients(every, one.added_to(one.zeros(ITEMS))[:, 1:], inputs)


@pytest.mark.parametrize("lengths", [[0], [1], [0, 5, 0], [2, 3, 64]])
def test_an_item_is_found_in_a_row_of_any_length(lengths):
    items = np.concatenate([np.arange(1, 2 * length, 2) for length in lengths])
    values = 1.0 + np.arange(len(items))
    table = RaggedRows(np.cumsum([0, *lengths]), items, values, device=torch.device("cpu"))
    numbers, wanted = torch.arange(len(lengths)).unsqueeze(1), torch.arange(140).unsqueeze(0)
    (found,) = table.values_of(table.entries_of(numbers, torch.ones_like(numbers, dtype=torch.bool), wanted))
    expected = torch.zeros(len(lengths), 140)
    for row, (stop, length) in enumerate(zip(np.cumsum(lengths), lengths, strict=True)):
        expected[row, 1 : 2 * length : 2] = torch.from_numpy(values[stop - length : stop]).float()
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
