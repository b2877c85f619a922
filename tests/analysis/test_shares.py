"""Shares and repeats, against counts in dictionaries."""

from __future__ import annotations

import math
import re
from collections import Counter
from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from logs_with_categories import CATEGORY_OF, log_of
from reference_data import HOUR, LOGS, columns, sessions_by_hand

from spotlight_asars import EventLog
from spotlight_asars.analysis import repeat_rates, top_shares

WAYS = st.sampled_from(["item", "category"])


def clicks_by_hand(events, by):
    """(user, what each event of the session clicks) of each session."""
    return [
        (session[0][0], [CATEGORY_OF[event[1]] if by == "category" else event[1] for event in session])
        for session in sessions_by_hand(events)
    ]


def top_shares_by_hand(sessions, top):
    total = [0.0] * top
    for _, clicks in sessions:
        for n, (_, count) in enumerate(Counter(clicks).most_common(top)):
            total[n] += count / len(clicks)
    return [share / len(sessions) for share in total]


def repeat_rates_by_hand(sessions, back, earlier):
    rates = []
    for k in range(1, back + 1):
        shares, past = [], {}
        for user, clicks in sessions:
            before = past.setdefault(user, [])
            if len(before) >= earlier:
                seen = {click for session in before[-k:] for click in session}
                shares.append(sum(click in seen for click in clicks) / len(clicks))
            before.append(clicks)
        rates.append(mean(shares) if shares else math.nan)
    return rates, len(shares)


@given(LOGS, WAYS, st.integers(1, 12))
def test_top_shares_are_the_counts_of_each_session_in_order(events, by, top):
    sessions = clicks_by_hand(events, by)
    found = top_shares(log_of(events), by, top)
    np.testing.assert_allclose(found.share, top_shares_by_hand(sessions, top), rtol=1e-12)
    np.testing.assert_allclose(found.cumulative, np.cumsum(top_shares_by_hand(sessions, top)), rtol=1e-12)
    assert found.sessions == len(sessions)


@given(LOGS, WAYS, st.integers(1, 12), st.integers(1, 4))
def test_repeat_rates_are_those_of_looking_back_session_by_session(events, by, back, earlier):
    rates, sessions = repeat_rates_by_hand(clicks_by_hand(events, by), back, earlier)
    found = repeat_rates(log_of(events), by, back, earlier=earlier)
    np.testing.assert_allclose(found.rate, rates, rtol=1e-12)
    assert (found.sessions, found.earlier) == (sessions, earlier)


def test_earlier_chooses_the_sessions_that_count():
    days = 24 * HOUR * np.arange(4)
    log = EventLog(np.zeros(4), [1, 1, 2, 1], days)  # one event a session
    np.testing.assert_allclose(repeat_rates(log, back=3).rate, [1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(repeat_rates(log, back=3, earlier=3).rate, [0, 1, 1])


def test_users_do_not_repeat_each_other():
    log = EventLog([0, 1, 1], [2, 3, 2], [0, 0, 2 * HOUR])
    assert repeat_rates(log).rate.tolist() == [0.0] * 10


def test_users_need_not_stand_in_the_order_of_their_ids():
    known, newcomer = 1, 0
    early = [(known, 1, 0), (known, 2, 9000)]
    late = [(newcomer, 1, 50000), (newcomer, 1, 60000), (known, 1, 70000), (known, 2, 80000)]
    log = EventLog(*columns(early + late))
    _, test = log.split_by_time(4 / 6, unknown_users="keep")
    assert test.user_ids.tolist() == [1, 1, 0, 0], "the newcomer's id is beyond the known ones"
    found = repeat_rates(test)
    assert (found.rate[0], found.sessions) == (0.5, 2)


def test_sessions_times_items_may_be_more_than_32_bits_count():
    users, items = np.repeat(np.arange(3000), 2), np.tile([1, 10**6], 3000)  # 3000 * 10**6 > 2**31
    log = EventLog(users, items, np.tile([0, 30], 3000))
    assert top_shares(log).share[:3].tolist() == [0.5, 0.5, 0]
    assert repeat_rates(EventLog(users, items, np.tile([0, 9000], 3000))).rate[0] == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda log: top_shares(log, "colour"), ValueError, "by must be one of ['item', 'category']; got 'colour'"),
        (
            lambda log: repeat_rates(log, "category"),
            ValueError,
            "by must be 'item' for a log without categories; got 'category'",
        ),
        (lambda log: top_shares(log, top=0), ValueError, "top must be 1 or more; got 0"),
        (lambda log: repeat_rates(log, back=2.5), TypeError, "back must be a whole number; got 2.5"),
        (lambda log: repeat_rates(log, earlier=-1), ValueError, "earlier must be 1 or more; got -1"),
        (lambda log: top_shares(log, inactivity=0), ValueError, "inactivity must be positive; got 0"),
    ],
)
def test_arguments_out_of_range_are_refused(log, call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call(log)
