"""Asking for a next event of one kind: what the net and the memories make of it, through every door."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import quick
from test_labels import ALONE, OURS, PLAIN, TRAIN, log_of, make_log

from spotlight_asars import ASARSSequenceModel, EventLog, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.sampling import Draw
from spotlight_asars.sessions.passes import scoring_batches
from spotlight_asars.training.objective import ASKED, some_asked

ROWS, KINDS = np.array(TRAIN.sequences[:6]), TRAIN.kinds[:6]
MODELS = {name: quick(n_iter=3, representation=name, learning_rate=0.2).fit(TRAIN) for name in OURS}
MODEL = MODELS["gru4rec"]


@pytest.mark.parametrize("representation", [*OURS, "lstm"])
def test_kinds_change_nothing_until_something_is_learned_of_them(representation):
    fresh = quick(n_iter=0, representation=representation).fit(TRAIN)
    np.testing.assert_array_equal(fresh.predict(ROWS, kinds=KINDS, kind="buy"), fresh.predict(ROWS, kinds=KINDS))


@pytest.mark.parametrize("representation", OURS)
def test_each_kind_asks_for_other_items_and_every_door_says_the_same(representation):
    model = MODELS[representation]
    plain = model.predict(ROWS, kinds=KINDS)
    asked = [model.predict(ROWS, kinds=KINDS, kind=kind) for kind in ("buy", "cart", "view")]
    for one, other in zip(asked, (plain, *asked), strict=False):
        assert (one[:, 1:] != other[:, 1:]).any()
    np.testing.assert_array_equal(model.predict(ROWS, kinds=KINDS, kind=1), asked[0])
    best = model.recommend(ROWS, k=3, kinds=KINDS, kind="buy")
    np.testing.assert_array_equal(best.scores, np.sort(asked[0])[:, :-4:-1])
    few = model.recommend(ROWS, k=3, kinds=KINDS, kind="buy", candidates=[[4, 2, 1]] * len(ROWS))
    np.testing.assert_allclose(few.scores, np.sort(asked[0][:, [4, 2, 1]])[:, ::-1], rtol=1e-5, atol=1e-6)
    names = model.recommend([["a", "c"]], k=3, kinds=[["buy", None]], kind="view")
    codes = model.recommend([[1, 3]], k=3, kinds=[[1, 0]], kind=3)
    assert names.scores.tolist() == codes.scores.tolist()
    assert names.scores.tolist() != model.recommend([[1, 3]], k=3, kinds=[[1, 0]]).scores.tolist()
    session = model.start_session(user_ids=1, context=[2]).append(3, kind=2)
    for kind in (None, "buy", 3):
        expected = model.recommend([[3]], k=6, user_ids=[1], kinds=[[2]], context=[[2]], kind=kind)
        np.testing.assert_allclose(session.recommend(6, kind=kind).scores, expected.scores, rtol=1e-4, atol=1e-5)


def test_queries_of_a_net_without_memories_ask_as_well():
    model = quick(n_iter=3, learning_rate=0.2, **ALONE).fit(TRAIN)
    scores = model.queries(TRAIN, kind="view") @ model.item_matrix().T
    expected = model.predict(TRAIN.sequences, kind="view")
    np.testing.assert_allclose(scores[:, 1:], expected[:, 1:], rtol=1e-4, atol=1e-5)


def test_spotlights_nets_ask_through_their_memories():
    model = quick(representation="pooling", n_iter=2, learning_rate=0.3).fit(TRAIN)
    assert (model.predict(ROWS, kind="buy") != model.predict(ROWS)).any()
    with pytest.raises(ValueError, match="kind must be left out for a model that was not fitted to several kinds"):
        quick(representation="pooling", n_iter=1, **ALONE).fit(TRAIN).predict(ROWS, kind="buy")


def test_a_report_may_ask_for_each_target_as_one_of_its_kind():
    report = evaluate(MODEL, TRAIN, k=3, ask_kinds=True)
    expected = []
    for row, kinds in zip(TRAIN.sequences[:, -3:], TRAIN.kinds[:, -3:], strict=True):
        for step in (1, 2):
            scores = MODEL.predict(row[:step], kind=int(kinds[step]) or None)
            expected.append(1 + (scores > scores[row[step]]).sum() + ((scores == scores[row[step]]).sum() - 1) / 2)
    np.testing.assert_allclose(report.ranks, expected, atol=1)  # scores of one and of many rows differ by rounding
    assert (report.ranks == expected).mean() > 0.95
    assert (report.ranks != evaluate(MODEL, TRAIN, k=3).ranks).any()


def test_a_model_file_keeps_what_kinds_ask_for(tmp_path):
    MODEL.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict(ROWS, kind="cart"), MODEL.predict(ROWS, kind="cart"))


def test_what_is_bought_after_an_item_is_found_by_those_who_ask():
    planted = {"predictability": 0.0, "dwell_effect": 0.0, "user_effect": 0.0, "intent_effect": 0.9}
    sizes = {"num_users": 20, "num_items": 15, "num_sessions": 800, "session_length": 6}
    log = generate_sessions(**sizes, **planted, random_state=0)
    train, test = map(to_sessions, log.split_by_time())
    model = ASARSSequenceModel(embedding_dim=16, hidden_dim=16, n_iter=6, learning_rate=0.1, random_state=0).fit(train)
    asked, plain = (evaluate(model, test, k=5, by="kind", ask_kinds=ask) for ask in (True, False))
    for kind in ("buy", "cart", "view"):
        assert asked.by[kind]["mrr@5"] > 1.1 * plain.by[kind]["mrr@5"]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("sell", r"kind must be one of \['buy', 'cart', 'view'\]; got 'sell'"),
        (4, r"kind must lie in 1..3; got 4"),
        (0, r"kind must lie in 1..3; got 0"),
        (-1, "kind must be 0 or more; got -1"),
    ],
)
def test_kinds_that_are_not_known_are_refused(kind, message):
    doors = MODEL.recommend, MODEL.predict, MODEL.queries
    for door in doors:
        with pytest.raises(ValueError, match=message):
            door([[1, 2]], kind=kind)
    with pytest.raises(ValueError, match=message):
        MODEL.start_session().append(1).recommend(3, kind=kind)


def test_models_that_were_not_fitted_to_several_kinds_say_so():
    one = to_sessions(log_of(make_log(kinds=("view",))))
    message = "kind must be left out for a model that was not fitted to several kinds; got 'view'"
    for model in (quick().fit(PLAIN), quick().fit(one), BASELINES["markov"]().fit(one)):
        with pytest.raises(ValueError, match=message):
            model.recommend([[1, 2]], kind="view")
        with pytest.raises(ValueError, match="ask_kinds must be False for a model whose net was not fitted to several"):
            evaluate(model, one, ask_kinds=True)
    with pytest.raises(ValueError, match=message):
        quick().fit(PLAIN).start_session().append(1).recommend(kind="view")
    with pytest.raises(TypeError, match="ask_kinds must be True or False; got 'buy'"):
        evaluate(MODEL, TRAIN, ask_kinds="buy")


def test_a_kind_without_weight_is_never_predicted_and_not_asked_for():
    model = quick(kind_weights={"view": 0.0, "cart": 1.0, "buy": 2.0}).fit(TRAIN)
    for kind in ("view", 3):
        with pytest.raises(ValueError, match="kind must be one of those that kind_weights has predicted; got"):
            model.recommend([[1, 2]], kind=kind)
    assert len(model.recommend([[1, 2]], kind="buy").items) == 1


# New kinds and labels of the context


def new_log(kinds=("sell", "buy", "odd"), places=("radio", "phone", None)):
    return log_of(make_log(seed=3, kinds=kinds, places=places, sessions=12))


def test_a_log_that_grows_keeps_known_codes_and_puts_new_ones_after_them():
    log = new_log()
    grown = log.encode_like(MODEL, grow=True)
    assert grown.kind_vocabulary.raw.tolist() == ["buy", "cart", "view", "odd", "sell"]
    assert grown.context_vocabularies["device"].raw.tolist() == ["phone", "tv", "radio"]
    frame = make_log(seed=3, kinds=("sell", "buy", "odd"), places=("radio", "phone", None), sessions=12)
    frame = frame.sort_values(["user_id", "timestamp"])
    names = [None, *grown.kind_vocabulary.raw]
    assert [names[code] for code in grown.kinds] == frame.behavior.tolist()
    names = [None, *grown.context_vocabularies["device"].raw]
    assert [names[code] for code in grown.context[:, 0]] == [None if pd.isna(x) else x for x in frame.device]
    same = log.encode_like(MODEL)
    assert same.kind_vocabulary.raw.tolist() == ["buy", "cart", "view"]
    assert set(same.kinds) == {0, 1}
    only_known = log_of(make_log(seed=4)).encode_like(MODEL, grow=True)
    assert only_known.kind_vocabulary.raw.tolist() == ["buy", "cart", "view"]


@pytest.mark.parametrize("representation", OURS)
def test_new_labels_change_no_score_until_something_is_learned_of_them(representation):
    model = quick(n_iter=2, representation=representation, learning_rate=0.2, **ALONE).fit(TRAIN)
    given = {"kinds": KINDS, "context": TRAIN.context[:6], "kind": "buy"}
    before = model.predict(ROWS, **given)
    later = to_sessions(new_log().encode_like(model, grow=True))
    model.update(later)
    np.testing.assert_array_equal(model.predict(ROWS, **given), before)
    assert model.kind_vocabulary.raw.tolist() == ["buy", "cart", "view", "odd", "sell"]
    new = {"kinds": np.full_like(KINDS, 5), "context": np.full((6, 1), 3)}
    np.testing.assert_array_equal(model.predict(ROWS, **new, kind="sell"), model.predict(ROWS))
    model.fit(later)
    assert (model.predict(ROWS, kinds=new["kinds"]) != model.predict(ROWS)).any()
    assert (model.predict(ROWS, context=new["context"]) != model.predict(ROWS)).any()
    assert (model.predict(ROWS, kind="sell") != model.predict(ROWS)).any()


@pytest.mark.parametrize("memories", [True, False])
def test_training_goes_on_as_if_nothing_had_grown(memories):
    """Weights of labels that do not occur: all others, and the optimizer's state of each, are those without them."""
    model, wider = (quick(n_iter=2, **({} if memories else ALONE)).fit(TRAIN) for _ in range(2))
    catalogue = wider._catalogue._with_labels(to_sessions(new_log().encode_like(wider, grow=True)))
    assert catalogue.labels == (6, (4,))
    wider._grow(catalogue)
    for one in (model, wider):
        one.fit(TRAIN)
    others = dict(wider._net.named_parameters())
    for name, weight in model._net.named_parameters():
        same = others[name][tuple(slice(size) for size in weight.shape)]
        np.testing.assert_array_equal(weight.detach(), same.detach(), name)
    assert wider._fitted.asars.kinds.vectors.shape == (1, 6, 4)


def test_one_kind_may_become_several():
    one = to_sessions(log_of(make_log(kinds=("view",), places=("tv",))))
    model = quick(n_iter=2).fit(one)
    rows, before = np.array(one.sequences[:6]), quick(n_iter=2).fit(one).predict(one.sequences[:6])
    later = to_sessions(log_of(make_log(seed=1)).encode_like(model, grow=True))
    model._grow(model._catalogue.grown(later, "sessions"))
    np.testing.assert_array_equal(model.predict(one.sequences[:6]), before)
    sums = {name: model._optimizer.state[weight]["sum"] for name, weight in model._net.named_parameters()}
    assert all((sums[name] != 0).any() for name in ("net.output.weight", "terms.0.here", "terms.1.place"))
    assert not sums["net.of_asked.maps"].any()
    model.fit(later)
    assert model.kind_vocabulary.raw.tolist() == ["view", "buy", "cart"]
    assert (model.predict(rows, kind="buy") != model.predict(rows, kind="view")).any()


def test_what_grew_is_in_a_model_file_and_weighs_one_where_kinds_have_weights(tmp_path):
    model = quick(kind_weights={"view": 0.0, "cart": 1.0, "buy": 2.0}).fit(TRAIN)
    later = to_sessions(new_log().encode_like(model, grow=True))
    model.update(later).fit(later)
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    assert loaded._catalogue.labels == (6, (4,))
    given = {"kinds": later.kinds[:4], "context": later.context[:4], "kind": "sell"}
    rows = np.array(later.sequences[:4])
    np.testing.assert_array_equal(loaded.predict(rows, **given), model.predict(rows, **given))
    loaded.fit(later)


def test_contexts_of_another_number_of_columns_are_refused():
    frame = make_log().assign(country="x")
    plain = to_sessions(EventLog.from_frame(frame, kind="behavior", context=["device", "country"]))
    plain.context_vocabularies = {}
    message = "must have as many columns of context as the model was trained with, 1; got 2"
    with pytest.raises(ValueError, match=message):
        evaluate(MODEL, plain)
    with pytest.raises(ValueError, match=message):
        MODEL.predict(ROWS, context=np.ones((6, 2), int))
    with pytest.raises(ValueError, match=message):
        MODEL.start_session(context=[1, 2])


def test_training_asks_for_a_share_of_the_events_as_ones_of_their_own_kind():
    (batch,) = scoring_batches(TRAIN, len(TRAIN), torch.device("cpu"))
    own = batch.channels.asking_for_own_kinds().asked
    asked = torch.stack([some_asked(batch, Draw(seed, own.device)) for seed in range(300)])
    assert ((asked == own) | (asked == 0)).all()
    assert float((asked > 0).float().mean() / (own > 0).float().mean()) == pytest.approx(ASKED, abs=0.02)
