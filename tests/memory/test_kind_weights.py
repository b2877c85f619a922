"""What memories make of the kinds of events: the formulas, item by item."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import Transitions, with_recall
from spotlight_asars.memory.item_transitions import LATEST
from spotlight_asars.memory.pair_counts import WINDOW
from spotlight_asars.representations import build
from spotlight_asars.sessions.channels import History

KINDS = 4
SESSIONS = SessionInteractions(random_batch(batch=20, seed=1)[0].numpy(), num_items=ITEMS)


def make_net(**memories):
    torch.manual_seed(0)
    net = with_recall(build("gru4rec", BLUEPRINT), ITEMS, num_kinds=KINDS, **memories).double()
    for weight in net.terms.parameters():
        nn.init.normal_(weight, std=0.7)
    return net


def make_batch():
    items, channels = random_batch()
    return items, torch.randint(0, KINDS + 2, items.shape, generator=torch.Generator().manual_seed(0)), channels


def test_what_followed_an_event_weighs_by_its_kind():
    net, (items, kinds, channels) = make_net(history=False, transitions=True), make_batch()
    counts = reference.transition_counts(SESSIONS.sequences.tolist(), WINDOW)
    channels = channels._replace(transitions=Transitions(SESSIONS).query(items), kinds=kinds)
    states = net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]
    expected = net.net.score_items(states.values).detach()
    weights = [1.0, *net.terms[0].of_kind.weight.tolist()[1:], 1.0, 1.0]
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        events = [
            (item, kind) for item, kind in zip(items[row, : step + 1], kinds[row, : step + 1], strict=True) if item
        ]
        viewed, of_events = [int(item) for item, _ in events], [weights[kind] for _, kind in events]
        state = states.values[place].detach().numpy()
        terms = reference.transition_terms(net, state, counts, viewed, LATEST, lambda d, own=of_events: own[-d])
        for item, term in terms.items():
            expected[place, item] += term
    torch.testing.assert_close(net.score_items(states).detach(), expected, rtol=1e-6, atol=1e-6)


def test_an_item_of_the_session_has_the_weight_of_the_kind_of_its_last_view():
    net, (items, kinds, channels) = make_net(history=True, transitions=False), make_batch()
    everywhere = torch.ones(items.shape, dtype=torch.bool)
    with_kinds = net.score_items(net.states(items, channels._replace(kinds=kinds))[everywhere])
    expected = net.score_items(net.states(items, channels)[everywhere]).detach()
    weights = [0.0, *net.terms[0].of_kind.weight.tolist()[1:], 0.0, 0.0]
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        last = dict(zip(items[row, : step + 1].tolist(), kinds[row, : step + 1].tolist(), strict=True))
        for item, kind in last.items():
            expected[place, item] += weights[kind] if item else 0.0
    torch.testing.assert_close(with_kinds.detach(), expected, rtol=1e-6, atol=1e-6)


def test_an_item_of_earlier_sessions_has_the_weights_of_the_kind_of_its_last_view_and_of_that_asked_for():
    net, (items, _, channels) = make_net(history=True, transitions=False), make_batch()
    earlier, of_view = torch.tensor([[1, 2, 0, 3, 4]] * BATCH), torch.tensor([[0, 1, 2, KINDS - 1, KINDS + 1]] * BATCH)
    some = torch.ones(earlier.shape, dtype=torch.float64) * (earlier != 0)
    history, everywhere = History(earlier, some, some, some, some, of_view), torch.ones(items.shape, dtype=torch.bool)
    asked = torch.randint(0, KINDS + 2, items.shape, generator=torch.Generator().manual_seed(1))
    unknown = channels._replace(history=history._replace(kinds=torch.zeros_like(of_view)))
    channels = channels._replace(history=history)
    of_kind, of_pair = net.terms[0].of_earlier_kind.weight.tolist(), net.terms[0].of_earlier_pair.weight.tolist()
    for given in (torch.zeros_like(asked), asked):
        with torch.no_grad():
            net.terms[0].of_pair.weight.zero_()  # which weighs items of the session itself
            found = net.score_items(net.states(items, channels._replace(asked=given))[everywhere])
            expected = net.score_items(net.states(items, unknown._replace(asked=None))[everywhere])
        for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
            for item, view in zip(earlier[row].tolist(), of_view[row].tolist(), strict=True):
                if item:
                    view = view if view < KINDS else 0
                    expected[place, item] += of_kind[view] if view else 0.0
                    kind = int(given[row, step])
                    expected[place, item] += of_pair[view][kind] if 0 < kind < KINDS else 0.0
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_terms_for_an_event_of_a_kind_weigh_by_it_and_by_the_kind_of_the_last_view():
    net, (items, kinds, channels) = make_net(history=True, transitions=True), make_batch()
    asked = torch.randint(0, KINDS + 2, items.shape, generator=torch.Generator().manual_seed(1))
    channels = channels._replace(transitions=Transitions(SESSIONS).query(items), kinds=kinds)
    everywhere, (history, transitions) = torch.ones(items.shape, dtype=torch.bool), net.terms
    found = net.score_items(net.states(items, channels._replace(asked=asked))[everywhere]).detach()
    plain, own = (net.score_items(net.states(items, given)[everywhere]).detach()
                  for given in (channels, channels._replace(transitions=None)))  # fmt: skip
    scales = [1.0, *transitions.of_asked.weight.tolist()[1:], 1.0, 1.0]
    expected = own + (plain - own) * torch.tensor(scales)[asked.flatten()].unsqueeze(1)
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        last = dict(zip(items[row, : step + 1].tolist(), kinds[row, : step + 1].tolist(), strict=True))
        kind = int(asked[row, step])
        for item, of_view in last.items():
            if item and 0 < kind < KINDS:
                expected[place, item] += float(history.of_pair.weight[of_view if of_view < KINDS else 0, kind].detach())
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_weights_of_kinds_have_names_and_start_without_a_part():
    net = with_recall(build("gru4rec", BLUEPRINT), ITEMS, history=True, transitions=True, num_kinds=KINDS)
    weights = net.weights()
    assert [weights[f"here, of kind {kind}"] for kind in (1, 2, 3)] == [0, 0, 0]
    assert [weights[f"what follows kind {kind}"] for kind in (1, 2, 3)] == [1, 1, 1]
    one = with_recall(build("gru4rec", BLUEPRINT), ITEMS, history=True, transitions=True, num_kinds=2)
    assert not any("kind" in name.split() for name in one.weights())
    assert weights["here"] == pytest.approx(0)
