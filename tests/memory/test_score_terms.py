"""Terms of a few items of each state against sums over dictionaries, and their gradients."""

from __future__ import annotations

from collections import defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars.memory import score_terms
from spotlight_asars.memory.score_terms import FEW, Columns, ScoreTerms, touched_items

ITEMS = 7


@st.composite
def terms(draw, states=None):
    """Terms of some states; items repeat within a row, and 0 has no value."""
    states = draw(st.integers(0, 4)) if states is None else states
    slots = draw(st.integers(0, 5))
    ids = draw(st.lists(st.integers(0, ITEMS - 1), min_size=states * slots, max_size=states * slots))
    items = torch.tensor(ids, dtype=torch.int64).view(states, slots)
    values = torch.arange(1.0, items.numel() + 1, dtype=torch.float64).view(states, slots)
    return ScoreTerms(items, values * (items != 0))


@st.composite
def shared_terms(draw, states=None):
    """Terms in rows that states share: of each row the items rise, and padding comes last."""
    states = draw(st.integers(0, 4)) if states is None else states
    rows, slots, each = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    lists = [sorted(draw(st.sets(st.integers(1, ITEMS - 1), max_size=slots))) for _ in range(rows)]
    items = torch.tensor([row + [0] * (slots - len(row)) for row in lists])
    values = torch.arange(1.0, items.numel() + 1, dtype=torch.float64).view(rows, slots)
    row = draw(st.lists(st.integers(0, rows - 1), min_size=states * each, max_size=states * each))
    weight = torch.arange(1.0, len(row) + 1, dtype=torch.float64).view(states, each) % 3
    return ScoreTerms(items, values * (items != 0), torch.tensor(row, dtype=torch.int64).view(states, each), weight)


@st.composite
def parts_of_terms(draw):
    states = draw(st.integers(1, 4))
    return draw(st.lists(terms(states) | shared_terms(states), min_size=1, max_size=3))


def by_hand(parts):
    """{item: sum of its terms} of each state."""
    sums = [defaultdict(float) for _ in number_of_states(parts[0])]
    for part in parts:
        for state, _ in enumerate(number_of_states(part)):
            rows = [(state, 1.0)] if part.row is None else zip(part.row[state], part.weight[state], strict=True)
            for row, weight in rows:
                for item, value in zip(part.items[row].tolist(), part.values[row].tolist(), strict=True):
                    if item or part.row is None:
                        sums[state][item] += float(weight) * value
    return sums


def number_of_states(part):
    return part.items if part.row is None else part.row


def as_matrix(sums):
    return (
        torch.tensor([[terms.get(item, 0.0) for item in range(ITEMS)] for terms in sums])
        .double()
        .view(len(sums), ITEMS)
    )


@given(terms() | shared_terms())
def test_scores_of_the_catalogue_have_them_added_in_their_own_memory(one):
    scores = torch.full((len(number_of_states(one)), ITEMS), 100.0, dtype=torch.float64)
    total = one.added_to(scores)
    assert torch.equal(total, 100 + as_matrix(by_hand([one])))
    assert total.data_ptr() == scores.data_ptr()


@given(terms() | shared_terms(), st.integers(1, 4) | st.just(FEW + 5))
def test_items_of_each_states_own_have_their_sums(one, count):
    draw = torch.Generator().manual_seed(0)
    items, sums = torch.randint(1, ITEMS, (len(number_of_states(one)), count), generator=draw), by_hand([one])
    assert torch.equal(one.of(items), as_matrix(sums).gather(1, items))


@pytest.mark.parametrize("narrow", [0, 100])
@given(parts=parts_of_terms(), columns=st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=9))
def test_items_that_all_states_score_have_the_sums_of_all_parts(narrow, parts, columns):
    item_ids = torch.tensor(columns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_terms, "NARROW", narrow)
        found = Columns(item_ids, ITEMS).terms(parts)
    torch.testing.assert_close(found, as_matrix(by_hand(parts))[:, item_ids])
    assert found.shape[1] == len(columns)


@given(parts_of_terms())
def test_touched_items_are_those_with_terms(parts):
    distinct, touched = touched_items(parts, torch.zeros(len(number_of_states(parts[0]))))
    expected = [set(terms) - {0} for terms in by_hand(parts)]
    assert distinct.tolist() == sorted(set().union(*expected))
    assert [set(distinct[row].tolist()) for row in touched] == expected


def test_without_parts_no_item_is_touched():
    distinct, touched = touched_items([], torch.zeros(3))
    assert (len(distinct), touched.shape) == (0, (3, 0))


ONE = ScoreTerms(torch.tensor([[1, 1, 5, 0], [2, 3, 0, 0]]), torch.zeros(2, 4))
SHARED = ScoreTerms(
    torch.tensor([[1, 3, 5, 0], [2, 3, 0, 0]]),
    torch.zeros(2, 4),
    torch.tensor([[0, 1], [1, 1]]),
    torch.tensor([[1.0, 2.0], [0.5, 3.0]]).double(),
)


@pytest.mark.parametrize("terms", [ONE, SHARED], ids=["of each state", "shared"])
@pytest.mark.parametrize(
    "total",
    [
        lambda scores, terms: terms.added_to(scores * 2.0),
        lambda scores, terms: terms.added_to(terms.added_to(scores * 2.0)) ** 2,
        lambda scores, terms: Columns(torch.tensor([3, 1, 1]), ITEMS).terms([terms, terms]) * scores[:, :3],
        lambda scores, terms: terms.of(torch.tensor([[1, 5], [4, 3]])) * scores[:, :2],
        lambda scores, terms: terms.of(torch.tensor([[1, 5] * FEW, [4, 3] * FEW])) * scores[:, :1],
    ],
    ids=["added", "added twice", "columns", "own", "many own"],
)
def test_gradients_are_those_that_finite_differences_find(total, terms):
    draw = torch.Generator().manual_seed(0)
    scores = torch.randn(2, ITEMS, generator=draw, dtype=torch.float64, requires_grad=True)
    values = torch.randn(2, 4, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.ones(()) if terms.weight is None else terms.weight.clone().requires_grad_()

    def replaced(scores, values, weight):
        return total(scores, terms._replace(values=values, weight=None if terms.row is None else weight))

    assert torch.autograd.gradcheck(replaced, (scores, values, weight))


def test_terms_take_the_precision_of_the_scores():
    scores = ONE._replace(values=torch.ones(2, 4, dtype=torch.float64)).added_to(torch.zeros(2, ITEMS))
    assert scores.dtype == torch.float32
    assert scores[0, 1] == 2


def test_shared_terms_may_be_of_another_precision_than_their_weights():
    terms = SHARED._replace(values=torch.ones(2, 4) * (SHARED.items != 0))
    for columns in ([1, 2, 3], range(1, ITEMS)):
        found = Columns(torch.tensor(columns), ITEMS).terms([terms])
        torch.testing.assert_close(found.double(), as_matrix(by_hand([terms]))[:, columns])


def test_where_no_item_has_terms_there_are_none():
    nothing = ScoreTerms(torch.zeros(3, 0, dtype=torch.int64), torch.zeros(3, 0), SHARED.row, SHARED.weight)
    assert nothing.of(torch.tensor([[1], [2]])).tolist() == [[0.0], [0.0]]
