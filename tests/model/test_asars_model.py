"""``ASARSSequenceModel``: a drop-in for Spotlight's model that sees channels, repeats itself, and guards its door."""

from __future__ import annotations

import copy
import pickle
from itertools import product

import contracts
import numpy as np
import pytest
import torch
from small_models import build
from torch import nn

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars._spotlight import (
    SPOTLIGHT,
    ImplicitSequenceModel,
    LSTMNet,
    SequenceInteractions,
    spotlight_sequence_mrr_score,
)
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.losses import LOSSES
from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.model import building
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet
from spotlight_asars.runtime import devices
from spotlight_asars.sampling import SAMPLERS


def quick(**changes):
    """A small model that trains in a moment."""
    options = {"n_iter": 2, "batch_size": 2, "embedding_dim": 4, "hidden_dim": 5, "user_dim": 3, "time_dim": 3}
    return ASARSSequenceModel(**{**options, "random_state": 0, **changes})


@pytest.fixture
def model(sessions):
    return quick().fit(sessions)


def pairs():
    """Every loss and every representation, each with some of the others; with -m slow each with all."""
    for loss, representation in product(LOSSES, REPRESENTATIONS):
        chosen = loss in ("cross_entropy", "pointwise") or representation in ("gru4rec", "time_dynamics", "mixture")
        yield pytest.param(loss, representation, marks=() if chosen else pytest.mark.slow)


@pytest.mark.parametrize(("loss", "representation"), list(pairs()))
def test_every_loss_trains_every_representation(loss, representation, sessions):
    model = quick(loss=loss, representation=representation)
    assert model.fit(sessions) is model
    assert isinstance(model, ImplicitSequenceModel)
    scores = model.predict(sessions.sequences[1])
    assert scores.shape == (6,)
    assert np.isfinite(scores).all()
    assert scores.argmin() == 0, "padding scores lowest"


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_serves_a_sampled_loss(sampler, sessions):
    assert np.isfinite(quick(loss="bpr", negative_sampling=sampler).fit(sessions).predict([1, 2])).all()


def test_own_functions_serve_as_loss_sampler_and_representation(sessions):
    drawn = []

    def negatives_are_five(sessions, device):
        return lambda count, draw, events: drawn.append(count) or torch.full((count,), 5, device=device)

    model = quick(
        loss=lambda positive, negative, mask: nn.functional.relu(1 - positive + negative)[mask].mean(),
        negative_sampling=negatives_are_five,
        representation=lambda blueprint: ASARSNet(blueprint.num_items, embedding_dim=3),
        num_negative_samples=7,
    ).fit(sessions)
    assert set(drawn) == {7}
    assert model.predict([1, 2]).argmin() == 0


def test_a_net_of_ones_own_is_trained_in_place(sessions):
    net = ASARSNet(6, embedding_dim=3)
    before = copy.deepcopy(net.state_dict())
    quick(representation=net).fit(sessions)
    assert not torch.equal(net.item_embeddings.weight, before["item_embeddings.weight"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"representation": lambda blueprint: 3},
            TypeError,
            "representation must be or make a net with user_representation; got int",
        ),
        (
            {"representation": nn.Linear(2, 3)},
            TypeError,
            "representation must be or make a net with user_representation; got Linear",
        ),
        *(
            (
                {"representation": net},
                ValueError,
                f"representation must have all 6 items, padding included; got {type(net).__name__} with fewer",
            )
            for net in (LSTMNet(5), ASARSNet(5))
        ),
        (
            {"optimizer_func": lambda weights: None},
            TypeError,
            "optimizer_func must return an optimizer of torch; got NoneType",
        ),
        *(
            (
                {"loss": "bpr", "negative_sampling": lambda sessions, device, draw=draw: lambda count, *_: draw(count)},
                TypeError if "tensor" in message else ValueError,
                f"negative_sampling must give {message}",
            )
            for draw, message in (
                (lambda count: torch.zeros(count).long(), "items in 1..5; got 0 at 0"),
                (lambda count: torch.arange(count), "items in 1..5; got 0 at 0"),
                (lambda count: torch.full((count,), 6), "items in 1..5; got 6 at 0"),
                (lambda count: torch.ones(3).long(), r"256 items; got \(3,\)"),
                (lambda count: torch.ones(count), "an int64 tensor; got torch.float32"),
                (lambda count: np.ones(count, int), "an int64 tensor; got ndarray"),
            )
        ),
        ({"loss": lambda *_, mask: 3.0}, TypeError, "loss must return a tensor of one number; got float"),
        ({"loss": lambda positive, *_, mask: positive[:2]}, TypeError, r"loss must return .* one number; got \(2,"),
    ],
)  # fmt: skip
def test_own_parts_that_cannot_work_are_refused_by_name(sessions, options, error, message):
    model = quick(**options)
    with pytest.raises(error, match=f"^{message}"):
        model.fit(sessions)
    if "loss" not in options:  # which is asked in training
        with pytest.raises(RuntimeError, match="predict needs a fitted model"):
            model.predict([1])


# Randomness


def test_the_same_seed_gives_the_same_model_and_leaves_torchs_generator_alone(sessions):
    scores = []
    for noise in (1, 2):
        model = quick(loss="hinge", dropout=0.5, random_state=np.random.RandomState(3))
        torch.manual_seed(noise)
        expected = torch.rand(1)
        torch.manual_seed(noise)
        model.fit(sessions)
        assert torch.equal(torch.rand(1), expected)
        scores.append(model.predict(sessions.sequences))
    np.testing.assert_array_equal(*scores)
    other = quick(loss="hinge", dropout=0.5, random_state=4).fit(sessions)
    assert not np.array_equal(other.predict(sessions.sequences), scores[0])


def test_a_second_fit_goes_on(sessions):
    model = quick(n_iter=1).fit(sessions)
    net, first = model._net, model.predict(sessions.sequences)
    model.fit(sessions)
    assert model._net is net
    assert not np.array_equal(model.predict(sessions.sequences), first)


def test_it_trains_where_the_caller_keeps_no_gradients(sessions):
    with torch.no_grad():
        without = quick().fit(sessions)
        assert not torch.is_grad_enabled(), "the caller's mode is kept"
    np.testing.assert_array_equal(without.predict([1, 2]), quick().fit(sessions).predict([1, 2]))


def test_inference_mode_is_refused_before_anything_is_made(sessions):
    model = quick()
    message = r"^fit needs gradients; call it outside of torch\.inference_mode$"
    with torch.inference_mode(), pytest.raises(RuntimeError, match=message):
        model.fit(sessions)
    np.testing.assert_array_equal(model.fit(sessions).predict([1, 2]), quick().fit(sessions).predict([1, 2]))


def test_no_epochs_leave_the_initial_weights(sessions):
    assert np.isfinite(quick(n_iter=0).fit(sessions).predict([1, 2])).all()


# Modes


def test_dropout_lives_on_after_a_prediction(sessions):
    model = quick(dropout=0.5).fit(sessions)
    np.testing.assert_array_equal(model.predict([1, 2, 3]), model.predict([1, 2, 3]))
    modes = []
    model._net.net.item_rnn.register_forward_hook(lambda net, *_: modes.append(net.training))
    model.fit(sessions)
    assert modes
    assert all(modes)


# Predict


def test_one_row_gives_one_axis_and_more_rows_two(model, sessions):
    rows = model.predict(sessions.sequences)
    assert rows.shape == (4, 6)
    assert rows.dtype == np.float32
    for row in range(4):
        alone = model.predict(sessions.sequences[row])
        np.testing.assert_allclose(alone, rows[row], rtol=1e-5)
        np.testing.assert_array_equal(model.predict(sessions.sequences[row : row + 1]), alone)


def test_chosen_items_get_the_scores_of_the_catalogue(model):
    everything = model.predict([1, 2])
    np.testing.assert_allclose(model.predict([1, 2], item_ids=np.array([3, 0, 5])), everything[[3, 0, 5]], rtol=1e-6)
    np.testing.assert_allclose(model.predict([1, 2], item_ids=np.array([[3], [4]])), everything[[3, 4]], rtol=1e-6)
    np.testing.assert_allclose(model.predict([1, 2], item_ids=3), everything[[3]], rtol=1e-6)
    assert model.predict([[1, 2], [2, 1]], item_ids=[3, 4]).shape == (2, 2)


def test_channels_come_with_the_rows_or_as_arguments(sessions):
    model = quick(representation="time_user").fit(sessions)
    row = sessions.sequences[0]
    with_channels = model.predict(row)
    by_hand = model.predict(np.asarray(row), user_ids=0, dwell_times=sessions.dwell_times[0])
    np.testing.assert_array_equal(by_hand, with_channels)
    assert not np.array_equal(model.predict(row, user_ids=-1), with_channels)
    assert not np.array_equal(model.predict(np.asarray(row), user_ids=0), with_channels)
    np.testing.assert_array_equal(model.predict(np.asarray(row), user_ids=-1), model.predict(np.asarray(row)))


def test_unknown_users_are_all_the_same(model):
    unknown = model.predict([1, 2])
    for user in (-1, 1, 2, 99):  # user 1 has a single session, user 2 none
        np.testing.assert_array_equal(model.predict([1, 2], user_ids=user), unknown)


def test_padding_changes_no_score(model):
    plain = model.predict([3, 1, 2], user_ids=0, dwell_times=[4, 5, 6])
    nan = np.nan
    for items, dwell in (([0, 0, 3, 1, 2], [nan, 7, 4, 5, 6]), ([3, 1, 2, 0, 0], [4, 5, 6, 1, nan])):
        np.testing.assert_allclose(model.predict(items, user_ids=0, dwell_times=dwell), plain, rtol=1e-5)


def test_a_session_of_nothing_is_scored(model):
    assert np.isfinite(model.predict([0, 0])).all()


def test_large_requests_are_cut_into_chunks(model, sessions, monkeypatch):
    whole = model.predict(sessions.sequences)
    best = model.recommend(sessions, k=3)
    monkeypatch.setattr(devices, "SCORES_AT_ONCE", 7)
    np.testing.assert_allclose(model.predict(sessions.sequences), whole, rtol=1e-5)
    np.testing.assert_array_equal(model.recommend(sessions, k=3).items, best.items)


# Recommend


def test_recommendations_are_the_highest_scores(model, sessions):
    scores = model.predict(sessions.sequences)
    best = model.recommend(sessions, k=3)
    np.testing.assert_array_equal(best.items, np.argsort(-scores, axis=1)[:, :3])
    np.testing.assert_allclose(best.scores, -np.sort(-scores, axis=1)[:, :3], rtol=1e-5)
    np.testing.assert_array_equal(model.recommend(sessions.sequences, k=3).items, best.items)
    np.testing.assert_array_equal(model.recommend(sessions.sequences[1], k=3).items[0], best.items[1])


def test_seen_items_are_left_out_and_missing_places_hold_padding(model, sessions):
    best = model.recommend(sessions, k=100, exclude_seen=True)
    assert best.items.shape == (4, 5), "k is at most the size of the catalogue"
    for row, items in enumerate(best.items):
        seen = set(sessions.sequences[row].tolist()) - {0}
        assert set(items.tolist()) - {0} == {1, 2, 3, 4, 5} - seen
        assert (items[5 - len(seen) :] == 0).all()


# An existing Spotlight pipeline


def spotlight(module):
    """A module of the Spotlight that the package stands on."""
    import importlib

    root = "spotlight" if SPOTLIGHT == "upstream" else "spotlight_asars._core"
    return importlib.import_module(f"{root}.{module}")


def test_it_drops_into_a_spotlight_pipeline():
    random_state = np.random.RandomState(42)
    log = spotlight("datasets.synthetic").generate_sequential(
        num_users=60, num_items=50, num_interactions=3000, concentration_parameter=1e-3, random_state=random_state
    )
    train, test = spotlight("cross_validation").user_based_train_test_split(log, random_state=random_state)
    train, test = train.to_sequence(max_sequence_length=10), test.to_sequence(max_sequence_length=10)
    assert type(train) is SequenceInteractions
    model = ASARSSequenceModel(n_iter=15, batch_size=32, random_state=random_state)
    model.fit(train)
    assert spotlight_sequence_mrr_score(model, test).mean() > 0.5


def test_sessions_replace_sequences_in_that_pipeline():
    log = spotlight("datasets.synthetic").generate_sequential(
        num_users=20, num_items=30, num_interactions=500, random_state=np.random.RandomState(0)
    )
    sessions = to_sessions(log, max_sequence_length=10)  # seconds 0, 1, 2, ...: one session of each user, in rows
    model = quick().fit(sessions)
    assert spotlight_sequence_mrr_score(model, sessions).shape == (len(sessions),)


# Validation


def test_the_best_epoch_on_held_out_sessions_is_kept():
    log = generate_sessions(num_users=20, num_items=30, num_sessions=120, random_state=0)
    train, held_out = to_sessions(log).split_latest(0.3)
    model = quick(n_iter=15, learning_rate=0.3, monitor="mrr@10", embedding_dim=32, batch_size=16).fit(
        train, validation=held_out
    )
    found = [epoch.validation for epoch in model.epochs]
    assert len(found) == 15
    assert max(found) > found[-1], "this test needs a run that overfits"
    assert evaluate(model, held_out, k=10)["mrr@10"] == pytest.approx(max(found))


@pytest.mark.parametrize("loss", ["cross_entropy", "bpr"])
def test_patience_stops_when_the_validation_loss_no_longer_falls(loss):
    log = generate_sessions(num_users=20, num_items=30, num_sessions=120, random_state=0)
    model = quick(loss=loss, n_iter=60, learning_rate=0.3, patience=2, embedding_dim=32, batch_size=16)
    model.fit(to_sessions(log), validation=0.3)
    found = [epoch.validation for epoch in model.epochs]
    assert 3 <= len(found) < 60
    assert int(np.argmin(found)) == len(found) - 3


def test_the_validation_loss_is_the_loss_of_every_target():
    log = generate_sessions(num_users=20, num_items=30, num_sessions=60, random_state=0)
    train, held_out = to_sessions(log).split_latest(0.3)
    model = quick(n_iter=1, batch_size=7).fit(train, validation=held_out)
    losses = []
    for row in range(len(held_out)):
        viewed = held_out.sequences[row][held_out.sequences[row] > 0]
        for step in range(1, len(viewed)):
            at = slice(held_out.max_sequence_length - len(viewed), held_out.max_sequence_length - len(viewed) + step)
            scores = torch.from_numpy(model.predict(held_out.sequences[row, at]))
            losses.append(-scores[1:].log_softmax(0)[viewed[step] - 1].item())
    assert model.epochs[0].validation == pytest.approx(np.mean(losses), rel=1e-5)


def test_a_share_holds_the_latest_sessions_out():
    log = generate_sessions(num_users=20, num_items=30, num_sessions=60, random_state=0)
    sessions = to_sessions(log)
    earlier, later = sessions.split_latest(0.25)
    by_share = quick(n_iter=2).fit(sessions, validation=0.25)
    by_hand = quick(n_iter=2).fit(earlier, validation=later)
    np.testing.assert_array_equal(by_share.predict([1, 2]), by_hand.predict([1, 2]))
    assert by_share.epochs == by_hand.epochs


def test_nothing_is_kept_of_a_first_fit_that_is_refused(sessions):
    model, fresh = quick(random_state=7), quick(random_state=7)
    for refused in (SessionInteractions([[1, 9]]), 1.0):
        with pytest.raises(ValueError, match=r"^validation must "):
            model.fit(sessions, validation=refused)
    with pytest.raises(RuntimeError, match=r"^predict needs a fitted model; call fit first$"):
        model.predict([1])
    np.testing.assert_array_equal(model.fit(sessions).predict([1]), fresh.fit(sessions).predict([1]))


@pytest.mark.parametrize(
    ("options", "validation", "message"),
    [
        ({"patience": 3}, None, r"patience must come with sessions to validate on; got 3\. fit\(\.\.\., .*"),
        ({}, 1.0, r"validation must be a share between 0 and 1, or sessions; got 1\.0"),
        ({}, 0.5, r"validation must be sessions where their starts are unknown; got 0\.5"),
        ({}, SessionInteractions([[0, 1]]), r"validation must have a session of two events or more; .*; got 1"),
        ({}, SessionInteractions([[1, 9]]), r"validation must have item ids below 6, .*; got 9 at 1"),
    ],
)
def test_validation_that_cannot_be_is_refused(sessions, options, validation, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        quick(**options).fit(sessions, validation=validation)


def test_parameters_come_back_as_they_were_given():
    given = {"loss": "bpr", "n_iter": 3, "random_state": 7, "patience": 2, "cell": "gru", "user_dropout": 0.25}
    params = ASARSSequenceModel(**given).get_params()
    assert {name: params[name] for name in given} == given
    with pytest.raises(ValueError, match=r"set_params must name arguments of the model, \[.*\]; got 'epochs'"):
        ASARSSequenceModel().set_params(epochs=3)


# The door


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("loss", "log", r"loss must be a callable or one of \['adaptive_hinge', .*\]; got 'log'"),
        ("loss", None, r"loss must be a callable or one of .*; got None"),
        ("representation", "gru5", r"representation must be a callable or one of .*; got 'gru5'"),
        ("negative_sampling", "far", r"negative_sampling must be a callable or one of .*; got 'far'"),
        ("cell", "rnn", r"cell must be one of \['lstm', 'gru'\]; got 'rnn'"),
        ("attention", "all", r"attention must be one of \['prefix', 'causal'\]; got 'all'"),
        ("time_encoding", "raw", r"time_encoding must be one of \['scott', .*\]; got 'raw'"),
        ("patience", 0, "patience must be 1 or more; got 0"),
        ("monitor", "auc@3", r"monitor must be 'loss', or one of \['mrr', 'ndcg', 'recall'\] with .*; got 'auc@3'"),
        ("monitor", "mrr@0", r"monitor must be 'loss', or one of .*; got 'mrr@0'"),
        ("event_dropout", 1.5, r"event_dropout must be a share from 0 up to but not 1; got 1\.5"),
        ("dwell_dropout", -1, r"dwell_dropout must be a share from 0 up to but not 1; got -1"),
        ("last_dwell", "seen", r"last_dwell must be one of \['unknown', 'observed'\]; got 'seen'"),
        ("embedding_dim", 0, "embedding_dim must be 1 or more; got 0"),
        ("batch_size", -1, "batch_size must be 1 or more; got -1"),
        ("num_negative_samples", 0, "num_negative_samples must be 1 or more; got 0"),
        ("hidden_dim", 0, "hidden_dim must be 1 or more; got 0"),
        ("user_dim", 0, "user_dim must be 1 or more; got 0"),
        ("time_dim", 0, "time_dim must be 1 or more; got 0"),
        ("n_iter", -3, "n_iter must be 0 or more; got -3"),
        ("dropout", 1.0, r"dropout must be a share from 0 up to but not 1; got 1\.0"),
        ("user_dropout", -0.5, r"user_dropout must be a share from 0 up to but not 1; got -0\.5"),
        ("learning_rate", 0.0, r"learning_rate must be positive; got 0\.0"),
        ("learning_rate", float("nan"), r"learning_rate must be positive; got nan"),
        ("l2", -1e-3, r"l2 must be 0 or more; got -0\.001"),
    ],
)
def test_an_option_out_of_range_is_refused(option, value, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ASARSSequenceModel(**{option: value})


def test_weight_decay_and_sparse_gradients_exclude_each_other():
    with pytest.raises(
        ValueError, match=r"l2 must be 0 with sparse=True, for weight decay touches every row; got 0\.1"
    ):
        ASARSSequenceModel(sparse=True, l2=0.1)


@pytest.mark.parametrize("ask", ["predict", "recommend"])
def test_asking_before_fit_says_so(ask):
    with pytest.raises(RuntimeError, match=f"^{ask} needs a fitted model; call fit first$"):
        getattr(quick(), ask)([1, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sequence": [1, 6]}, r"sequence must have item ids below num_items, 6; got 6 at \(0, 1\)"),
        ({"sequence": [[1, 2], [-4, 2]]}, r"sequence must not have negative item ids; got -4 at \(1, 0\)"),
        ({"sequence": [1.5]}, r"sequence must be whole numbers.*; got 1\.5 at 0"),
        ({"sequence": []}, r"sequence must be \(time,\) or \(session, time\), with a step or more; got \(1, 0\)"),
        (
            {"sequence": [[[1]]]},
            r"sequence must be \(time,\) or \(session, time\), with a step or more; got \(1, 1, 1\)",
        ),
        ({"sequence": [1], "item_ids": [2, 9]}, r"item_ids must lie in 0\.\.5; got 9 at 1"),
        ({"sequence": [1], "item_ids": []}, r"item_ids must name at least one item; got 0"),
        ({"sequence": [1], "user_ids": [0, 1]}, r"user_ids must have shape \(1,\); got \(2,\)"),
        ({"sequence": [1], "user_ids": -2}, r"user_ids must be 0 or more, or -1 where unknown; got -2 at 0"),
        (
            {"sequence": [1, 2], "dwell_times": [3]},
            r"dwell_times must have the shape of sequence, \(1, 2\); got \(1, 1\)",
        ),
        ({"sequence": [1, 2], "dwell_times": [3, -1]}, r"dwell_times must not be negative; got -1\.0 at \(0, 1\)"),
    ],
)
def test_a_bad_request_is_refused(model, arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        model.predict(**arguments)


def test_a_bad_call_of_recommend_is_refused(model):
    with pytest.raises(ValueError, match="k must be 1 or more; got 0"):
        model.recommend([1, 2], k=0)
    with pytest.raises(ValueError, match=r"sessions must have item ids below num_items, 6; got 7 at \(0, 1\)"):
        model.recommend([1, 7])


@pytest.mark.parametrize("given", [[[1, 2]], "0.1", None, object()])
def test_something_else_than_sessions_is_refused_by_its_name(given, model, sessions):
    calls = {
        "interactions": lambda: quick().fit(given),
        "test": lambda: evaluate(model, given),
        "sessions": lambda: model.update(given),
    }
    if given is not None:
        calls["validation"] = lambda: quick().fit(sessions, validation=given)
    for argument, call in calls.items():
        rule = f"{argument} must be SessionInteractions or Spotlight's SequenceInteractions; got {type(given).__name__}"
        with pytest.raises(TypeError, match=f"^{rule}"):
            call()


@pytest.mark.parametrize("representation", ["user_cat", "dynamics"])
def test_users_that_no_memory_could_hold_are_refused(representation):
    rule = r"user_ids must be below 2\*\*31 where users are learned; got 4611686018427387904"
    with pytest.raises(ValueError, match=rf"^{rule}\. EventLog gives contiguous ones$"):
        quick(representation=representation).fit(SessionInteractions([[1, 2]], user_ids=[2**62]))
    assert quick().fit(SessionInteractions([[1, 2]], user_ids=[2**62])).predict([1], user_ids=2**62).shape == (3,)


def test_sessions_of_one_event_teach_nothing():
    with pytest.raises(
        ValueError, match="interactions must have a session of two events or more; the longest has; got 1"
    ):
        quick().fit(SessionInteractions([[1], [2]]))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    "given",
    [
        SessionInteractions([[1, 2, 3]], user_ids=[0]),
        SessionInteractions([[1, 1, 1], [0, 1, 1]], user_ids=[0, 0]),
        SessionInteractions([[1, 2], [2, 1], [0, 1]], user_ids=[-1, -1, -1], num_users=0),
        SessionInteractions([[1, 2], [3, 1]], dwell_times=[[0.0, 0.0], [0.0, 0.0]]),
        SessionInteractions([[0, 0], [3, 1]]),
    ],
    ids=["one session", "one item", "no known user", "no variation of dwell", "an empty row"],
)
def test_small_logs_work(given, loss):
    model = quick(loss=loss, batch_size=64).fit(given)
    assert np.isfinite(model.predict([1])).all()
    assert model.recommend(given, k=2).items.min() >= 0


# Living with it


def with_gradients(**options):
    """A model of a large catalogue, as it were, and whether its item embeddings get sparse gradients."""
    model, kinds = quick(item_neighbours=0, learning_rate=0.05, **options), set()
    sessions = SessionInteractions([[1, 2, 3], [3, 4, 1]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(building, "EXACT_UP_TO", 3)
        torch.manual_seed(0)
        build(model, sessions)
        weights = model._net.net.item_embeddings.weight
        weights.register_post_accumulate_grad_hook(lambda weights: kinds.add(weights.grad.is_sparse))
        model.fit(sessions)
    (is_sparse,) = kinds
    return model, is_sparse


def test_rows_that_a_batch_does_not_touch_are_left_alone_and_the_model_is_the_same():
    every = {"optimizer_func": lambda weights: torch.optim.Adagrad(weights, lr=0.05)}
    (dense, one), (sparse, other) = (with_gradients(loss="bpr", user_dropout=0, **options) for options in (every, {}))
    assert (one, other) == (False, True)
    np.testing.assert_allclose(sparse.predict([1, 2]), dense.predict([1, 2]), rtol=1e-4)


@pytest.mark.parametrize("options", [{"loss": "cross_entropy"}, {"loss": "bpr", "l2": 0.1}])
def test_gradients_are_dense_where_every_row_moves(options):
    assert not with_gradients(**options)[1]


def test_an_optimizer_of_ones_own_is_used(sessions):
    model = quick(optimizer_func=lambda parameters: torch.optim.SGD(parameters, lr=0.1)).fit(sessions)
    assert isinstance(model._optimizer, torch.optim.SGD)


def test_the_weights_of_a_transformer_move_slower_and_all_others_as_ever(sessions):
    model = quick(representation="transformer", learning_rate=0.2).fit(sessions)
    rates = {id(weight): group["lr"] for group in model._optimizer.param_groups for weight in group["params"]}
    names = dict(model._net.named_parameters())
    assert sorted(rates) == sorted(map(id, names.values()))
    for name, weight in names.items():
        assert rates[id(weight)] == pytest.approx(0.02 if ".transformer." in name else 0.2), name
    assert len(quick().fit(sessions)._optimizer.param_groups) == 1


def test_it_survives_pickle_and_deepcopy_and_goes_on_training(model, sessions):
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        np.testing.assert_array_equal(twin.predict(sessions.sequences), model.predict(sessions.sequences))
        twin.fit(sessions)


def test_a_second_fit_that_fails_leaves_the_scores_as_they_were_neighbours_and_all(model, sessions):
    model._fitted.neighbour_terms.take(Weights(1.0, 0.5, 0.5, -0.2))
    model._fitted.remember_neighbours(sessions)
    before = model.predict(sessions.sequences)
    model._fitted.neighbours = None
    assert not np.allclose(model.predict(sessions.sequences), before), "neighbours say nothing of these sessions"
    handle = next(model._net.parameters()).register_hook(lambda gradient: gradient * np.inf)
    with pytest.raises(ValueError, match="must stay finite"):
        model.fit(sessions)
    handle.remove()
    np.testing.assert_array_equal(model.predict(sessions.sequences), before)


def test_its_repr_shows_the_net(model):
    assert "ASARSSequenceModel" in repr(model)
    assert "item_rnn" in repr(model)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("loss", ["cross_entropy", "bpr"])
def test_the_gpu_gives_the_scores_of_the_cpu(sessions, loss):
    on_cpu, on_gpu = (quick(loss=loss, n_iter=0, use_cuda=flag).fit(sessions) for flag in (False, True))
    on_gpu._net.load_state_dict(on_cpu._net.state_dict())
    np.testing.assert_allclose(on_gpu.predict(sessions.sequences), on_cpu.predict(sessions.sequences), atol=1e-4)
    on_gpu.fit(sessions)
    evaluate(on_gpu, sessions)


def test_the_contracts_sizes_are_primes_apart():
    sizes = (contracts.BATCH, contracts.DIM, contracts.TIME, contracts.ITEMS, contracts.USERS)
    assert len(set(sizes)) == len(sizes)
