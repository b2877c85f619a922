"""All parts of an analysis together: what reaches them, and the tables they print."""

from __future__ import annotations

import math

import numpy as np
import pytest
from logs_with_categories import log_of
from reference_data import columns

from spotlight_asars import EventLog
from spotlight_asars.analysis import analyse, dwell_histogram, summarise, top_shares

TABLES = """\
events                                      5
users                                       2
items                                       3
categories                                  2
sessions                                    3
events per session, mean                1.667
events per session, median                  1
sessions per user, mean                   1.5
sessions of one event [%]                66.7
steps that stay on the item [%]          50.0
dwell times that are zero [%]             0.0
dwell times above zero                      2
their median [s]                           45
their gamma fit: shape                  8.653
their gamma fit: scale [s]                5.2
distance from it (Kolmogorov-Smirnov)  0.3414

share of a session's clicks [%], mean of 3 sessions
n-th most frequent             1      2      3
item                        88.9   11.1    0.0
item, first n together      88.9  100.0  100.0
category                    88.9   11.1    0.0
category, first n together  88.9  100.0  100.0

clicks repeated from the user's previous k sessions [%], mean of 1 sessions with at least 1 before them
k             1      2
item        0.0    0.0
category  100.0  100.0"""


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


def test_it_prints_as_tables():
    events = [(0, 1, 0), (0, 1, 30), (0, 3, 90), (0, 2, 9000), (1, 1, 0)]
    assert str(analyse(log_of(events), top=3, back=2)) == TABLES


def test_without_categories_there_are_none():
    found = analyse(EventLog([0], [1], [5]))
    assert found.summary.categories is found.top_categories is found.repeated_categories is None
    assert "category" not in str(found)
