"""Models that know something of items: what new items score, what known ones keep, and what is refused."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import make_log, quick

from spotlight_asars import ASARSSequenceModel, EventLog, ItemFeatures, SessionInteractions, to_sessions
from spotlight_asars._spotlight import PoolNet
from spotlight_asars.datasets.synthetic import CATEGORIES, generate_sessions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.representations import ASARSNet

ITEMS = ("ä", "b", "", "dd", "日本", "🐙")
NAMES = (*ITEMS, "cold", "neu")
TRAIN = to_sessions(make_log())
ALONE = {"history": False, "transitions": False, "neighbours": False, "item_neighbours": 0}


def features_of(names=NAMES, shelves="xyxyzxyx", **changes):
    columns = {"item_id": names, "shelf": list(shelves)[: len(names)], "price": np.arange(len(names)) * 1.5}
    columns |= {"text": [[float(place), 1.0, 0.0] for place in range(len(names))]}
    columns |= changes
    return ItemFeatures.from_frame(pd.DataFrame(columns), categorical=["shelf"], numerical=["price"], vectors=["text"])


def fit(n_iter=3, features=None, **options):
    return quick(n_iter=n_iter, **options).fit(TRAIN, item_features=features_of() if features is None else features)


def like(model, known, name):
    """Features of a new item that are those of a known one."""
    place = NAMES.index(known)
    text = [[float(place), 1.0, 0.0]]
    return features_of([name], "xyxyzxyx"[place], price=[place * 1.5], text=text)


def rows_by_hand(net, item, kept):
    """Vector and bias of an item by the formula, number by number."""
    features = net.item_features
    own, bias = net.item_embeddings.weight[item].tolist(), float(net.item_biases.weight[item, 0])
    if net.item_graph is not None:
        graph = net.item_graph
        for neighbour, share in zip(graph.neighbours[item].tolist(), graph.shares[item].tolist(), strict=True):
            around = (float(graph.gain) * share * net.item_embeddings.weight[neighbour]).tolist()
            own = [one + other for one, other in zip(own, around, strict=True)]
    total = [kept * value for value in (*own, bias)]
    for category in features.categories[item].tolist():
        if category:
            total = [one + other for one, other in zip(total, features.of_category[category].tolist(), strict=True)]
    for number, weights in zip(features.numbers[item].tolist(), features.of_number.tolist(), strict=True):
        total = [one + number * other for one, other in zip(total, weights, strict=True)]
    return total[:-1], total[-1]


@pytest.mark.parametrize("item_neighbours", [0, 3])
@pytest.mark.parametrize("training", [False, True])
def test_vectors_and_biases_are_what_the_formula_says(item_neighbours, training):
    net = fit(item_neighbours=item_neighbours, id_dropout=0.5, learning_rate=0.5)._fitted.asars
    net.train(training)
    net.states(torch.tensor([[1, 2]]))
    kept, own = net.item_features.kept().tolist(), net.item_features.own.tolist()
    assert own == [True] * 7 + [False] * 2
    ids = torch.tensor([[3, 8, 1], [5, 7, 2]])
    with torch.set_grad_enabled(training):  # which looks vectors up in other ways
        found = [net.item_rows(), net.item_rows(ids)]
    found = [tuple(part.detach() for part in rows) for rows in found]
    net.requires_grad_(False)
    for item in range(1, 9):
        vector, bias = rows_by_hand(net, item, kept[item])
        torch.testing.assert_close(found[0][0][item], torch.tensor(vector))
        if own[item] or not training:
            torch.testing.assert_close(found[0][1][item], torch.tensor(bias))
        else:
            assert found[0][1][item] < -1000, "no target is compared with it"
    for whole, part in zip(*found, strict=True):
        torch.testing.assert_close(part, whole[ids])


def test_items_that_nobody_has_viewed_are_candidates_and_learn_nothing_of_their_own():
    model, untrained = fit(), fit(n_iter=0)
    assert set(model.recommend([["b"]], k=8).items[0]) == set(NAMES)
    assert model.num_items == 9
    cold = slice(7, 9)
    for name in ("item_embeddings", "item_biases"):
        own, before = (getattr(one._fitted.asars, name).weight for one in (model, untrained))
        assert torch.equal(own[cold], before[cold])
        assert not torch.equal(own[1:7], before[1:7])
    twins = fit(features=features_of(shelves="xyxyzxzz", price=[1.0] * 8, text=[[1.0, 0.0, 0.0]] * 8))
    one, other = twins.predict([2, 3], [7, 8])
    assert one == other, "all that is known of the two is the same"


@pytest.mark.parametrize("loss", ["cross_entropy", "sampled_softmax", "bpr", "hinge"])
def test_every_loss_learns_from_features(loss):
    model = fit(loss=loss, negative_sampling="uniform", num_negative_samples=6)
    assert model._fitted.asars.item_features.of_category[1:].any(dim=1).sum() == 3
    assert np.isfinite([epoch.loss for epoch in model.epochs]).all()


def test_an_item_that_is_added_scores_as_one_of_its_features_and_known_ones_stay_to_the_bit():
    model = fit()
    before = model.predict(TRAIN.sequences[:5], np.arange(1, 9))
    assert model.add_items(like(model, "cold", "colder")) is model
    assert model.item_vocabulary.raw.tolist()[-1] == "colder"
    np.testing.assert_array_equal(model.predict(TRAIN.sequences[:5], np.arange(1, 9)), before)
    np.testing.assert_allclose(model.predict([1, 3], [9]), model.predict([1, 3], [7]), rtol=1e-6)
    model.add_items(like(model, "neu", "ä"))
    np.testing.assert_array_equal(model.predict(TRAIN.sequences[:5], np.arange(1, 9)), before, "trained ones stay")
    model.add_items(like(model, "neu", "cold"))
    np.testing.assert_allclose(model.predict([1, 3], [7]), model.predict([1, 3], [8]), rtol=1e-6)


def test_an_item_of_an_unknown_category_and_without_values_can_be_added():
    model = fit()
    nothing = {"price": [np.nan], "text": [None]}
    model.add_items(features_of(["odd"], "?", **nothing)).add_items(features_of(["none"], [None], **nothing))
    odd, none = model.predict([1, 3], [9, 10])
    assert odd == none
    assert np.isfinite(odd)


def test_an_added_item_that_is_viewed_starts_from_companions_and_features():
    model = fit(**ALONE)
    frame = {"user_id": [1, 1], "item_id": ["cold", "b"], "timestamp": [10**7, 10**7 + 5]}
    before = model.predict([1, 3], [7])
    model.update(to_sessions(EventLog.from_frame(pd.DataFrame({**frame, "user_id": ["u", "u"]})).encode_like(model)))
    net = model._fitted.asars
    assert net.item_features.own[7]
    assert torch.equal(
        net.item_embeddings.weight[7], net.item_embeddings.weight[int(model.item_vocabulary.encode(["b"])[0])]
    )
    assert model.predict([1, 3], [7]) != before
    assert not model.seen_items[7], "it was not trained on"


def test_a_grown_model_with_features_is_the_same_in_a_file_and_goes_on(tmp_path):
    model = fit()
    model.add_items(like(model, "b", "later"))
    model.save(tmp_path / "model")
    twin = ASARSSequenceModel.load(tmp_path / "model")
    np.testing.assert_array_equal(twin.predict(TRAIN.sequences), model.predict(TRAIN.sequences))
    for one in (twin, model):
        one.add_items(like(model, "dd", "latest"))
    np.testing.assert_array_equal(twin.predict(TRAIN.sequences), model.predict(TRAIN.sequences))
    assert twin.seen_items.tolist() == model.seen_items.tolist()
    assert twin.fit(TRAIN).num_items == 11


def test_products_of_queries_and_items_and_graphs_know_the_features(tmp_path):
    pytest.importorskip("torch._higher_order_ops.scan")  # an older torch exports nothing
    model = fit(**ALONE)
    scores = model.predict([2, 3])
    products = model.queries([[2, 3]]) @ model.item_matrix().T
    np.testing.assert_allclose(products[0, 1:], scores[1:], rtol=1e-4, atol=1e-5)
    model.export(tmp_path / "graph", format="torch")
    graph = torch.export.load(tmp_path / "graph").module()
    unknown = torch.full((1, 2), torch.nan), torch.tensor([-1]), torch.tensor([torch.nan], dtype=torch.float64)
    np.testing.assert_allclose(graph(torch.tensor([[2, 3]]), *unknown)[0].detach(), scores, rtol=1e-4, atol=1e-5)
    live = model.start_session().append("b").append("cold")
    np.testing.assert_allclose(
        live.scores(), model.predict([int(model.item_vocabulary.encode(["b"])[0]), 7]), rtol=1e-4
    )


def test_without_features_a_net_has_no_part_of_them():
    model = quick().fit(TRAIN)
    assert not [name for name in model._net.state_dict() if "features" in name]
    assert model.seen_items.tolist() == [False, *[True] * 6]


def test_a_checkpoint_is_of_a_fit_with_these_features(tmp_path):
    expected = fit().predict(TRAIN.sequences)
    for _ in range(2):
        model = quick(n_iter=3).fit(TRAIN, item_features=features_of(), checkpoint=tmp_path)
        np.testing.assert_array_equal(model.predict(TRAIN.sequences), expected)
    with pytest.raises(ValueError, match="checkpoint must be of a fit with item_features "):
        quick(n_iter=3).fit(TRAIN, item_features=features_of(shelves="xxxxxxxx"), checkpoint=tmp_path)


# In evaluation


@cache
def planted():
    """Sessions where the next category is known, of which no item of some is in the training; and the features."""
    log = generate_sessions(60, 100, 900, predictability=0, dwell_effect=0, user_effect=0, category_effect=0.9,
                            random_state=0)  # fmt: skip
    hidden = np.arange(1, 101) % 7 == 0
    early = np.asarray(log.timestamps) < np.quantile(log.timestamps, 0.85)
    kept = ~early | ~hidden[log.item_ids - 1]
    log = EventLog(log.user_ids[kept], log.item_ids[kept], np.asarray(log.timestamps)[kept])
    items = pd.DataFrame({"item_id": np.arange(1, 101), "category": np.arange(100) % CATEGORIES})
    return log, ItemFeatures.from_frame(items, categorical=["category"])


def test_with_planted_categories_cold_items_come_near_warm_ones():
    log, features = planted()
    train, test = log.split_by_time(0.15, new_items="keep")
    model = ASARSSequenceModel(n_iter=5, random_state=0).fit(to_sessions(train), item_features=features)
    report = evaluate(model, to_sessions(test.encode_like(model)), k=20)
    assert sorted(report.by) == ["new", "seen"]
    parts = report.by.values()
    assert sum(len(part.ranks) for part in parts) == len(report.ranks)
    total = sum(part["mrr@20"] * len(part.ranks) for part in parts)
    assert total / len(report.ranks) == pytest.approx(report["mrr@20"])
    seen, new = report.by["seen"], report.by["new"]
    assert len(new.ranks) > 100
    assert new["recall@20"] > 0.8 * seen["recall@20"] > 0.5
    shuffled = ItemFeatures(
        features.items, {"category": np.random.RandomState(0).permutation(features.categorical["category"])}, {}, {}
    )
    blind = ASARSSequenceModel(n_iter=5, random_state=0).fit(to_sessions(train), item_features=shuffled)
    assert evaluate(blind, to_sessions(test.encode_like(blind)), k=20).by["new"]["recall@20"] < 0.5 * new["recall@20"]


def test_new_items_of_the_test_are_kept_when_asked():
    log, _ = planted()
    (train, test), (_, kept) = log.split_by_time(0.15), log.split_by_time(0.15, new_items="keep")
    assert kept.num_items > train.num_items == test.num_items
    assert kept.dropped.events == 0 < test.dropped.events == len(kept) - len(test)
    assert kept.item_vocabulary.raw.tolist()[: train.num_items - 1] == train.item_vocabulary.raw.tolist()
    with pytest.raises(ValueError, match=r"new_items must be one of \['drop', 'keep'\]; got 'all'"):
        log.split_by_time(new_items="all")


# Refused


def test_what_does_not_go_with_features_is_refused():
    with pytest.raises(TypeError, match=r"item_features must be ItemFeatures; got dict\. ItemFeatures\.from_frame"):
        quick().fit(TRAIN, item_features={"b": "x"})
    with pytest.raises(ValueError, match="item_features must come with sessions that know raw ids; got some without"):
        quick().fit(SessionInteractions([[1, 2]]), item_features=features_of())
    with pytest.raises(TypeError, match="item_features must be strings, as in training; got integers, like 1"):
        quick().fit(TRAIN, item_features=features_of([1, 2]))
    num_items = fit().num_items
    own_nets = PoolNet(num_items), ASARSNet(num_items), lambda known: PoolNet(known.num_items)
    for other in ("cnn", *own_nets):
        with pytest.raises(
            ValueError, match="representation must be one of ASARS's where item_features are given; got"
        ):
            fit(representation=other)
    with pytest.raises(ValueError, match="item_features must come with the first call of fit; got <ItemFeatures "):
        quick().fit(TRAIN).fit(TRAIN, item_features=features_of())


def test_what_cannot_be_added_is_refused_and_changes_nothing():
    with pytest.raises(RuntimeError, match=r"^add_items needs a fitted model; call fit first$"):
        quick().add_items(features_of())
    with pytest.raises(ValueError, match="add_items must be asked of a model fitted with item_features; got 'none'"):
        quick().fit(TRAIN).add_items(features_of())
    model = fit()
    fewer = ItemFeatures.from_frame(pd.DataFrame({"item_id": ["z"], "shelf": ["x"]}), categorical=["shelf"])
    with pytest.raises(ValueError, match="features must have the numerical columns of the first"):
        model.add_items(fewer)
    with pytest.raises(ValueError, match="features must have the numerical columns of the first"):
        model.fit(TRAIN, item_features=fewer)
    with pytest.raises(TypeError, match="features must be ItemFeatures; got str"):
        model.add_items("z")
    assert model.num_items == 9
