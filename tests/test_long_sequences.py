"""Training on real sequences of up to 200 events, as long as the paper's and Spotlight's MovieLens experiments take."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from reference_data import spotlight_module

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.losses import LOSSES
from spotlight_asars.representations import REPRESENTATIONS

pytestmark = pytest.mark.slow

LENGTH = 200
SMALL = {"embedding_dim": 16, "hidden_dim": 16, "num_negative_samples": 32}  # 120 fits in minutes
PAPER = {
    "representation": "time_user",
    "loss": "hinge",
    "learning_rate": 0.2,
    "batch_size": 64,
    "embedding_dim": 64,
    "time_dim": 16,
    "user_dim": 32,
    "hidden_dim": 100,
    "cell": "lstm",
    "dropout": 0.5,
    "last_dwell": "observed",
    "n_iter": 60,
    "patience": 10,
    # and nothing of what the paper does not have
    **dict.fromkeys(("history", "transitions", "residual", "averaging"), False),
    **dict.fromkeys(("user_dropout", "dwell_dropout"), 0.0),
}


@pytest.fixture
def log(data_folder):
    return EventLog.read(data_folder / "ml-100k" / "events.csv.gz")


@pytest.fixture
def sequences(log):
    """Spotlight's sequences of a quarter of the users, to train on, and of half of the others."""
    split = spotlight_module("cross_validation").user_based_train_test_split
    train, rest = split(log, test_percentage=0.75, random_state=np.random.RandomState(100))
    _, test = split(rest, test_percentage=0.5, random_state=np.random.RandomState(100))
    return [part.to_sequence(LENGTH, min_sequence_length=20, step_size=LENGTH) for part in (train, test)]


def chance(num_items, k=None):
    """MRR@k of a random order of all items."""
    return (1 / np.arange(1, (k or num_items) + 1)).sum() / num_items


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_one_epoch_ranks_above_chance(representation, loss, sequences):
    train, test = sequences
    model = ASARSSequenceModel(loss, representation, n_iter=1, batch_size=32, random_state=0, **SMALL).fit(train)
    assert sequence_mrr_score(model, test).mean() > 2 * chance(train.num_items)


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_without_memories_the_loss_falls(representation, sequences):
    without = {"history": False, "transitions": False}
    model = ASARSSequenceModel("cross_entropy", representation, n_iter=3, random_state=0, **without, **SMALL)
    losses = [epoch.loss for epoch in model.fit(sequences[0]).epochs]
    assert all(after < before for before, after in pairwise(losses)), losses


def test_the_papers_setting_ranks_above_chance(log):
    train, test = (to_sessions(part, max_sequence_length=LENGTH) for part in log.split_by_time(0.15))
    model = ASARSSequenceModel(random_state=0, **PAPER).fit(train, validation=0.1)
    assert model.epochs[-1].loss < model.epochs[0].loss
    assert evaluate(model, test, k=20)["mrr@20"] > 2 * chance(train.num_items, k=20)
