"""The summary of a log, against counts in sets."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import mean, median

import pytest
from hypothesis import given
from logs_with_categories import CATEGORY_OF, log_of
from reference_data import LOGS, columns, sessions_by_hand

from spotlight_asars.analysis import summarise


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
