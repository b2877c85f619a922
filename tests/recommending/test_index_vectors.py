"""Serving: a live session scores as ``predict`` does, and vectors give the scores that the net gives."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
from small_models import LATER, TRAIN, quick

from spotlight_asars import ASARSSequenceModel
from spotlight_asars.representations import REPRESENTATIONS

ASARS = [name for name in REPRESENTATIONS if name not in ("pooling", "cnn", "lstm", "mixture")]
ITEMS, DWELL = [3, 1, 3, 6, 2], [40.0, np.nan, 7.5, 300.0]


@pytest.fixture(scope="module")
def model():
    return quick().fit(TRAIN)


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_live_session_scores_as_predict_does(name, history):
    model = quick(representation=name, history=history, n_iter=2).fit(TRAIN)
    for user, started in ((1, 2e5), (1, None), (None, None), (99, None)):
        session = model.start_session(user, started)
        channels = {"user_ids": -1 if user is None else user, "started": np.nan if started is None else started}
        np.testing.assert_allclose(session.scores(), model.predict([0], **channels), atol=1e-5)
        for step, item in enumerate(ITEMS):
            session.append(item, dwell=None if step == 0 else DWELL[step - 1])
            whole = model.predict(ITEMS[: step + 1], dwell_times=[*DWELL[:step], np.nan], **channels)
            np.testing.assert_allclose(session.scores(), whole, atol=1e-5)


@pytest.mark.parametrize("options", [{"last_dwell": "observed"}, {"attention": "causal"}, {"loss": "pointwise"}])
def test_a_live_session_scores_so_in_every_reading(options):
    model = quick(**options).fit(TRAIN)
    session = model.start_session(1)
    for step, item in enumerate(ITEMS):
        session.append(item, DWELL[step - 1] if step else None)
    whole = model.predict(ITEMS, user_ids=1, dwell_times=[*DWELL, np.nan])
    np.testing.assert_allclose(session.scores(), whole, atol=1e-5)


def test_a_live_session_recommends_in_the_ids_it_was_given(model):
    own, raw = model.start_session(1), model.start_session("user 1", raw=True)
    names = model.item_vocabulary.decode(ITEMS)
    for step, item in enumerate(ITEMS):
        dwell = DWELL[step - 1] if step else None
        own.append(item, dwell)
        raw.append(names[step], dwell)
    for seen in (False, True):
        expected = model.recommend([ITEMS], k=9, exclude_seen=seen, user_ids=1, dwell_times=[[*DWELL, np.nan]])
        found, named = own.recommend(k=9, exclude_seen=seen), raw.recommend(k=9, exclude_seen=seen)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        kept = found.items[0][found.items[0] > 0]
        assert [item for item in named.items[0] if item is not None] == model.item_vocabulary.decode(kept).tolist()
        assert named.user_ids.tolist() == ["user 1"]
    assert repr(raw) == "<LiveSession (user 'user 1', 5 events)>"


def test_unknown_raw_items_are_skipped_and_dwell_stays_with_its_event(model):
    session = model.start_session("nobody", raw=True)
    session.append("ä").append("none", dwell=3.0).append("b", dwell=99.0).append("dd", dwell=5.0)
    assert session.unknown == (1, 1, 1)
    expected = model.recommend(["ä", "none", "b", "dd"], k=3, user_ids="nobody", dwell_times=[3.0, 99.0, 5.0, np.nan])
    found = session.recommend(k=3)
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert found.unknown == expected.unknown


def test_a_finished_session_goes_into_the_memory():
    model = quick().fit(TRAIN)
    live = model.start_session(2, started=5e6).append(4).append(5, dwell=20.0)
    finished = live.as_sessions()
    assert finished.items.tolist() == [4, 5]
    np.testing.assert_array_equal(finished.flat_dwell_times, np.float32([20, np.nan]))
    before = model.start_session(2).scores()
    model.update(finished)
    assert not np.array_equal(model.start_session(2).scores(), before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.start_session("ann"), "user must be a contiguous id; got 'ann'. raw=True takes raw ids"),
        (lambda model: model.start_session(-7), "user must be 0 or more, or -1 where unknown; got -7"),
        (
            lambda model: model.start_session().append("a"),
            "item must be a contiguous id; got 'a'. raw=True takes .* ids",
        ),
        (lambda model: model.start_session().append(7), r"item must lie in 1\.\.6; got 7"),
        (
            lambda model: model.start_session().append(1, dwell=2),
            "dwell must be left out with the first event, .*; got 2",
        ),
        (
            lambda model: model.start_session().append(1).append(1, -1),
            "dwell must be seconds, 0 or more, or NaN; got -1",
        ),
        (
            lambda model: model.start_session().append(1).append(1, 1e39),
            r"dwell must be seconds, 0 or more, or NaN; got 1e\+39",
        ),
        (
            lambda model: model.start_session().append(True),
            "item must be a contiguous id; got True. raw=True takes .* ids",
        ),
        (lambda model: model.start_session(started=np.inf), "started must be finite, or NaN where unknown; got inf"),
        (lambda model: model.start_session().recommend(k=0), "k must be 1 or more; got 0"),
    ],
)
def test_what_a_live_session_cannot_take_is_refused(model, call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call(model)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model: model.start_session([], raw=True), r"user must be one raw id, a string or an integer; got \[\]"),
        (lambda model: model.start_session(raw=True).append(None), "item must be one raw id, .*; got None"),
        (lambda model: model.start_session(started="now"), "started must be a number; got 'now'"),
        (lambda model: model.start_session().append(1).append(2, dwell="3"), "dwell must be a number; got '3'"),
    ],
)
def test_what_is_of_another_kind_is_refused(model, call, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        call(model)


def test_serving_needs_a_fitted_model():
    for name, arguments in (("start_session", ()), ("item_matrix", ()), ("queries", ([[1]],))):
        with pytest.raises(RuntimeError, match=f"^{name} needs a fitted model; call fit first$"):
            getattr(quick(), name)(*arguments)


# Vectors


@pytest.mark.parametrize("loss", ["cross_entropy", "pointwise"])
@pytest.mark.parametrize("name", ASARS)
def test_the_product_of_vectors_is_the_score_without_the_memory(name, loss):
    model = quick(representation=name, loss=loss, history=False, transitions=False).fit(TRAIN)
    products = model.queries(LATER) @ model.item_matrix().T
    np.testing.assert_allclose(products[:, 1:], model.predict(LATER.sequences)[:, 1:], atol=1e-5)
    remembering = quick(representation=name, loss=loss).fit(TRAIN)
    batch_of_one = remembering.queries(["ä", "b"], user_ids="user 1")
    assert batch_of_one.shape == (1, remembering.item_matrix().shape[1])


def test_the_memory_touches_what_was_viewed_in_the_session_and_before():
    model = quick(transitions=False).fit(TRAIN)
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
    assert quick(history=False).fit(TRAIN).remembered([[2]])[0].tolist() == sorted(together)
    assert [len(items) for items in quick(history=False, transitions=False).fit(TRAIN).remembered([[1, 2]])] == [0]


def test_vectors_need_a_score_that_is_one_product():
    model = quick(representation="mixture").fit(TRAIN)
    with pytest.raises(
        ValueError, match=r"^item_matrix must be asked of an ASARS representation, .*; got 'MixtureLSTMNet'$"
    ):
        model.item_matrix()


# Threads


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
