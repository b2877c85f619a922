"""What suits the size of the log, the size of embeddings and how much memories count: chosen once, and kept."""

import numpy as np
import pandas as pd
import pytest
import torch
from small_models import quick

from spotlight_asars import ASARSSequenceModel, EventLog, ItemFeatures, SessionInteractions, to_sessions
from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.memory.recall_net import USUAL_GAINS
from spotlight_asars.memory.weight_search import WeightSearch
from spotlight_asars.model import batches, building
from spotlight_asars.model.building import FEW_TARGETS, GAIN_OF_FEW, LITTLE, MOST_BESIDE
from spotlight_asars.model.options import EMBEDDING_DIMS, LARGEST_DIM


def sessions_of(targets, num_items=9):
    """Sessions of five targets each."""
    items = np.random.RandomState(0).randint(1, num_items, size=(targets // 5, 6))
    return SessionInteractions(items, num_items=num_items)


def unfitted(**options):
    return ASARSSequenceModel(n_iter=0, random_state=0, **options)


def dim_of(model):
    return model._fitted.asars.item_embeddings.weight.shape[1]


def gains_of(model):
    """Of learned terms, and of found ones."""
    history, transitions, neighbours = (round(float(terms.gain), 5) for terms in model._fitted.net.terms)
    assert history == transitions
    return history, neighbours


@pytest.mark.parametrize(("most", "dim"), EMBEDDING_DIMS.items())
def test_larger_logs_have_larger_embeddings(most, dim):
    assert dim_of(unfitted().fit(sessions_of(most))) == dim
    assert dim_of(unfitted().fit(sessions_of(most + 5))) > dim


def test_beyond_all_sizes_and_where_one_is_given():
    assert dim_of(unfitted().fit(sessions_of(max(EMBEDDING_DIMS) + 5))) == LARGEST_DIM
    assert dim_of(unfitted(embedding_dim=3).fit(sessions_of(50))) == 3


def test_the_option_stays_open_and_the_size_stays_as_it_was(tmp_path):
    smallest, *_ = EMBEDDING_DIMS.values()
    model = unfitted().fit(sessions_of(50))
    before = model.predict([1, 2])
    model.fit(sessions_of(max(EMBEDDING_DIMS) + 5, num_items=12))  # more items, and a log that would have more
    assert dim_of(model) == smallest
    assert model.get_params()["embedding_dim"] == "auto"
    assert len(model.predict([1, 2])) == 12 > len(before)
    model.save(tmp_path / "model.safetensors")
    loaded = ASARSSequenceModel.load(tmp_path / "model.safetensors")
    assert dim_of(loaded) == smallest
    assert loaded.get_params()["embedding_dim"] == "auto"
    np.testing.assert_array_equal(loaded.predict([1, 2]), model.predict([1, 2]))


@pytest.mark.parametrize(
    ("targets", "beside"),
    [(FEW_TARGETS, 1), (LITTLE, 1), (LITTLE // 2, 2), (LITTLE // 4, MOST_BESIDE), (5, MOST_BESIDE)],
)
def test_memories_count_for_more_beside_the_net_the_smaller_the_log_is(targets, beside, tmp_path):
    model, expected = unfitted().fit(sessions_of(targets)), pytest.approx((GAIN_OF_FEW * beside, beside))
    assert gains_of(model) == expected
    model.fit(sessions_of(FEW_TARGETS + 5, num_items=12))
    assert gains_of(model) == expected
    model.save(tmp_path / "model.safetensors")
    assert gains_of(ASARSSequenceModel.load(tmp_path / "model.safetensors")) == expected


def test_weights_that_are_found_count_as_much_more_as_those_that_are_learned_but_for_those_of_demand():
    terms = unfitted().fit(sessions_of(LITTLE // 2))._fitted.neighbour_terms
    terms.take(Weights(0.5, 3.0, 0.8, -0.2))
    assert terms.weights() == pytest.approx({"neighbours": 1.0, "again": 6.0, "trend": 0.8, "popularity": -0.2})


def test_weights_are_found_beside_as_little_of_the_net_as_there_is_of_it_later(monkeypatch):
    asked = []

    class Recorded(WeightSearch):
        def add(self, scores, *others):
            asked.append((scores[:, 1:].clone(), others[-1]))
            super().add(scores, *others)

    monkeypatch.setattr(batches, "WeightSearch", Recorded)
    for little in (0, LITTLE):
        monkeypatch.setattr(building, "LITTLE", little)
        quick(history=False, transitions=False).fit(sessions_of(500))
    usual, small = asked
    for of_little, as_usual in zip(small, usual, strict=True):  # scores and demand
        torch.testing.assert_close(of_little * MOST_BESIDE, as_usual)


def test_on_a_larger_log_they_count_as_usual():
    assert gains_of(unfitted().fit(sessions_of(FEW_TARGETS + 5))) == pytest.approx(USUAL_GAINS)


def test_with_features_of_items_they_do_not_for_they_know_nothing_of_new_items():
    items = np.random.RandomState(0).randint(1, 9, 60)
    train = to_sessions(EventLog(np.repeat(np.arange(10), 6), items, np.arange(60)))
    frame = pd.DataFrame({"item": range(1, 9), "colour": ["red", "blue"] * 4})
    features = ItemFeatures.from_frame(frame, item="item", categorical=["colour"])
    assert gains_of(unfitted().fit(train)) == (GAIN_OF_FEW * MOST_BESIDE, MOST_BESIDE)
    assert gains_of(unfitted().fit(train, item_features=features)) == pytest.approx(USUAL_GAINS)


@pytest.mark.parametrize("size", [0, 1.5, "large"])
def test_other_sizes_are_refused(size):
    with pytest.raises((TypeError, ValueError), match="embedding_dim must be"):
        ASARSSequenceModel(embedding_dim=size)
