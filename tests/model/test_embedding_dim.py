"""The size of embeddings that suits the size of the log: chosen once, and kept."""

import numpy as np
import pytest

from spotlight_asars import ASARSSequenceModel, SessionInteractions
from spotlight_asars.model.options import EMBEDDING_DIMS, LARGEST_DIM


def sessions_of(targets, num_items=9):
    """Sessions of five targets each."""
    items = np.random.RandomState(0).randint(1, num_items, size=(targets // 5, 6))
    return SessionInteractions(items, num_items=num_items)


def unfitted(**options):
    return ASARSSequenceModel(n_iter=0, random_state=0, **options)


def dim_of(model):
    return model._fitted.asars.item_embeddings.weight.shape[1]


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


@pytest.mark.parametrize("size", [0, 1.5, "large"])
def test_other_sizes_are_refused(size):
    with pytest.raises((TypeError, ValueError), match="embedding_dim must be"):
        ASARSSequenceModel(embedding_dim=size)
