"""Steps that are played back learn, to the bit, what the same steps learn one by one, with nothing from the host."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
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
from spotlight_asars.evaluation import evaluate
from spotlight_asars.losses import LOSSES, masked_mean
from spotlight_asars.memory.score_terms import _at_columns
from spotlight_asars.model import fitting
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet
from spotlight_asars.representations.item_graph import PART, ItemGraph
from spotlight_asars.runtime.devices import deterministic, in_any_order, places_of
from spotlight_asars.sampling import SAMPLERS, Draw
from spotlight_asars.sessions.batching import Block, SessionsOnDevice
from spotlight_asars.sessions.passes import as_blocks, training_rows
from spotlight_asars.training.objective import MOST_SEEN, NextItemObjective
from spotlight_asars.training.recording import RecordedSteps

TRAIN = random_sessions(sessions=16)
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


@pytest.mark.parametrize("representation", ["gru4rec", "time_user", "transformer"])
def test_nets_of_every_make_learn_the_same_when_they_are_played_back(representation, recorded, monkeypatch):
    check_the_same_is_learned(recorded, monkeypatch, representation=representation, loss="sampled_softmax")


@pytest.mark.parametrize("representation", WITHOUT_DRIFT)
def test_every_representation_learns_from_blocks_what_it_learns_from_batches(representation, recorded, monkeypatch):
    still = {
        "dropout": 0.0,
        "user_dropout": 0.0,
        "dwell_dropout": 0.0,
        "batch_size": 2,
        "n_iter": 1,
        "neighbours": False,
    }
    played = quick(representation=representation, **still).fit(TRAIN)
    assert recorded
    monkeypatch.setattr(fitting, "recorder_for", lambda device: None)
    usual = quick(representation=representation, **still).fit(TRAIN)
    np.testing.assert_allclose(
        [epoch.loss for epoch in played.epochs], [epoch.loss for epoch in usual.epochs], rtol=1e-4
    )
    rows = TRAIN.sequences
    np.testing.assert_allclose(played.predict(rows)[:, 1:], usual.predict(rows)[:, 1:], rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("loss", ["cross_entropy", "hinge", "bpr_max", "adaptive_hinge"])
def test_losses_of_every_kind_learn_the_same_when_they_are_played_back(loss, recorded, monkeypatch):
    check_the_same_is_learned(recorded, monkeypatch, loss=loss, event_dropout=0.2)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_the_same_when_it_is_played_back(sampler, recorded, monkeypatch):
    check_the_same_is_learned(recorded, monkeypatch, loss="sampled_softmax", negative_sampling=sampler)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_padding_behind_the_events_of_a_mini_batch_changes_no_draw(sampler):
    events = torch.tensor([5, 3, 9, 9, 2])
    sample = SAMPLERS[sampler](TRAIN, HOST)
    expected, items = sample(8, Draw(3), events), torch.arange(1, 10)
    with simulated_device():
        there = SAMPLERS[sampler](TRAIN, SIMULATED)
        padded = torch.cat([events, events.new_zeros(20)]).to(SIMULATED)
        assert there(8, Draw(3, SIMULATED), padded).tolist() == expected.tolist()
        chances = there.log_probability(items.to(SIMULATED), padded).cpu()
    torch.testing.assert_close(chances, sample.log_probability(items, events))


class Zeroing(torch.optim.SGD):
    """Leaves zeros, not nothing."""

    def zero_grad(self, set_to_none=True):
        super().zero_grad(set_to_none=False)


def test_an_optimizer_that_keeps_gradients_learns_the_same(recorded, monkeypatch):
    optimizer = partial(Zeroing, lr=0.1, momentum=0.9, foreach=False)
    check_the_same_is_learned(recorded, monkeypatch, loss="sampled_softmax", optimizer_func=optimizer)


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
        {"loss": lambda positive, negative, mask=None: masked_mean(negative - positive, mask)},
        {"representation": lambda blueprint: ASARSNet(blueprint.num_items)},
        {"loss": "hinge", "batch_size": MOST_SEEN},
    ],
    ids=lambda options: " ".join(options),
)
def test_what_a_recording_would_not_know_is_done_step_by_step(options, recorded, monkeypatch):
    monkeypatch.setattr(fitting, "train", lambda *args, **kwargs: [])
    monkeypatch.setattr(fitting.Accelerated, "__init__", lambda *_: None)
    monkeypatch.setattr(fitting, "RecordedSteps", lambda *_: pytest.fail("a step was to be recorded"))
    if options.get("batch_size") == MOST_SEEN:
        monkeypatch.setattr("spotlight_asars.training.objective.MOST_SEEN", 1)
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


@pytest.mark.parametrize(
    ("loss", "sampler"), [*((loss, "local") for loss in LOSSES), *(("hinge", s) for s in SAMPLERS)]
)
def test_a_block_has_loss_and_gradients_of_its_batch_with_all_memories_on_a_device(
    loss, sampler, recorded, monkeypatch
):
    parts = []
    monkeypatch.setattr(fitting, "_recorded_steps", lambda *given: parts.extend(given))
    still = {"dropout": 0.0, "user_dropout": 0.0, "dwell_dropout": 0.0}
    sampler = "popularity" if loss == "sampled_softmax" and sampler == "local" else sampler
    sessions = random_sessions(sessions=14)
    quick(representation="time_user", loss=loss, negative_sampling=sampler, num_negative_samples=6, **still).fit(
        sessions
    )
    fitted, _, objective, net, batches = parts
    rows, fitted_net = np.array([3, 7, 1, 11]), fitted.net.train()
    numbers = torch.from_numpy(rows).to(SIMULATED)
    usual = objective.loss(net, batches._recalled(batches._log.batch(rows, numbers)), [3])
    wide = objective.loss(net, batches.gather(Block(numbers, int(sessions.lengths[rows].max()) + 2)), [3])
    torch.testing.assert_close(wide.cpu(), usual.cpu())
    weights = [*fitted_net.parameters()]
    ours, theirs = (torch.autograd.grad(one, weights, allow_unused=True) for one in (wide, usual))
    for found, expected in zip(ours, theirs, strict=True):
        assert (found is None) == (expected is None)
        if found is not None:
            torch.testing.assert_close(found.cpu(), expected.cpu(), rtol=1e-4, atol=1e-6)


def test_a_fit_that_was_killed_goes_on_with_recordings_to_the_same_weights(recorded, tmp_path):
    class Killed(Exception):
        pass

    def dies(model, epoch):
        if epoch == 2:
            raise Killed

    options = {"loss": "sampled_softmax", "batch_size": 4, "n_iter": 3}
    whole = quick(**options).fit(TRAIN, checkpoint=tmp_path / "whole", every=2)
    with pytest.raises(Killed):
        quick(**options).fit(TRAIN, checkpoint=tmp_path / "killed", every=2, callbacks=[dies])
    resumed = quick(**options).fit(TRAIN, checkpoint=tmp_path / "killed", every=2)
    expected = weights_of(whole)
    assert recorded
    assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(resumed).items())


def test_looking_at_sessions_between_epochs_leaves_recordings_as_they_are(recorded):
    made = []

    def looks(model, epoch):
        evaluate(model, TRAIN, roll_history=True)
        made.append(len(recorded))

    quick(loss="sampled_softmax", batch_size=4, n_iter=4).fit(TRAIN, validation=0.2, callbacks=[looks])
    assert made[1] == made[-1] > 0


def test_blocks_are_the_batches_of_an_epoch_but_for_those_that_would_be_mostly_padding():
    sessions, log = random_sessions(sessions=50), SessionsOnDevice(random_sessions(sessions=50), HOST)
    blocks = [*as_blocks(log, *training_rows(sessions, 8, RandomState(1)))]
    together = torch.cat([block.numbers for block in blocks]).tolist()
    assert sorted(together) == np.flatnonzero(sessions.lengths >= 2).tolist()
    for block in blocks:
        assert isinstance(block, Block)
        assert sessions.lengths[block.numbers].max() <= block.time
    again = [*as_blocks(log, *training_rows(sessions, 8, RandomState(1), start=3))]
    assert [block.numbers.tolist() for block in again] == [block.numbers.tolist() for block in blocks[3:]]

    lengths = np.r_[np.full(9, 2), 60]
    uneven = SessionInteractions.from_ragged(np.ones(lengths.sum(), int), np.r_[0, np.cumsum(lengths)], num_items=3)
    (batch,) = as_blocks(SessionsOnDevice(uneven, HOST), *training_rows(uneven, 10, RandomState(0)))
    assert batch.items.shape == (10, 60)
    assert batch.real is None


def test_sums_in_parts_are_the_gradient_of_an_item_that_many_have_as_a_neighbour():
    draw = RandomState(0)
    neighbours = torch.from_numpy(np.where(draw.rand(300, 3) < 0.6, 7, draw.randint(1, 300, (300, 3)))).int()
    shares = torch.from_numpy(draw.rand(300, 3) * (draw.rand(300, 3) < 0.8)).float()
    into = torch.from_numpy(draw.randn(300, 2)).float()

    def gradient(device):
        graph = ItemGraph(300, 3).to(device)
        graph.connect(neighbours.to(device), shares.to(device))
        embeddings = torch.ones(300, 2, device=device, requires_grad=True)
        (found,) = torch.autograd.grad((graph(embeddings) * into.to(device)).sum(), embeddings)
        return found.cpu()

    expected = into.clone()
    expected.index_add_(0, neighbours.flatten().long(), (shares.unsqueeze(2) * into.unsqueeze(1)).flatten(0, 1))
    assert (neighbours == 7).sum() > 3 * PART
    torch.testing.assert_close(gradient(HOST), expected, rtol=1e-4, atol=1e-4)
    with simulated_device():
        torch.testing.assert_close(gradient(SIMULATED), expected, rtol=1e-4, atol=1e-4)


def test_columns_that_are_taken_several_times_have_the_sum_of_the_gradients():
    draw, columns = RandomState(0), torch.tensor([2, 0, 2, 4, 2])
    matrix, into = (torch.from_numpy(draw.randn(3, 6)).requires_grad_(), torch.from_numpy(draw.randn(3, 5)))
    (expected,) = torch.autograd.grad((matrix[:, columns] * into).sum(), matrix)
    with simulated_device():
        there = matrix.detach().to(SIMULATED).requires_grad_()
        taken = _at_columns(there, columns.to(SIMULATED))
        assert torch.equal(taken.cpu(), matrix[:, columns])
        (found,) = torch.autograd.grad((taken * into.to(SIMULATED)).sum(), there)
        torch.testing.assert_close(found.cpu(), expected)


def test_of_an_item_that_stands_at_several_places_one_is_taken_on_a_device_the_last():
    items = torch.tensor([4, 2, 4, 4, 0])
    with simulated_device():
        elsewhere = places_of(items.to(SIMULATED), 6, 9).cpu()
    assert elsewhere.tolist() == [4, 9, 1, 9, 3, 9]
    here = places_of(items, 6, 9)
    assert here[[0, 1, 2, 3, 5]].tolist() == [4, 9, 1, 9, 9]
    assert here[4] in (0, 2, 3)


def test_sums_in_any_order_change_the_mode_of_the_thread_alone_that_trains():
    with in_any_order():
        assert not torch.are_deterministic_algorithms_enabled()
    with deterministic(torch.device("cuda")):
        with in_any_order():
            assert not torch.are_deterministic_algorithms_enabled()
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        with ThreadPoolExecutor(1) as other, ExitStack() as block:
            other.submit(block.enter_context, in_any_order()).result()
            assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "hinge"])
def test_a_gpu_learns_the_same_when_it_plays_steps_back(loss, monkeypatch):
    options = {"loss": loss, "n_iter": 3, "use_cuda": True}
    played = quick(**options).fit(TRAIN)
    monkeypatch.setattr(fitting, "RecordedSteps", OneByOne)
    expected = weights_of(quick(**options).fit(TRAIN))
    assert all(torch.equal(weight, expected[name]) for name, weight in weights_of(played).items())
