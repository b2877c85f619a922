"""An epoch is every session once, side by side with sessions of like length."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import RandomState
from simulated_device import SIMULATED, simulated_device

from spotlight_asars import SessionInteractions
from spotlight_asars.runtime.distributed import Processes
from spotlight_asars.sessions import passes
from spotlight_asars.sessions.batching import SessionsOnDevice, numbered
from spotlight_asars.sessions.passes import POOL, scoring_batches, training_batches, user_parallel_batches

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


def gathered(sessions, rows, **which):
    return SessionsOnDevice(sessions, CPU).batch(np.array(rows, dtype=np.int64), **which)


def epoch(sessions, batch_size, random, **options):
    return list(training_batches(sessions, batch_size, SessionsOnDevice(sessions, CPU), random, **options))


def of_whole_users(sessions, batch_size, random=None, **options):
    return list(user_parallel_batches(sessions, batch_size, SessionsOnDevice(sessions, CPU), random, **options))


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
    chosen = data.draw(st.lists(st.integers(0, len(rows) - 1), max_size=9))
    batch = gathered(make(rows, channels), chosen)
    assert batch.rows.tolist() == batch.numbers.tolist() == chosen
    assert batch.first.tolist() == [sum(map(len, rows[:row])) for row in chosen]
    assert_holds(batch, rows, channels)


@given(ROWS, st.data())
def test_a_share_knows_the_whole_mini_batch(rows, data):
    sessions, whole = make(rows), data.draw(st.permutations(range(len(rows))))
    size = data.draw(st.integers(1, 4))
    for rank in range(size):
        share = whole[rank::size]
        batch = gathered(sessions, share, whole=np.array(whole))
        assert batch.rows.tolist() == share
        assert_holds(batch, rows)
        assert batch.whole.sessions == len(rows)
        assert batch.whole.targets == sum(max(len(row) - 1, 0) for row in rows)
        assert batch.whole.events.tolist() == [item for row in whole for item in rows[row]]


@pytest.mark.parametrize("users", [True, False])
@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize("dwell", [True, False])
def test_a_batch_has_the_channels_that_its_sessions_have(users, started, dwell):
    matrix = [[0, 1, 2], [3, 4, 5], [0, 0, 6]]
    seconds = np.array([[0, np.nan, 2.5], [1, 2, 3], [0, 0, 9]]) if dwell else None
    sessions = SessionInteractions(
        matrix, [5, -1, 0] if users else None, dwell_times=seconds, started=[1e9 + 0.25, np.nan, 7] if started else None
    )
    batch = gathered(sessions, [2, 0])
    channels = batch.channels
    assert batch.items.tolist() == [[0, 6], [1, 2]]
    assert channels.user_ids is None if not users else channels.user_ids.tolist() == [0, 5]
    assert channels.started is None if not started else channels.started.tolist() == [7, 1e9 + 0.25]
    assert channels.started is None or channels.started.dtype == torch.float64
    if dwell:
        assert channels.dwell_times.nan_to_num(-1).tolist() == [[-1, 9], [-1, 2.5]]
    else:
        assert channels.dwell_times is None


def test_an_empty_session_is_all_padding():
    assert gathered(make([[], [3]]), [0]).items.tolist() == [[0]]
    assert gathered(make([[]]), [0]).items.tolist() == [[0]]


def test_a_batch_may_be_empty():
    batch = gathered(make([[1, 2], [3]]), [], whole=np.array([1, 0]))
    assert batch.items.shape == batch.channels.dwell_times.shape == (0, 1)
    assert [len(part) for part in batch.viewed] == [0, 0]
    assert batch.whole.events.tolist() == [3, 1, 2]


@given(st.lists(st.integers(0, 4), max_size=9))
def test_entries_are_numbered_within_their_rows(counts):
    row, number = numbered(torch.tensor(counts, dtype=torch.int64), sum(counts))
    assert row.tolist() == [row for row, count in enumerate(counts) for _ in range(count)]
    assert number.tolist() == [number for count in counts for number in range(count)]


@settings(max_examples=20)
@given(ROWS, st.data(), st.integers(1, 9))
def test_on_a_device_batches_are_the_same_and_wait_for_nothing(rows, data, batch_size):
    sessions, starts = make(rows), [float(row % 5) for row in range(len(rows))]
    sessions = SessionInteractions.from_ragged(
        sessions.items, sessions.offsets, np.arange(len(rows)) % 3 - 1, 51,
        dwell_times=sessions.flat_dwell_times, started=starts,
    )  # fmt: skip
    processes = Processes(data.draw(st.integers(0, 1)), 2)
    for batches in (training_batches, user_parallel_batches):
        here = batches(sessions, batch_size, SessionsOnDevice(sessions, CPU), RandomState(0), 0, processes)
        with simulated_device() as waits:
            there = list(
                batches(sessions, batch_size, SessionsOnDevice(sessions, SIMULATED), RandomState(0), 0, processes)
            )
            assert not waits
            for one, other in zip(here, there, strict=True):
                assert other.items.device == SIMULATED
                assert other.rows.tolist() == one.rows.tolist()
                for tensor, same in zip(tensors_of(other), tensors_of(one), strict=True):
                    torch.testing.assert_close(tensor.cpu(), same, rtol=0, atol=0, equal_nan=True)


def tensors_of(batch):
    chain = batch.channels.chain or ()
    return [batch.numbers, batch.first, batch.items, *batch.viewed, *batch.channels[:3], *chain[:2], batch.whole.events]


@given(ROWS, st.integers(1, 9), st.integers(0, 99))
def test_an_epoch_visits_each_session_of_two_events_or_more_exactly_once(rows, batch_size, seed):
    batches = epoch(make(rows), batch_size, RandomState(seed))
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
        patch.setattr(passes, "STEPS_AT_ONCE", steps)
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
        batches = of_whole_users(sessions, batch_size, random)
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
        return [[batch.rows.tolist() for batch in epoch(sessions, 8, random)] for _ in range(2)]

    first, second = epochs(1)
    assert first != second
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))  # other company, not only another order
    assert epochs(1) == [first, second]
    assert epochs(2)[0] != first


def test_within_a_pool_sessions_of_like_length_share_a_batch_and_batches_are_shuffled():
    sessions, batch_size = many(count=3 * POOL * 4, longest=20), 4
    batches = epoch(sessions, batch_size, RandomState(0))
    spreads = [np.ptp(sessions.lengths[batch.rows]) for batch in batches]
    assert np.mean(spreads) < 1  # of lengths 2..20: at random it would be about 11
    times = [batch.items.shape[1] for batch in batches]
    assert np.abs(np.corrcoef(times[1:], times[:-1])[0, 1]) < 0.2


def test_sessions_without_two_events_make_no_batch():
    assert epoch(make([[1], []]), 4, RandomState(0)) == []


@pytest.mark.parametrize("count", [100, 50_000])
def test_gathering_takes_memory_for_its_batch_only(count):
    items = np.ones(count * 4, dtype=int)
    sessions = SessionInteractions.from_ragged(
        items, np.arange(0, 4 * count + 1, 4), np.zeros(count), dwell_times=items
    )
    on_device, rows = SessionsOnDevice(sessions, CPU), np.arange(8)
    on_device.batch(rows)
    tracemalloc.start()
    on_device.batch(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000


@given(ROWS)
def test_what_was_viewed_is_followed_by_what_is_to_be_predicted(rows):
    batch = gathered(make(rows), np.arange(len(rows)))
    row, step = batch.viewed
    assert batch.items[row, step].tolist() == [item for items in rows for item in items[:-1]]
    assert batch.items[row, step + 1].tolist() == [item for items in rows for item in items[1:]]
    assert batch.whole.targets == len(row)
    assert batch.whole.events.tolist() == [item for items in rows for item in items]


@given(ROWS, st.integers(1, 9), st.integers(1, 4), st.booleans())
def test_processes_share_out_each_batch_of_an_epoch(rows, batch_size, size, whole_users):
    sessions = make(rows)
    batches = of_whole_users if whole_users else epoch
    alone = batches(sessions, batch_size, RandomState(0))
    shares = [batches(sessions, batch_size, RandomState(0), processes=Processes(rank, size)) for rank in range(size)]
    for batch, *parts in zip(alone, *shares, strict=True):
        assert sorted(row for part in parts for row in part.rows.tolist()) == sorted(batch.rows.tolist())
        for part in parts:
            assert (part.whole.sessions, part.whole.targets) == batch.whole[1:]
            assert torch.equal(part.whole.events, batch.whole.events)


@given(ROWS, st.integers(1, 9), st.booleans(), st.data())
def test_an_epoch_that_starts_later_goes_on_as_the_whole_one(rows, batch_size, whole_users, data):
    batches = of_whole_users if whole_users else epoch
    whole = batches(make(rows), batch_size, RandomState(0))
    start = data.draw(st.integers(0, len(whole)))
    rest = batches(make(rows), batch_size, RandomState(0), start=start)
    assert [batch.rows.tolist() for batch in rest] == [batch.rows.tolist() for batch in whole[start:]]


@given(ROWS, st.integers(1, 9), st.data())
def test_sessions_that_are_to_come_last_come_after_all_others(rows, batch_size, data):
    sessions, last = make(rows), np.array(data.draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
    start, came = data.draw(st.integers(0, 5)), []
    batches = training_batches(
        sessions,
        batch_size,
        SessionsOnDevice(sessions, CPU),
        RandomState(0),
        start,
        last=last,
        before_last=lambda: came.append("last ones"),
    )
    for batch in batches:
        came.append(set(last[batch.rows]))
    first = -(-sum(len(row) >= 2 and not late for row, late in zip(rows, last, strict=True)) // batch_size)
    later = -(-sum(len(row) >= 2 and late for row, late in zip(rows, last, strict=True)) // batch_size)
    expected = [{False}] * first + [{True}] * later
    told = ["last ones"] if start <= first and later else []
    assert came == [*expected[start:first], *told, *expected[max(start, first) :]]
