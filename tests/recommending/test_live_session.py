"""A live session scores and recommends as the model does for the events so far."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import TRAIN, quick

from spotlight_asars.memory.neighbour_terms import Weights
from spotlight_asars.representations import REPRESENTATIONS

ITEMS, DWELL = [3, 1, 3, 6, 2], [40.0, np.nan, 7.5, 300.0]


@pytest.fixture(scope="module")
def model():
    return quick().fit(TRAIN)


@pytest.mark.parametrize("memories", [True, False])
@pytest.mark.parametrize("name", REPRESENTATIONS)
def test_a_live_session_scores_as_predict_does(name, memories):
    model = quick(representation=name, history=memories, transitions=memories, n_iter=2).fit(TRAIN)
    if model._fitted.neighbour_terms is not None:
        model._fitted.neighbour_terms.take(Weights(0.7, 1.5, 0.6, -0.4))
        model._fitted.remember_neighbours(TRAIN)
    for user, started in ((1, 2e5), (1, None), (None, None), (99, None)):
        session = model.start_session(user, started)
        channels = {"user_ids": -1 if user is None else user, "started": np.nan if started is None else started}
        np.testing.assert_allclose(session.scores(), model.predict([0], **channels), atol=1e-5)
        for step, item in enumerate(ITEMS):
            session.append(item, None if step == 0 else DWELL[step - 1])
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
    assert len(model.recommend([ITEMS], exclude_seen="history", user_ids=1).items[0].nonzero()[0]) < 3
    for options in ({}, {"exclude_seen": True}, {"exclude_seen": "history"}, {"candidates": [2, 5, 3]}):
        expected = model.recommend([ITEMS], k=9, user_ids=1, dwell_times=[[*DWELL, np.nan]], **options)
        named_options = dict(options)
        if "candidates" in options:
            named_options["candidates"] = model.item_vocabulary.decode(options["candidates"]).tolist()
        found, named = own.recommend(k=9, **options), raw.recommend(k=9, **named_options)
        np.testing.assert_array_equal(found.items, expected.items)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        kept = found.items[0][found.items[0] > 0]
        assert [item for item in named.items[0] if item is not None] == model.item_vocabulary.decode(kept).tolist()
        assert named.user_ids.tolist() == ["user 1"]
    assert repr(raw) == "<LiveSession (user 'user 1', 5 events)>"


def test_unknown_raw_items_are_skipped_and_dwell_stays_with_its_event(model):
    session = model.start_session("nobody", raw=True)
    session.append("ä").append("none", dwell_times=3.0).append("b", dwell_times=99.0).append("dd", dwell_times=5.0)
    assert session.unknown == (1, 1, 1)
    expected = model.recommend(["ä", "none", "b", "dd"], k=3, user_ids="nobody", dwell_times=[3.0, 99.0, 5.0, np.nan])
    found = session.recommend(k=3)
    assert found.items.tolist() == expected.items.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    assert found.unknown == expected.unknown


def test_a_finished_session_goes_into_the_memory():
    model = quick().fit(TRAIN)
    live = model.start_session(2, started=5e6).append(4).append(5, dwell_times=20.0)
    finished = live.as_sessions()
    assert finished.items.tolist() == [4, 5]
    np.testing.assert_array_equal(finished.flat_dwell_times, np.float32([20, np.nan]))
    before = model.start_session(2).scores()
    model.update(finished)
    assert not np.array_equal(model.start_session(2).scores(), before)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda model: model.start_session("ann", raw=False),
            "user_ids must be a contiguous id in a session of contiguous ids; got 'ann'. raw=True takes raw ids",
        ),
        (lambda model: model.start_session(-7), "user_ids must be 0 or more, or -1 where unknown; got -7"),
        (
            lambda model: model.start_session().append(1).append("a"),
            "item must be a contiguous id in a session of contiguous ids; got 'a'. raw=True takes .* ids",
        ),
        (lambda model: model.start_session().append(7), r"item must lie in 1\.\.6; got 7"),
        (
            lambda model: model.start_session().append(1, 2),
            "dwell_times must be left out with the first event, .*; got 2",
        ),
        (
            lambda model: model.start_session().append(1).append(1, -1),
            "dwell_times must be seconds, 0 or more, or NaN; got -1",
        ),
        (
            lambda model: model.start_session().append(1).append(1, 1e39),
            r"dwell_times must be seconds, 0 or more, or NaN; got 1e\+39",
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
        (lambda model: model.start_session([], raw=True), r"user_ids must be one id, a string or an integer; got \[\]"),
        (lambda model: model.start_session(raw=True).append(None), "item must be one id, .*; got None"),
        (lambda model: model.start_session().append(True), "item must be one id, a string or an integer; got True"),
        (lambda model: model.start_session(started="now"), "started must be a number; got 'now'"),
        (lambda model: model.start_session().append(1).append(2, "3"), "dwell_times must be a number; got '3'"),
    ],
)
def test_what_is_of_another_kind_is_refused(model, call, message):
    with pytest.raises(TypeError, match=f"^{message}$"):
        call(model)


def test_strings_make_a_session_raw_and_integers_do_not(model):
    assert model.start_session("user 1").append("b").recommend(k=1).items.dtype.kind == "O"
    assert model.start_session().append("b").recommend(k=1).items.dtype.kind == "O"
    assert model.start_session().append(2).recommend(k=1).items.dtype.kind == "i"
    with pytest.raises(TypeError, match=r"^item must be strings, as in training; got integers, like 2$"):
        model.start_session("user 1").append(2)


def test_old_names_of_arguments_warn(model):
    with pytest.warns(DeprecationWarning, match="^user is deprecated .*; use user_ids$"):
        old = model.start_session(user=1).append(1)
    with pytest.warns(DeprecationWarning, match="^dwell is deprecated .*; use dwell_times$"):
        old.append(2, dwell=3.0)
    np.testing.assert_array_equal(old.scores(), model.start_session(1).append(1).append(2, 3.0).scores())
