"""A fitted model may be asked from many threads at once, and several models may be trained at once."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from small_models import LATER, TRAIN, quick

from spotlight_asars import ASARSSequenceModel


@pytest.mark.parametrize("name", ["time_user", "time_dynamics", "lstm"])
def test_many_threads_may_ask_at_once(name):
    model: ASARSSequenceModel = quick(representation=name).fit(TRAIN)
    expected = model.predict(LATER.sequences), model.recommend(LATER, k=4)
    failures = []

    def ask():
        try:
            for _ in range(10):
                np.testing.assert_array_equal(model.predict(LATER.sequences), expected[0])
                found = model.recommend(LATER, k=4)
                np.testing.assert_array_equal(found.items, expected[1].items)
                np.testing.assert_array_equal(found.scores, expected[1].scores)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_trainings_in_several_threads_give_the_same_weights_as_one_after_the_other():
    def weights(model):
        return [weight.detach().numpy() for weight in model._net.parameters()]

    alone = weights(quick(loss="bpr", dropout=0.5).fit(TRAIN))
    models = [quick(loss="bpr", dropout=0.5) for _ in range(4)]
    threads = [threading.Thread(target=model.fit, args=(TRAIN,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for model in models:
        for expected, found in zip(alone, weights(model), strict=True):
            np.testing.assert_array_equal(found, expected)
