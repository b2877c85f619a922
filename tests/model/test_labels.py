"""Kinds of events and the context of sessions: what a net makes of them, what targets weigh, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.random import RandomState
from small_models import quick

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars._spotlight import spotlight_sequence_mrr_score as spotlights_score
from spotlight_asars.evaluation import evaluate, sequence_mrr_score
from spotlight_asars.losses import LOSSES, Loss, masked_mean
from spotlight_asars.model.fitting import weights_by_kind
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.sessions.targets import weight_of_targets

KINDS, PLACES = ("view", "cart", "buy", None), ("phone", "tv", None)
OURS = ("gru4rec", "time_user", "time_dynamics", "time_transformer")
ALONE = {"history": False, "transitions": False, "neighbours": False}


def make_log(seed=0, kinds=KINDS, places=PLACES, sessions=40):
    draw = RandomState(seed)
    users = draw.randint(4, size=sessions)
    rows = [
        (
            f"user {users[session]}",
            "abcdef"[draw.randint(6)],
            9000 * session + 60 * step,
            kinds[draw.randint(len(kinds))],
            places[session % len(places)],
        )
        for session in range(sessions)
        for step in range(3)
    ]
    return pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "behavior", "device"])


def log_of(frame, **columns):
    return EventLog.from_frame(frame, **{"kind": "behavior", "context": ["device"], **columns})


LOG = log_of(make_log())
TRAIN = to_sessions(LOG)
PLAIN = to_sessions(EventLog.from_frame(make_log()))


def weights_of(model):
    return {name: tensor.detach().clone() for name, tensor in model._net.state_dict().items()}


def assert_same(one, other):
    one, other = weights_of(one), weights_of(other)
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_one_kind_changes_nothing_to_the_bit():
    frame = make_log(kinds=("view",), places=("tv",))
    labelled, plain = to_sessions(log_of(frame)), to_sessions(EventLog.from_frame(frame))
    assert labelled.num_kinds == 2
    for options in ({}, {"kind_weights": {"view": 3.0}}, {"loss": "bpr"}):
        known = quick(n_iter=2, **options).fit(labelled, validation=0.2)
        options.pop("kind_weights", None)
        unknown = quick(n_iter=2, **options).fit(plain, validation=0.2)
        assert_same(known, unknown)
        np.testing.assert_array_equal(evaluate(known, labelled).ranks, evaluate(unknown, plain).ranks)


def test_equal_weights_of_all_kinds_change_nothing():
    sessions = to_sessions(log_of(make_log(kinds=KINDS[:3])))
    weighted = quick(kind_weights={"view": 2.0, "cart": 2.0, "buy": 2.0}).fit(sessions)
    assert_same(weighted, quick().fit(sessions))


@pytest.mark.parametrize("representation", OURS)
def test_labels_start_without_a_part_in_the_scores_and_learn_one(representation):
    fresh = quick(n_iter=0, representation=representation).fit(TRAIN)
    rows, kinds = TRAIN.sequences[:6], TRAIN.kinds[:6]
    np.testing.assert_array_equal(fresh.predict(np.array(rows)), fresh.predict(np.array(rows), kinds=kinds))
    model = quick(n_iter=2, representation=representation).fit(TRAIN)
    plain = model.predict(np.array(rows))
    by_kind, by_place = (model.predict(np.array(rows), **{name: labels}) for name, labels in
                         (("kinds", kinds), ("context", TRAIN.context[:6])))  # fmt: skip
    assert (by_kind != plain).any()
    assert (by_place != plain).any()
    np.testing.assert_array_equal(model.predict(np.array(rows), kinds=np.zeros_like(kinds)), plain)
    np.testing.assert_array_equal(model.predict(np.array(rows), kinds=np.full_like(kinds, 9)), plain, "never met")
    np.testing.assert_array_equal(model.predict(np.array(rows), context=np.full((6, 1), 7)), plain, "never met")


def test_spotlights_own_nets_and_baselines_read_sessions_with_labels():
    for name in set(REPRESENTATIONS) - set(OURS):
        with_labels = quick(representation=name, n_iter=1).fit(TRAIN).predict(np.array(TRAIN.sequences[:3]))
        assert np.isfinite(with_labels).all()


def test_spotlights_evaluator_hands_labels_on():
    model = quick(n_iter=3, learning_rate=0.3).fit(TRAIN)
    np.testing.assert_allclose(spotlights_score(model, TRAIN), sequence_mrr_score(model, TRAIN))
    plain = SequenceInteractions(np.array(TRAIN.sequences), num_items=TRAIN.num_items)
    assert (spotlights_score(model, plain) != spotlights_score(model, TRAIN)).any()
    np.testing.assert_allclose(spotlights_score(model, plain), sequence_mrr_score(model, plain))


@pytest.mark.parametrize("representation", OURS)
@pytest.mark.parametrize("last_dwell", ["unknown", "observed"])
def test_a_live_session_scores_as_predict_does(representation, last_dwell):
    model = quick(n_iter=3, representation=representation, last_dwell=last_dwell, learning_rate=0.2).fit(TRAIN)
    session = model.start_session("user 1", context={"device": "tv"})
    for item, kind in zip("cafe", ("buy", None, "view", "odd"), strict=True):
        session.append(item, kind=kind)
    assert session.as_sessions().flat_kinds.tolist() == [1, 0, 3, 0]
    expected = model.recommend(
        [list("cafe")], user_ids=["user 1"], kinds=[["buy", None, "view", "odd"]], context={"device": ["tv"]}
    )
    found = session.recommend()
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-4, atol=1e-5)
    codes = model.predict([3, 1, 6, 5], user_ids=1, kinds=[1, 0, 3, 0], context=[2])
    np.testing.assert_allclose(session.scores()[1:], codes[1:], rtol=1e-4, atol=1e-5)


def test_logs_frames_and_lists_say_the_same():
    model = quick(n_iter=2, learning_rate=0.3).fit(TRAIN)
    frame = make_log(seed=3, kinds=("buy", "odd", None, "view"), places=("tv", "radio"), sessions=4)
    names = {"kind": "behavior", "context": ["device"]}
    by_frame = model.recommend(frame, k=3, columns=names)
    log = log_of(frame)
    by_log = model.recommend(log, k=3)
    by_sessions = model.recommend(to_sessions(log.encode_like(model)), k=3)
    np.testing.assert_array_equal(by_frame.items, by_log.items)
    np.testing.assert_array_equal(by_frame.scores, by_log.scores)
    np.testing.assert_array_equal(by_log.scores, by_sessions.scores)
    sessions = to_sessions(log)
    rows = [part.tolist() for part in np.split(log.item_vocabulary.decode(sessions.items), sessions.offsets[1:-1])]
    kinds = np.array([None, *log.kind_vocabulary.raw], object)[sessions.flat_kinds]
    lists = model.recommend(
        rows,
        k=3,
        user_ids=log.user_vocabulary.decode(sessions.user_ids),
        dwell_times=[part.tolist() for part in np.split(sessions.flat_dwell_times, sessions.offsets[1:-1])],
        started=sessions.started,
        kinds=[part.tolist() for part in np.split(kinds, sessions.offsets[1:-1])],
        context={"device": ["tv" if code == 2 else "radio" for code in sessions.context[:, 0]]},
    )
    np.testing.assert_array_equal(lists.scores, by_log.scores)


def test_a_model_file_and_a_model_that_grew_keep_labels(tmp_path):
    weights = {"view": 1.0, "cart": 0.0, "buy": 5.0}
    model = quick(n_iter=2, learning_rate=0.3, kind_weights=weights).fit(TRAIN)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    assert loaded.get_params()["kind_weights"] == weights
    assert loaded.kind_vocabulary.raw.tolist() == ["buy", "cart", "view"]
    assert loaded.context_vocabularies["device"].raw.tolist() == ["phone", "tv"]
    np.testing.assert_array_equal(loaded.predict(TRAIN.sequences[:9]), model.predict(TRAIN.sequences[:9]))
    frame = make_log(seed=5, kinds=("buy", "sell"), sessions=6).replace({"item_id": {"a": "new"}})
    later = to_sessions(log_of(frame).encode_like(loaded, grow=True))
    assert later.kind_vocabulary.raw.tolist() == ["buy", "cart", "view", "sell"]
    before = loaded.predict(TRAIN.sequences[:9], np.arange(1, 7))
    loaded.update(later)
    assert loaded.num_items == model.num_items + 1
    grown, known = (one._fitted.asars.kinds.vectors.detach() for one in (loaded, model))
    np.testing.assert_array_equal(grown[:, :4], known)
    assert not grown[:, 4].any()
    assert (loaded.predict(TRAIN.sequences[:9], np.arange(1, 7)) == before).mean() < 1, "memories are others"
    loaded.fit(later)
    assert loaded.kind_vocabulary.raw.tolist() == ["buy", "cart", "view", "sell"]


def test_integer_kinds_have_weights_in_a_model_file(tmp_path):
    frame = make_log(kinds=(3, 7), places=("tv",))
    sessions = to_sessions(log_of(frame))
    quick(kind_weights={3: 1.0, np.int64(7): 2.0}).fit(sessions).save(tmp_path / "model")
    assert ASARSSequenceModel.load(tmp_path / "model").get_params()["kind_weights"] == {3: 1.0, 7: 2.0}


def test_a_checkpoint_of_other_kinds_is_refused(tmp_path):
    quick(n_iter=1).fit(TRAIN, checkpoint=tmp_path)
    shuffled = TRAIN.take(np.arange(len(TRAIN)))
    shuffled.flat_kinds = RandomState(0).permutation(shuffled.flat_kinds)
    with pytest.raises(ValueError, match="checkpoint"):
        quick(n_iter=1).fit(shuffled, checkpoint=tmp_path)


def test_a_report_by_kind_has_the_ranks_of_its_targets():
    model = quick(n_iter=1).fit(TRAIN)
    report = evaluate(model, TRAIN, k=3, by="kind")
    names = ["unknown", "buy", "cart", "view"]
    kinds = [kind for start, stop in pairwise(TRAIN.offsets) for kind in TRAIN.flat_kinds[start + 1 : stop]]
    assert set(report.by) == {"seen", *names}
    for code, name in enumerate(names):
        expected = [rank for rank, kind in zip(report.ranks, kinds, strict=True) if kind == code]
        assert report.by[name].ranks.tolist() == expected
    assert set(evaluate(model, TRAIN, k=3).by) == {"seen"}
    with pytest.raises(ValueError, match="test must have kinds to report by"):
        evaluate(model, PLAIN, by="kind")
    with pytest.raises(ValueError, match="by must be None or 'kind'"):
        evaluate(model, TRAIN, by="weekday")


WEIGHTS = (1.0, 0.0, 2.5, 4.0)  # of unknown kind, "buy", "cart" and "view"


def own_loss(positive, negative, mask=None):
    return masked_mean((1 - positive + negative) ** 2, mask)


def squares(scores, targets):
    return ((scores.gather(1, targets.unsqueeze(1)) - 1) ** 2).mean() + (scores**2).mean()


LOSS_CASES = {**LOSSES, "own": Loss(own_loss), "own over the catalogue": Loss(own_loss, over_catalogue=squares)}


def copies(sessions, count):
    """Sessions of which each event but the first stands in `count` copies of a session of its own, as its last."""
    rows, kinds = [], []
    for start, stop in pairwise(sessions.offsets):
        rows.append(sessions.items[start:stop])
        kinds.append(sessions.flat_kinds[start:stop])
    items, labels = np.concatenate(rows * count), np.concatenate(kinds * count)
    return SessionInteractions.from_ragged(
        items, np.r_[0, np.cumsum([len(row) for row in rows * count])], None, sessions.num_items, kinds=labels
    )


@pytest.mark.parametrize("name", sorted(LOSS_CASES))
def test_the_loss_of_a_batch_is_a_mean_weighted_by_kind(name):
    """Each target in a batch of its own, and the mean of those by hand; with negatives that leave no pair out."""
    from spotlight_asars.representations import build
    from spotlight_asars.sessions.batching import SessionsOnDevice
    from spotlight_asars.training.objective import NextItemObjective

    import contracts  # isort: skip

    sessions = SessionInteractions(
        [[1, 2], [2, 3], [3, 4], [4, 5], [5, 6]],
        num_items=contracts.ITEMS,
        kinds=[[1, 0], [1, 1], [2, 2], [3, 3], [0, 2]],
    )
    net = build("gru4rec", contracts.BLUEPRINT._replace(dropout=0.0)).double().eval()

    class Fixed:
        """The same negatives in each batch, none of which is a target or seen by the sessions."""

        def __init__(self, *_):
            pass

        def __call__(self, number, draw, events):
            return torch.tensor([7, 8, 9])

        def log_probability(self, items, events):
            return torch.zeros(items.shape, dtype=torch.float64) - 2.0

    options = {"loss": LOSS_CASES[name], "sampler": Fixed, "num_negatives": 3, "random_state": RandomState(0)}
    objective = NextItemObjective(sessions=sessions, kind_weights=WEIGHTS, **options)
    plain = NextItemObjective(sessions=sessions, **options)
    log = SessionsOnDevice(sessions, torch.device("cpu"))
    each = [plain(net, log.batch(np.array([row]))) for row in range(5)]
    weights = [WEIGHTS[kind] for kind in (0, 1, 2, 3, 2)]
    expected = sum(weight * loss for weight, loss in zip(weights, each, strict=True)) / sum(weights)
    found = objective(net, log.batch(np.arange(5)))
    torch.testing.assert_close(found, expected)
    found_gradients = torch.autograd.grad(found, net.item_embeddings.weight)
    each = [plain(net, log.batch(np.array([row]))) for row in range(5)]
    parts = [torch.autograd.grad(loss, net.item_embeddings.weight)[0] for loss in each]
    summed = sum(weight * part for weight, part in zip(weights, parts, strict=True)) / sum(weights)
    torch.testing.assert_close(found_gradients[0], summed)
    assert float(objective.weight(log.batch(np.arange(5)))) == sum(weights) == weight_of_targets(sessions, WEIGHTS)
    nothing = NextItemObjective(sessions=sessions, kind_weights=(0.0, 0.0, 0.0, 4.0), by_targets=True, **options)
    assert float(nothing(net, log.batch(np.arange(3))).detach()) == 0, "no target of this batch weighs anything"


@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "bpr"])
def test_a_target_weighs_the_same_in_every_batch(loss):
    """Batches of one kind each: a mean within the batch alone would forget the weight."""
    sessions = SessionInteractions([[1, 2], [3, 4]] * 20, num_items=5, kinds=[[1, 1], [2, 2]] * 20)
    options = {
        "batch_size": 1,
        "negative_sampling": "uniform",
        "loss": loss,
        "n_iter": 1,
        "optimizer_func": lambda weights: torch.optim.SGD(weights, 0.1),
    }
    model = quick(kind_weights={1: 0.0, 2: 1.0}, averaging=False, dropout=0.0, **ALONE, **options).fit(sessions)
    fresh = quick(**ALONE, **{**options, "n_iter": 0}).fit(sessions)
    moved = (model._fitted.asars.item_biases.weight - fresh._fitted.asars.item_biases.weight).detach()[:, 0]
    assert moved[4] > 0
    assert moved[2] <= 0


def test_a_kind_without_weight_is_read_but_not_predicted():
    draw = RandomState(0)
    first = draw.randint(1, 4, 300)
    rows = np.stack([first, 3 + draw.randint(1, 4, 300), first + 6], axis=1)  # the view of another item between
    sessions = SessionInteractions(rows, num_items=10, kinds=np.tile([1, 1, 2], (300, 1)))
    options = {"n_iter": 15, "embedding_dim": 16, "hidden_dim": 32, "learning_rate": 0.1, **ALONE}
    model = quick(kind_weights={1: 0.0, 2: 1.0}, **options).fit(sessions)
    biases = model._fitted.asars.item_biases.weight[1:, 0].detach().numpy()
    assert biases[6:].min() > 0 > biases[:6].max(), "only what is bought is worth recommending"
    right = [model.recommend([[item, 5]], k=1).items[0, 0] == item + 6 for item in (1, 2, 3)]
    assert all(right)


def test_validation_is_weighted_as_training():
    weights = {"view": 1.0, "cart": 0.0, "buy": 5.0}
    model = quick(n_iter=1, kind_weights=weights, averaging=False).fit(TRAIN, validation=0.3)
    kept = quick(n_iter=1, kind_weights=weights, averaging=False).fit(TRAIN, validation=0.3)
    assert model.epochs == kept.epochs
    assert model.epochs != quick(n_iter=1, averaging=False).fit(TRAIN, validation=0.3).epochs


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"view": 1.0, "cart": 1.0}, r"kind_weights must have a weight for each kind of the sessions; got \"?none for"),
        ({"view": 1.0, "cart": 1.0, "buy": 1.0, "odd": 2.0}, "kind_weights must name kinds of the sessions"),
    ],
)
def test_weights_that_do_not_fit_the_kinds_are_refused(weights, message):
    model = quick(kind_weights=weights)
    with pytest.raises(ValueError, match=message):
        model.fit(TRAIN)
    assert model._fitted is None
    with pytest.raises(ValueError, match="kind_weights must come with sessions that know kinds"):
        model.fit(PLAIN)


@pytest.mark.parametrize("weights", [{"view": -1.0}, {"view": np.nan}, {"view": np.inf}, {"view": 0.0}, {}, {2.5: 1.0}])
def test_odd_weights_are_refused(weights):
    with pytest.raises(ValueError, match="kind_weights"):
        quick(kind_weights=weights)
    with pytest.raises(TypeError, match="kind_weights"):
        quick(kind_weights=["view"])


def test_weights_that_leave_no_target_are_refused():
    sessions = SessionInteractions([[1, 2], [2, 1]], kinds=[[2, 1], [2, 1]])
    with pytest.raises(ValueError, match="kind_weights must leave targets among the sessions"):
        weights_by_kind({1: 0.0, 2: 1.0}, sessions, None)


def test_sessions_of_other_kinds_or_columns_are_refused():
    model = quick(n_iter=1).fit(TRAIN)
    other = log_of(make_log(kinds=("add", "view")))
    with pytest.raises(
        ValueError, match="test must have the kind ids that the model was trained with, where 1 is 'buy'"
    ):
        evaluate(model, to_sessions(other))
    assert np.isfinite(evaluate(model, to_sessions(other.encode_like(model)))["mrr@20"])
    frame = make_log().rename(columns={"device": "place"})
    with pytest.raises(ValueError, match="must have the columns of context that the model was trained with"):
        model.fit(to_sessions(log_of(frame, context=["place"])))
    with pytest.raises(ValueError, match=r"context must name columns of \['device'\]"):
        model.recommend([[1, 2]], context={"place": "tv"})
    with pytest.raises(ValueError, match="one label for each of 1 sessions"):
        model.recommend([[1, 2]], context={"device": ["tv", "tv"]})
    with pytest.raises(ValueError, match="kinds must have the lengths of sessions"):
        model.recommend([["a", "b"]], kinds=[["buy"]])
    with pytest.raises(TypeError, match="kind must be"):
        model.start_session().append(1, kind="buy")
