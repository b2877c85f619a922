"""Counts of what follows and what comes together, against loops over dictionaries."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np
import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import item_transitions, pair_counts
from spotlight_asars.memory.item_transitions import EVIDENCE, KEPT, LATEST, Transitions
from spotlight_asars.memory.pair_counts import WINDOW

ITEMS = 7
rows_of_items = st.lists(st.lists(st.integers(1, ITEMS - 1), max_size=14), min_size=1, max_size=6).filter(any)


def as_sessions(rows):
    return SessionInteractions.from_ragged(
        np.concatenate(rows).astype(int), np.cumsum([0, *map(len, rows)]), None, ITEMS
    )


def padded(rows):
    matrix = torch.zeros(len(rows), max(map(len, rows)) + 2, dtype=torch.int64)
    for place, row in enumerate(rows):
        matrix[place, len(matrix[0]) - len(row) :] = torch.tensor(row, dtype=torch.int64)
    return matrix


def kept_pairs(transitions):
    """The pairs that items keep as candidates, and their counts: {(kind, item, candidate): count}."""
    arrays, pairs = transitions.arrays(), {}
    for kind in EVIDENCE:
        data, indices, indptr = (arrays[f"{kind}.{name}"].tolist() for name in ("data", "indices", "indptr"))
        for item, (start, stop) in enumerate(pairwise(indptr)):
            pairs.update({(kind, item, indices[entry]): data[entry] for entry in range(start, stop)})
    return pairs


def by_state(found):
    """Candidates of each state as dictionaries {(kind, d, item): strength}, corrected where they have corrections."""
    states, (all_items, *all_strength) = [{} for _ in found.row], found.rows.all
    for state, place in found.real.nonzero().tolist():
        row, items = found.row[state, place], all_items[found.row[state, place]]
        assert items.dtype == torch.int64
        real = items[items > 0]
        assert (real.diff() > 0).all(), "items rise, and padding comes last"
        assert (items[: len(real)] > 0).all(), "items rise, and padding comes last"
        for number, kind in enumerate(EVIDENCE):
            strength = all_strength[number][row]
            assert not strength[items == 0].any(), "no item, no strength"
            here = dict(zip(real.tolist(), strength.tolist(), strict=False))
            own = found.own and (found.own.all[0], *found.own.all[1 + number :: len(EVIDENCE)])
            for item, before, after in zip(*(part[row].tolist() for part in own or ()), strict=True):
                if item:
                    assert here[item] == before, "what is replaced was there"
                    here[item] = after
            states[state].update({(kind, place + 1, item): value for item, value in here.items() if value})
    return states


def in_training(transitions, sessions, matrix, rows=slice(None)):
    """The query for rows of the training sessions themselves, as a training step makes it."""
    first = torch.from_numpy(sessions.offsets[:-1].astype(np.int64))[rows]
    return transitions.query(matrix[rows], transitions.own_counts(sessions), first)


@pytest.mark.parametrize("kept", [KEPT, 2])
@given(rows_of_items)
def test_candidates_are_what_loops_over_dictionaries_find(kept, rows):
    matrix = padded(rows)
    state_row, step = (matrix != 0).nonzero(as_tuple=True)
    transitions, counts = Transitions(as_sessions(rows), kept), reference.transition_counts(rows, WINDOW)
    found = by_state(transitions.query(matrix).candidates(state_row, step))
    counts = {key: counts[key] for key in kept_pairs(transitions)}
    for state, row, column in zip(found, state_row.tolist(), step.tolist(), strict=True):
        viewed = [item for item in matrix[row, : column + 1].tolist() if item]
        assert state == pytest.approx(reference.candidates_after(counts, viewed, LATEST), rel=1e-6)


@pytest.mark.parametrize("events_at_once", [pair_counts.EVENTS_AT_ONCE, 5])
@pytest.mark.parametrize("kept", [KEPT, 2])
@given(rows_of_items)
def test_in_training_a_strength_is_the_count_over_all_other_sessions(kept, events_at_once, rows):
    matrix, sessions = padded(rows), as_sessions(rows)
    state_row, step = (matrix != 0).nonzero(as_tuple=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_counts, "EVENTS_AT_ONCE", events_at_once)
        transitions = Transitions(sessions, kept)
        found = by_state(in_training(transitions, sessions, matrix).candidates(state_row, step))
    keeps = kept_pairs(transitions)
    for state, row, column in zip(found, state_row.tolist(), step.tolist(), strict=True):
        others = reference.transition_counts(rows, WINDOW, left_out=row)
        counts = {key: others[key] for key in keeps}
        viewed = [item for item in matrix[row, : column + 1].tolist() if item]
        assert state == pytest.approx(reference.candidates_after(counts, viewed, LATEST), rel=1e-5)


@given(rows_of_items, st.data())
def test_padding_anywhere_changes_no_candidates(rows, data):
    sessions, matrix = as_sessions(rows), padded(rows)
    transitions = Transitions(sessions)
    places = torch.tensor(sorted(data.draw(st.permutations(range(2 * matrix.shape[1])))[: matrix.shape[1]]))
    wide = torch.zeros(len(matrix), 2 * matrix.shape[1], dtype=torch.int64)
    wide[:, places] = matrix
    row, step = (part.flatten() for part in torch.meshgrid(*map(torch.arange, matrix.shape), indexing="ij"))
    for make in (Transitions.query, lambda transitions, matrix: in_training(transitions, sessions, matrix)):
        one = make(transitions, matrix).candidates(row, step)
        other = make(transitions, wide).candidates(row, places[step])
        torch.testing.assert_close(by_state(one), by_state(other), rtol=0, atol=0)


@given(rows_of_items, st.data())
def test_some_rows_have_the_candidates_that_they_have_among_all(rows, data):
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, len(rows))] * 2)))
    sessions, matrix = as_sessions(rows), padded(rows)
    transitions = Transitions(sessions)
    row, step = (matrix[start:stop] != 0).nonzero(as_tuple=True)
    for query in (transitions.query(matrix), in_training(transitions, sessions, matrix)):
        some = query.select(slice(start, stop)).candidates(row, step)
        assert by_state(some) == by_state(query.candidates(row + start, step))


@given(rows_of_items)
def test_a_state_alone_has_the_candidates_that_it_has_among_all(rows):
    sessions, matrix = as_sessions(rows), padded(rows)
    transitions = Transitions(sessions)
    row, step = (matrix != 0).nonzero(as_tuple=True)
    for query in (transitions.query(matrix), in_training(transitions, sessions, matrix)):
        alone = [by_state(query.candidates(*state)) for state in zip(row.split(1), step.split(1), strict=True)]
        assert [state for (state,) in alone] == by_state(query.candidates(row, step))


@pytest.mark.parametrize("training", [True, False])
def test_before_the_first_event_and_after_a_lonely_one_there_are_no_candidates(training):
    sessions, matrix = as_sessions([[1, 2], [3]]), torch.tensor([[0, 1, 2], [0, 0, 3]])
    transitions = Transitions(sessions)
    query = in_training(transitions, sessions, matrix) if training else transitions.query(matrix)
    assert by_state(query.candidates(torch.tensor([0, 1, 1]), torch.tensor([0, 1, 2]))) == [{}, {}, {}]


def test_sessions_without_two_different_items_have_no_candidates():
    sessions = as_sessions([[1, 1, 1], [4]])
    transitions = Transitions(sessions)
    for query in (
        transitions.query(torch.tensor([[1, 4]])),
        in_training(transitions, sessions, padded([[1, 1, 1], [4]])),
    ):
        assert by_state(query.candidates(torch.tensor([0]), torch.tensor([1]))) == [{}]


@given(rows_of_items, st.integers(1, 3))
def test_items_keep_their_strongest_candidates(rows, kept):
    counts, pairs = reference.transition_counts(rows, WINDOW), kept_pairs(Transitions(as_sessions(rows), kept))
    assert pairs == pytest.approx({key: counts[key] for key in pairs}, rel=1e-12)
    for kind, item in {key[:2] for key in counts}:
        all_of_item = {key: count for key, count in counts.items() if key[:2] == (kind, item)}
        of_item = {key: count for key, count in pairs.items() if key[:2] == (kind, item)}
        assert len(of_item) == min(kept, len(all_of_item))
        assert sorted(of_item.values()) == pytest.approx(sorted(all_of_item.values())[-kept:], rel=1e-12)


def test_an_item_must_keep_a_candidate():
    with pytest.raises(ValueError, match=r"^kept must be 1 or more; got 0$"):
        Transitions(as_sessions([[1, 2]]), kept=0)


def test_counts_of_a_long_log_are_added_up_part_by_part(monkeypatch):
    draw = np.random.RandomState(0)
    rows = [draw.randint(1, 7, size).tolist() for size in draw.randint(1, 8, 60)]
    sessions, at_once = as_sessions(rows), Transitions(as_sessions(rows)).arrays()
    own_at_once = Transitions(sessions).own_counts(sessions)
    monkeypatch.setattr(pair_counts, "EVENTS_AT_ONCE", 7)
    monkeypatch.setattr(pair_counts, "PAIRS_AT_ONCE", 100)
    assert len(list(pair_counts.counts_by_item(as_sessions(rows)))) > 3
    for name, array in Transitions(as_sessions(rows)).arrays().items():
        np.testing.assert_allclose(array, at_once[name], rtol=1e-12, err_msg=name)
    own = Transitions(sessions).own_counts(sessions)
    assert torch.equal(own.group, own_at_once.group)
    offsets, columns = own.table.arrays
    np.testing.assert_array_equal(offsets, own_at_once.table.arrays.offsets)
    for column, expected in zip(columns, own_at_once.table.arrays.columns, strict=True):
        np.testing.assert_allclose(column, expected, rtol=1e-6, atol=1e-7)


def test_sessions_without_events_count_nothing_and_may_be_added():
    transitions, nothing = Transitions(as_sessions([[1, 2]])), SessionInteractions([[0, 0]], num_items=ITEMS)
    for name, array in transitions.with_added(nothing).arrays().items():
        np.testing.assert_array_equal(array, transitions.arrays()[name], err_msg=name)
    assert not any(matrix.nnz for matrix in Transitions(nothing)._matrices)


@given(rows_of_items, st.integers(1, 20))
def test_parts_are_of_whole_sessions_and_have_every_pair_once(rows, events_at_once):
    sessions = as_sessions(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_counts, "EVENTS_AT_ONCE", events_at_once)
        parts = [pair_counts.pairs_of(sessions, *part) for part in pair_counts.parts_of(sessions)]
    found = [(one, one + step) for part in parts for one, step in zip(*(each.tolist() for each in part), strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == {
        pair
        for start, stop in pairwise(sessions.offsets.tolist())
        for p in range(start, stop)
        for q in range(p + 1, min(stop, p + WINDOW + 1))
        if sessions.items[p] != sessions.items[q]
        for pair in ((p, q), (q, p))
    }


@given(rows_of_items)
def test_they_come_back_from_their_arrays(rows):
    transitions, matrix = Transitions(as_sessions(rows)), padded(rows)
    again = Transitions.from_arrays(transitions.arrays())
    state = (matrix != 0).nonzero(as_tuple=True)
    found, expected = (one.query(matrix).candidates(*state).rows.all for one in (again, transitions))
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    for name, array in again.arrays().items():
        np.testing.assert_array_equal(array, transitions.arrays()[name], err_msg=name)


@pytest.mark.parametrize(
    ("name", "change"),
    [("follows.indices", lambda array: array + 99), ("together.indptr", lambda array: array[::-1].copy())],
)
def test_arrays_that_make_no_matrix_are_refused(name, change):
    arrays = Transitions(as_sessions([[1, 2, 3], [2, 4]])).arrays()
    with pytest.raises(ValueError, match="ind"):
        Transitions.from_arrays({**arrays, name: change(arrays[name])})


@given(rows_of_items, rows_of_items)
def test_counts_of_sessions_that_are_added_are_those_of_all_together(rows, later):
    few = Transitions(SessionInteractions([[1, 2, 1]], num_items=3)).grown(4)
    added = few.with_added(as_sessions(rows)).with_added(as_sessions(later))
    together = Transitions(as_sessions([[1, 2, 1], *rows, *later]))
    assert kept_pairs(added) == pytest.approx(kept_pairs(together))
    assert added.arrays()["occurrences"].tolist() == together.arrays()["occurrences"].tolist()
    query = padded(rows)
    row, step = (part.flatten() for part in torch.meshgrid(*map(torch.arange, query.shape), indexing="ij"))
    found, expected = (by_state(one.query(query).candidates(row, step)) for one in (added, together))
    assert all(one == pytest.approx(other, rel=1e-5) for one, other in zip(found, expected, strict=True))


@given(rows_of_items, rows_of_items)
def test_an_item_keeps_no_more_candidates_when_sessions_are_added_and_others_keep_theirs(rows, later):
    before = Transitions(as_sessions(rows), kept=2)
    added = before.with_added(as_sessions(later), kept=2)
    touched, pairs = set(np.concatenate(later).tolist()), kept_pairs(added)
    for kind in EVIDENCE:
        for item in range(ITEMS):
            own, old = (
                {key: value for key, value in one.items() if key[:2] == (kind, item)}
                for one in (pairs, kept_pairs(before))
            )
            assert len(own) <= 2
            assert item in touched or own == old


def test_the_nearest_items_of_new_ones_alone():
    transitions = Transitions(as_sessions([[1, 2, 3], [6, 1, 6, 2], [5, 6]]))
    everything, of_new = transitions.nearest(3), transitions.nearest(3, np.array([5, 6, 2]))
    assert all(torch.equal(one[[5, 6, 2]], other) for one, other in zip(everything, of_new, strict=True))


def around_by_hand(transitions, number):
    """{item: {other: share}} within two steps, by loops over the shares of the nearest items."""
    items, shares = transitions.nearest(number)
    near = [
        {other: share for other, share in zip(*row, strict=True) if other}
        for row in zip(items.tolist(), shares.tolist(), strict=True)
    ]
    found = {}
    for item, own in enumerate(near):
        reached = defaultdict(float, own)
        for between, share in own.items():
            for other, further in near[between].items():
                reached[other] += share * further
        reached.pop(item, None)
        total = sum(sorted(reached.values())[-number:])
        found[item] = {other: value / total for other, value in reached.items()}
    return found


@pytest.mark.parametrize("at_once", [1, item_transitions.PRODUCTS])
@given(rows_of_items)
def test_items_within_two_steps_are_those_that_loops_find(at_once, rows):
    transitions = Transitions(as_sessions(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_transitions, "PRODUCTS", at_once)
        items, shares = transitions.around(2)
    for item, expected in around_by_hand(transitions, 2).items():
        found = {
            other: share for other, share in zip(items[item].tolist(), shares[item].tolist(), strict=True) if other
        }
        assert len(found) == min(2, len(expected))
        assert found == pytest.approx({other: expected[other] for other in found}, rel=1e-5)
        if expected:
            assert sum(found.values()) == pytest.approx(1, rel=1e-5), "the nearest of them"
