"""The loop stops at the first number that is not finite and goes back; nothing else disturbs it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from small_models import build
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.losses import LOSSES
from spotlight_asars.training.loop import CHECK_EVERY, EarlyStopping, Snapshot, train

BATCHES = 2 * CHECK_EVERY + 20
OPTIMIZERS = {
    "sgd with momentum": lambda weights: torch.optim.SGD(weights, lr=0.01, momentum=0.9),
    "adam": lambda weights: torch.optim.Adam(weights, lr=0.01),
    "adagrad": lambda weights: torch.optim.Adagrad(weights, lr=0.01),
}


class Run:
    """A small net and its optimizer; a batch is its number in the epoch, and faults are planted by (epoch, batch)."""

    def __init__(self, optimizer="adam", n_epochs=4, n_batches=BATCHES, faults=()):
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Dropout(0.1), nn.Linear(5, 1))
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.n_epochs, self.n_batches, self.faults = n_epochs, n_batches, dict(faults)
        self.epoch, self.steps, self.losses, self.asked = -1, [], [], []

    def loss_of(self, net, batch):
        assert net is self.net
        torch.manual_seed(1000 * self.epoch + batch)  # of the inputs and of dropout
        loss = (net(torch.randn(7, 3)) ** 2).mean() + self.faults.get((self.epoch, batch), 0.0)
        self.steps.append((self.epoch, batch))
        self.losses.append(loss.item())
        return loss

    def batches(self, epoch, start=0):
        self.epoch += 1
        self.asked.append((epoch, start))
        return range(start, self.n_batches)

    def train(self, verbose=False):
        return train(self.net, self.optimizer, self.loss_of, self.batches, self.n_epochs, self.n_batches, verbose)

    def state(self):
        return self.net.state_dict(), self.optimizer.state_dict()


def assert_same(state, other):
    """Bit for bit, through all levels."""
    assert type(state) is type(other)
    if isinstance(state, torch.Tensor):
        assert torch.equal(state, other)
    elif isinstance(state, dict):
        assert state.keys() == other.keys()
        for key in state:
            assert_same(state[key], other[key])
    elif isinstance(state, (list, tuple)):
        assert len(state) == len(other)
        for one, another in zip(state, other, strict=True):
            assert_same(one, another)
    else:
        assert state == other


@pytest.mark.parametrize("batch", [0, CHECK_EVERY - 1, CHECK_EVERY, BATCHES - 1])
def test_a_loss_that_is_not_finite_is_found_soon_and_undone(batch):
    run, good = Run(faults={(1, batch): np.nan}), Run(n_epochs=1)
    with pytest.raises(ValueError, match=rf"loss must stay finite; got nan in epoch 2, batch {batch + 1}\. "):
        run.train()
    assert len(run.steps) - run.steps.index((1, batch)) <= CHECK_EVERY
    good.train()
    assert_same(run.state(), good.state())


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_the_message_has_value_epoch_batch_and_a_way_out(value):
    with pytest.raises(ValueError, match="loss") as error:
        Run(n_batches=5, faults={(3, 2): float(value)}).train()
    assert str(error.value) == (
        f"loss must stay finite; got {value} in epoch 4, batch 3. "
        "What was learned before this epoch is kept; a lower learning_rate may help"
    )


@pytest.mark.parametrize("epoch", [0, 1, 3])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_weights_buffers_and_optimizer_are_those_before_the_epoch(optimizer, epoch):
    run = Run(optimizer, n_batches=5, faults={(epoch, 2): np.nan})
    with pytest.raises(ValueError, match=f"got nan in epoch {epoch + 1}, batch 3"):
        run.train()
    good = Run(optimizer, n_epochs=epoch, n_batches=5)
    good.train()
    assert_same(run.state(), good.state())


def test_the_first_of_several_faults_is_named():
    run = Run(faults={(0, 120): np.inf, (0, 7): np.nan, (0, 90): np.inf})
    with pytest.raises(ValueError, match="got nan in epoch 1, batch 8"):
        run.train()


def test_training_goes_on_after_a_fault_as_if_it_had_not_been():
    run, good = Run(n_batches=5, faults={(2, 3): np.nan}), Run(n_batches=5)
    with pytest.raises(ValueError, match="epoch 3"):
        run.train()
    run.n_epochs, run.epoch, run.faults = 2, 1, {}
    run.train()
    good.train()
    assert_same(run.state(), good.state())


def test_a_weight_that_is_not_finite_is_named_and_undone():
    """It is so only after the last step, where no loss tells."""
    run = Run("sgd with momentum", n_batches=5)
    first = run.net[0].bias
    good = Run("sgd with momentum", n_epochs=1, n_batches=5)
    good.train()

    def loss_of(net, number):
        loss = Run.loss_of(run, net, number)
        if (run.epoch, number) == (1, 4):
            first.register_hook(lambda gradient: torch.full_like(gradient, float("inf")))
        return loss

    with pytest.raises(ValueError, match=r"0\.bias must stay finite; got -inf in epoch 2, batch 5\. "):
        train(run.net, run.optimizer, loss_of, run.batches, run.n_epochs, run.n_batches, verbose=False)
    assert_same(run.state(), good.state())


def test_each_epoch_is_asked_for_by_its_number():
    run = Run(n_epochs=3)
    run.train()
    assert run.asked == [(0, 0), (1, 0), (2, 0)]


def test_the_mean_loss_of_each_epoch_comes_back():
    run = Run(n_epochs=3, n_batches=5)
    means = [epoch.loss for epoch in run.train()]
    np.testing.assert_allclose(means, np.reshape(run.losses, (3, 5)).mean(axis=1), rtol=1e-6)
    assert all(type(mean) is float for mean in means)
    assert means[-1] < means[0]


def test_no_epoch_changes_nothing():
    run, fresh = Run(n_epochs=0), Run()
    assert run.train() == []
    assert_same(run.state(), fresh.state())


def test_the_progress_bar_is_there_only_if_verbose(capsys):
    Run(n_epochs=2, n_batches=3).train()
    assert capsys.readouterr() == ("", "")
    epochs = Run(n_epochs=2, n_batches=3).train(verbose=True)
    out, err = capsys.readouterr()
    assert not out
    assert "6/6" in err
    assert f"epoch 2/2, loss {epochs[-1].loss:.4f}" in err


def test_every_step_is_in_train_mode_even_after_somebody_predicts():
    run, modes = Run(n_epochs=2, n_batches=3), []

    def loss_of(net, batch):
        modes.append([module.training for module in net.modules()])
        loss = run.loss_of(net, batch)
        net.eval()  # as predict does
        return loss

    run.net.eval()
    train(run.net, run.optimizer, loss_of, run.batches, 2, 3, verbose=False)
    assert len(modes) == 6
    assert all(map(all, modes))


def test_a_snapshot_goes_back_even_where_weights_were_written_to():
    run = Run(n_epochs=1, n_batches=5)
    run.train()
    snapshot, weights = Snapshot(run.net, run.optimizer), run.net[0].weight
    before = [tensor.clone() for tensor in run.net.state_dict().values()]
    run.train()
    with torch.no_grad():
        weights.fill_(torch.nan)
    snapshot.restore()
    assert run.net[0].weight is weights  # the optimizer holds it
    assert_same(list(run.net.state_dict().values()), before)


@pytest.mark.parametrize(("sign", "higher"), [(1, False), (-1, True)])
def test_the_best_epoch_is_kept_and_patience_stops(sign, higher):
    run, values = Run(n_epochs=9, n_batches=2), iter(sign * np.array([5.0, 3.0, 4.0, 3.0, 9.0]))
    stopping = EarlyStopping(patience=3, higher_is_better=higher)
    epochs = train(
        run.net, run.optimizer, run.loss_of, run.batches, 9, 2, validate=lambda: next(values), stopping=stopping
    )
    assert [sign * epoch.validation for epoch in epochs] == [5.0, 3.0, 4.0, 3.0, 9.0]
    good = Run(n_epochs=2, n_batches=2)
    good.train()
    assert_same(run.state(), good.state())


def test_without_patience_all_epochs_run_and_the_best_is_kept():
    run, values = Run(n_epochs=3, n_batches=2), iter([2.0, 1.0, 7.0])
    assert len(train(run.net, run.optimizer, run.loss_of, run.batches, 3, 2, validate=lambda: next(values))) == 3
    good = Run(n_epochs=2, n_batches=2)
    good.train()
    assert_same(run.state(), good.state())


@pytest.mark.parametrize("worst", [np.nan, np.inf])
def test_an_epoch_without_a_number_is_never_the_best(worst):
    run, values = Run(n_epochs=4, n_batches=2), iter([worst, 2.0, worst, 3.0])
    train(run.net, run.optimizer, run.loss_of, run.batches, 4, 2, validate=lambda: next(values))
    good = Run(n_epochs=2, n_batches=2)
    good.train()
    assert_same(run.state(), good.state())


def weights_after(epochs):
    """Of each number of epochs up to `epochs`, without averaging."""
    runs = [Run(n_epochs=count, n_batches=2) for count in range(1, epochs + 1)]
    for run in runs:
        run.train()
    return [[weight.detach().double() for weight in run.net.parameters()] for run in runs]


def assert_average(net, epochs):
    """The net has the polynomial-decay average of these weights, which weighs epoch t by t (t + 1) ... (t + 4)."""
    counts = [math.prod(range(t, t + 5)) for t in range(1, len(epochs) + 1)]
    for weight, *each in zip(net.parameters(), *epochs, strict=True):
        mean = sum(count * one for count, one in zip(counts, each, strict=True)) / sum(counts)
        torch.testing.assert_close(weight.double(), mean, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("epochs", [1, 2, 3, 6])
def test_averaging_ends_with_a_mean_in_which_late_epochs_count_more(epochs):
    run = Run(n_epochs=epochs, n_batches=2)
    train(run.net, run.optimizer, run.loss_of, run.batches, epochs, 2, averaging=True)
    assert_average(run.net, weights_after(epochs))


def test_validation_looks_at_the_average_and_training_does_not_notice():
    run, after, values, seen = Run(n_epochs=5, n_batches=2), weights_after(5), iter([4.0, 3.0, 1.0, 2.0, 5.0]), []

    def validate():
        seen.append(0)
        assert_average(run.net, after[: len(seen)])
        return next(values)

    train(run.net, run.optimizer, run.loss_of, run.batches, 5, 2, validate=validate, averaging=True)
    assert len(seen) == 5
    assert_average(run.net, after[:3])  # the third epoch was the best


def test_a_validation_that_fails_leaves_the_weights_that_were_trained():
    run = Run(n_epochs=3, n_batches=2)

    def validate():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train(run.net, run.optimizer, run.loss_of, run.batches, 3, 2, validate=validate, averaging=True)
    assert_average(run.net, weights_after(1))


SESSIONS = SessionInteractions(
    np.random.RandomState(0).randint(1, 40, (30, 4)),
    user_ids=np.arange(30) % 10,
    dwell_times=np.random.RandomState(1).rand(30, 4) * 100,
)


def make_model(loss="bpr", n_iter=3, **options):
    options = {"batch_size": 10, "embedding_dim": 8, "hidden_dim": 8, "neighbours": False, **options}
    return ASARSSequenceModel(loss, n_iter=n_iter, random_state=0, **options)


@pytest.mark.parametrize("averaging", [True, False])
def test_a_model_that_diverges_is_as_if_training_had_ended_before_that_epoch(averaging):
    calls = []

    def loss(positive, negative, mask):
        calls.append(0)
        return LOSSES["bpr"](positive, negative, mask=mask) * (np.nan if len(calls) == 8 else 1)

    model = make_model(loss, averaging=averaging)
    with pytest.raises(ValueError, match="loss must stay finite; got nan in epoch 3, batch 2"):
        model.fit(SESSIONS)
    good = make_model(n_iter=2, averaging=averaging).fit(SESSIONS)
    assert_same(model._net.state_dict(), good._net.state_dict())
    assert_same(model._optimizer.state_dict(), good._optimizer.state_dict())
    assert np.isfinite(model.predict([1, 2])).all()


def test_a_learning_rate_that_is_too_high_is_told():
    with pytest.raises(ValueError, match=r"must stay finite; got .* a lower learning_rate may help"):
        make_model(learning_rate=1e38).fit(SESSIONS)


def test_dropout_stays_on_when_a_loss_predicts():
    modes = []

    def loss(positive, negative, mask):
        model.predict([1, 2])
        assert not model._net.training
        return LOSSES["bpr"](positive, negative, mask=mask)

    def note(module, inputs):
        if torch.is_grad_enabled():
            modes.append(module.training)

    model = make_model(loss, n_iter=3)
    build(model, SESSIONS)
    model._net.net.dropout.register_forward_pre_hook(note)
    model.fit(SESSIONS)
    assert modes == [True] * 9


def test_a_fit_is_quiet_unless_verbose(capsys):
    make_model().fit(SESSIONS)
    assert capsys.readouterr() == ("", "")
    for neighbours in (False, True):  # whose first epoch has a part of its own
        make_model(neighbours=neighbours).fit(SESSIONS, verbose=True)
        assert "9/9" in capsys.readouterr().err


def test_without_averaging_the_weights_are_the_latest():
    latest, averaged = (make_model("cross_entropy", averaging=switch).fit(SESSIONS) for switch in (False, True))
    assert [epoch.loss for epoch in latest.epochs] == [epoch.loss for epoch in averaged.epochs]
    assert not np.allclose(latest.predict([1, 2]), averaged.predict([1, 2]))
    each = [make_model("cross_entropy", n_iter=count, averaging=False).fit(SESSIONS) for count in (1, 2, 3)]
    assert_average(averaged._net, [[weight.detach().double() for weight in model._net.parameters()] for model in each])
