"""Terms of a few items of each state against sums over dictionaries, and their gradients."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.memory import score_terms
from spotlight_asars.memory.score_terms import Columns, ScoreTerms, touched_items

ITEMS = 7


@st.composite
def terms(draw, states=None):
    """Terms of some states, which have rows of their own or share some."""
    states = draw(st.integers(0, 4)) if states is None else states
    shared = draw(st.booleans())
    slots, count = draw(st.integers(0, 5)), draw(st.integers(1, 3)) if shared else states
    row = st.lists(st.integers(1, ITEMS - 1), max_size=slots, unique=True)
    rows = [draw(row.map(sorted) if shared else row) for _ in range(count)]
    items = torch.tensor([ids + [0] * (slots - len(ids)) for ids in rows], dtype=torch.int64).view(count, slots)
    values = torch.arange(1.0, items.numel() + 1, dtype=torch.float64).view(count, slots) * (items != 0)
    if not shared:
        return ScoreTerms(items, values)
    rows_of_state = draw(st.integers(1, 3))
    places = st.lists(st.integers(0, count - 1), min_size=states * rows_of_state, max_size=states * rows_of_state)
    places = torch.tensor(draw(places), dtype=torch.int64).view(states, rows_of_state)
    return ScoreTerms(items, values, places, 2.0 ** -torch.arange(places.numel()).view(places.shape).double())


@st.composite
def parts_of_terms(draw):
    states = draw(st.integers(1, 4))
    return draw(st.lists(terms(states), min_size=1, max_size=3))


def number_of_states(part):
    return len(part.items if part.row is None else part.row)


def by_hand(parts):
    """{item: sum of its terms} of each state."""
    sums = [defaultdict(float) for _ in range(number_of_states(parts[0]))]
    for part in parts:
        for state, total in enumerate(sums):
            rows = [(state, 1.0)]
            if part.row is not None:
                rows = zip(part.row[state].tolist(), part.weight[state].tolist(), strict=True)
            for row, weight in rows:
                for item, value in zip(part.items[row].tolist(), part.values[row].tolist(), strict=True):
                    if item:
                        total[item] += weight * value
    return sums


def as_matrix(sums):
    return (
        torch.tensor([[terms.get(item, 0.0) for item in range(ITEMS)] for terms in sums])
        .double()
        .view(len(sums), ITEMS)
    )


@given(terms())
def test_scores_of_the_catalogue_have_them_added_in_their_own_memory(one):
    scores = torch.full((number_of_states(one), ITEMS), 100.0, dtype=torch.float64)
    total = one.added_to(scores)
    torch.testing.assert_close(total, 100 + as_matrix(by_hand([one])))
    assert total.data_ptr() == scores.data_ptr()


@given(terms(), st.integers(1, 4))
def test_items_of_each_states_own_have_their_sums_and_are_there_or_not(one, count):
    draw = torch.Generator().manual_seed(0)
    items = torch.randint(0, ITEMS, (number_of_states(one), count), generator=draw)
    sums, (found, has_terms) = by_hand([one]), one.of(items)
    torch.testing.assert_close(found, as_matrix(sums).gather(1, items))
    there = torch.tensor([[item in terms for item in row] for row, terms in zip(items.tolist(), sums, strict=True)])
    assert torch.equal(has_terms[items != 0], there.view(items.shape)[items != 0].bool())


@given(parts_of_terms(), st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=9))
def test_items_that_all_states_score_have_the_sums_of_all_parts(parts, columns):
    item_ids = torch.tensor(columns)
    for narrow in (0, 4):  # columns for a slot
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(score_terms, "NARROW", narrow)
            torch.testing.assert_close(Columns(item_ids, ITEMS).terms(parts), as_matrix(by_hand(parts))[:, item_ids])


@given(parts_of_terms())
def test_touched_items_are_those_with_terms(parts):
    distinct, touched = touched_items(parts, torch.zeros(number_of_states(parts[0])))
    expected = [set(terms) - {0} for terms in by_hand(parts)]
    assert distinct.tolist() == sorted(set().union(*expected))
    assert [set(distinct[row].tolist()) for row in touched] == expected


def test_without_parts_no_item_is_touched():
    distinct, touched = touched_items([], torch.zeros(3))
    assert (len(distinct), touched.shape) == (0, (3, 0))


OWN = torch.tensor([[1, 6, 5, 0], [2, 3, 0, 0]])  # rows of the states' own
SHARED = torch.tensor([[1, 5, 6, 0], [2, 3, 0, 0], [0, 0, 0, 0]])
ROWS = torch.tensor([[0, 1], [1, 0], [2, 1]])  # of three states


@pytest.mark.parametrize(
    "total",
    [
        lambda scores, terms: terms.added_to(scores * 2.0),
        lambda scores, terms: terms.added_to(terms.added_to(scores * 2.0)) ** 2,
        lambda scores, terms: Columns(torch.tensor([3, 1, 1]), ITEMS).terms([terms, terms]) * scores[:, :3],
        lambda scores, terms: terms.of(torch.tensor([[1, 5], [4, 3], [6, 2]])[: len(scores)])[0] * scores[:, :2],
    ],
    ids=["added", "added twice", "columns", "own"],
)
def test_gradients_are_those_that_finite_differences_find(total):
    def random(*shape):
        return torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True)

    draw = torch.Generator().manual_seed(0)
    own, shared = (random(2, ITEMS), random(2, 4)), (random(3, ITEMS), random(3, 4), random(3, 2))
    assert torch.autograd.gradcheck(lambda scores, values: total(scores, ScoreTerms(OWN, values)), own)
    assert torch.autograd.gradcheck(
        lambda scores, *terms: total(scores, ScoreTerms(SHARED, terms[0], ROWS, terms[1])), shared
    )


def test_terms_take_the_precision_of_the_scores():
    scores = ScoreTerms(OWN, torch.ones(2, 4, dtype=torch.float64)).added_to(torch.zeros(2, ITEMS))
    assert scores.dtype == torch.float32
    assert scores[0, 1] == 1
    shared = ScoreTerms(SHARED, torch.ones(3, 4), ROWS, torch.ones(3, 2, dtype=torch.float64))
    assert Columns(torch.tensor([1, 2]), ITEMS).terms([shared]).tolist() == [[1, 1], [1, 1], [0, 1]]
