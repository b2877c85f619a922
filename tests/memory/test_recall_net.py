"""A net with the terms of both memories: it keeps the contracts of nets, and all its scores of an item agree."""

from __future__ import annotations

import contracts
import numpy as np
import pytest
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, USERS, random_batch
from torch import nn

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.memory import Memory, Transitions, with_recall
from spotlight_asars.memory.recall_net import USUAL_GAINS
from spotlight_asars.representations import build
from spotlight_asars.sessions.channels import Channels

DRAW = np.random.RandomState(0)
LOG = SessionInteractions(
    DRAW.randint(1, ITEMS, (20, 4)),
    DRAW.randint(0, USERS, 20),
    ITEMS,
    dwell_times=DRAW.rand(20, 4) * 400,
    started=DRAW.permutation(20) * 1e5,
)
MEMORY, TRANSITIONS = Memory(LOG), Transitions(LOG)


def recalled(items, channels, history=True, transitions=True):
    """`channels` with what the memories hold for a batch."""
    users = torch.full((len(items),), -1) if channels.user_ids is None else channels.user_ids
    return channels._replace(
        history=MEMORY.recall(users, torch.full((len(items),), np.nan).double()) if history else None,
        transitions=TRANSITIONS.query(items) if transitions else None,
    )


def make_net(name="time_user"):
    torch.manual_seed(0)
    net = with_recall(build(name, BLUEPRINT), ITEMS, history=True, transitions=True).double()
    for weight in net.terms.parameters():
        nn.init.normal_(weight, std=0.7)
    return net


def selected(net, items, channels):
    """States of all steps, (batch * time), as the objective selects them."""
    return net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]


class Scores(nn.Module):
    """Scores of the catalogue after each step in the place of states, so that contracts of states see the terms."""

    def __init__(self, name):
        super().__init__()
        self.net = make_net(name)
        self.item_embeddings = getattr(self.net.net, "item_embeddings", None)

    def states(self, items, channels=None):
        states = selected(self.net, items, recalled(items, channels or Channels()))
        return self.net.score_items(states).reshape(*items.shape, -1)[..., 1:]


CHECKS = (
    contracts.check_causal,
    contracts.check_rows_are_independent,
    contracts.check_channels_are_optional,
    contracts.check_every_length,
    contracts.check_states_of_any_layout,
)
CASES = [(name, check) for name in ("time_user", "mixture") for check in CHECKS]


@pytest.mark.parametrize(
    ("name", "check"),
    CASES + [("time_user", check) for check in contracts.OUR_NETS],
    ids=lambda case: getattr(case, "__name__", case),
)
def test_scores_with_terms_keep_the_contract(name, check):
    check(Scores(name))


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("transitions", [True, False])
def test_one_item_some_items_and_the_catalogue_get_the_same_scores(history, transitions):
    net, (items, channels) = make_net(), random_batch()
    states = selected(net, items, recalled(items, channels, history, transitions))
    catalogue = net.score_items(states)
    targets = torch.arange(BATCH * TIME) % (ITEMS - 1) + 1
    torch.testing.assert_close(net.score(states, targets), catalogue.gather(1, targets[:, None])[:, 0])
    for some in ([4, 2, 4, 10], [9], [4, 4]):
        torch.testing.assert_close(net.score_items(states, torch.tensor(some)), catalogue[:, some])


@pytest.mark.parametrize("count", [1, 4])
def test_each_states_own_items_have_the_scores_of_the_catalogue(count):
    net, (items, channels) = make_net(), random_batch()
    states = selected(net, items, recalled(items, channels, transitions=False))
    own = torch.randint(1, ITEMS, (BATCH * TIME, count), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(net.score_pairs(states, own), net.score_items(states).gather(1, own))


def test_recalled_items_are_those_with_terms_for_each_state():
    net, (items, channels) = make_net(), random_batch()
    distinct, touched = selected(net, items, recalled(items, channels, transitions=False)).recalled_items()
    earlier = MEMORY.recall(channels.user_ids, torch.full((BATCH,), np.nan).double()).items
    expected = [
        {*earlier[row].tolist(), *items[row, : step + 1].tolist()} - {PADDING_IDX}
        for row, step in np.ndindex(BATCH, TIME)
    ]
    assert [set(distinct[state].tolist()) for state in touched] == expected
    assert distinct.tolist() == sorted(set().union(*expected))
    nothing = net.states(torch.zeros(1, 1, dtype=torch.int64))[:, -1]
    assert [len(part.flatten()) for part in nothing.recalled_items()] == [0, 0]


def test_rows_of_channels_give_the_scores_of_their_rows_in_the_batch():
    net, (items, channels) = make_net(), random_batch()
    channels = recalled(items, channels)
    together = net.score_items(net.states(items, channels)[:, -1])
    for row in range(BATCH):
        alone = slice(row, row + 1)
        states = net.states(items[alone], channels.rows(alone))
        torch.testing.assert_close(net.score_items(states[:, -1])[0], together[row])


@pytest.mark.parametrize(("history", "transitions"), [(True, False), (False, True), (True, True)])
def test_learned_terms_count_for_more_once_training_is_over(history, transitions):
    items, channels = random_batch()
    net = make_net("gru4rec")
    states = selected(net, items, recalled(items, channels, history, transitions))
    alone = net.net.score_items(states.values)
    learning = net.score_items(states) - alone
    after = net.eval().score_items(selected(net, items, recalled(items, channels, history, transitions))) - alone
    assert learning.abs().max() > 0.1
    torch.testing.assert_close(after[:, 1:], USUAL_GAINS.learned * learning[:, 1:])
