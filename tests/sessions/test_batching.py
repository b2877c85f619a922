"""An epoch is every session once, side by side with sessions of like length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import RandomState

from spotlight_asars import SessionInteractions
from spotlight_asars.memory.user_history import Memory
from spotlight_asars.sessions import batching
from spotlight_asars.sessions.batching import POOL, make_batch, scoring_batches, training_batches, user_parallel_batches

CPU = torch.device("cpu")
ROWS = st.lists(st.lists(st.integers(1, 50), max_size=7), min_size=1, max_size=40)


def make(rows, channels=True):
    """Sessions of the rows; user r has session r, and an item's dwell is half its id."""
    flat = np.array([item for row in rows for item in row], dtype=int)
    users, dwell = (range(len(rows)), flat / 2) if channels else (None, None)
    return SessionInteractions.from_ragged(flat, np.cumsum([0, *map(len, rows)]), users, 51, dwell_times=dwell)


def many(count, longest, seed=0):
    """Many sessions of random length."""
    random = RandomState(seed)
    return make([random.randint(1, 51, size=length).tolist() for length in random.randint(1, longest + 1, size=count)])


def assert_holds(batch, rows, channels=True):
    """The batch is its sessions, padded from the left to the longest of them, with aligned channels."""
    longest = max([1, *(len(rows[row]) for row in batch.rows)])
    assert batch.items.shape == (len(batch.rows), longest)
    assert batch.items.dtype == torch.int64
    users, dwell = batch.channels.user_ids, batch.channels.dwell_times
    assert (users is None, dwell is None) == (not channels, not channels)
    for place, row in enumerate(batch.rows):
        padding = longest - len(rows[row])
        assert batch.items[place].tolist() == [0] * padding + rows[row]
        if channels:
            assert users[place] == row
            assert dwell[place, :padding].isnan().all()
            assert dwell[place, padding:].tolist() == [item / 2 for item in rows[row]]


@given(ROWS, st.data(), st.booleans())
def test_gathered_sessions_are_those_asked_for_in_that_order(rows, data, channels):
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=9))
    batch = make_batch(make(rows, channels), np.array(chosen), CPU)
    assert batch.rows.tolist() == chosen
    assert_holds(batch, rows, channels)


def test_an_empty_session_is_all_padding():
    assert make_batch(make([[], [3]]), np.array([0]), CPU).items.tolist() == [[0]]
    assert make_batch(make([[]]), np.array([0]), CPU).items.tolist() == [[0]]


@given(ROWS, st.integers(1, 9), st.integers(0, 99))
def test_an_epoch_visits_each_session_of_two_events_or_more_exactly_once(rows, batch_size, seed):
    batches = list(training_batches(make(rows), batch_size, RandomState(seed), CPU))
    visited = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(visited) == [row for row, items in enumerate(rows) if len(items) >= 2]
    assert sum(len(batch.rows) < batch_size for batch in batches) <= 1
    for batch in batches:
        assert_holds(batch, rows)


@given(ROWS, st.integers(1, 9))
def test_scoring_visits_every_session_once_the_short_ones_first(rows, batch_size):
    batches = list(scoring_batches(make(rows), batch_size, CPU))
    visited = [row for batch in batches for row in batch.rows.tolist()]
    assert sorted(visited) == list(range(len(rows)))
    lengths = [len(rows[row]) for row in visited]
    assert lengths == sorted(lengths)
    for batch in batches:
        assert_holds(batch, rows)


@given(ROWS, st.integers(1, 9), st.integers(1, 12))
def test_long_sessions_are_scored_in_fewer_rows(rows, batch_size, steps):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batching, "STEPS_AT_ONCE", steps)
        batches = list(scoring_batches(make(rows), batch_size, CPU))
    assert sorted(row for batch in batches for row in batch.rows.tolist()) == list(range(len(rows)))
    for batch in batches:
        assert len(batch.rows) <= batch_size
        assert len(batch.rows) == 1 or len(batch.rows) * max(len(rows[row]) for row in batch.rows) <= steps


@given(st.lists(st.tuples(st.integers(-1, 4), st.integers(0, 9)), min_size=1, max_size=30), st.integers(1, 6))
def test_user_parallel_batches_hold_each_users_sessions_in_the_order_of_time(owners, batch_size):
    users, starts = (np.array(column) for column in zip(*owners, strict=True))
    sessions = SessionInteractions(np.ones((len(users), 1), int), users, num_users=5, started=starts)
    for random in (None, RandomState(0)):
        batches = list(user_parallel_batches(sessions, batch_size, CPU, random))
        visited = [row for batch in batches for row in batch.rows.tolist()]
        assert sorted(visited) == list(range(len(users)))
        for user in set(users.tolist()) - {-1}:
            own = [row for row in visited if users[row] == user]
            assert own == sorted(np.flatnonzero(users == user), key=lambda row: (starts[row], row))
        for batch in batches:
            assert len(batch.rows) < 2 * batch_size
            chain = batch.channels.chain
            seen = {}
            for row, number, place in zip(batch.rows, chain.user.tolist(), chain.place.tolist(), strict=True):
                owner = users[row] if users[row] >= 0 else ("alone", row)
                seen.setdefault(owner, (len(seen), []))
                assert number == seen[owner][0]
                assert place == len(seen[owner][1])
                seen[owner][1].append(row)
            assert chain.sizes == (len(seen), max(len(rows) for _, rows in seen.values()))
            assert batch.channels.started.tolist() == starts[batch.rows].tolist()
            assert batch.channels.user_ids.tolist() == users[batch.rows].tolist()


def test_epochs_differ_and_are_reproducible_by_their_seed():
    sessions = many(count=300, longest=5)

    def epochs(seed):
        random = RandomState(seed)
        return [[b.rows.tolist() for b in training_batches(sessions, 8, random, CPU)] for _ in range(2)]

    first, second = epochs(1)
    assert first != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))  # other company, not only another order
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first


def test_within_a_pool_sessions_of_like_length_share_a_batch_and_batches_are_shuffled():
    sessions, batch_size = many(count=3 * POOL * 4, longest=20), 4
    batches = list(training_batches(sessions, batch_size, RandomState(0), CPU))
    spreads = [np.ptp(sessions.lengths[batch.rows]) for batch in batches]
    assert np.mean(spreads) < 1  # of lengths 2..20: at random it would be about 11
    times = [batch.items.shape[1] for batch in batches]
    assert np.abs(np.corrcoef(times[1:], times[:-1])[0, 1]) < 0.2


def test_sessions_without_two_events_make_no_batch():
    assert list(training_batches(make([[1], []]), 4, RandomState(0), CPU)) == []


@pytest.mark.parametrize("count", [100, 50_000])
def test_gathering_takes_memory_for_its_batch_only(count):
    items = np.ones(count * 4, dtype=int)
    sessions = SessionInteractions.from_ragged(
        items, np.arange(0, 4 * count + 1, 4), np.zeros(count), dwell_times=items
    )
    make_batch(sessions, np.arange(8), CPU)
    tracemalloc.start()
    make_batch(sessions, np.arange(8), CPU)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000


@pytest.mark.parametrize(
    "device",
    ["meta", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"))],
)
def test_a_batch_moves_with_all_it_has(device):
    sessions = SessionInteractions([[1, 2], [3, 1]], [0, 0], dwell_times=[[1, 2], [3, 4]], started=[0.0, 9.0])
    (batch,) = user_parallel_batches(sessions, 2, CPU)
    memory = Memory(sessions).recall(torch.tensor([0, 0]), torch.tensor([5.0, np.nan]).double())
    batch = batch._replace(channels=batch.channels._replace(history=memory)).to(torch.device(device))
    channels = batch.channels
    tensors = [batch.items, *batch.viewed, *channels[:3], *channels.chain[:2], *channels.history]
    assert {tensor.device.type for tensor in tensors} == {device}
    assert batch.to(torch.device(device)).channels.chain.sizes == (1, 2)
    assert channels.history.items.shape == memory.items.shape


@given(ROWS)
def test_what_was_viewed_is_followed_by_what_is_to_be_predicted(rows):
    batch = make_batch(make(rows), np.arange(len(rows)), CPU)
    row, step = batch.viewed
    assert batch.items[row, step].tolist() == [item for items in rows for item in items[:-1]]
    assert batch.items[row, step + 1].tolist() == [item for items in rows for item in items[1:]]
    assert batch.whole.targets == len(row)
    assert batch.whole.events.tolist() == [item for items in rows for item in items]
