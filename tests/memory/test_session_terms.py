"""The memories of one session in arrays, against those of a batch in tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import nn

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import Memory, Transitions
from spotlight_asars.memory.neighbour_sessions import NeighbourSessions
from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.memory.recall_net import with_recall
from spotlight_asars.memory.session_terms import SessionTerms
from spotlight_asars.sessions import Channels

ITEMS, USERS, KINDS, SIZE = 11, 3, 4, 5
LOG = st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=12), min_size=1, max_size=12)
EVENTS = st.lists(st.tuples(st.integers(1, ITEMS - 1), st.integers(0, KINDS)), max_size=14)


class Net(nn.Module):
    """A net whose state is the same for all."""

    def states(self, items, channels=None):
        return torch.zeros(*items.shape, SIZE)


def as_sessions(log):
    offsets, users = np.cumsum([0, *map(len, log)]), np.arange(len(log)) % USERS
    started = np.arange(len(log)) * 1e5
    items = np.concatenate(log).astype(np.int64)
    kinds = items % (KINDS + 1)
    return SessionInteractions.from_ragged(items, offsets, users, ITEMS, started=started, kinds=kinds)


def random_net(num_kinds):
    net = with_recall(Net(), ITEMS, history=True, transitions=True, neighbours=True, num_kinds=num_kinds).eval()
    draw = torch.Generator().manual_seed(0)
    for weights in net.parameters():
        weights.data = torch.rand(weights.shape, generator=draw)
    net.terms[2].take(Weights(0.7, 1.5, 0.0, 0.0))
    return net.requires_grad_(False)


NETS = {num_kinds: random_net(num_kinds) for num_kinds in (0, KINDS)}
STATE = torch.linspace(-1, 1, SIZE)


MANY = np.random.RandomState(0).randint(1, ITEMS, (500, 4)).tolist()  # of which not all are neighbours


@settings(deadline=None)
@example(MANY, [(3, 1), (5, 0), (3, 2)], 1, KINDS)
@example(MANY, [(1, 0), *[(2, 0), (3, 0)] * 10], -1, 0)  # the first is among the latest 20 no more
@given(LOG, EVENTS, st.integers(-1, USERS - 1), st.sampled_from([0, KINDS]))
def test_terms_of_a_session_are_those_of_a_batch(log, events, user, num_kinds):
    net, sessions = NETS[num_kinds], as_sessions(log)
    transitions, neighbours = Transitions(sessions), NeighbourSessions(sessions)
    history = Memory(sessions).recall(torch.tensor([user]), torch.tensor([np.nan]).double())
    items, kinds = [item for item, _ in events], [kind for _, kind in events]
    viewed = torch.tensor([items or [0]])
    channels = Channels(
        history=history,
        transitions=transitions.query(viewed),
        neighbours=neighbours.query(viewed),
        kinds=torch.tensor([kinds or [0]]),
    )
    states = net.recall(STATE.expand(1, viewed.shape[1], SIZE), viewed, channels)[:, -1]
    expected = torch.zeros(1, ITEMS)
    for terms in states.score_terms:
        expected = terms.added_to(expected)
    found, values = SessionTerms(net, transitions, neighbours, history).of(STATE.numpy(), items, kinds)
    sums = np.bincount(found, values, ITEMS)
    np.testing.assert_allclose(sums[1:], expected[0, 1:].numpy(), atol=1e-5, rtol=1e-5)


def test_without_memories_there_are_no_terms():
    items, values = SessionTerms(NETS[0], None, None, None).of(STATE.numpy(), [], [])
    assert items.tolist() == values.tolist() == []


@pytest.mark.parametrize("other", [copy.copy, lambda table: pickle.loads(pickle.dumps(table))])
def test_arrays_are_no_part_of_a_copy(other):
    sessions = as_sessions([[1, 2], [2, 3]])
    table, neighbours = Transitions(sessions).table, NeighbourSessions(sessions)
    before = len(pickle.dumps([table, neighbours]))
    rows = len(table.arrays.offsets), len(neighbours.on_host.events_of.offsets)
    assert len(pickle.dumps([table, neighbours])) == before
    assert len(other(table).with_empty_rows(4).arrays.offsets) == rows[0] + 4
    assert len(other(neighbours).grown(ITEMS + 4).on_host.events_of.offsets) == rows[1] + 4
