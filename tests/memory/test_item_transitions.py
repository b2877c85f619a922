"""Counts of what follows and what comes together, against loops over dictionaries; and their terms in the score."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, random_batch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory import item_transitions as transitions
from spotlight_asars.memory import with_recall
from spotlight_asars.memory.item_transitions import EVIDENCE, WINDOW, Transitions
from spotlight_asars.representations import REPRESENTATIONS, build

rows_of_items = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=14), min_size=1, max_size=6)


def as_sessions(rows):
    return SessionInteractions.from_ragged(
        np.concatenate(rows), np.r_[0, np.cumsum([len(row) for row in rows])], None, 7
    )


def counts(rows, left_out=None):
    """{(kind, item, other): count} by two loops over each session."""
    occurs = defaultdict(int)
    for row in rows:
        for item in row:
            occurs[item] += 1
    found = defaultdict(float)
    for number, row in enumerate(rows):
        for p, one in enumerate(row):
            for q, other in enumerate(row):
                if one != other and 0 < abs(p - q) <= WINDOW and number != left_out:
                    found["together", one, other] += 1 / math.sqrt(occurs[one])
                    if p < q:
                        found["follows", one, other] += 1 / (q - p)
    return found


def by_hand(found, viewed):
    """{(kind, item): strength} after the events `viewed`."""
    strength = defaultdict(float)
    for ago, item in enumerate(viewed[::-1][:WINDOW]):
        for (kind, one, other), count in found.items():
            if one == item:
                strength[kind, other] += count / (ago + 1)
    return {key: value for key, value in strength.items() if value > 1e-6}


def as_dictionary(candidates, state):
    """The same of the candidates of one state."""
    found = {}
    for kind, part in zip(EVIDENCE, candidates, strict=True):
        mine = (part.state == state).nonzero().squeeze(1)
        found.update({(kind, part.items[entry].item()): part.strength[entry].item() for entry in mine})
    return found


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
        expected = by_hand(counts(rows, row if training else None), viewed)
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


def make_net(name="time_user"):
    torch.manual_seed(0)
    net = with_recall(build(name, BLUEPRINT), history=False, transitions=True).double()
    for weight in net.terms.parameters():
        nn.init.normal_(weight, std=0.7)
    return net


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_items_score_has_the_terms_of_the_formula(name):
    net, (items, channels) = make_net(name), random_batch()
    log = random_batch(batch=20, seed=1)[0].tolist()
    found = counts(log)
    sessions = SessionInteractions(np.array(log), num_items=ITEMS)
    channels = channels._replace(transitions=Transitions(sessions).query(items))
    states = net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]
    expected = net.net.score_items(states.values).detach()
    w, gates = net.weights(), net.terms[0].gates(states.values.flatten(1)).detach()
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        for (kind, item), strength in by_hand(found, items[row, : step + 1].tolist()).items():
            gate = gates[place, EVIDENCE.index(kind)]
            expected[place, item] += (w[kind] + gate) * math.log(1 + w[f"scale of {kind}"] * strength)
    torch.testing.assert_close(net.score_items(states).detach(), expected, rtol=1e-6, atol=1e-6)
    targets = torch.arange(BATCH * TIME) % (ITEMS - 1) + 1
    torch.testing.assert_close(
        net.score(states, targets), expected.gather(1, targets[:, None])[:, 0], rtol=1e-6, atol=1e-6
    )


def test_without_counts_the_net_is_as_it_is():
    net, (items, channels) = make_net(), random_batch()
    states = net.states(items, channels)[:, -1]
    torch.testing.assert_close(net.score_items(states), net.net.score_items(states.values))


@pytest.mark.parametrize("loss", ["bpr", "cross_entropy"])
def test_they_find_rare_transitions_at_once_and_do_no_harm_where_there_are_none(loss):
    for predictability, gain in ((0.8, 0.05), (0.0, -0.02)):
        log = generate_sessions(
            num_users=50,
            num_items=300,
            num_sessions=600,
            predictability=predictability,
            dwell_effect=0,
            user_effect=0,
            random_state=0,
        )
        train, test = (to_sessions(part) for part in log.split_by_time(test_fraction=0.2))
        scores = [
            evaluate(ASARSSequenceModel(loss, "gru4rec", n_iter=1, transitions=on, random_state=0).fit(train), test)
            for on in (True, False)
        ]
        assert scores[0]["recall@10"] > scores[1]["recall@10"] + gain, predictability


def test_counts_of_a_long_log_are_added_up_part_by_part(monkeypatch):
    draw = np.random.RandomState(0)
    rows = [draw.randint(1, 7, size).tolist() for size in draw.randint(1, 8, 60)]
    at_once = Transitions(as_sessions(rows)).arrays()
    monkeypatch.setattr(transitions, "EVENTS_AT_ONCE", 7)
    for name, array in Transitions(as_sessions(rows)).arrays().items():
        np.testing.assert_allclose(array, at_once[name], rtol=1e-12, err_msg=name)
