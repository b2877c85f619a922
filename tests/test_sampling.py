"""Negatives come with the frequencies they should have, and ``Seen`` knows every user's history."""

from __future__ import annotations

import tracemalloc
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import RandomState
from scipy.stats import chisquare, kstest
from simulated_device import SIMULATED, simulated_device

from spotlight_asars import SessionInteractions
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sampling import HOST, SAMPLERS, Draw, InBatch, Local, Popularity, Seen, Uniform

ITEMS = 11
LOG = SessionInteractions([[0, 0, 1, 2], [3, 3, 3, 4], [0, 5, 3, 1]], user_ids=[0, 1, 0], num_items=ITEMS)
EVENTS = torch.tensor([4, 9, 9])
CHANCE = 1e-3  # a test of frequencies fails this often by chance; the seeds are fixed, so it is once or never


def frequencies(drawn):
    return np.bincount(drawn.flatten(), minlength=ITEMS)


def splitmix(*numbers):
    """The hash as its paper gives it, in Python's unlimited integers: from 0 to 2**53."""
    mixed = 0
    for number in numbers:
        mixed = (mixed + number + 0x9E3779B97F4A7C15) % 2**64
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB % 2**64
        mixed ^= mixed >> 31
    return mixed >> 11


@given(st.integers(0, 2**62 - 1), st.lists(st.integers(0, 2**40), min_size=1, max_size=3))
def test_a_number_is_the_hash_of_seed_and_place(seed, place):
    found = Draw(seed).uniform_at(*(torch.tensor([part]) for part in place))
    assert found.dtype == torch.float64
    assert found.item() == splitmix(seed, *place) / 2**53


def test_numbers_are_uniform_and_never_1():
    numbers = Draw(3).uniform(200_000).numpy()
    assert 0 <= numbers.min() < numbers.max() < 1
    assert kstest(numbers, "uniform").pvalue > CHANCE
    assert abs(np.corrcoef(numbers[1:], numbers[:-1])[0, 1]) < 0.01
    assert len(np.unique(numbers)) == len(numbers), "53 bits hardly ever repeat"


def test_seeds_next_to_each_other_share_no_numbers():
    draws = [Draw(seed).uniform(1000) for seed in range(5)]
    assert len(torch.cat(draws).unique()) == 5000


def test_a_number_depends_on_its_place_and_not_on_how_many_are_drawn():
    places = torch.arange(50).view(5, 10) * 3
    for draw in (Draw(1), Draw(1)):
        assert torch.equal(draw.uniform(200)[:70], draw.uniform(70))
        assert torch.equal(draw.uniform_at(places), draw.uniform(148)[places])
    rows, columns = torch.arange(4).unsqueeze(1), torch.arange(6)
    wide = Draw(1).uniform_at(rows, columns)
    assert wide.shape == (4, 6)
    assert torch.equal(wide[1:3, ::2], Draw(1).uniform_at(rows[1:3], columns[::2]))
    assert len(wide.unique()) == 24


def test_a_number_is_the_same_on_every_device_and_waits_for_nothing():
    on_host = Draw(5).uniform(1000)
    with simulated_device() as waits:
        numbers = Draw(5, SIMULATED).uniform(1000)
        assert not waits
        assert torch.equal(numbers.cpu(), on_host)


class Highest(Draw):
    """Gives the largest number that a draw may give."""

    def uniform_at(self, *places):
        shape = torch.broadcast_shapes(*(part.shape for part in places))
        return torch.full(shape, 1 - 2.0**-53, dtype=torch.float64)


@pytest.mark.parametrize("draw", [Draw(0), Highest(0)], ids=["any", "highest"])
@pytest.mark.parametrize("count", [0, 1, 7])
@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_as_many_item_ids_as_asked(name, count, draw):
    drawn = SAMPLERS[name](LOG, HOST)(count, draw, EVENTS)
    assert (drawn.shape, drawn.dtype) == ((count,), torch.int64)
    assert ((drawn > 0) & (drawn < ITEMS)).all()


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_repeats_itself_from_the_same_seed_alone(name):
    events = torch.arange(1, ITEMS)

    def draw(seed):
        return SAMPLERS[name](LOG, HOST)(100, Draw(seed), events)

    assert torch.equal(draw(5), draw(5))
    assert (draw(6) != draw(5)).any()


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_leaves_log_and_batch_alone_and_draws_copies(name):
    pool = torch.tensor([4, 9])
    SAMPLERS[name](LOG, HOST)(100, Draw(0), pool)[:] = 0
    assert pool.tolist() == [4, 9]
    np.testing.assert_array_equal(LOG.items, [1, 2, 3, 3, 3, 4, 5, 3, 1])


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_draws_the_same_on_a_device_which_waits_for_nothing(name):
    sample = SAMPLERS[name](LOG, HOST)
    with simulated_device() as waits:
        there, events = SAMPLERS[name](LOG, SIMULATED), moved(EVENTS, SIMULATED)
        drawn = there(50, Draw(2, SIMULATED), events)
        chances = there.log_probability(drawn, events)
        assert not waits
        assert torch.equal(drawn.cpu(), sample(50, Draw(2), EVENTS))
        assert torch.equal(chances.cpu(), sample.log_probability(drawn.cpu(), EVENTS))


def test_local_draws_are_in_proportion_to_the_mini_batchs_events():
    there, times = [2, 3, 7, 10], np.array([1, 2, 5, 12])
    counts = frequencies(Local(LOG)(20_000, Draw(0), torch.from_numpy(np.repeat(there, times))))
    assert counts.sum() == counts[there].sum()
    assert chisquare(counts[there], 20_000 * times / 20).pvalue > CHANCE


def test_uniform_draws_are_from_the_whole_catalogue_alike():
    counts = frequencies(Uniform(LOG)(10_000, Draw(0), EVENTS))
    assert counts[0] == 0
    assert chisquare(counts[1:], np.full(ITEMS - 1, 1000.0)).pvalue > CHANCE


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_popularity_draws_are_in_proportion_to_a_power_of_the_logs_counts(alpha):
    counts = frequencies(Popularity(LOG, alpha=alpha)(9000, Draw(0), EVENTS))
    assert counts[6:].sum() == counts[0] == 0
    weights = np.array([2, 1, 4, 1, 1]) ** alpha
    assert chisquare(counts[1:6], 9000 * weights / weights.sum()).pvalue > CHANCE


def test_popularity_refuses_a_negative_power():
    with pytest.raises(ValueError, match=r"^alpha must be 0 or more; got -0\.5$"):
        Popularity(LOG, alpha=-0.5)


def test_in_batch_draws_use_every_event_of_the_mini_batch_once_before_any_again():
    events = torch.tensor([2, 3, 3, 7])
    drawn = InBatch(LOG)(8, Draw(0), events)
    assert sorted(drawn[:4].tolist()) == events.tolist()
    assert torch.equal(drawn[4:], drawn[:4])
    orders = {tuple(InBatch(LOG)(4, Draw(seed), events).tolist()) for seed in range(200)}
    assert len(orders) == 12, "every order comes"


@pytest.mark.parametrize("sampler", [*SAMPLERS.values(), partial(Popularity, alpha=0.3)])
@pytest.mark.parametrize("events", [EVENTS, torch.tensor([3])], ids=str)
def test_the_log_probability_is_that_of_the_draws(sampler, events):
    sample = sampler(LOG, HOST)
    log_chances = sample.log_probability(torch.arange(1, ITEMS), events)
    assert log_chances.dtype == torch.float64
    chances = log_chances.exp().numpy()
    assert chances.sum() == pytest.approx(1.0, rel=1e-12)
    drawn = torch.cat([sample(len(events), Draw(seed), events) for seed in range(2000)])
    possible, counts = chances > 0, frequencies(drawn)[1:]
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


def excludes(seen, chosen, negatives):
    rows = np.array(chosen, dtype=np.int64)
    return seen.excludes(rows, torch.from_numpy(rows), torch.as_tensor(negatives))


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
    seen = excludes(Seen(ragged(rows, users)), chosen, negatives)
    assert seen.dtype == torch.bool
    np.testing.assert_array_equal(seen, excludes_by_hand(rows, users, chosen, negatives))


def test_a_history_is_all_sessions_of_a_user_and_an_unknown_user_has_one():
    rows = [[1, 2], [3], [4], [5]]
    negatives = torch.tensor([5, 4, 3, 2, 1, 1])
    seen = excludes(Seen(ragged(rows, [1, -1, 1, -1])), np.arange(4), negatives)
    by_row = [set(negatives[row].tolist()) for row in seen]
    assert by_row == [{1, 2, 4}, {3}, {1, 2, 4}, {5}]


def test_who_has_seen_everything_is_compared_with_nothing():
    log = ragged([range(1, ITEMS), [1, 2], []], [0, 1, 2])
    seen = excludes(Seen(log), [2, 0, 1], np.arange(1, ITEMS))
    assert seen.sum(dim=1).tolist() == [0, ITEMS - 1, 2]


def test_a_log_of_one_session_or_of_nothing_but_empty_ones_is_fine():
    assert excludes(Seen(ragged([[2, 2]], None)), [0], [2, 3]).tolist() == [[True, False]]
    assert not excludes(Seen(ragged([[], []], [0, -1])), [1, 0], [2, 3]).any()
    assert excludes(Seen(ragged([[2]], None)), [], [2, 3]).shape == (0, 2)


@given(look_ups())
def test_on_a_device_it_is_the_same_and_waits_for_nothing(look_up):
    rows, users, chosen, negatives = look_up
    with simulated_device() as waits:
        seen = Seen(ragged(rows, users), SIMULATED)
        places = [moved(torch.tensor(ids, dtype=torch.int64), SIMULATED) for ids in (chosen, negatives)]
        excluded = seen.excludes(np.array(chosen, dtype=np.int64), *places)
        assert not waits
        np.testing.assert_array_equal(excluded.cpu(), excludes_by_hand(rows, users, chosen, negatives))


def peak_memory_of_seen(events):
    """With as many users and items as a tenth of the events, where a table of both would be a hundredth squared."""
    draw = RandomState(0)
    items = draw.randint(1, events // 10, events)
    users = draw.randint(0, events // 10, events // 5)
    log = SessionInteractions.from_ragged(items, np.arange(0, events + 1, 5), users)
    tracemalloc.start()
    excludes(Seen(log), np.arange(64), draw.randint(1, events // 10, 256))
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
        assert torch.equal(excludes(seen, rows, negatives), excludes(Seen(sessions), rows, negatives))
