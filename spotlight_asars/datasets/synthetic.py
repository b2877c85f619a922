"""A click log with planted effects, and a knob for each: what a channel is for is known, so it can be seen to work.

Each item has one *successor*: the items stand on a ring in random order. A click is, with the probability of its knob,

- the successor of the item before it (``predictability``),
- the successor of the item that was looked at longest, the last one left aside (``dwell_effect``),
- one of a few items that this user likes (``user_effect``),
- an item of the user's topic (``drift_effect``): the items are shared out among topics, and each session of a user is
  about the topic that comes after that of the session before,
- an item of one of the user's latest sessions before this one (``repeat_effect``),

and else any item at random.
"""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from spotlight_asars._checks import number, require, whole
from spotlight_asars.events import EventLog

FAVOURITES = 3  # items that a user likes; two may coincide
GLANCE, READ = 10.0, 120.0  # mean dwell [s] of a look at an item, and of the one in each session that is read
TOPICS = 10
REPEAT = 4  # place of the repeat effect among the five
REMEMBERED = 3  # earlier sessions that a repeated item may come from
DAY = 86400.0  # [s] between two sessions of a user


def generate_sessions(
    num_users: int = 300,
    num_items: int = 200,
    num_sessions: int = 6000,
    session_length: int = 8,
    predictability: float = 0.3,
    dwell_effect: float = 0.3,
    user_effect: float = 0.3,
    drift_effect: float = 0.0,
    repeat_effect: float = 0.0,
    random_state: RandomState | int | None = None,
) -> EventLog:
    """A log whose next clicks depend on the last item, on dwell times and on the user, as much as the knobs say.

    Parameters
    ----------
    num_users, num_items, num_sessions : int
        Sizes of the log; `num_items` without padding.
    session_length : int
        Mean number of events of a session; each has from half to one and a half of it, and at least 2.
    predictability, dwell_effect, user_effect, drift_effect, repeat_effect : float
        Probabilities of the five effects; they must not add up to more than 1. At 0 all clicks are at random.
    random_state : RandomState or int, optional

    Returns
    -------
    EventLog
        Users from 0, items from 1; a user has one session a day, dwell times are gamma distributed.

    Raises
    ------
    ValueError
        For sizes below 1, fewer sessions than users, and probabilities that are none or add up to more than 1.

    Examples
    --------
    >>> generate_sessions(num_users=5, num_items=20, num_sessions=50, session_length=4, random_state=0)
    <EventLog (5 users x 20 items x 202 events)>
    """
    knobs = {
        "predictability": predictability,
        "dwell_effect": dwell_effect,
        "user_effect": user_effect,
        "drift_effect": drift_effect,
        "repeat_effect": repeat_effect,
    }
    for name, knob in knobs.items():
        require(0 <= number(knob, name) <= 1, f"{name} must be a probability", knob)
    require(sum(knobs.values()) <= 1 + 1e-9, f"{', '.join(knobs)} must not add up to more than 1", knobs)
    whole(num_users, "num_users", least=1)
    whole(num_items, "num_items", least=1)
    require(
        whole(num_sessions, "num_sessions", least=1) >= num_users,
        "num_sessions must be at least num_users",
        num_sessions,
    )
    number(session_length, "session_length", least=2)
    random = check_random_state(random_state)

    ring = random.permutation(num_items)
    successor = np.empty(num_items, dtype=np.int64)
    successor[ring] = np.roll(ring, -1)
    likes = random.randint(num_items, size=(num_users, FAVOURITES))

    users = np.r_[np.arange(num_users), random.randint(num_users, size=num_sessions - num_users)]
    order = np.argsort(users, kind="stable")
    place, nth = np.empty((2, num_sessions), dtype=np.int64)
    place[order] = np.arange(num_sessions)
    nth[order] = place[order] - np.searchsorted(users[order], users[order])  # number among those of its user
    topics = (random.randint(TOPICS, size=num_users)[users] + nth) % TOPICS
    topic_size = max(num_items // TOPICS, 1)

    lengths = random.randint(max(2, session_length // 2), session_length * 3 // 2 + 1, num_sessions)
    time = int(lengths.max())
    dwell = random.gamma(2.0, GLANCE / 2, (num_sessions, time))
    read = random.randint(0, np.maximum(lengths // 2, 1))  # early, so that later clicks can tell
    dwell[np.arange(num_sessions), read] = READ + random.gamma(2.0, READ / 4, num_sessions)

    items = random.randint(num_items, size=(num_sessions, time))
    on_topic = (topics[:, None] * topic_size + random.randint(topic_size, size=items.shape)) % num_items
    chance, taste = np.ones(items.shape), np.zeros(items.shape, dtype=np.int64)
    for step in range(1, time):
        chance[:, step], taste[:, step] = random.rand(num_sessions), random.randint(FAVOURITES, size=num_sessions)
    effect = np.searchsorted(np.cumsum(list(knobs.values())), chance, side="right")
    effect[nth == 0] += effect[nth == 0] == REPEAT  # nothing to repeat: an item at random
    start = nth * DAY + random.rand(num_sessions) * DAY / 4

    back = random.randint(1, np.clip(nth, 1, REMEMBERED)[:, None] + 1, size=items.shape)
    earlier = order[np.maximum(place[:, None] - back, 0)]  # (session, time), a session of the user before this one
    repeated = random.randint(lengths[earlier])  # which of its events
    choices = np.stack([items, items, likes[users[:, None], taste], on_topic, items, items])
    for rows in np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1]):  # earlier sessions first
        choices[REPEAT, rows] = items[earlier[rows], repeated[rows]]
        _click(items, rows, choices, effect, dwell, successor)

    clock = start[:, None] + np.cumsum(dwell, axis=1) - dwell
    real = np.arange(time) < lengths[:, None]
    rows = np.repeat(users, lengths)
    return EventLog(rows, items[real] + 1, clock[real], num_users=num_users, num_items=num_items + 1)


def _click(
    items: NDArray[np.int64],
    rows: NDArray[np.int64],
    choices: NDArray[np.int64],
    effect: NDArray[np.int64],
    dwell: NDArray[np.float64],
    successor: NDArray[np.int64],
) -> None:
    """Fill in the sessions `rows`, step by step; of the choices, the first two are known on the way."""
    longest, longest_dwell = items[rows, 0], dwell[rows, 0]  # the item looked at longest, of those before the last
    for step in range(1, items.shape[1]):
        last, last_dwell = items[rows, step - 1], dwell[rows, step - 1]
        known = (successor[last], successor[longest], *choices[2:, rows, step])
        items[rows, step] = np.choose(effect[rows, step], known)
        longest = np.where(last_dwell > longest_dwell, last, longest)
        longest_dwell = np.maximum(longest_dwell, last_dwell)
