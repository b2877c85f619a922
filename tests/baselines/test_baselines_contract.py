"""Every line of ``BASELINES`` keeps the contract; and what is asked of the table itself."""

from __future__ import annotations

import inspect
from functools import partial

import contracts_baselines
import numpy as np
import pytest
from contracts_baselines import CONTRACT

from spotlight_asars import SessionInteractions, baselines, to_sessions
from spotlight_asars.baselines import BASELINES
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate

LEARNED = ("bpr_mf", "youtube_pooling", "wavenet_cnn", "gru4rec_cross_entropy", "gru4rec_bpr_max", "narm", "sasrec")
WITH_LIBRARIES = {"sasrec": "rectools"}  # which the tests do without
SMALL = {"n_iter": 1, "batch_size": 16, "embedding_dim": 8, "random_state": 0}


def maker(name):
    """Makes the baseline; one that is trained, small and seeded."""
    return partial(BASELINES[name], **SMALL) if name in LEARNED else BASELINES[name]


@pytest.mark.parametrize("check", CONTRACT)
@pytest.mark.parametrize("name", BASELINES)
def test_contract(name, check):
    if name in WITH_LIBRARIES:
        pytest.importorskip(WITH_LIBRARIES[name])
    check(maker(name))


def test_every_check_is_in_the_contract():
    checks = {function for name, function in inspect.getmembers(contracts_baselines) if name.startswith("check_")}
    assert checks == set(CONTRACT)


def test_every_baseline_of_the_package_is_in_the_table():
    public = {getattr(baselines, name) for name in baselines.__all__ if name != "BASELINES"}
    assert public == set(BASELINES.values())


@pytest.fixture(scope="module")
def predictable():
    log = generate_sessions(num_items=60, num_sessions=1200, predictability=0.9, dwell_effect=0, user_effect=0)
    train, test = log.split_by_time(test_fraction=0.2)
    return to_sessions(train), to_sessions(test)


@pytest.fixture(scope="module")
def random():
    log = generate_sessions(num_items=60, num_sessions=1200, predictability=0, dwell_effect=0, user_effect=0)
    train, test = log.split_by_time(test_fraction=0.2)
    return to_sessions(train), to_sessions(test)


COUNTED = [name for name in BASELINES if name not in LEARNED]


@pytest.mark.parametrize("name", [name for name in COUNTED if "popular" not in name])
def test_a_predictable_log_is_predicted(name, predictable):
    train, test = predictable
    assert evaluate(BASELINES[name]().fit(train), test, k=5)["recall@5"] > 0.5


@pytest.mark.parametrize("name", COUNTED)
def test_a_random_log_is_ranked_at_chance(name, random):
    train, test = random
    assert abs(evaluate(BASELINES[name]().fit(train), test, k=6)["recall@6"] - 0.1) < 0.03


@pytest.mark.parametrize("name", ["gru4rec_cross_entropy", "gru4rec_bpr_max", "narm"])
def test_nets_learn_a_predictable_log(name, predictable):
    train, test = predictable
    model = BASELINES[name](n_iter=3, batch_size=32, random_state=0).fit(train)
    assert evaluate(model, test, k=5)["recall@5"] > 0.3 > 3 * 5 / 60


@pytest.mark.parametrize("name", COUNTED)
def test_no_prefix_has_no_score(name):
    model = BASELINES[name]().fit(contracts_baselines.random_sessions())
    states = model.encode(*contracts_baselines.batch_of())[:, -1]
    assert model.score_catalogue(states[:0]).shape == (0, contracts_baselines.ITEMS)


@pytest.mark.parametrize("name", COUNTED)
def test_a_log_of_no_event_is_refused(name):
    empty = SessionInteractions(np.zeros((2, 3), dtype=np.int64), num_items=5)
    with pytest.raises(ValueError, match="interactions must have an event or more; got 0"):
        BASELINES[name]().fit(empty)
