"""Terms of item transitions in the score: the formula, item by item, and what they are worth."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import torch
from contracts import BATCH, BLUEPRINT, ITEMS, TIME, random_batch
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.memory import Transitions, with_recall
from spotlight_asars.memory.item_transitions import EVIDENCE, LATEST
from spotlight_asars.memory.pair_counts import WINDOW
from spotlight_asars.representations import REPRESENTATIONS, build
from spotlight_asars.sessions.channels import Channels


def make_net(name="time_user"):
    torch.manual_seed(0)
    net = with_recall(build(name, BLUEPRINT), ITEMS, history=False, transitions=True).double()
    for weight in net.terms.parameters():
        nn.init.normal_(weight, std=0.7)
    return net


LOG = random_batch(batch=20, seed=1)[0]
SESSIONS = SessionInteractions(LOG.numpy(), num_items=ITEMS)


@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_every_items_score_has_the_terms_of_the_formula(name):
    net, (items, channels) = make_net(name), random_batch()
    counts = reference.transition_counts(LOG.tolist(), WINDOW)
    channels = channels._replace(transitions=Transitions(SESSIONS).query(items))
    states = net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]
    expected = net.net.score_items(states.values).detach()
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        state, viewed = states.values[place].flatten().detach().numpy(), items[row, : step + 1].tolist()
        for item, term in reference.transition_terms(net, state, counts, viewed, LATEST).items():
            expected[place, item] += term
    torch.testing.assert_close(net.score_items(states).detach(), expected, rtol=1e-6, atol=1e-6)


def test_in_training_the_terms_are_those_of_the_counts_over_all_other_sessions():
    net, rows = make_net("gru4rec"), torch.tensor([4, 0, 17])
    items, transitions = LOG[rows], Transitions(SESSIONS)
    query = transitions.query(items, transitions.own_counts(SESSIONS), rows * TIME)
    states = net.states(items, Channels(transitions=query))[torch.ones(items.shape, dtype=torch.bool)]
    expected = net.net.score_items(states.values).detach()
    for place, (row, step) in enumerate(np.ndindex(*items.shape)):
        counts = reference.transition_counts(LOG.tolist(), WINDOW, left_out=rows[row])
        state, viewed = states.values[place].detach().numpy(), items[row, : step + 1].tolist()
        for item, term in reference.transition_terms(net, state, counts, viewed, LATEST).items():
            expected[place, item] += term
    torch.testing.assert_close(net.score_items(states).detach(), expected, rtol=1e-6, atol=1e-6)
    targets = torch.arange(len(states)) % (ITEMS - 1) + 1
    torch.testing.assert_close(net.score(states, targets), net.score_items(states).gather(1, targets[:, None])[:, 0])


def test_every_weight_gets_the_gradient_that_finite_differences_find():
    net, items = make_net("gru4rec"), LOG[:2]
    transitions = Transitions(SESSIONS)
    query = transitions.query(items, transitions.own_counts(SESSIONS), torch.tensor([0, TIME]))

    def scores(place, kind, log_beta, gate):
        weights = {
            "terms.0.place": place,
            "terms.0.kind": kind,
            "terms.0.log_beta": log_beta,
            "terms.0.gate.weight": gate,
        }
        return torch.func.functional_call(net, weights, (items, Channels(transitions=query)), strict=False)

    net.forward = lambda items, channels: net.score_items(net.states(items, channels)[:, -2])
    weights = (net.terms[0].place, net.terms[0].kind, net.terms[0].log_beta, net.terms[0].gate.weight)
    assert torch.autograd.gradcheck(scores, tuple(weight.detach().requires_grad_() for weight in weights))


def test_the_weights_have_names():
    weights = make_net().weights()
    places = ("last", *(f"{d} before" for d in range(1, LATEST)))
    assert list(weights) == [
        *(f"{kind} {place}" for kind in EVIDENCE for place in places),
        *(f"scale of {kind}" for kind in EVIDENCE),
    ]
    fresh = with_recall(build("gru4rec", BLUEPRINT), ITEMS, history=False, transitions=True).weights()
    for kind in EVIDENCE:
        expected = [1 / (4 * d) for d in range(1, LATEST + 1)]
        assert [fresh[f"{kind} {place}"] for place in places] == pytest.approx(expected)
        assert fresh[f"scale of {kind}"] == 1


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
            evaluate(
                ASARSSequenceModel(
                    loss, "gru4rec", n_iter=1, transitions=on, neighbours=False, item_neighbours=0, random_state=0
                ).fit(train),
                test,
            )
            for on in (True, False)
        ]
        assert scores[0]["recall@10"] > scores[1]["recall@10"] + gain, predictability
