"""The planted effects are as strong as their probabilities say, and there are no others."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import chisquare

from spotlight_asars import EventLog, to_sessions
from spotlight_asars.datasets.synthetic import CATEGORIES, FAVOURITES, KINDS, REMEMBERED, generate_sessions

SIZES = {"num_users": 30, "num_items": 20, "num_sessions": 2000, "session_length": 8, "random_state": 3}
EFFECTS = ("predictability", "dwell_effect", "user_effect")


def generate(**effects):
    """A log of ``SIZES`` where the effects that are not named stand at 0."""
    return generate_sessions(**{**SIZES, **dict.fromkeys(EFFECTS, 0.0), **effects})


def sessions_of(log):
    """(user, items, dwell) of each session."""
    sessions = to_sessions(log, max_sequence_length=100)
    cuts = sessions.offsets[1:-1]
    return zip(
        sessions.user_ids, np.split(sessions.items, cuts), np.split(sessions.flat_dwell_times, cuts), strict=True
    )


@pytest.fixture(scope="module")
def successor():
    """The successor of each item, read off the log of the same seed in which every click is one."""
    pairs = {pair for _, items, _ in sessions_of(generate(predictability=1.0)) for pair in itertools.pairwise(items)}
    assert len(pairs) == len(dict(pairs)) == SIZES["num_items"]
    return dict(pairs)


@pytest.fixture(scope="module")
def likes():
    """What each user likes, read off the log of the same seed in which every click is one of that."""
    found = {}
    for user, items, _ in sessions_of(generate(user_effect=1.0)):
        found.setdefault(user, set()).update(items[1:].tolist())
    assert set(map(len, found.values())) <= set(range(1, FAVOURITES + 1))
    return found


def share(hits):
    hits = list(hits)
    assert len(hits) > 3000
    return np.mean(hits)


def after_the_last(log, successor):
    """How often a click is the successor of the item before it."""
    return share(
        successor[one] == other for _, items, _ in sessions_of(log) for one, other in itertools.pairwise(items)
    )


def after_the_longest(log, successor):
    """How often a click is the successor of the item looked at longest, the one before it left aside."""
    return share(
        successor[items[np.argmax(dwell[: step - 1])]] == items[step]
        for _, items, dwell in sessions_of(log)
        for step in range(2, len(items))
    )


def of_the_liked(log, likes):
    """How often a click is one of those that its user likes."""
    return share(item in likes[user] for user, items, _ in sessions_of(log) for item in items[1:])


CHANCE = 1 / SIZES["num_items"]


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_predictability_is_how_often_the_last_item_decides(successor, probability):
    found = after_the_last(generate(predictability=probability), successor)
    assert found == pytest.approx(probability + (1 - probability) * CHANCE, abs=0.015)


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_the_dwell_effect_is_how_often_the_item_read_longest_decides(successor, probability):
    found = after_the_longest(generate(dwell_effect=probability), successor)
    assert found == pytest.approx(probability + (1 - probability) * CHANCE, abs=0.015)


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_the_user_effect_is_how_often_the_user_decides(likes, probability):
    chance = np.mean([len(liked) for liked in likes.values()]) * CHANCE
    found = of_the_liked(generate(user_effect=probability), likes)
    assert found == pytest.approx(probability + (1 - probability) * chance, abs=0.02)


@pytest.mark.parametrize("probability", [0.0, 0.4, 1.0])
def test_the_repeat_effect_is_how_often_a_click_is_from_the_users_latest_sessions(probability):
    log = generate(repeat_effect=probability, num_items=400, num_sessions=1000)
    seen, hits, chances = defaultdict(list), [], []
    for user, items, _ in sessions_of(log):  # in the order of users, and of time within
        if seen[user]:
            latest = set().union(*seen[user][-REMEMBERED:])
            hits += [item in latest for item in items[1:]]
            chances += [len(latest) / 400] * (len(items) - 1)
        seen[user].append(set(items))
    assert share(hits) == pytest.approx(probability + (1 - probability) * np.mean(chances), abs=0.02)


def test_without_the_dwell_times_the_dwell_effect_is_hard_to_see(successor):
    log = generate(dwell_effect=0.6)
    assert after_the_longest(log, successor) > 0.6
    assert after_the_last(log, successor) < 0.25


def test_with_all_effects_at_zero_clicks_are_uniform():
    log = generate()
    items = np.bincount(log.item_ids, minlength=log.num_items)[1:]
    assert chisquare(items).pvalue > 0.01
    pairs = np.zeros((log.num_items, log.num_items))
    for _, session, _ in sessions_of(log):
        np.add.at(pairs, (session[:-1], session[1:]), 1)
    assert chisquare(pairs[1:, 1:].ravel()).pvalue > 0.01
    by_user = np.zeros((log.num_users, log.num_items))
    np.add.at(by_user, (log.user_ids, log.item_ids), 1)
    assert chisquare(by_user[:, 1:], by_user[:, 1:].mean(axis=1, keepdims=True), axis=1).pvalue.min() > 0.01 / 30


def test_sessions_are_recovered_as_planted():
    for length in (2, 3, 8, 30):
        log = generate(session_length=length)
        sessions = to_sessions(log, max_sequence_length=100)
        assert len(sessions) == log.session_ids()[-1] + 1 == SIZES["num_sessions"]
        assert sessions.lengths.min() >= max(2, length // 2)
        assert sessions.lengths.max() <= length * 3 // 2
        assert sessions.lengths.mean() == pytest.approx(length, rel=0.3)
    assert np.unique(log.user_ids).tolist() == list(range(SIZES["num_users"]))
    assert isinstance(log, EventLog)
    assert (log.num_users, log.num_items) == (SIZES["num_users"], SIZES["num_items"] + 1)


def test_each_session_has_one_item_that_is_read():
    for _, items, dwell in sessions_of(generate()):
        known = dwell[: len(items) - 1]
        assert (known > 100).sum() == 1


def test_the_seed_decides_everything():
    first, again, other = generate(), generate(), generate(random_state=4)
    for name in ("user_ids", "item_ids", "timestamps"):
        assert getattr(first, name).tolist() == getattr(again, name).tolist()
    assert first.item_ids.tolist() != other.item_ids.tolist()
    state = generate(random_state=np.random.RandomState(3))
    assert state.item_ids.tolist() == first.item_ids.tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"predictability": -0.1}, "predictability must be a probability; got -0.1"),
        ({"dwell_effect": 1.1}, "dwell_effect must be a probability; got 1.1"),
        ({"user_effect": float("nan")}, "user_effect must be a probability; got nan"),
        (
            {"predictability": 0.5, "dwell_effect": 0.5, "user_effect": 0.5},
            "predictability, dwell_effect, user_effect, drift_effect, repeat_effect, category_effect, kind_effect, "
            "intent_effect must not add up to more than 1; "
            "got {'predictability': 0.5, 'dwell_effect': 0.5, 'user_effect': 0.5, 'drift_effect': 0.0, "
            "'repeat_effect': 0.0, 'category_effect': 0.0, 'kind_effect': 0.0, 'intent_effect': 0.0}",
        ),
        ({"num_users": 0}, "num_users must be 1 or more; got 0"),
        ({"num_items": 0}, "num_items must be 1 or more; got 0"),
        ({"num_sessions": 29}, "num_sessions must be at least num_users; got 29"),
        ({"session_length": 1}, "session_length must be 2 or more; got 1"),
    ],
)
def test_sizes_and_effects_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        generate(**arguments)


def test_a_category_is_followed_by_the_next_and_all_of_its_items_alike():
    log = generate(category_effect=0.6, num_items=30)
    category = np.r_[-1, (np.arange(30)) % CATEGORIES]
    np.testing.assert_array_equal(log.categories, category[log.item_ids])
    pairs = [pair for _, items, _ in sessions_of(log) for pair in itertools.pairwise(items)]
    follows = [other for one, other in pairs if category[other] == (category[one] + 1) % CATEGORIES]
    assert len(follows) / len(pairs) == pytest.approx(0.6 + 0.4 / CATEGORIES, abs=0.02)
    assert chisquare(np.bincount(follows, minlength=31)[1:]).pvalue > 1e-3
    assert generate().categories is None


def test_an_item_has_a_successor_of_each_kind():
    log = generate(kind_effect=0.6)
    assert log.kind_vocabulary.raw.tolist() == list(KINDS)
    sessions = to_sessions(log, max_sequence_length=100)
    counts = np.zeros((len(KINDS) + 1, SIZES["num_items"] + 1, SIZES["num_items"] + 1))
    for start, stop in itertools.pairwise(sessions.offsets):
        items, kinds = sessions.items[start:stop], sessions.flat_kinds[start:stop]
        np.add.at(counts, (kinds[:-1], items[:-1], items[1:]), 1)
    most = counts.max(axis=2).sum() / counts.sum()
    assert most == pytest.approx(0.6 + 0.4 / SIZES["num_items"], abs=0.03)
    successors = counts[1:, 1:].argmax(axis=2)
    assert all(len(set(of_kind)) == SIZES["num_items"] for of_kind in successors.tolist()), "a ring of each kind"
    assert (successors[0] != successors[1]).any()
    assert chisquare(np.bincount(sessions.flat_kinds)[1:]).pvalue > 1e-3
    assert generate().kinds is None
