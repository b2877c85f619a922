"""The data analysis of a log, against counts in dictionaries."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from statistics import mean, median

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from reference_data import HOUR, LOGS, columns, sessions_by_hand

from spotlight_asars import EventLog
from spotlight_asars.analysis import analyse, repeat_rates, summarise, top_shares
from spotlight_asars.analysis.dwell import dwell_histogram

CATEGORY_OF = {1: "tea", 2: "tea", 3: "jam", 4: "jam", 5: "soap"}  # of each item of LOGS
WAYS = st.sampled_from(["item", "category"])


def log_of(events, **options):
    users, items, times = columns(events)
    categories = [CATEGORY_OF.get(item, "other") for item in items.tolist()]
    return EventLog(users, items, times, categories=np.array(categories), **options)


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


def gamma_log(shape, scale, events, inactivity=math.inf):
    """One user whose gaps are gamma distributed, and the inactivity that cuts none of them."""
    gaps = np.random.RandomState(0).gamma(shape, scale, events)
    return EventLog(np.zeros(events), np.ones(events), np.cumsum(gaps) - gaps[0]), inactivity


@given(LOGS, WAYS, st.integers(1, 12))
def test_top_shares_are_the_counts_of_each_session_in_order(events, by, top):
    sessions = clicks_by_hand(events, by)
    found = top_shares(log_of(events), by, top)
    np.testing.assert_allclose(found.share, top_shares_by_hand(sessions, top), rtol=1e-12)
    np.testing.assert_allclose(found.cumulative, np.cumsum(top_shares_by_hand(sessions, top)), rtol=1e-12)
    assert found.sessions == len(sessions)


@given(LOGS, WAYS)
def test_all_items_of_a_session_have_all_its_clicks_and_shares_never_rise(events, by):
    found = top_shares(log_of(events), by, top=30)
    assert found.cumulative[-1] == pytest.approx(1)
    assert (np.diff(found.share) <= 1e-12).all()


@given(LOGS, WAYS, st.integers(1, 12), st.integers(1, 4))
def test_repeat_rates_are_those_of_looking_back_session_by_session(events, by, back, earlier):
    rates, sessions = repeat_rates_by_hand(clicks_by_hand(events, by), back, earlier)
    found = repeat_rates(log_of(events), by, back, earlier=earlier)
    np.testing.assert_allclose(found.rate, rates, rtol=1e-12)
    assert (found.sessions, found.earlier) == (sessions, earlier)


@given(LOGS, WAYS)
def test_repeat_rates_never_fall_with_k(events, by):
    rate = repeat_rates(log_of(events), by).rate
    assert not (np.diff(rate) < -1e-12).any()
    assert not ((rate < 0) | (rate > 1 + 1e-12)).any()


def test_earlier_chooses_the_sessions_that_count():
    days = 24 * HOUR * np.arange(4)
    log = EventLog(np.zeros(4), [1, 1, 2, 1], days)  # one event a session
    np.testing.assert_allclose(repeat_rates(log, back=3).rate, [1 / 3, 2 / 3, 2 / 3])
    np.testing.assert_allclose(repeat_rates(log, back=3, earlier=3).rate, [0, 1, 1])


def test_users_do_not_repeat_each_other():
    log = EventLog([0, 1, 1], [2, 3, 2], [0, 0, 2 * HOUR])
    assert repeat_rates(log).rate.tolist() == [0.0] * 10


@given(LOGS)
def test_the_summary_counts_as_sets_do(events):
    sessions = sessions_by_hand(events)
    users, items, _ = columns(events)
    lengths = [len(session) for session in sessions]
    steps = [one[1] == other[1] for session in sessions for one, other in pairwise(session)]
    found = summarise(log_of(events, num_users=50, num_items=60))
    assert (found.events, found.users, found.items) == (len(events), len(set(users)), len(set(items)))
    assert found.categories == len({CATEGORY_OF[item] for item in items.tolist()})
    assert found.sessions == len(sessions)
    assert found.events_per_session == pytest.approx(mean(lengths))
    assert found.median_events_per_session == median(lengths)
    assert found.sessions_per_user == pytest.approx(len(sessions) / len(set(users)))
    assert found.single_sessions == pytest.approx(lengths.count(1) / len(lengths))
    assert found.repeated_steps == pytest.approx(mean(steps) if steps else math.nan, nan_ok=True)


@given(LOGS, st.lists(st.integers(0, 8), min_size=2, unique=True).map(sorted))
def test_the_histogram_counts_gaps_inside_sessions(events, ticks):
    edges = [500.0 * tick for tick in ticks]
    gaps = [event[3] for session in sessions_by_hand(events) for event in session[:-1]]
    positive = [gap for gap in gaps if gap > 0]
    bars = list(pairwise(edges))
    held = [sum(low < gap <= high for gap in positive) for low, high in bars]
    found = dwell_histogram(log_of(events), edges)
    assert found.edges.tolist() == edges
    assert found.positive == len(positive)
    assert found.zeros == pytest.approx(gaps.count(0) / len(gaps) if gaps else math.nan, nan_ok=True)
    for (low, high), count, density in zip(bars, held, found.density, strict=True):
        assert density == pytest.approx(count / max(len(positive), 1) / (high - low))
    assert found.outside == pytest.approx(1 - sum(held) / len(positive) if positive else math.nan, nan_ok=True)
    assert found.median == pytest.approx(median(positive) if positive else math.nan, nan_ok=True)


@pytest.mark.parametrize(("shape", "scale"), [(0.4, 200.0), (1.0, 10.0), (3.0, 0.02)])
def test_the_gamma_fit_recovers_what_was_planted(shape, scale):
    log, inactivity = gamma_log(shape, scale, 20_000)
    found = dwell_histogram(log, inactivity=inactivity)
    assert found.shape == pytest.approx(shape, rel=0.05)
    assert found.scale == pytest.approx(scale, rel=0.05)
    assert found.distance < 0.015
    np.testing.assert_allclose(found.density, found.fitted, atol=0.1 * found.fitted.max())


@pytest.mark.parametrize("gaps", [[3.0, 10.0, 10.0, 40.0], [1.0, 20.0, 20.0, 25.0]])  # largest above, below a step
def test_the_gamma_fit_has_the_greatest_likelihood_and_the_distance_is_the_largest_step(gaps):
    found = dwell_histogram(EventLog(np.zeros(5), np.ones(5), np.cumsum([0, *gaps])), edges=[0, 100])

    def likelihood(shape, scale):
        return sum((shape - 1) * math.log(x) - x / scale - math.lgamma(shape) - shape * math.log(scale) for x in gaps)

    best = likelihood(found.shape, found.scale)
    for bend in (0.99, 1.01):
        assert likelihood(found.shape * bend, found.scale) < best
        assert likelihood(found.shape, found.scale * bend) < best

    def below(x, bars=20_000):  # midpoint rule
        steps = (np.arange(bars) + 0.5) * x / bars
        density = steps ** (found.shape - 1) * np.exp(-steps / found.scale)
        return density.sum() * x / bars / math.gamma(found.shape) / found.scale**found.shape

    sides = [(sum(gap <= x for gap in gaps) / 4, sum(gap < x for gap in gaps) / 4, below(x)) for x in gaps]
    assert found.distance == pytest.approx(max(max(at - fit, fit - under) for at, under, fit in sides), abs=1e-4)
    assert found.fitted[0] == pytest.approx(below(100.0) / 100, rel=1e-4)


def test_zero_gaps_are_counted_and_leave_the_fit_alone():
    log, inactivity = gamma_log(2.0, 30.0, 500)
    twice = EventLog(np.repeat(log.user_ids, 2), np.repeat(log.item_ids, 2), np.repeat(log.timestamps, 2))
    one, two = dwell_histogram(log, inactivity=inactivity), dwell_histogram(twice, inactivity=inactivity)
    assert (one.zeros, two.zeros) == (0, pytest.approx(500 / 999))
    assert (two.shape, two.scale, two.distance) == (one.shape, one.scale, one.distance)
    np.testing.assert_array_equal(two.density, one.density)


def test_measured_dwell_takes_the_place_of_gaps_also_at_a_sessions_end():
    log = EventLog([0, 0, 0], [1, 2, 1], [0, 60, 90], dwell_times=[5.0, np.nan, 7.0])
    found = dwell_histogram(log, edges=[0, 6, 12])
    assert found.positive == 2
    np.testing.assert_allclose(found.density, [1 / 12, 1 / 12])


positives = st.lists(st.one_of(st.integers(1, 4000).map(float), st.floats(1e-9, 1e30)), min_size=1, max_size=20)


@given(positives)
@example([1e-9])
@example([7.0, 7.0 + 1e-9])
@example([1e-9, 1e30])
def test_default_edges_are_few_and_round_and_reach_the_90_percent_quantile(dwell):
    log = EventLog(np.zeros(len(dwell)), np.ones(len(dwell)), np.arange(len(dwell)), dwell_times=dwell)
    found = dwell_histogram(log)
    reach = np.quantile(dwell, 0.9)
    assert found.edges[0] == 0
    assert len(found.edges) <= 52
    assert found.edges[-1] >= reach * (1 - 1e-9)
    assert f"{found.edges[1]:.6e}"[0] in "125"
    finest = 1 if all(value == int(value) for value in dwell) else 1e-6
    assert found.edges[1] <= max(2.5 * reach / 50 * (1 + 1e-9), finest)
    if all(value == int(value) for value in dwell):
        np.testing.assert_array_equal(found.edges, np.floor(found.edges))
    assert (found.density * np.diff(found.edges)).sum() + found.outside == pytest.approx(1)


def test_equal_dwell_has_no_fit():
    found = dwell_histogram(EventLog(np.zeros(4), np.ones(4), [0, 30, 60, 90]))
    assert found.positive == 3
    assert found.median == 30
    for nothing in (found.shape, found.scale, found.distance, *found.fitted):
        assert math.isnan(nothing)


def test_a_log_of_one_event_has_shares_but_neither_repeats_nor_dwell():
    found = analyse(EventLog([0], [1], [5]))
    assert found.summary.single_sessions == 1
    assert math.isnan(found.summary.repeated_steps)
    assert found.top_items.share.tolist() == [1.0] + [0.0] * 9
    assert np.isnan(found.repeated_items.rate).all()
    assert found.repeated_items.sessions == 0
    assert found.dwell.edges.tolist() == [0, 1]
    assert found.dwell.density.tolist() == [0]
    assert found.dwell.positive == 0
    for nothing in (found.dwell.zeros, found.dwell.outside, found.dwell.median, found.dwell.shape, *found.dwell.fitted):
        assert math.isnan(nothing)
    assert str(found).count(" -") == 7 + 10, "six numbers, the categories and ten rates"


def test_one_user_and_one_session():
    found = analyse(EventLog([0, 0, 0], [1, 2, 1], [0, 10, 40]))
    np.testing.assert_allclose(found.top_items.share[:2], [2 / 3, 1 / 3])
    assert found.summary.sessions_per_user == 1
    assert found.repeated_items.sessions == 0
    assert found.dwell.positive == 2


def test_sessions_of_one_event_have_repeats_but_no_dwell():
    found = analyse(EventLog([0, 0, 0], [1, 1, 2], [0, HOUR, 2 * HOUR]))
    assert found.summary.single_sessions == 1
    np.testing.assert_array_equal(found.repeated_items.rate, [0.5] * 10)
    assert math.isnan(found.dwell.zeros)


def test_inactivity_reaches_every_part():
    log = log_of([(0, 1, 0), (0, 1, 100), (0, 2, 200)])
    found = analyse(log, inactivity=100)
    assert found.summary.sessions == found.top_items.sessions == found.top_categories.sessions == 3
    assert found.repeated_items.sessions == found.repeated_categories.sessions == 2
    assert found.dwell.positive == 0


def test_parts_of_a_log_are_analysed_as_the_log_was_recorded():
    events = [(0, 1, 0), (0, 2, 60), (0, 1, 90), (0, 1, 9000), (0, 1, 20000), (0, 1, 20050)]
    log = EventLog(*columns(events))
    kept = log.filter_support(item=2, session=1)  # loses item 2, and with it no dwell of the others
    assert dwell_histogram(kept, edges=[0, 50, 60, 90]).density.tolist() == [1 / 2 / 50, 1 / 2 / 10, 0]
    assert summarise(log.filter_support(item=0, session=2)).sessions == 2
    assert top_shares(log).share[0] == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert top_shares(log.filter_support(item=0, session=2)).share[0] == pytest.approx((2 / 3 + 1) / 2)


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


def test_the_table_shows_the_numbers_of_every_part():
    events = [(0, 1, 0), (0, 1, 30), (0, 3, 90), (0, 2, 9000), (1, 1, 0)]
    text = str(analyse(log_of(events), top=3, back=2))
    numbers, top, back = text.split("\n\n")
    cells = dict(line.rsplit(maxsplit=1) for line in numbers.splitlines())
    assert cells["events"] == "5"
    assert cells["categories"] == "2"
    assert cells["sessions"] == "3"
    assert cells["events per session, mean"] == "1.667"
    assert cells["sessions of one event [%]"] == "66.7"
    assert cells["steps that stay on the item [%]"] == "50.0"
    assert cells["their median [s]"] == "45"
    assert top.splitlines()[0] == "share of a session's clicks [%], mean of 3 sessions"
    assert [line.split() for line in top.splitlines()[2:]] == [
        ["item", "88.9", "11.1", "0.0"],
        ["item,", "first", "n", "together", "88.9", "100.0", "100.0"],
        ["category", "88.9", "11.1", "0.0"],
        ["category,", "first", "n", "together", "88.9", "100.0", "100.0"],
    ]
    assert "mean of 1 sessions with at least 1 before them" in back.splitlines()[0]
    assert [line.split() for line in back.splitlines()[1:]] == [
        ["k", "1", "2"],
        ["item", "0.0", "0.0"],
        ["category", "100.0", "100.0"],
    ]
    for part in (numbers, "\n".join(top.splitlines()[1:]), "\n".join(back.splitlines()[1:])):
        assert len({len(line) for line in part.splitlines()}) == 1, "aligned"


def test_without_categories_there_are_none():
    found = analyse(EventLog([0], [1], [5]))
    assert found.summary.categories is found.top_categories is found.repeated_categories is None
    assert "category" not in str(found)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: top_shares(log, "colour"), r"by must be one of \['item', 'category'\]; got 'colour'"),
        (lambda log: top_shares(log, "category"), "by must be 'item' for a log without categories; got 'category'"),
        (lambda log: repeat_rates(log, "category"), "by must be 'item' for a log without categories; got 'category'"),
        (lambda log: top_shares(log, top=0), "top must be a whole number, 1 or more; got 0"),
        (lambda log: repeat_rates(log, back=2.5), r"back must be a whole number, 1 or more; got 2\.5"),
        (lambda log: repeat_rates(log, earlier=-1), "earlier must be a whole number, 1 or more; got -1"),
        (lambda log: analyse(log, earlier=0), "earlier must be a whole number, 1 or more; got 0"),
        (lambda log: analyse(log, inactivity=0), "inactivity must be positive; got 0"),
        (lambda log: summarise(log, -5), "inactivity must be positive; got -5"),
        (lambda log: dwell_histogram(log, inactivity=-1), "inactivity must be positive; got -1"),
        (lambda log: dwell_histogram(log, [3]), r"edges must have one axis, and two edges or more; got \(1,\)"),
        (lambda log: dwell_histogram(log, [[0, 1]]), r"edges must have one axis, and two edges or more; got \(1, 2\)"),
        (lambda log: dwell_histogram(log, [-2, 1]), r"edges must be finite and 0 or more \[s\]; got -2\.0 at 0"),
        (lambda log: dwell_histogram(log, [0, np.inf]), r"edges must be finite and 0 or more \[s\]; got inf at 1"),
        (lambda log: dwell_histogram(log, [0, 5, 5]), r"edges must ascend; got 5\.0 at 2"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_value(log, call, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        call(log)
