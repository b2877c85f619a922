"""What suits the size of the log, the size of embeddings and how much memories count: chosen once, and kept."""

import numpy as np
import pandas as pd
import pytest

from spotlight_asars import ASARSSequenceModel, EventLog, ItemFeatures, SessionInteractions, to_sessions
from spotlight_asars.memory.recall_net import GAIN
from spotlight_asars.model.building import FEW_TARGETS, GAIN_OF_FEW
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
    return [round(float(terms.gain), 6) for terms in model._fitted.net.terms if hasattr(terms, "gain")]


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


def test_memories_count_for_more_where_the_log_is_small(tmp_path):
    small, large = unfitted().fit(sessions_of(FEW_TARGETS)), unfitted().fit(sessions_of(FEW_TARGETS + 5))
    assert gains_of(small) == [GAIN_OF_FEW] * 2
    assert gains_of(large) == [GAIN] * 2
    small.fit(sessions_of(FEW_TARGETS + 5, num_items=12))
    assert gains_of(small) == [GAIN_OF_FEW] * 2
    small.save(tmp_path / "model.safetensors")
    assert gains_of(ASARSSequenceModel.load(tmp_path / "model.safetensors")) == gains_of(small)


def test_with_features_of_items_they_do_not_for_they_know_nothing_of_new_items():
    items = np.random.RandomState(0).randint(1, 9, 60)
    train = to_sessions(EventLog(np.repeat(np.arange(10), 6), items, np.arange(60)))
    frame = pd.DataFrame({"item": range(1, 9), "colour": ["red", "blue"] * 4})
    features = ItemFeatures.from_frame(frame, item="item", categorical=["colour"])
    assert gains_of(unfitted().fit(train)) == [GAIN_OF_FEW] * 2
    assert gains_of(unfitted().fit(train, item_features=features)) == [GAIN] * 2


@pytest.mark.parametrize("size", [0, 1.5, "large"])
def test_other_sizes_are_refused(size):
    with pytest.raises((TypeError, ValueError), match="embedding_dim must be"):
        ASARSSequenceModel(embedding_dim=size)
