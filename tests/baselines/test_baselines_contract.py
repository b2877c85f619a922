"""The contract of every baseline in ``BASELINES``, the checks of their options, and the table itself."""

from __future__ import annotations

import inspect
from functools import lru_cache, partial

import contracts_baselines
import numpy as np
import pytest
from contracts_baselines import OF_A_FITTED_MODEL, OF_A_MAKER, batch_of, random_sessions

from spotlight_asars import SessionInteractions, baselines, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate

LEARNED = ("bpr_mf", "youtube_pooling", "wavenet_cnn", "gru4rec_cross_entropy", "gru4rec_bpr_max", "narm", "sasrec")
WITH_LIBRARIES = {"sasrec": "rectools"}  # the tests may run without it
SMALL = {"n_iter": 1, "batch_size": 16, "embedding_dim": 8, "random_state": 0}


def maker(name):
    """The constructor of a baseline, small and seeded if it is trained."""
    return partial(BASELINES[name], **SMALL) if name in LEARNED else BASELINES[name]


@lru_cache
def fitted(name):
    return maker(name)().fit(random_sessions())


@pytest.mark.parametrize("check", [*OF_A_MAKER, *OF_A_FITTED_MODEL])
@pytest.mark.parametrize("name", BASELINES)
def test_contract(name, check):
    if name in WITH_LIBRARIES:
        pytest.importorskip(WITH_LIBRARIES[name])
    check(maker(name) if check in OF_A_MAKER else fitted(name))


def test_every_check_is_in_the_contract():
    checks = {function for name, function in inspect.getmembers(contracts_baselines) if name.startswith("check_")}
    assert checks == {*OF_A_MAKER, *OF_A_FITTED_MODEL}


def test_every_baseline_of_the_package_is_in_the_table():
    public = {getattr(baselines, name) for name in baselines.__all__ if name != "BASELINES"}
    assert public == set(BASELINES.values())


COUNTED = [name for name in BASELINES if name not in LEARNED]


@lru_cache
def train_and_test(predictability):
    log = generate_sessions(
        num_items=60, num_sessions=1200, predictability=predictability, dwell_effect=0, user_effect=0, random_state=0
    )
    return [to_sessions(part) for part in log.split_by_time(test_fraction=0.2)]


@pytest.mark.parametrize("name", [name for name in COUNTED if "popular" not in name])
def test_a_predictable_log_is_predicted(name):
    train, test = train_and_test(0.9)
    assert evaluate(BASELINES[name]().fit(train), test, k=5)["recall@5"] > 0.5


@pytest.mark.parametrize("name", COUNTED)
def test_a_random_log_is_ranked_at_chance(name):
    train, test = train_and_test(0.0)
    assert abs(evaluate(BASELINES[name]().fit(train), test, k=6)["recall@6"] - 0.1) < 0.03


@pytest.mark.parametrize("name", ["gru4rec_cross_entropy", "gru4rec_bpr_max", "narm"])
def test_nets_learn_a_predictable_log(name):
    train, test = train_and_test(0.9)
    model = BASELINES[name](n_iter=3, batch_size=32, random_state=0).fit(train)
    assert evaluate(model, test, k=5)["recall@5"] > 0.3 > 3 * 5 / 60


@pytest.mark.parametrize("name", COUNTED)
def test_no_prefix_has_no_score(name):
    model = fitted(name)
    states = model.states(*batch_of())[:, -1]
    assert model.score_catalogue(states[:0]).shape == (0, model.num_items)


@pytest.mark.parametrize("name", COUNTED)
def test_a_log_of_no_event_is_refused(name):
    empty = SessionInteractions(np.zeros((2, 3), dtype=np.int64), num_items=5)
    with pytest.raises(ValueError, match="interactions must have an event or more; got 0"):
        BASELINES[name]().fit(empty)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("sequential_rules", {"steps": 0}, "steps must be 1 or more; got 0"),
        ("sequential_rules", {"weighting": "cubic"}, "weighting must be a callable or one of .*; got 'cubic'"),
        ("item_knn", {"shrinkage": -1}, "shrinkage must be 0 or more; got -1"),
        ("item_knn", {"alpha": 1.5}, r"alpha must lie between 0 and 1; got 1\.5"),
        ("session_knn", {"k": 0}, "k must be 1 or more; got 0"),
        ("session_knn", {"sample_size": 0}, "sample_size must be 1 or more; got 0"),
        ("session_knn", {"similarity": "sine"}, "similarity must be a callable or one of .*; got 'sine'"),
        ("session_knn", {"repeats": "never"}, "repeats must be one of .*; got 'never'"),
        ("vsknn", {"weighting": "cubic"}, "weighting must be a callable or one of .*; got 'cubic'"),
        ("vsknn", {"weighting_score": "cubic"}, "weighting_score must be a callable or one of .*; got 'cubic'"),
        ("vsknn", {"idf": -1}, "idf must be 0 or more; got -1"),
        ("stan", {"position_decay": 0}, "position_decay must be positive; got 0"),
        ("stan", {"recency_decay": -1}, "recency_decay must be positive; got -1"),
        ("stan", {"gap_decay": 0}, "gap_decay must be positive; got 0"),
        ("vstan", {"match_decay": 0}, "match_decay must be positive; got 0"),
        ("vstan", {"idf": -2}, "idf must be 0 or more; got -2"),
        ("user_vsknn", {"extend_session_length": -1}, "extend_session_length must be 0 or more; got -1"),
        ("user_vsknn", {"boost_own_sessions": -1}, "boost_own_sessions must be 0 or more; got -1"),
        ("user_vsknn", {"reminders": -1}, "reminders must be 0 or more; got -1"),
        ("user_vsknn", {"remind_sessions": 0}, "remind_sessions must be 1 or more; got 0"),
        ("session_knn", {"similar_reminders": -1}, "similar_reminders must be 0 or more; got -1"),
        ("slist", {"alpha": 1.5}, r"alpha must lie between 0 and 1; got 1\.5"),
        ("slist", {"regularization": 0}, "regularization must be positive; got 0"),
        ("slist", {"recency_decay": 0}, "recency_decay must be positive; got 0"),
        ("slist", {"gap_decay": -1}, "gap_decay must be positive; got -1"),
        ("slist", {"position_decay": 0}, "position_decay must be positive; got 0"),
        ("slist", {"min_support": 0}, "min_support must be 1 or more; got 0"),
        ("slist", {"repeats": "never"}, "repeats must be one of .*; got 'never'"),
        ("bpr_mf", {"n_iter": 0}, "n_iter must be 1 or more; got 0"),
        ("bpr_mf", {"l2": -1}, "l2 must be 0 or more; got -1"),
        ("bpr_mf", {"learning_rate": 0}, "learning_rate must be positive; got 0"),
        ("sasrec", {"num_heads": 3}, "embedding_dim must be a multiple of 3 heads; got 64"),
        ("sasrec", {"dropout": 1.0}, r"dropout must be a share from 0 up to but not 1; got 1\.0"),
        ("sasrec", {"max_sequence_length": 0}, "max_sequence_length must be 1 or more; got 0"),
        ("sasrec", {"learning_rate": -1}, "learning_rate must be positive; got -1"),
    ],
)
def test_options_are_checked(name, options, message):
    with pytest.raises(ValueError, match=message):
        BASELINES[name](**options)
