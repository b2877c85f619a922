"""A model grows by items and users that it did not know: what it knows stays to the bit, and new items can be found."""

from __future__ import annotations

import copy
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import TRAIN, make_log, quick

from spotlight_asars import ASARSSequenceModel, EventLog, SessionInteractions, to_sessions
from spotlight_asars._spotlight import PoolNet
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.representations import REPRESENTATIONS, ASARSNet
from spotlight_asars.representations.spotlight_net import SpotlightNet
from spotlight_asars.training import loop

ITEMS, USERS = 12, 4
OPTIMIZERS = [None, torch.optim.Adam, partial(torch.optim.Adagrad, lr=0.1, initial_accumulator_value=0.3)]
OPTIMIZERS += [partial(torch.optim.SGD, lr=0.1, momentum=0.9), partial(torch.optim.RMSprop, lr=0.01, centered=True)]
NEW_ITEMS = ("ä", "b", "", "dd", "日本", "🐙", "new", "Neu")


def sessions_of(seed=0, items=ITEMS, users=USERS, number=30, first=0):
    draw = np.random.RandomState(seed)
    return SessionInteractions(
        draw.randint(1, items, (number, 4)),
        draw.randint(0, users, number),
        items,
        num_users=users,
        dwell_times=draw.rand(number, 4) * 100,
        started=first + np.arange(number) * 1e4,
    )


def later_sessions(seed=1, items=ITEMS + 3, users=USERS + 2):
    return sessions_of(seed, items, users, first=1e6)


def larger(items, users):
    return Catalogue(items, users, np.zeros(items, np.int64))


def scores_by_hand(model, sequence, item_ids):
    """One score after the other, each from a net that is asked for nothing else."""
    return [float(model.predict(sequence, [item])[0]) for item in item_ids]


# Known items


@pytest.mark.parametrize("representation", REPRESENTATIONS)
def test_growth_alone_changes_no_score_of_a_known_item(representation):
    model = quick(representation=representation, n_iter=2).fit(sessions_of())
    test, known = sessions_of(seed=3).sequences, np.arange(1, ITEMS)
    before, by_hand = model.predict(test, known), scores_by_hand(model, test[0], known)
    everything = model.predict(test)
    model._grow(larger(ITEMS + 5, USERS + 3))
    assert (model.num_items, model._fitted.num_users) == (ITEMS + 5, USERS + 3)
    np.testing.assert_array_equal(model.predict(test, known), before)
    assert scores_by_hand(model, test[0], known) == by_hand
    after = model.predict(test)
    assert after.shape == (len(test), ITEMS + 5)
    np.testing.assert_allclose(after[:, :ITEMS], everything, rtol=1e-6)
    assert np.isfinite(after).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(2, 40), st.integers(1, 3), st.integers(0, 9), st.integers(0, 100))
def test_growth_by_any_number_changes_no_score_of_a_known_item(items, users, new, seed):
    model = quick(n_iter=1).fit(sessions_of(seed, items, users, number=9))
    test, known = sessions_of(seed + 1, items, users, number=5).sequences, np.arange(1, items)
    before = model.predict(test, known)
    model._grow(larger(items + new, users + new))
    np.testing.assert_array_equal(model.predict(test, known), before)


@pytest.mark.parametrize("representation", ["gru4rec", "time_user", "dynamics", "pooling"])
def test_update_with_new_items_changes_no_score_of_a_known_item_but_by_what_is_remembered(representation):
    nothing = {"history": False, "transitions": False, "neighbours": False}
    model = quick(representation=representation, n_iter=2, **nothing).fit(sessions_of())
    at = {"user_ids": [-1] * 30, "started": [5e5] * 30}  # drift follows known users
    test, known = np.array(sessions_of(seed=3).sequences), np.arange(1, ITEMS)
    before = model.predict(test, known, **at)
    np.testing.assert_array_equal(model.update(later_sessions()).predict(test, known, **at), before)


@pytest.mark.parametrize("optimizer_func", OPTIMIZERS)
def test_the_state_of_the_optimizer_grows_with_its_weights(optimizer_func):
    model = quick(optimizer_func=optimizer_func, representation="time_user").fit(sessions_of())
    fresh = quick(optimizer_func=optimizer_func, representation="time_user", n_iter=0)
    fresh.fit(sessions_of(items=ITEMS + 3, users=USERS + 2))
    before = copy.deepcopy(dict(zip(dict(model._net.named_parameters()), model._optimizer.state.values(), strict=True)))
    model._grow(larger(ITEMS + 3, USERS + 2))
    untouched = dict(zip(fresh._net.named_parameters(), fresh._optimizer.param_groups[0]["params"], strict=True))
    starts = {name: fresh._optimizer.state.get(weight, {}) for (name, _), weight in untouched.items()}
    for name, weight in model._net.named_parameters():
        state = model._optimizer.state[weight]
        assert state.keys() == before[name].keys()
        for what, value in before[name].items():
            if not np.ndim(value):
                assert state[what] == value
                continue
            assert state[what].shape == weight.shape
            rows = len(value)
            assert torch.equal(state[what][:rows], value)
            start = starts[name].get(what, torch.zeros_like(weight))
            assert torch.equal(state[what][rows:], start[rows:]), "as if never moved"
    assert model._optimizer.param_groups[0]["lr"] == fresh._optimizer.param_groups[0]["lr"]


def test_a_second_fit_goes_on_with_new_items_and_users():
    model = quick(representation="time_user", n_iter=4, learning_rate=0.1).fit(sessions_of())
    together = SessionInteractions([[1, 13, 14]] * 20, user_ids=[5] * 20, started=np.arange(20) + 2e6)
    model.fit(together)
    assert (model.num_items, model._fitted.num_users, len(model.epochs)) == (15, 6, 8)
    assert model.recommend([[1]], k=1).items.tolist() == [[13]]
    assert model._fitted.asars.users.met.tolist()[5], "a user of two sessions or more is known"
    assert model.seen_items[13:].all()
    views = np.r_[sessions_of().items, together.items]  # so are the counts that novelty and tail are by
    assert model._catalogue.item_counts.tolist() == np.bincount(views, minlength=15).tolist()


def test_a_call_of_fit_may_have_epochs_of_its_own():
    model = quick(n_iter=3).fit(sessions_of(), n_iter=1)
    assert len(model.epochs) == 1
    assert len(model.fit(sessions_of()).epochs) == 4
    assert model.get_params()["n_iter"] == 3
    with pytest.raises(ValueError, match="n_iter must be 0 or more; got -1"):
        model.fit(sessions_of(), n_iter=-1)


def test_a_second_fit_of_fewer_items_leaves_the_others_what_they_were():
    model = quick().fit(sessions_of())
    model.fit(SessionInteractions([[1, 2, 3]]))
    assert model.num_items == ITEMS
    assert np.isfinite(model.predict([ITEMS - 1, 1])).all()


# New items


def test_update_adds_to_the_neighbours():
    model = quick(history=False, transitions=False, item_neighbours=0).fit(sessions_of())
    model._fitted.neighbour_terms.weight.fill_(1.0)
    model._fitted.remember_neighbours(sessions_of())
    before = model.predict([1, 2])
    model.update(SessionInteractions([[1, 2, 9]] * 5, num_items=ITEMS))
    gained = model.predict([1, 2]) - before
    assert gained[9] > 0
    assert gained[9] == gained[1:].max()


def test_an_item_that_only_update_brought_is_recommended_at_once():
    ring = SessionInteractions((np.arange(60)[:, None] + np.arange(4)) % (ITEMS - 1) + 1, np.arange(60) % USERS)
    model = quick(n_iter=5).fit(ring)
    bought = SessionInteractions([[3, ITEMS, 5]] * 6, [2] * 6, ITEMS + 1, started=2e6 + np.arange(6))
    model.update(bought)
    assert ITEMS in model.recommend([[3]], k=3).items
    assert ITEMS in model.remembered([[3]])[0]
    of_users = model.remembered([[1], [1]], user_ids=[2, 0])
    assert [ITEMS in items for items in of_users] == [True, False], "by the history of its user"
    assert model.start_session().append(3).append(ITEMS).recommend(k=ITEMS).items.shape == (1, ITEMS)


@pytest.mark.parametrize("representation", ["gru4rec", "pooling"])
def test_without_memories_a_new_item_starts_from_its_companions(representation):
    options = {"history": False, "transitions": False, "neighbours": False, "representation": representation}
    model = quick(**options, n_iter=2).fit(sessions_of())
    layer, bias = model._fitted._item_layers()
    model.update(SessionInteractions([[3, ITEMS, 3], [0, ITEMS, 7], [0, 0, ITEMS + 1]], num_items=ITEMS + 3))
    grown, grown_bias = model._fitted._item_layers()
    expected = (2 * layer.weight[3] + layer.weight[7]) / 3
    torch.testing.assert_close(grown.weight[ITEMS], expected)
    torch.testing.assert_close(grown_bias.weight[ITEMS], (2 * bias.weight[3] + bias.weight[7]) / 3)
    for alone in (ITEMS + 1, ITEMS + 2):
        torch.testing.assert_close(grown.weight[alone], layer.weight[1:].mean(0))
    if representation == "gru4rec":
        graph = model._net.item_graph
        assert sorted(graph.neighbours[ITEMS, :2].tolist()) == [3, 7]
        assert not graph.shares[ITEMS + 1].any()


def test_the_start_of_a_new_item_follows_later_updates_until_it_is_trained():
    model = quick().fit(sessions_of())
    rows = []
    for companion in (3, 4):
        model.update(SessionInteractions([[ITEMS, companion]], num_items=ITEMS + 1, started=[3e6 + companion]))
        rows.append(model._fitted.asars.item_embeddings.weight[ITEMS].clone())
    known = model._fitted.asars.item_embeddings.weight
    torch.testing.assert_close(rows[0], known[3])
    torch.testing.assert_close(rows[1], (known[3] + known[4]) / 2)
    model.fit(sessions_of(items=ITEMS + 1))
    trained = model._fitted.asars.item_embeddings.weight[ITEMS].clone()
    model.update(SessionInteractions([[ITEMS, 5]], num_items=ITEMS + 1, started=[4e6]))
    assert torch.equal(model._fitted.asars.item_embeddings.weight[ITEMS], trained)


# Raw ids


def test_raw_ids_in_and_out_never_show_a_contiguous_one():
    model = quick(n_iter=3).fit(TRAIN)
    log = make_log(seed=2, first=10**6, items=NEW_ITEMS)
    model.update(to_sessions(log.encode_like(model, grow=True)))
    assert model.item_vocabulary.raw.tolist()[: len(TRAIN.item_vocabulary)] == TRAIN.item_vocabulary.raw.tolist()
    assert set(model.item_vocabulary.raw) == set(NEW_ITEMS)
    best = model.recommend([["new"]], k=8)
    assert set(best.items[0].tolist()) == set(NEW_ITEMS)
    assert best.unknown.events == 0
    again = make_log(seed=3, first=2 * 10**6, items=(*NEW_ITEMS, "newest")).encode_like(model, grow=True)
    assert model.fit(to_sessions(again)).item_vocabulary.raw.tolist()[-1] == "newest"


def test_a_user_that_only_update_brought_has_a_history_under_the_raw_id():
    model = quick(n_iter=3).fit(TRAIN)
    frame = {"user_id": ["nobody"] * 3, "item_id": ["ä", "new", "b"], "timestamp": [10**7, 10**7 + 1, 10**7 + 2]}
    model.update(to_sessions(EventLog.from_frame(pd.DataFrame(frame)).encode_like(model, grow=True)))
    one, other = (model.recommend([["dd"]], k=7, user_ids=[user]) for user in ("nobody", "user 1"))
    assert one.unknown.users == 0
    assert one.scores.tolist() != other.scores.tolist()


@pytest.mark.parametrize("call", ["update", "fit"])
def test_new_ids_without_raw_ones_are_refused_where_the_others_have_some(call):
    model = quick().fit(TRAIN)
    rule = (
        r"must have item ids below 7, or raw ids for new items as for all others; got 9\. log\.encode_like\(model, gr"
    )
    with pytest.raises(ValueError, match=rule):
        getattr(model, call)(SessionInteractions([[1, 9]]))
    getattr(model, call)(SessionInteractions([[1, 6]], num_items=20))
    assert model.num_items == 7, "what is not there needs no raw id"


def test_a_log_is_not_encoded_like_a_model_without_raw_ids(tmp_path):
    quick().fit(sessions_of()).save(tmp_path / "model")
    model = ASARSSequenceModel.load(tmp_path / "model")
    with pytest.raises(ValueError, match=r"other must know raw ids, .*; got ASARSSequenceModel without"):
        make_log().encode_like(model, grow=True)
    with pytest.raises(TypeError, match="grow must be True or False; got 'yes'"):
        make_log().encode_like(TRAIN, grow="yes")


@pytest.mark.parametrize("call", ["update", "fit"])
def test_a_net_of_ones_own_does_not_grow(call):
    net = ASARSNet(ITEMS, embedding_dim=4, hidden_dim=5)
    model = quick(representation=net).fit(sessions_of())
    before = model.predict([1, 2])
    with pytest.raises(
        ValueError, match=r"representation must be a name or a function .*new items.* come; got 'ASARSNet'"
    ):
        getattr(model, call)(later_sessions())
    np.testing.assert_array_equal(model.predict([1, 2]), before)


@pytest.mark.parametrize("call", ["update", "fit"])
def test_a_net_of_a_function_of_ones_own_grows(call):
    def build(blueprint):
        return SpotlightNet(PoolNet(blueprint.num_items, blueprint.embedding_dim), blueprint.num_items)

    model = quick(representation=build).fit(sessions_of())
    getattr(model, call)(later_sessions())
    assert model.predict([1, ITEMS]).shape == (ITEMS + 3,)


# Files, checkpoints, live sessions


@pytest.mark.parametrize("representation", ["gru4rec", "dynamics", "pooling"])
def test_a_grown_model_is_the_same_in_a_file(representation, tmp_path):
    model = quick(representation=representation, n_iter=3).fit(TRAIN)
    log = to_sessions(make_log(seed=2, first=10**6, items=NEW_ITEMS).encode_like(model, grow=True))
    model.update(log.take(np.arange(20)))
    model.save(tmp_path / "model")
    twin = ASARSSequenceModel.load(tmp_path / "model")
    for _ in range(2):
        assert twin.item_vocabulary.raw.tolist() == model.item_vocabulary.raw.tolist()
        np.testing.assert_array_equal(twin.predict(log.sequences), model.predict(log.sequences))
        for one in (model, twin):
            one.update(log.take(np.arange(20, 24)))
    twin.save(tmp_path / "twin")
    twin = ASARSSequenceModel.load(tmp_path / "twin")
    model.save(tmp_path / "model")
    models = [twin.fit(log), ASARSSequenceModel.load(tmp_path / "model").fit(log)]
    np.testing.assert_array_equal(*(one.predict(log.sequences) for one in models))


def test_a_loaded_model_grows_before_and_after_it_learns(tmp_path):
    model = quick(n_iter=2).fit(sessions_of())
    model.save(tmp_path / "model")
    loaded = ASARSSequenceModel.load(tmp_path / "model")
    for one in (model, loaded):
        one.update(later_sessions())
    rows = later_sessions(seed=4).sequences
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    before = loaded.predict(rows)
    loaded.fit(later_sessions(items=ITEMS + 5))
    assert loaded.predict(rows).shape == (len(rows), ITEMS + 5)
    assert (loaded.predict(rows)[:, 1 : before.shape[1]] != before[:, 1:]).any()


class Stop(Exception):
    """Stands for the end of the process."""


def test_a_checkpoint_of_a_grown_model_goes_on_to_the_bit(tmp_path, monkeypatch):
    def grown_and_fitted(folder=None):
        model = quick(n_iter=2, batch_size=5, representation="time_user").fit(sessions_of())
        model.update(later_sessions())
        return model.fit(later_sessions(items=ITEMS + 7), checkpoint=folder, every=folder and 1)

    expected, steps, step = grown_and_fitted(), [], loop._step

    def stopping(*arguments):
        steps.append(0)
        if len(steps) == 21:  # 12 steps before the growth, and an epoch after it
            raise Stop
        return step(*arguments)

    monkeypatch.setattr(loop, "_step", stopping)
    with pytest.raises(Stop):
        grown_and_fitted(tmp_path)
    went_on = grown_and_fitted(tmp_path)
    for name, tensor in expected._net.state_dict().items():
        assert torch.equal(went_on._net.state_dict()[name], tensor) or tensor.isnan().any(), name
    np.testing.assert_array_equal(went_on.predict([1, 18]), expected.predict([1, 18]))
    with pytest.raises(ValueError, match="checkpoint must be of a fit with "):
        quick(n_iter=2, batch_size=5, representation="time_user").fit(sessions_of(), checkpoint=tmp_path)


def test_a_live_session_from_before_goes_on_with_the_model_that_it_knows():
    model = quick(n_iter=2).fit(sessions_of())
    live = model.start_session().append(1)
    before = live.scores()
    model.update(later_sessions())
    np.testing.assert_array_equal(live.scores(), before)
    live.append(2)
    with pytest.raises(ValueError, match=f"item must lie in 1..{ITEMS - 1}; got {ITEMS}"):
        live.append(ITEMS)
    later = model.start_session().append(1).append(ITEMS)
    np.testing.assert_allclose(later.scores(), model.predict([1, ITEMS]), rtol=1e-5)
    model.update(later.as_sessions())


def test_growth_is_the_same_each_time_and_leaves_the_callers_generators_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    models = [quick(representation="time_user").fit(sessions_of()) for _ in range(2)]
    for model in models:
        model.update(later_sessions())
        assert torch.equal(torch.get_rng_state(), before)
        model.fit(later_sessions())
    np.testing.assert_array_equal(*(model.predict([1, ITEMS], user_ids=USERS) for model in models))
