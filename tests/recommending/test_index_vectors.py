"""Vectors of items and sessions give the scores that the net gives; the memories' items are named beside them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from small_models import LATER, TRAIN, quick

from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.representations import REPRESENTATIONS

ASARS = [name for name in REPRESENTATIONS if name not in ("pooling", "cnn", "lstm", "mixture")]


def test_serving_needs_a_fitted_model():
    for name, arguments in (("start_session", ()), ("item_matrix", ()), ("queries", ([[1]],))):
        with pytest.raises(RuntimeError, match=f"^{name} needs a fitted model; call fit first$"):
            getattr(quick(), name)(*arguments)


@pytest.mark.parametrize("loss", ["cross_entropy", "pointwise"])
@pytest.mark.parametrize("name", ASARS)
def test_the_product_of_vectors_is_the_score_without_the_memory(name, loss):
    model = quick(representation=name, loss=loss, history=False, transitions=False, neighbours=False).fit(TRAIN)
    products = model.queries(LATER) @ model.item_matrix().T
    np.testing.assert_allclose(products[:, 1:], model.predict(LATER.sequences)[:, 1:], atol=1e-5)
    remembering = quick(representation=name, loss=loss).fit(TRAIN)
    batch_of_one = remembering.queries(["ä", "b"], user_ids="user 1")
    assert batch_of_one.shape == (1, remembering.item_matrix().shape[1])


def test_what_neighbours_add_to_all_states_alike_is_in_the_vectors():
    model = quick(history=False, transitions=False).fit(TRAIN)
    model._fitted.neighbour_terms.take(Weights(0.0, 0.0, 0.8, -0.3))
    model._fitted.remember_neighbours(TRAIN)
    assert model._fitted.common_terms.abs().max() > 0.1
    products = model.queries(LATER) @ model.item_matrix().T
    np.testing.assert_allclose(products[:, 1:], model.predict(LATER.sequences)[:, 1:], atol=1e-5)


def test_the_memory_touches_what_was_viewed_in_the_session_and_before():
    model = quick(transitions=False, neighbours=False).fit(TRAIN)
    touched = model.remembered([[3, 0, 3], [1, 2, 2]], user_ids=[1, -1])
    anns = set(TRAIN.items[TRAIN.places(np.flatnonzero(TRAIN.user_ids == 1))].tolist())
    assert touched[0].tolist() == sorted(anns | {3})
    assert touched[1].tolist() == [1, 2]
    with_memory, without = model.predict([1, 2]), model.queries([1, 2]) @ model.item_matrix().T
    np.testing.assert_allclose(with_memory[3:], without[0, 3:], atol=1e-5)
    assert (np.abs(with_memory - without[0])[1:3] > 1e-3).all()


def test_it_touches_what_followed_in_training_too():
    items, offsets = TRAIN.items.tolist(), TRAIN.offsets
    sessions = [items[start:stop] for start, stop in itertools.pairwise(offsets)]
    together = {other for one in sessions if 2 in one for other in one} - {2}
    assert quick(history=False, neighbours=False).fit(TRAIN).remembered([[2]])[0].tolist() == sorted(together)
    assert [
        len(items)
        for items in quick(history=False, transitions=False, neighbours=False).fit(TRAIN).remembered([[1, 2]])
    ] == [0]


def test_vectors_need_a_score_that_is_one_product():
    model = quick(representation="mixture").fit(TRAIN)
    with pytest.raises(
        ValueError, match=r"^item_matrix must be asked of an ASARS representation, .*; got 'MixtureLSTMNet'$"
    ):
        model.item_matrix()
