"""The data side as scalar loops over events, and the strategies that feed them."""

from __future__ import annotations

import importlib
import math

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from spotlight_asars import SPOTLIGHT, EventLog, SessionInteractions

# (user, item, time [s]); times on a grid of ten minutes, so that ties and gaps of exactly an hour are common
EVENT = st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 60).map(lambda tick: 600 * tick))
LOGS = st.lists(EVENT, min_size=1, max_size=30)
HOUR = 3600


def spotlight_module(name):
    """A module of the Spotlight that the package stands on."""
    return importlib.import_module(f"{'spotlight' if SPOTLIGHT == 'upstream' else 'spotlight_asars._core'}.{name}")


def columns(events):
    """Users, items and times of events, as arrays."""
    return tuple(np.array(column) for column in zip(*events, strict=True))


def sessions_by_hand(events, inactivity=HOUR):
    """Sessions of (user, item, time), each a list of [user, item, time, dwell]; None is an unknown dwell."""
    sessions = []
    for user, item, time in sorted(events, key=lambda event: (event[0], event[2])):
        last = sessions[-1][-1] if sessions else None
        if last and last[0] == user and time - last[2] < inactivity:
            last[3] = time - last[2]
            sessions[-1].append([user, item, time, None])
        else:
            sessions.append([[user, item, time, None]])
    return sessions


def collapse_by_hand(sessions):
    """Runs of one item become one event: the first, with what is known of the dwell of all."""
    collapsed = []
    for session in sessions:
        runs = []
        for user, item, time, dwell in session:
            if runs and runs[-1][1] == item:
                if dwell is not None:
                    runs[-1][3] = (runs[-1][3] or 0) + dwell
            else:
                runs.append([user, item, time, dwell])
        collapsed.append(runs)
    return collapsed


def support_by_hand(sessions, item, session, user):
    """Drop one offending event at a time until none is left."""
    sessions = [list(events) for events in sessions]

    def offends(number, event):
        same_item = sum(other[1] == event[1] for events in sessions for other in events)
        sessions_of_user = sum(any(other[0] == event[0] for other in events) for events in sessions)
        return same_item < item or len(sessions[number]) < session or sessions_of_user < user

    while True:
        bad = [(number, event) for number, events in enumerate(sessions) for event in events if offends(number, event)]
        if not bad:
            return [events for events in sessions if events]
        number, event = bad[0]
        sessions[number] = [other for other in sessions[number] if other is not event]


def split_by_hand(sessions, test_fraction, unknown_users):
    """(train, test, dropped): sessions by their last event, and (events, items, users) that the test lost."""
    ended = sorted(session[-1][2] for session in sessions)
    boundary = ended[math.ceil((1 - test_fraction) * len(ended)) - 1]
    train = [session for session in sessions if session[-1][2] <= boundary]
    late = [session for session in sessions if session[-1][2] > boundary]
    known_users = {event[0] for session in train for event in session}
    known_items = {event[1] for session in train for event in session}
    if unknown_users == "keep":
        known_users |= {event[0] for session in late for event in session if event[1] in known_items}
    test, lost = [], []
    for session in late:
        for event in session:
            (test if event[0] in known_users and event[1] in known_items else lost).append(event)
    lost_items = {event[1] for event in lost} - known_items
    lost_users = {event[0] for event in lost} - known_users
    return train, test, (len(lost), len(lost_items), len(lost_users))


def rows_by_hand(sessions, max_sequence_length, min_sequence_length):
    """Rows of at most `max_sequence_length` events, cut from the end of each session."""
    rows = []
    for session in sessions:
        parts = []
        while session:
            parts.insert(0, session[-max_sequence_length:])
            session = session[:-max_sequence_length]
        rows += [part for part in parts if len(part) >= min_sequence_length]
    return rows


def decoded(log, inactivity=HOUR):
    """An EventLog as sessions of [raw user, raw item, time, dwell in whole seconds], like the loops above."""
    users, items = log.user_vocabulary.decode(log.user_ids).tolist(), log.item_vocabulary.decode(log.item_ids).tolist()
    dwell = [None if math.isnan(value) else int(value) for value in log.dwell_times(inactivity)]
    sessions = {}
    for number, *event in zip(log.session_ids(inactivity), users, items, log.timestamps.tolist(), dwell, strict=True):
        sessions.setdefault(number, []).append(event)
    return list(sessions.values())


def raw_log(events):
    """A log whose raw ids are not its contiguous ids."""
    users, items, times = columns(events)
    return EventLog.from_frame(pd.DataFrame({"user_id": -users, "item_id": items * 10, "timestamp": times}))


def by_raw_user(sessions):
    """Sessions of hand-made events as ``raw_log`` stores them: users in the order of their raw ids."""
    renamed = [[[-user, item * 10, *rest] for user, item, *rest in session] for session in sessions]
    return sorted(renamed, key=lambda session: session[0][0])


def assert_compact(log):
    """All contiguous ids are used, and the log is Spotlight's in every column."""
    assert np.unique(log.user_ids).tolist() == list(range(log.num_users))
    assert np.unique(log.item_ids).tolist() == list(range(1, log.num_items))
    assert log.user_ids.dtype == log.item_ids.dtype == np.int32
    assert (len(log.user_vocabulary), len(log.item_vocabulary)) == (log.num_users, log.num_items - 1)


ROWS, TIME = 5, 4
LENGTHS = [4, 2, 1, 3, 4]


def telling():
    """Sessions whose items tell their row and place: row 2, place 1 holds item 32, of user 2, of dwell 32 s."""
    matrix = 10 * (np.arange(ROWS)[:, None] + 1) + np.arange(TIME) + 1
    matrix[np.arange(TIME) < TIME - np.array(LENGTHS)[:, None]] = 0
    return SessionInteractions(matrix, np.arange(ROWS), dwell_times=matrix, started=1000 * np.arange(ROWS))


def assert_aligned(array):
    """Users, dwell and starts say the same as the items do."""
    assert array.dwell_times.shape == array.shape
    assert np.shape(array.user_ids) == np.shape(array.started) == array.shape[:-1]
    items = np.asarray(array)
    real = items != 0
    np.testing.assert_array_equal(array.dwell_times[real], items[real])
    assert np.isnan(array.dwell_times[~real]).all()
    owner = np.broadcast_to(np.expand_dims(array.user_ids, -1), items.shape)
    np.testing.assert_array_equal(owner[real], items[real] // 10 - 1)
    np.testing.assert_array_equal(array.started, 1000 * np.asarray(array.user_ids))
    assert not array.flags.writeable


def dropped(array):
    return all(getattr(array, name, None) is None for name in ("user_ids", "dwell_times", "started"))
