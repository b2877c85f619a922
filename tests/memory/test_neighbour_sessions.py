"""Votes of earlier sessions against loops over lists."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from simulated_device import SIMULATED, simulated_device
from torch.utils._python_dispatch import TorchDispatchMode

from spotlight_asars import SessionInteractions
from spotlight_asars.memory import neighbour_sessions
from spotlight_asars.memory.neighbour_sessions import (
    GAP_DECAY,
    LATEST,
    POSITION_DECAY,
    REACH,
    RECENCY_DECAY,
    NeighbourSessions,
)

ITEMS = 8
ROW = st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=9)
LOGS = st.lists(ROW, min_size=1, max_size=7)


def as_sessions(rows, started=None):
    offsets = np.cumsum([0, *map(len, rows)])
    return SessionInteractions.from_ragged(np.concatenate(rows), offsets, None, ITEMS, started=started)


def votes_by_hand(rows, viewed):
    """{item: N} by the formula, over sessions in the order of time."""
    votes = defaultdict(float)
    latest = viewed[::-1][:LATEST]
    for number, session in enumerate(rows):
        shared = [place for place, item in enumerate(latest) if item in session and item not in latest[:place]]
        if shared:
            age = (len(rows) - 1 - number) / len(rows)
            similarity = sum(math.exp(-place / POSITION_DECAY) for place in shared)
            similarity *= math.exp(-age / RECENCY_DECAY) / math.sqrt(len(session))
            here = max(place for place, item in enumerate(session) if item == latest[shared[0]])
            for place, item in enumerate(session):
                if abs(place - here) <= REACH:
                    vote = similarity * math.exp(-abs(place - here) / GAP_DECAY)
                    votes[item] += 0.0 if item in viewed[-neighbour_sessions.OWN :] else vote
    return dict(votes)


def votes_of(neighbours, viewed):
    """{item: N} of one state."""
    votes = neighbours.query(torch.tensor([viewed])).votes(torch.tensor([0]), torch.tensor([len(viewed) - 1]))
    found = {}
    for item, strength, times in zip(*(column[0].tolist() for column in votes), strict=True):
        if item:
            assert times == votes.items[0].tolist().count(item)
            assert found.setdefault(item, strength) == strength, "an item has the same strength in all of its slots"
    return found


@given(LOGS, ROW)
def test_votes_are_what_loops_over_lists_find(rows, viewed):
    assert votes_of(NeighbourSessions(as_sessions(rows)), viewed) == pytest.approx(
        votes_by_hand(rows, viewed), rel=1e-5
    )


@given(LOGS, ROW, st.data())
def test_sessions_count_in_the_order_of_time(rows, viewed, data):
    order = data.draw(st.permutations(range(len(rows))))
    started = np.argsort(order) * 3600.0
    shuffled = as_sessions(rows, started)
    expected = votes_by_hand([rows[row] for row in order], viewed)
    assert votes_of(NeighbourSessions(shuffled), viewed) == pytest.approx(expected, rel=1e-5)
    assert shuffled.in_order_of_time().tolist() == list(order)


@given(LOGS, ROW)
def test_padding_anywhere_changes_no_votes(rows, viewed):
    neighbours, padded = NeighbourSessions(as_sessions(rows)), [0, *(part for item in viewed for part in (item, 0))]
    assert votes_of(neighbours, padded) == votes_of(neighbours, viewed)
    assert votes_of(neighbours, [0]) == {}


def test_only_the_latest_sessions_of_an_item_and_the_most_similar_ones_vote(monkeypatch):
    rows = [[1, 2], [1, 3], [1, 4, *[6] * 7]]
    monkeypatch.setattr(neighbour_sessions, "PER_ITEM", 2)
    assert votes_of(NeighbourSessions(as_sessions(rows)), [1]).keys() == {1, 3, 4, 6}
    monkeypatch.setattr(neighbour_sessions, "NEIGHBOURS", 1)
    assert votes_of(NeighbourSessions(as_sessions(rows)), [1]).keys() == {1, 3}, "the shorter one is more like it"


def test_the_latest_items_of_the_session_itself_get_no_votes(monkeypatch):
    rows, viewed = [[1, 2, 3, 4, 5]], [3, 1, 2]
    assert votes_of(NeighbourSessions(as_sessions(rows)), viewed).keys() == {1, 2, 3, 4, 5}
    assert [votes_of(NeighbourSessions(as_sessions(rows)), viewed)[item] > 0 for item in (1, 2, 3, 4)] == [0, 0, 0, 1]
    monkeypatch.setattr(neighbour_sessions, "OWN", 2)
    assert [votes_of(NeighbourSessions(as_sessions(rows)), viewed)[item] > 0 for item in (1, 2, 3, 4)] == [0, 0, 1, 1]


def test_arrays_make_the_same_neighbours():
    sessions = as_sessions([[1, 2, 3], [3, 4], [2, 2, 5]], np.array([5.0, np.nan, 1.0]))
    neighbours = NeighbourSessions(sessions)
    again = NeighbourSessions.from_arrays(neighbours.arrays(), ITEMS)
    assert votes_of(again, [4, 2]) == votes_of(neighbours, [4, 2])


def test_some_rows_and_many_states_at_once_have_the_votes_of_each():
    rows = [[1, 2, 3], [3, 4], [2, 2, 5]]
    neighbours, matrix = NeighbourSessions(as_sessions(rows)), torch.tensor([[0, 1, 2], [2, 3, 4], [0, 0, 5]])
    together = neighbours.query(matrix).select(slice(1, 3)).votes(torch.tensor([0, 1]), torch.tensor([1, 2]))
    for state, viewed in enumerate(([2, 3], [5])):
        found = {
            item: value
            for item, value in zip(*(column[state].tolist() for column in together[:2]), strict=True)
            if item
        }
        assert found == pytest.approx(votes_of(neighbours, viewed))


class NoSumsOfFloats(TorchDispatchMode):
    """Refuses what a GPU would add up in any order, to other bits each time."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if "scatter_add" in operation.overloadpacket.__name__:
            assert not args[0].is_floating_point()
        return operation(*args, **(kwargs or {}))


def test_votes_on_a_device_are_added_up_to_the_same_bits_in_any_order():
    first, wanted = torch.tensor([0]), torch.tensor([[2, 4]])
    items, log = torch.tensor([[1, 3]]), as_sessions([[1, 2, 3], [3, 4, 2], [2, 1]])
    here = NeighbourSessions(log).query(items)
    with simulated_device(), NoSumsOfFloats():
        there = NeighbourSessions(log, SIMULATED).query(items.to(SIMULATED))
        states = first.to(SIMULATED), (first + 1).to(SIMULATED)
        votes, place = there.votes(*states), torch.arange(ITEMS).to(SIMULATED)
        some = there.strength_of(*states, wanted.to(SIMULATED)).cpu()
        columns = there.strength_in_columns(*states, place, ITEMS).cpu()
        found = [part.cpu() for part in votes]
    for part, expected in zip(found, here.votes(first, first + 1), strict=True):
        torch.testing.assert_close(part, expected)
    torch.testing.assert_close(some, here.strength_of(first, first + 1, wanted))
    torch.testing.assert_close(columns[:, wanted[0]], some)


def test_a_look_up_waits_for_nothing():
    with simulated_device() as waits:
        neighbours = NeighbourSessions(as_sessions([[1, 2, 3], [3, 4]]), SIMULATED)
        items = torch.tensor([[1, 3]]).to(SIMULATED)
        waits.clear()
        votes = neighbours.query(items).votes(items[:, 0] * 0, items[:, 0] * 0 + 1)
        assert not waits
        assert votes.items.device == SIMULATED


@given(LOGS, LOGS, ROW)
def test_sessions_that_are_added_later_vote_as_if_they_had_been_there(rows, later, viewed):
    few = SessionInteractions([[1, 2]], num_items=3)
    added = NeighbourSessions(few).grown(5).with_added(as_sessions(rows)).with_added(as_sessions(later))
    together = NeighbourSessions(as_sessions([[1, 2], *rows, *later]))
    assert added.num_items == ITEMS
    assert votes_of(added, viewed) == votes_of(together, viewed)


@given(LOGS, LOGS, st.sampled_from([1, 2, neighbour_sessions.PER_ITEM]))
def test_an_addition_keeps_the_latest_sessions_of_each_item(rows, later, kept):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbour_sessions, "PER_ITEM", kept)
        added = NeighbourSessions(as_sessions(rows)).with_added(as_sessions(later)).on_host
        together = NeighbourSessions(as_sessions([*rows, *later])).on_host
    for one, other in zip(added.events_of.columns, together.events_of.columns, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(
        (added.events_of.offsets, *added[1:]), (together.events_of.offsets, *together[1:]), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@given(st.lists(st.lists(st.integers(1, ITEMS - 1), min_size=1, max_size=3), min_size=1, max_size=40))
def test_demand_is_the_trend_of_the_latest_tenth_of_the_sessions_and_the_popularity_in_all(rows):
    neighbours, latest = NeighbourSessions(as_sessions(rows)), rows[int(0.9 * len(rows)) :]
    events, of_late = [item for row in rows for item in row], [item for row in latest for item in row]
    share = len(of_late) / len(events)
    trend = [np.log((1 + of_late.count(item)) / (1 + events.count(item) * share)) for item in range(ITEMS)]
    popularity = [np.log(1 + events.count(item)) for item in range(ITEMS)]
    np.testing.assert_allclose(neighbours.demand, [trend, popularity], rtol=1e-5, atol=1e-7)
    assert neighbours.query(torch.tensor([[1]])).demand is neighbours.demand
    assert torch.equal(NeighbourSessions.from_arrays(neighbours.arrays(), ITEMS).demand, neighbours.demand)


@given(LOGS, LOGS)
def test_demand_goes_on_with_what_is_added(rows, later):
    few = SessionInteractions([[1, 2]], num_items=3)
    grown = NeighbourSessions(few).grown(5).demand.tolist()
    assert grown == [[*known, 0, 0] for known in NeighbourSessions(few).demand.tolist()]
    added = NeighbourSessions(few).grown(5).with_added(as_sessions(rows)).with_added(as_sessions(later))
    assert torch.equal(added.demand, NeighbourSessions(as_sessions([[1, 2], *rows, *later])).demand)


@given(LOGS, ROW, st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=6))
def test_strength_of_some_items_alone_is_that_of_the_votes(rows, viewed, wanted):
    query = NeighbourSessions(as_sessions(rows)).query(torch.tensor([viewed]))
    by_hand = votes_by_hand(rows, viewed)
    state = torch.tensor([0]), torch.tensor([len(viewed) - 1])
    own = query.strength_of(*state, torch.tensor([wanted]))
    np.testing.assert_allclose(own[0], [by_hand.get(item, 0.0) for item in wanted], rtol=1e-5, atol=1e-7)
    place = torch.full((ITEMS,), len(wanted))
    place[wanted] = torch.arange(len(wanted))
    columns = query.strength_in_columns(*state, place, len(wanted) + 1)[0][place[wanted]]
    np.testing.assert_allclose(columns, [by_hand.get(item, 0.0) for item in wanted], rtol=1e-5, atol=1e-7)
