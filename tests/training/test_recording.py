"""Steps that are played back learn, to the bit, what the same steps learn one by one, with nothing from the host."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from contracts_baselines import random_sessions
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState
from simulated_device import SIMULATED, record, simulated_device
from small_models import make_log, quick

from spotlight_asars import ItemFeatures, SessionInteractions, to_sessions
from spotlight_asars.losses import LOSSES
from spotlight_asars.model import fitting
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.runtime.devices import in_any_order, places_of
from spotlight_asars.sampling import SAMPLERS
from spotlight_asars.sessions.batching import Block, SessionsOnDevice, training_blocks
from spotlight_asars.training.objective import NextItemObjective
from spotlight_asars.training.recording import RecordedSteps

TRAIN = random_sessions(sessions=25)
HOST = torch.device("cpu")
WITHOUT_DRIFT = [name for name in REPRESENTATIONS if "dynamics" not in name]


class OneByOne(RecordedSteps):
    """As if each batch were the first of its shape."""

    def __call__(self, block):
        self._places.clear()
        return super().__call__(block)


@pytest.fixture
def recorded(monkeypatch):
    """A model built in the test is on the simulated device, which records steps; gives the shapes of the recordings."""
    for module in ("building", "asars_model"):
        monkeypatch.setattr(f"spotlight_asars.model.{module}.chosen_device", lambda use_cuda: SIMULATED)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    made = []

    def recorder(step):
        made.append(step)
        return record(step)

    monkeypatch.setattr(fitting, "recorder_for", lambda device: lambda: recorder)
    with simulated_device():
        yield made


def weights_of(model):
    return {name: weight.cpu() for name, weight in model._net.state_dict().items()}


def check_the_same_is_learned(recorded, monkeypatch, sessions=TRAIN, item_features=None, callbacks=(), **options):
    options = {"n_iter": 2, "batch_size": 4, "num_negative_samples": 4, **options}
    recorded.clear()
    played = quick(**options).fit(sessions, item_features=item_features, callbacks=callbacks)
    assert recorded, "nothing was recorded"
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "RecordedSteps", OneByOne)
        one_by_one = quick(**options).fit(sessions, item_features=item_features, callbacks=callbacks)
    assert [epoch.loss for epoch in played.epochs] == [epoch.loss for epoch in one_by_one.epochs]
    expected = weights_of(one_by_one)
    for name, weight in weights_of(played).items():
        assert torch.equal(weight, expected[name]), name
    assert not torch.equal(expected["net.item_biases.weight"], torch.zeros_like(expected["net.item_biases.weight"]))


@pytest.mark.parametrize("representation", WITHOUT_DRIFT)
def test_every_representation_learns_the_same_when_it_is_played_back(representation, recorded, monkeypatch):
    if representation in ("gru4rec", "time_user", "transformer"):
        check_the_same_is_learned(recorded, monkeypatch, representation=representation, loss="sampled_softmax")
    else:
        recorded.clear()
        quick(representation=representation, n_iter=2).fit(TRAIN)
        assert recorded


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_the_same_when_it_is_played_back(loss, recorded, monkeypatch):
    check_the_same_is_learned(recorded, monkeypatch, loss=loss, event_dropout=0.2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_same_when_it_is_played_back(sampler, recorded, monkeypatch):
    check_the_same_is_learned(recorded, monkeypatch, loss="sampled_softmax", negative_sampling=sampler)


def test_an_optimizer_whose_zeros_move_weights_learns_the_same(recorded, monkeypatch):
    adam = partial(torch.optim.Adam, lr=0.01, foreach=False)
    check_the_same_is_learned(recorded, monkeypatch, representation="time_user", optimizer_func=adam)


def test_kinds_their_weights_and_features_of_items_are_played_back(recorded, monkeypatch):
    log = make_log()
    frame = pd.DataFrame({"user_id": log.user_ids, "item_id": log.item_ids, "timestamp": log.timestamps})
    frame["kind"] = np.resize(["view", "buy", "view"], len(frame))
    sessions = to_sessions(type(log).from_frame(frame, kind="kind"))
    raw = sessions.item_vocabulary.raw
    table = pd.DataFrame({"item_id": [*raw, 99], "shelf": list("abcabca"), "price": range(7)})
    features = ItemFeatures.from_frame(table, categorical=["shelf"], numerical=["price"])
    weights = {"view": 0.5, "buy": 2.0}
    for loss in ("cross_entropy", "sampled_softmax"):
        check_the_same_is_learned(recorded, monkeypatch, sessions, features, loss=loss, kind_weights=weights)


def test_recordings_are_made_anew_after_what_they_read_has_changed(recorded, monkeypatch):
    def changes(model, epoch):
        model.update(TRAIN.take(np.arange(3)))

    check_the_same_is_learned(recorded, monkeypatch, loss="sampled_softmax", batch_size=2, callbacks=[changes])


@pytest.mark.parametrize(
    "options",
    [
        {"representation": "dynamics"},
        {"sparse": True},
        {"autocast": True},
        {"compile": True},
        {"loss": "hinge", "negative_sampling": lambda sessions, device: lambda count, draw, events: events[:count]},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_a_recording_would_not_know_is_done_step_by_step(options, recorded, monkeypatch):
    monkeypatch.setattr(fitting, "train", lambda *args, **kwargs: [])
    monkeypatch.setattr(fitting.Accelerated, "__init__", lambda *_: None)
    monkeypatch.setattr(fitting, "RecordedSteps", lambda *_: pytest.fail("a step was to be recorded"))
    quick(**options).fit(TRAIN)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.integers(0, 3), st.sampled_from(sorted(LOSSES)))
@settings(deadline=None, max_examples=60)
def test_a_block_has_the_loss_of_its_sessions_in_any_number_of_columns(lengths, more, loss):
    draw = RandomState(sum(lengths))
    sessions = SessionInteractions.from_ragged(
        draw.randint(1, 20, sum(lengths)), np.r_[0, np.cumsum(lengths)], draw.randint(3, size=len(lengths)), 20
    )
    rows = draw.permutation(len(lengths))
    if max(lengths) < 2:
        return
    net = torch.nn.Embedding(20, 3)
    net.states = lambda items, channels=None: net(items)
    net.score = lambda states, targets: (states * net(targets)).sum(-1)
    net.score_items = lambda states, item_ids=None: states @ (net.weight if item_ids is None else net(item_ids)).T
    objective = NextItemObjective(loss, sessions, SAMPLERS["popularity"], 7, RandomState(0), by_targets=True)
    log = SessionsOnDevice(sessions, HOST)
    usual = objective.loss(net, log.batch(rows), [5])
    wide = objective.loss(net, log.gather(Block(torch.from_numpy(rows), max(lengths) + more)), [5])
    torch.testing.assert_close(wide, usual)
    found = [torch.autograd.grad(one, net.weight)[0] for one in (usual, wide)]
    torch.testing.assert_close(found[1], found[0])


def test_blocks_are_the_batches_of_an_epoch():
    sessions, draw = random_sessions(sessions=50), RandomState
    blocks = [*training_blocks(sessions, 8, HOST, draw(1))]
    together = torch.cat([block.numbers for block in blocks]).tolist()
    assert sorted(together) == np.flatnonzero(sessions.lengths >= 2).tolist()
    for block in blocks:
        assert sessions.lengths[block.numbers].max() <= block.time
    again = [*training_blocks(sessions, 8, HOST, draw(1), start=3)]
    assert [block.numbers.tolist() for block in again] == [block.numbers.tolist() for block in blocks[3:]]


def test_of_an_item_that_stands_at_several_places_the_last_is_taken_on_any_device():
    items = torch.tensor([4, 2, 4, 4, 0])
    with simulated_device():
        elsewhere = places_of(items.to(SIMULATED), 6, 9).cpu()
    assert elsewhere.tolist() == places_of(items, 6, 9).tolist() == [4, 9, 1, 9, 3, 9]


def test_sums_in_any_order_leave_the_mode_as_it_was():
    assert not torch.are_deterministic_algorithms_enabled()
    with in_any_order():
        assert not torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with in_any_order():
            assert not torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "hinge"])
def test_a_gpu_learns_the_same_when_it_plays_steps_back(loss, monkeypatch):
    options = {"loss": loss, "n_iter": 3, "use_cuda": True}
    played = quick(**options).fit(TRAIN)
    monkeypatch.setattr(fitting, "RecordedSteps", OneByOne)
    expected = weights_of(quick(**options).fit(TRAIN))
    assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(played).items())
