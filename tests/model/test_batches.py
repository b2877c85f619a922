"""The mini-batches of an epoch, and how neighbours are weighed in the first."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.memory import Transitions
from spotlight_asars.model import batches
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.sessions.batching import SessionsOnDevice

DRAW = np.random.RandomState(0)
STARTED = DRAW.permutation(60) * 1e4
TRAIN = SessionInteractions(DRAW.randint(1, 9, (60, 4)), DRAW.randint(0, 5, 60), 9, started=STARTED)
LATEST = np.argsort(STARTED)[-3:]  # 5 %
OPTIONS = {"n_iter": 2, "batch_size": 10, "embedding_dim": 4, "hidden_dim": 4, "random_state": 0}


@pytest.fixture
def weighed(monkeypatch):
    """What the net knew when neighbours were weighed, and on which sessions."""
    moments = []

    def states(fitted, items, channels=None, genuine=FittedNet.states):
        graph = fitted.asars.item_graph
        moments.append((fitted.transitions.arrays(), graph.neighbours.clone(), graph.shares.clone(), items.clone()))
        return genuine(fitted, items, channels)

    monkeypatch.setattr(FittedNet, "states", states)
    return moments


def test_neighbours_are_weighed_once_by_a_net_that_knows_nothing_of_the_latest_sessions(weighed):
    model = ASARSSequenceModel(**OPTIONS).fit(TRAIN)
    ((arrays, neighbours, shares, items),) = weighed
    assert sorted(items.tolist()) == sorted(TRAIN.sequences[LATEST].tolist())
    earlier = Transitions(TRAIN.take(np.setdiff1d(np.arange(60), LATEST)))
    for name, array in earlier.arrays().items():
        np.testing.assert_array_equal(arrays[name], array, err_msg=name)
    assert all(map(torch.equal, (neighbours, shares), earlier.around(12)))
    graph = model._fitted.asars.item_graph  # afterwards it knows them all
    assert all(map(torch.equal, (graph.neighbours, graph.shares), Transitions(TRAIN).around(12)))
    model.fit(TRAIN)
    assert len(weighed) == 1, "a net that was trained knows the latest sessions"


def test_weights_are_found_beside_all_that_the_session_has_viewed(monkeypatch):
    seen = []

    def add(search, scores, votes, viewed, targets, demand, genuine=batches.WeightSearch.add):
        seen.extend(
            (row[0], sorted(set(row) - {0}), target)
            for row, target in zip(viewed.tolist(), targets.tolist(), strict=True)
        )
        genuine(search, scores, votes, viewed, targets, demand)

    monkeypatch.setattr(batches.WeightSearch, "add", add)
    ASARSSequenceModel(**OPTIONS).fit(TRAIN)
    rows = TRAIN.sequences[LATEST].tolist()
    steps = [(row[:step], row[step]) for row in rows for step in (1, 2, 3)]
    assert sorted(seen) == sorted((viewed[-1], sorted({*viewed}), target) for viewed, target in steps)


def test_the_latest_sessions_come_last_in_the_first_epoch_alone(monkeypatch):
    epochs = [[]]

    def batch(log, rows, *args, genuine=SessionsOnDevice.batch, **options):
        if options.get("whole") is not None:
            epochs[-1] += rows.tolist()
            if len(epochs[-1]) == len(TRAIN):
                epochs.append([])
        return genuine(log, rows, *args, **options)

    monkeypatch.setattr(batches.SessionsOnDevice, "batch", batch)
    ASARSSequenceModel(**OPTIONS).fit(TRAIN)
    first, second, rest = epochs
    assert sorted(first) == sorted(second) == list(range(60))
    assert rest == []
    assert set(first[-3:]) == set(LATEST.tolist()) != set(second[-3:])
