"""Each number of the table equals the one counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotlight_asars import EventLog
from spotlight_asars.datasets import comparison_table, describe, generate_sessions

EVENTS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.integers(0, 20_000)), min_size=1, max_size=30)


def by_hand(log, inactivity=3600.0):
    """The numbers, one event at a time."""
    events = list(zip(log.user_ids.tolist(), log.item_ids.tolist(), log.timestamps.tolist(), strict=True))
    sessions, dwell, stays, repeats, met = [], [], [], 0, set()
    for place, (user, item, time) in enumerate(events):
        before = events[place - 1] if place else None
        if before and before[0] == user and time - before[2] < inactivity:
            sessions[-1].append(item)
            dwell.append(time - before[2])
            stays.append(before[1] == item)
        else:
            sessions.append([item])
        repeats += (user, item) in met
        met.add((user, item))
    users, items = {user for user, _, _ in events}, [item for _, item, _ in events]
    support = [items.count(item) for item in set(items)]
    times = [time for _, _, time in events]
    quartile, median, high = np.quantile(dwell, [0.25, 0.5, 0.95]) if dwell else [np.nan] * 3
    return {
        "events": len(events),
        "users": len(users),
        "items": len(support),
        "sessions": len(sessions),
        "days": (max(times) - min(times)) / 86400,
        "sessions per user, mean": len(sessions) / len(users),
        "events per session, mean": len(events) / len(sessions),
        "events per session, median": np.median([len(session) for session in sessions]),
        "sessions of one event [%]": 100 * np.mean([len(session) == 1 for session in sessions]),
        "events per item, mean": len(events) / len(support),
        "events per item, median": np.median(support),
        "items with fewer than 5 events [%]": 100 * np.mean([count < 5 for count in support]),
        "dwell known [%]": 100 * len(dwell) / len(events),
        "dwell, lower quartile [s]": quartile,
        "dwell, median [s]": median,
        "dwell, 95 % quantile [s]": high,
        "dwell of zero [%]": 100 * np.mean([one == 0 for one in dwell]) if dwell else np.nan,
        "repeated items [%]": 100 * repeats / len(events),
        "steps that stay on the item [%]": 100 * np.mean(stays) if stays else np.nan,
        "density [%]": 100 * len(met) / (len(users) * len(support)),
    }


@given(EVENTS, st.sampled_from([600.0, 3600.0]))
def test_numbers_are_those_counted_by_hand(events, inactivity):
    log = EventLog(*zip(*events, strict=True))
    assert describe(log, inactivity) == pytest.approx(by_hand(log, inactivity), nan_ok=True)


def test_a_measured_dwell_takes_the_place_of_the_gaps():
    log = EventLog([0, 0, 0], [1, 2, 3], [0, 10, 20], dwell_times=[5.0, np.nan, 7.0])
    numbers = describe(log)
    assert numbers["dwell, median [s]"] == 6.0
    assert numbers["dwell known [%]"] == pytest.approx(200 / 3)


def test_the_table_has_a_column_per_log_and_a_row_per_number():
    logs = {
        "small": EventLog([0, 0, 1], [1, 2, 1], [0, 30, 5]),
        "a log with a long name": generate_sessions(num_sessions=2000, random_state=0),
    }
    lines = comparison_table(logs).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "small", "a log with a long name"]
    assert [cell.strip("-") for cell in cells[1]] == [":", ":", ":"]
    assert [row[0] for row in cells[2:]] == list(describe(logs["small"]))
    rows = {row[0]: row[1:] for row in cells[2:]}
    assert rows["sessions"] == ["2", "2,000"]
    assert rows["dwell, median [s]"][0] == "30"


def test_what_is_not_known_is_a_dash():
    lines = comparison_table({"log": EventLog([0, 1], [1, 2], [0, 1])}).splitlines()
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in lines}
    assert rows["dwell, median [s]"] == rows["steps that stay on the item [%]"] == "-"


def test_no_log_and_no_inactivity_are_refused():
    with pytest.raises(ValueError, match=r"^logs must have at least one log; got \{\}$"):
        comparison_table({})
    with pytest.raises(ValueError, match=r"^inactivity must be positive; got 0$"):
        describe(EventLog([0], [1], [0]), inactivity=0)
