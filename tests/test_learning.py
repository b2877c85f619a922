"""Each channel helps where an effect of it is planted in the log, and a log without effects is ranked at chance."""

from __future__ import annotations

import numpy as np
import pytest

from spotlight_asars import ASARSSequenceModel, SessionInteractions, to_sessions
from spotlight_asars.datasets.synthetic import generate_sessions
from spotlight_asars.evaluation import evaluate

ITEMS = 60
NOTHING = {"predictability": 0.0, "dwell_effect": 0.0, "user_effect": 0.0}
USER_EFFECT = {**NOTHING, "predictability": 0.1, "user_effect": 0.8}
DWELL_EFFECT = {**NOTHING, "predictability": 0.1, "dwell_effect": 0.8}


def planted(num_sessions=600, test_fraction=0.3, **knobs):
    log = generate_sessions(num_users=40, num_items=ITEMS, num_sessions=num_sessions, random_state=0, **knobs)
    return tuple(to_sessions(part) for part in log.split_by_time(test_fraction))


def recall(representation, data, k):
    train, test = data
    memories = {"history": False, "transitions": False, "neighbours": False, "item_neighbours": 0}
    options = {"embedding_dim": 64, "n_iter": 8, "batch_size": 32, "random_state": 0, **memories}
    model = ASARSSequenceModel(representation=representation, **options).fit(train)
    return evaluate(model, test, k=k)[f"recall@{k}"]


def shuffled(data, users=False, dwell=False):
    """The same sessions with users, or dwell times, that have nothing to do with them."""
    draw = np.random.RandomState(0)
    return tuple(
        SessionInteractions.from_ragged(
            sessions.items,
            sessions.offsets,
            draw.permutation(sessions.user_ids) if users else sessions.user_ids,
            sessions.num_items,
            dwell_times=draw.permutation(sessions.flat_dwell_times) if dwell else sessions.flat_dwell_times,
            num_users=sessions.num_users,
            started=sessions.started,
        )
        for sessions in data
    )


def test_a_predictable_log_is_learned():
    assert recall("gru4rec", planted(**{**NOTHING, "predictability": 0.9}), k=1) > 0.8


@pytest.mark.parametrize("representation", ["gru4rec", "time_dynamics", "lstm"])
def test_a_random_log_is_ranked_at_chance(representation):
    data = planted(test_fraction=0.5, **NOTHING)
    assert abs(recall(representation, data, k=6) - 6 / ITEMS) < 0.03


def test_users_help_where_they_have_an_effect_and_shuffled_users_do_not():
    data = planted(**USER_EFFECT)
    alone = recall("gru4rec", data, k=5)
    for representation in ("user_cat", "user_att", "time_user"):
        assert recall(representation, data, k=5) > alone + 0.1, representation
    assert recall("user_cat", shuffled(data, users=True), k=5) < alone + 0.03


def test_dwell_helps_where_it_has_an_effect_and_shuffled_dwell_does_not():
    data = planted(num_sessions=800, **DWELL_EFFECT)
    alone = recall("gru4rec", data, k=1)
    for representation in ("time_att", "time_user"):
        assert recall(representation, data, k=1) > alone + 0.06, representation
    assert recall("time_att", shuffled(data, dwell=True), k=1) < alone + 0.03
