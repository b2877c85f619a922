"""Terms of item transitions in the score: the formula, item by item, and what they are worth."""

from __future__ import annotations

import math

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
from spotlight_asars.memory.item_transitions import EVIDENCE, WINDOW
from spotlight_asars.representations import REPRESENTATIONS, build


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
    counts = reference.transition_counts(log, WINDOW)
    sessions = SessionInteractions(np.array(log), num_items=ITEMS)
    channels = channels._replace(transitions=Transitions(sessions).query(items))
    states = net.states(items, channels)[torch.ones(items.shape, dtype=torch.bool)]
    expected = net.net.score_items(states.values).detach()
    w, gates = net.weights(), net.terms[0].gates(states.values.flatten(1)).detach()
    for place, (row, step) in enumerate(np.ndindex(BATCH, TIME)):
        strengths = reference.candidate_strengths(counts, items[row, : step + 1].tolist(), WINDOW)
        for (kind, item), strength in strengths.items():
            gate = gates[place, EVIDENCE.index(kind)]
            expected[place, item] += (w[kind] + gate) * math.log(1 + w[f"scale of {kind}"] * strength)
    torch.testing.assert_close(net.score_items(states).detach(), expected, rtol=1e-6, atol=1e-6)


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
