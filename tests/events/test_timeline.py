"""What the order of events says, against loops."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from reference_data import HOUR, LOGS, columns, sessions_by_hand

from spotlight_asars.events import timeline


def in_order(events):
    users, items, times = columns(events)
    order = timeline.order_events(users, times)
    return users[order], items[order], times[order]


@given(LOGS)
def test_a_gap_runs_to_the_next_event_of_the_same_user(events):
    users, _, times = in_order(events)
    gaps = timeline.gaps_to_next(users, times)
    for place, gap in enumerate(gaps):
        later = [times[other] for other in range(place + 1, len(users)) if users[other] == users[place]]
        assert gap == (later[0] - times[place] if later else np.inf)


@given(LOGS)
def test_a_session_ends_exactly_at_a_long_gap(events):
    users, _, times = in_order(events)
    sessions = timeline.session_ids(timeline.gaps_to_next(users, times), HOUR)
    assert sessions[0] == 0
    for place in range(1, len(users)):
        together = users[place] == users[place - 1] and times[place] - times[place - 1] < HOUR
        assert sessions[place] - sessions[place - 1] == (not together)


@given(LOGS, st.data())
def test_two_events_share_a_session_iff_all_recorded_gaps_between_them_are_short_whatever_was_dropped(events, data):
    users, _, times = in_order(events)
    stays = data.draw(st.lists(st.booleans(), min_size=len(users), max_size=len(users)))
    gaps = timeline.gaps_to_next(users, times)
    kept = np.flatnonzero(stays)
    half = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(kept), max_size=len(kept))))
    pauses = timeline.carry_pauses(timeline.carry_pauses(gaps, kept), half)  # dropped in two goes
    kept = kept[half]
    sessions = timeline.session_ids(pauses, HOUR)
    for one in range(len(kept)):
        for other in range(one + 1, len(kept)):
            assert (sessions[one] == sessions[other]) == bool((gaps[kept[one] : kept[other]] < HOUR).all())


def test_a_gap_of_exactly_the_inactivity_ends_a_session_and_gives_no_dwell():
    gaps = np.array([HOUR - 1.0, float(HOUR), np.inf])
    assert timeline.session_starts(gaps, HOUR).tolist() == [True, False, True]
    np.testing.assert_array_equal(timeline.dwell_from_gaps(gaps, HOUR), [HOUR - 1, np.nan, np.nan])


def test_at_an_infinite_inactivity_a_user_is_one_session():
    gaps = np.array([1e9, np.inf, 5.0, np.inf])
    assert timeline.session_ids(gaps, np.inf).tolist() == [0, 0, 1, 1]


def test_pauses_of_no_events_are_none():
    assert timeline.carry_pauses(np.array([5.0, np.inf]), np.array([], dtype=np.intp)).tolist() == []


@given(LOGS)
def test_a_run_starts_where_the_item_or_the_session_changes(events):
    sessions = sessions_by_hand(events)
    items = np.array([event[1] for session in sessions for event in session])
    starts = np.array([place == 0 for session in sessions for place in range(len(session))])
    expected = [
        place == 0 or session[place - 1][1] != session[place][1]
        for session in sessions
        for place in range(len(session))
    ]
    assert timeline.run_starts(items, starts).tolist() == expected


@given(st.lists(st.tuples(st.booleans(), st.one_of(st.just(np.nan), st.integers(0, 9).map(float))), min_size=1))
def test_the_dwell_of_a_run_is_the_sum_of_what_is_known(marked):
    dwell = np.array([value for _, value in marked])
    first = np.flatnonzero([place == 0 or starts for place, (starts, _) in enumerate(marked)])
    expected = []
    for start, end in zip(first, [*first[1:], len(dwell)], strict=True):
        known = [value for value in dwell[start:end] if value == value]
        expected.append(sum(known) if known else np.nan)
    np.testing.assert_array_equal(timeline.sum_runs(dwell, first), expected)


SUPPORT = st.fixed_dictionaries({"item": st.integers(0, 4), "session": st.integers(0, 3), "user": st.integers(0, 3)})


@given(
    st.lists(st.tuples(st.integers(0, 1), st.integers(1, 2), st.sampled_from([0, HOUR])), min_size=1, max_size=7),
    SUPPORT,
)
def test_support_keeps_the_largest_set_in_which_nothing_offends(events, support):
    sessions = sessions_by_hand(events)
    numbered = [(number, *event) for number, session in enumerate(sessions) for event in session]
    everything = range(len(numbered))

    def holds(places):
        chosen = [numbered[place] for place in places]
        return all(
            sum(other[2] == event[2] for other in chosen) >= support["item"]
            and sum(other[0] == event[0] for other in chosen) >= support["session"]
            and len({other[0] for other in chosen if other[1] == event[1]}) >= support["user"]
            for event in chosen
        )

    subsets = chain.from_iterable(combinations(everything, size) for size in range(len(numbered) + 1))
    largest = set().union(*(places for places in subsets if holds(places)))
    users, items = (np.array([event[axis] for event in numbered]) for axis in (1, 2))
    cuts = np.array([event[0] for event in numbered])
    assert set(timeline.supported(users, items, cuts, **support).tolist()) == largest


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 2**31 - 1]), st.integers(0, 3)), max_size=12), st.booleans())
def test_the_order_is_that_of_a_stable_sort_whether_ids_have_holes_and_times_run_on_or_not(events, sorted_by_time):
    events = sorted(events, key=lambda event: event[1]) if sorted_by_time else events
    users = np.array([user for user, _ in events], np.int32)
    times = np.array([time for _, time in events], np.int64)
    assert timeline.order_events(users, times).tolist() == np.lexsort((times, users)).tolist()


@given(LOGS, st.data())
def test_sessions_are_ordered_by_their_first_events(events, data):
    users, _, times = columns(events)
    sessions = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(users), max_size=len(users))))
    order, ends = timeline.order_sessions(users, sessions, times)
    groups = {}
    for place in sorted(range(len(users)), key=lambda place: (times[place], place)):
        groups.setdefault((users[place], sessions[place]), []).append(place)
    expected = sorted(groups.values(), key=lambda group: users[group[0]])  # stable: by the first event in a user
    assert order.tolist() == list(chain.from_iterable(expected))
    assert np.flatnonzero(ends).tolist() == (np.cumsum([len(group) for group in expected]) - 1).tolist()
