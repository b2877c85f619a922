"""Histories of users, on a log read at a glance."""

from __future__ import annotations

import numpy as np

from spotlight_asars import SessionInteractions
from spotlight_asars.baselines.neighbours.user_histories import UserHistories

USER_IDS = np.array([1, 0, -1, 9])


def test_histories_by_hand():
    sessions = SessionInteractions(
        [[0, 1, 2], [3, 4, 5], [0, 0, 6], [0, 7, 8]], user_ids=[1, 0, -1, 1], started=[5, 1, 2, 3]
    )
    histories = UserHistories.of(sessions)
    latest = histories.latest_events(USER_IDS, np.array([3, 1, 2, 2]))
    assert latest.items.tolist() == [8, 1, 2, 5]
    assert latest.row.tolist() == [0, 0, 0, 1]
    assert latest.place.tolist() == [1, 2, 3, 1]
    assert latest.sessions_ago.tolist() == [2, 1, 1, 1]
    assert histories.latest_sessions(USER_IDS, 1).items.tolist() == [1, 2, 3, 4, 5]
    later = histories.followed_by(UserHistories.of(SessionInteractions([[9, 9]], user_ids=[1])))
    assert later.latest_sessions(USER_IDS[:1], 2).items.tolist() == [1, 2, 9, 9]


def test_without_users_there_is_no_history():
    nobody = UserHistories.of(SessionInteractions([[1, 2]], num_users=3))
    assert len(nobody.latest_sessions(USER_IDS, 3).items) == 0
    assert len(nobody.latest_events(USER_IDS, np.ones(4, dtype=np.int64)).items) == 0
