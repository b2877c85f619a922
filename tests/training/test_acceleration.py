"""Faster training comes to what plain training comes to."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import torch
from torch import nn

from spotlight_asars import ASARSSequenceModel, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.training.acceleration import Accelerated


@pytest.fixture(scope="module")
def train():
    return to_sessions(generate_sessions(num_users=10, num_items=30, num_sessions=150, random_state=0))


def fitted(train, **changes):
    options = {
        "neighbours": False,
        "n_iter": 2,
        "embedding_dim": 8,
        "hidden_dim": 8,
        "user_dim": 4,
        "time_dim": 4,
        "dropout": 0.0,
    }
    return ASARSSequenceModel(**{**options, "random_state": 0, **changes}).fit(train)


@pytest.mark.parametrize(
    ("representation", "loss"),
    [
        ("time_user", "cross_entropy"),
        ("time_user", "bpr"),
        ("dynamics", "sampled_softmax"),
        ("user_att", "cross_entropy"),
        ("cnn", "bpr"),
        ("mixture", "sampled_softmax"),
    ],
)
def test_half_precision_learns_about_the_same(representation, loss, train):
    plain = fitted(train, representation=representation, loss=loss)
    fast = fitted(train, representation=representation, loss=loss, autocast=True)
    assert all(weights.dtype == torch.float32 for weights in fast._net.parameters())
    assert not np.array_equal(fast.predict([1, 2]), plain.predict([1, 2]))
    np.testing.assert_allclose([epoch.loss for epoch in fast.epochs], [epoch.loss for epoch in plain.epochs], rtol=0.02)
    assert evaluate(fast, train)["mrr@20"] == pytest.approx(evaluate(plain, train)["mrr@20"], abs=0.03)


@pytest.mark.filterwarnings("ignore")  # the compiler warns of what torch itself does
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
@pytest.mark.skipif("ATEN_CPU_CAPABILITY" in os.environ, reason="torch compiles for the CPU that is, not that it plays")
@pytest.mark.parametrize(
    ("representation", "history"), [("gru4rec", False), pytest.param("time_user", True, marks=pytest.mark.slow)]
)
def test_a_compiled_net_learns_the_same(representation, history, train):
    plain, fast = (
        fitted(train, representation=representation, history=history, compile=compiled) for compiled in (False, True)
    )
    np.testing.assert_allclose(fast.predict([1, 2])[1:], plain.predict([1, 2])[1:], rtol=1e-5, atol=1e-5)


def test_without_either_nothing_is_wrapped_around_the_nets_own_answers():
    class Net(nn.Module):
        def states(self, items, channels=None):
            return items, channels

        def score(self, states, targets):
            return targets

        def score_items(self, states, item_ids=None):
            return states

    fast, one = Accelerated(Net(), torch.device("cpu"), False, False), torch.ones(1, dtype=torch.float64)
    assert fast.states(1) == (1, None)
    assert fast.score(2, one) is one
    assert fast.score_items(one) is one
