"""Counts of what follows and what comes together, against loops over dictionaries."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import item_transitions
from spotlight_asars.memory.item_transitions import EVIDENCE, WINDOW, Transitions

rows_of_items = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=14), min_size=1, max_size=6)


def as_sessions(rows):
    return SessionInteractions.from_ragged(
        np.concatenate(rows), np.r_[0, np.cumsum([len(row) for row in rows])], None, 7
    )


def as_dictionary(candidates, state):
    """The candidates of one state: {(kind, item): strength}."""
    actual = {}
    for kind, part in zip(EVIDENCE, candidates, strict=True):
        mine = (part.state == state).nonzero().squeeze(1)
        actual.update({(kind, part.items[entry].item()): part.strength[entry].item() for entry in mine})
    return actual


def padded(rows):
    matrix = torch.zeros(len(rows), max(map(len, rows)) + 2, dtype=torch.int64)
    for place, row in enumerate(rows):
        matrix[place, len(matrix[0]) - len(row) :] = torch.tensor(row)
    return matrix


@pytest.mark.parametrize("training", [True, False])
@given(rows_of_items)
def test_candidates_are_what_loops_over_dictionaries_find(training, rows):
    matrix = padded(rows)
    state_row, step = (matrix != 0).nonzero(as_tuple=True)
    candidates = Transitions(as_sessions(rows)).query(matrix, training).candidates(state_row, step)
    for state, (row, column) in enumerate(zip(state_row.tolist(), step.tolist(), strict=True)):
        viewed = [item for item in matrix[row, : column + 1].tolist() if item]
        counts = reference.transition_counts(rows, WINDOW, left_out=row if training else None)
        expected = reference.candidate_strengths(counts, viewed, WINDOW)
        assert as_dictionary(candidates, state) == pytest.approx(expected, rel=1e-6)


@given(rows_of_items)
def test_padding_anywhere_changes_no_candidates(rows):
    transitions, matrix = Transitions(as_sessions(rows)), padded(rows)
    wide = torch.zeros(len(matrix), 2 * matrix.shape[1], dtype=torch.int64)
    wide[:, ::2] = matrix
    states, last = torch.arange(len(rows)), torch.tensor(matrix.shape[1] - 1)
    for training in (True, False):
        one = transitions.query(matrix, training).candidates(states, last.expand(len(rows)))
        other = transitions.query(wide, training).candidates(states, 2 * last.expand(len(rows)) + 1)
        for column, again in zip(one, other, strict=True):
            torch.testing.assert_close(column, again)


def test_before_the_first_event_there_are_no_candidates():
    query = Transitions(as_sessions([[1, 2]])).query(torch.tensor([[0, 1]]))
    assert [len(part.items) for part in query.candidates(torch.tensor([0]), torch.tensor([0]))] == [0, 0]


def test_items_keep_their_strongest_candidates():
    rows = [[1, 2]] * 3 + [[1, 3]] * 2 + [[1, 4]]
    query = Transitions(as_sessions(rows), kept=2).query(torch.tensor([[1]]))
    candidates = query.candidates(torch.tensor([0]), torch.tensor([0]))
    assert [sorted(part.items.tolist()) for part in candidates] == [[2, 3], [2, 3]]
    with pytest.raises(ValueError, match=r"^kept must be 1 or more; got 0$"):
        Transitions(as_sessions(rows), kept=0)


def test_counts_of_a_long_log_are_added_up_part_by_part(monkeypatch):
    draw = np.random.RandomState(0)
    rows = [draw.randint(1, 7, size).tolist() for size in draw.randint(1, 8, 60)]
    at_once = Transitions(as_sessions(rows)).arrays()
    monkeypatch.setattr(item_transitions, "EVENTS_AT_ONCE", 7)
    for name, array in Transitions(as_sessions(rows)).arrays().items():
        np.testing.assert_allclose(array, at_once[name], rtol=1e-12, err_msg=name)
