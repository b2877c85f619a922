"""Negatives come with the frequencies they should have, and ``Seen`` knows every user's history."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import RandomState
from scipy.stats import chisquare

from spotlight_asars import SessionInteractions
from spotlight_asars.sampling import SAMPLERS, InBatch, Local, Popularity, Seen, Uniform

ITEMS = 11
LOG = SessionInteractions([[0, 0, 1, 2], [3, 3, 3, 4], [0, 5, 3, 1]], user_ids=[0, 1, 0], num_items=ITEMS)
CHANCE = 1e-3  # a test of frequencies fails this often by chance; the seeds are fixed, so it is once or never


def frequencies(drawn):
    return np.bincount(drawn.ravel(), minlength=ITEMS)


@pytest.mark.parametrize("shape", [7, (7,), (3, 5), (2, 3, 5), (), (0,), (1, 1)], ids=str)
@pytest.mark.parametrize("batch_items", [None, np.array([4, 9]), np.array([4, 9], dtype=np.int32)], ids=str)
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_item_ids_of_any_shape(name, batch_items, shape):
    drawn = np.asarray(SAMPLERS[name](LOG)(shape, RandomState(0), batch_items))
    assert drawn.shape == np.empty(shape).shape
    assert drawn.dtype == np.int64
    assert ((drawn > 0) & (drawn < ITEMS)).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_repeats_itself_from_the_same_seed_alone(name):
    def draw(seed):
        return SAMPLERS[name](LOG)(100, RandomState(seed), np.arange(1, ITEMS))

    np.random.seed(0)  # of no influence
    first = draw(5)
    np.random.seed(1)
    np.testing.assert_array_equal(draw(5), first)
    assert (draw(6) != first).any()


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_leaves_log_and_batch_alone_and_draws_copies(name):
    pool = np.array([4, 9])
    SAMPLERS[name](LOG)(100, RandomState(0), pool)[:] = 0
    SAMPLERS[name](LOG)(100, RandomState(0))[:] = 0
    np.testing.assert_array_equal(pool, [4, 9])
    np.testing.assert_array_equal(LOG.items, [1, 2, 3, 3, 3, 4, 5, 3, 1])


def test_local_draws_are_in_proportion_to_the_mini_batchs_events():
    batch_items = np.repeat([2, 3, 7, 10], [1, 2, 5, 12])
    counts = frequencies(Local(LOG)((200, 100), RandomState(0), batch_items))
    there = [2, 3, 7, 10]
    assert counts.sum() == counts[there].sum()
    assert chisquare(counts[there], 20000 * np.array([1, 2, 5, 12]) / 20).pvalue > CHANCE


def test_local_draws_without_a_mini_batch_are_in_proportion_to_the_logs_events():
    counts = frequencies(Local(LOG)(9000, RandomState(0)))
    assert counts[6:].sum() == counts[0] == 0
    assert chisquare(counts[1:6], 9000 * np.array([2, 1, 4, 1, 1]) / 9).pvalue > CHANCE


def test_uniform_draws_are_from_the_whole_catalogue_alike():
    counts = frequencies(Uniform(LOG)(10000, RandomState(0), np.array([4, 9])))
    assert counts[0] == 0
    assert chisquare(counts[1:], np.full(ITEMS - 1, 1000.0)).pvalue > CHANCE


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_popularity_draws_are_in_proportion_to_a_power_of_the_logs_counts(alpha):
    counts = frequencies(Popularity(LOG, alpha=alpha)(9000, RandomState(0), np.array([9])))
    assert counts[6:].sum() == counts[0] == 0
    weights = np.array([2, 1, 4, 1, 1]) ** alpha
    assert chisquare(counts[1:6], 9000 * weights / weights.sum()).pvalue > CHANCE


def test_popularity_refuses_a_negative_power():
    with pytest.raises(ValueError, match=r"^alpha must be 0 or more; got -0\.5$"):
        Popularity(LOG, alpha=-0.5)


def test_in_batch_draws_use_every_event_of_the_mini_batch_once_before_any_again():
    events = np.array([2, 3, 3, 7])
    drawn = InBatch(LOG)(8, RandomState(0), events)
    np.testing.assert_array_equal(np.sort(drawn[:4]), events)
    np.testing.assert_array_equal(drawn[4:], drawn[:4])
    assert set(InBatch(LOG)(2, RandomState(0), events)) <= set(events)


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("batch_items", [None, np.array([4, 9, 9])], ids=["log", "batch"])
def test_the_log_probability_is_that_of_the_draws(name, batch_items):
    sample = SAMPLERS[name](LOG)
    chances = np.exp(sample.log_probability(np.arange(1, ITEMS), batch_items))
    assert chances.sum() == pytest.approx(1.0)
    drawn = np.concatenate([sample(20, RandomState(seed), batch_items) for seed in range(500)])
    possible = chances > 0
    counts = frequencies(drawn)[1:]
    assert counts[~possible].sum() == 0
    np.testing.assert_allclose(counts / counts.sum(), chances, atol=0.02)


def ragged(rows, users):
    offsets = np.cumsum([0] + [len(row) for row in rows])
    return SessionInteractions.from_ragged(np.concatenate([*rows, []]), offsets, users, ITEMS)


def excludes_by_hand(rows, users, chosen, negatives):
    """One look-up after the other, in a dictionary of sets."""
    owners = [("session", row) for row in range(len(rows))]
    if users is not None:
        owners = [("user", user) if user >= 0 else owner for user, owner in zip(users, owners, strict=True)]
    history = {owner: set() for owner in owners}
    for owner, row in zip(owners, rows, strict=True):
        history[owner].update(row)
    seen = [[item in history[owners[row]] for item in negatives] for row in chosen]
    return np.array(seen, dtype=bool).reshape(len(chosen), len(negatives))


@st.composite
def look_ups(draw):
    item = st.integers(1, ITEMS - 1)
    rows = draw(st.lists(st.lists(item, max_size=25), min_size=1, max_size=9))
    user = st.integers(-1, 3)
    users = draw(st.none() | st.lists(user, min_size=len(rows), max_size=len(rows)))
    chosen = draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    return rows, users, chosen, draw(st.lists(item, min_size=1, max_size=30))


@given(look_ups())
def test_seen_is_a_dictionary_of_sets(look_up):
    rows, users, chosen, negatives = look_up
    seen = Seen(ragged(rows, users)).excludes(np.array(chosen, dtype=np.int64), np.array(negatives))
    assert seen.dtype == bool
    np.testing.assert_array_equal(seen, excludes_by_hand(rows, users, chosen, negatives))


def test_a_history_is_all_sessions_of_a_user_and_an_unknown_user_has_one():
    rows = [[1, 2], [3], [4], [5]]
    negatives = np.array([5, 4, 3, 2, 1, 1])
    seen = Seen(ragged(rows, [1, -1, 1, -1])).excludes(np.arange(4), negatives)
    by_row = [set(negatives[row].tolist()) for row in seen]
    assert by_row == [{1, 2, 4}, {3}, {1, 2, 4}, {5}]


def test_who_has_seen_everything_is_compared_with_nothing():
    log = ragged([range(1, ITEMS), [1, 2], []], [0, 1, 2])
    seen = Seen(log).excludes(np.array([2, 0, 1]), np.arange(1, ITEMS))
    np.testing.assert_array_equal(seen.sum(axis=1), [0, ITEMS - 1, 2])


def test_a_log_of_one_session_or_of_nothing_but_empty_ones_is_fine():
    assert Seen(ragged([[2, 2]], None)).excludes(np.array([0]), np.array([2, 3])).tolist() == [[True, False]]
    assert not Seen(ragged([[], []], [0, -1])).excludes(np.array([1, 0]), np.array([2, 3])).any()
    assert Seen(ragged([[2]], None)).excludes(np.empty(0, dtype=np.int64), np.array([2, 3])).shape == (0, 2)


def peak_memory_of_seen(events):
    """With as many users and items as a tenth of the events, where a table of both would be a hundredth squared."""
    draw = RandomState(0)
    items = draw.randint(1, events // 10, events)
    users = draw.randint(0, events // 10, events // 5)
    log = SessionInteractions.from_ragged(items, np.arange(0, events + 1, 5), users)
    tracemalloc.start()
    Seen(log).excludes(np.arange(64), draw.randint(1, events // 10, 256))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_grows_with_the_events_only():
    small, large = peak_memory_of_seen(20_000), peak_memory_of_seen(80_000)
    assert large < 4.5 * small
    assert large < 100 * 80_000


def test_what_was_looked_up_before_does_not_matter():
    draw = RandomState(0)
    sessions = SessionInteractions(draw.randint(1, 9, (6, 4)), draw.randint(0, 3, 6), num_items=9)
    seen = Seen(sessions)
    for _ in range(5):
        rows, negatives = draw.randint(0, 6, 3), draw.randint(1, 9, 4)
        np.testing.assert_array_equal(seen.excludes(rows, negatives), Seen(sessions).excludes(rows, negatives))
