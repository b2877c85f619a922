"""A click log with planted effects: a known part of the next clicks depends on the last item, on dwell or on the user.

Each item has one *successor*: the next item on a ring in random order. A click is, with the probability in brackets,

- the successor of the item before it (``predictability``),
- the successor of the item with the longest dwell before the last item (``dwell_effect``),
- one of a few items that the user likes (``user_effect``),
- an item of the user's current topic (``drift_effect``): items are divided among topics, and each session of a user has
  the topic after that of the session before,
- an item of one of the user's latest earlier sessions (``repeat_effect``),
- an item of the category that follows that of the item before it on a ring of categories (``category_effect``),
- the successor of the item before it on another ring, which is that of its kind: what is viewed, put into the cart and
  bought leads to different items (``kind_effect``),
- the successor of the item before it on a ring which is that of the click's own kind: after an item others are bought
  than viewed (``intent_effect``),

and otherwise any item at random.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars._checks import number, random_state_of, require, whole
from spotlight_asars.events import DAY, EventLog, Vocabulary

FAVOURITES = 3  # items that a user likes; two may coincide
GLANCE, READ = 10.0, 120.0  # mean dwell [s]; each session has one item that is read
TOPICS = 10
CATEGORIES = 10
REPEAT, CATEGORY, KIND, INTENT, RANDOM = 4, 5, 6, 7, 8  # indices of the last four effects, and of no effect
KINDS = ("buy", "cart", "view")
REMEMBERED = 3  # latest sessions that a repeated item may come from


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
    category_effect: float = 0.0,
    kind_effect: float = 0.0,
    intent_effect: float = 0.0,
    random_state: RandomState | int | None = None,
) -> EventLog:
    """A log whose next clicks depend on the last item, on dwell times and on the user, each as often as set.

    Parameters
    ----------
    num_users, num_items, num_sessions : int
        Sizes of the log; padding does not count as an item.
    session_length : int
        Mean number of events of a session; each has between half and one and a half times as many, and at least 2.
    predictability, dwell_effect, user_effect, drift_effect, repeat_effect : float
    category_effect, kind_effect, intent_effect : float
        Probabilities of the eight effects, in all at most 1. The other clicks are random.
    random_state : RandomState or int, optional

    Returns
    -------
    EventLog
        Users from 0, items from 1, with their categories and the kinds of events where these have an effect; each user
        has one session a day, and dwell times are gamma distributed.

    Raises
    ------
    ValueError
        For sizes below 1, fewer sessions than users, and probabilities outside 0..1 or more than 1 in all.

    Examples
    --------
    >>> generate_sessions(num_users=5, num_items=20, num_sessions=50, session_length=4, random_state=0)
    <EventLog (5 users x 20 items x 202 events)>
    """
    effects = {
        "predictability": predictability,
        "dwell_effect": dwell_effect,
        "user_effect": user_effect,
        "drift_effect": drift_effect,
        "repeat_effect": repeat_effect,
        "category_effect": category_effect,
        "kind_effect": kind_effect,
        "intent_effect": intent_effect,
    }
    for name, probability in effects.items():
        require(0 <= number(probability, name) <= 1, f"{name} must be a probability", probability)
    require(sum(effects.values()) <= 1 + 1e-9, f"{', '.join(effects)} must not add up to more than 1", effects)
    whole(num_users, "num_users", least=1)
    whole(num_items, "num_items", least=1)
    require(
        whole(num_sessions, "num_sessions", least=1) >= num_users,
        "num_sessions must be at least num_users",
        num_sessions,
    )
    number(session_length, "session_length", least=2)
    random = random_state_of(random_state)

    ring = random.permutation(num_items)
    successor = np.empty(num_items, dtype=np.int64)
    successor[ring] = np.roll(ring, -1)
    likes = random.randint(num_items, size=(num_users, FAVOURITES))

    users = np.r_[np.arange(num_users), random.randint(num_users, size=num_sessions - num_users)]
    order = np.argsort(users, kind="stable")
    place, nth = np.empty((2, num_sessions), dtype=np.int64)
    place[order] = np.arange(num_sessions)
    nth[order] = place[order] - np.searchsorted(users[order], users[order])  # of its user
    topics = (random.randint(TOPICS, size=num_users)[users] + nth) % TOPICS
    topic_size = max(num_items // TOPICS, 1)

    lengths = random.randint(max(2, session_length // 2), session_length * 3 // 2 + 1, num_sessions)
    time = int(lengths.max())
    dwell = random.gamma(2.0, GLANCE / 2, (num_sessions, time))
    read = random.randint(0, np.maximum(lengths // 2, 1))  # early, so that it influences later clicks
    dwell[np.arange(num_sessions), read] = READ + random.gamma(2.0, READ / 4, num_sessions)

    items = random.randint(num_items, size=(num_sessions, time))
    on_topic = (topics[:, None] * topic_size + random.randint(topic_size, size=items.shape)) % num_items
    chance, taste = np.ones(items.shape), np.zeros(items.shape, dtype=np.int64)
    for step in range(1, time):
        chance[:, step], taste[:, step] = random.rand(num_sessions), random.randint(FAVOURITES, size=num_sessions)
    effect = np.searchsorted(np.cumsum(list(effects.values())), chance, side="right")
    effect[(effect == REPEAT) & (nth == 0)[:, None]] = RANDOM  # there is nothing to repeat
    start = nth * DAY + random.rand(num_sessions) * DAY / 4

    back = random.randint(1, np.clip(nth, 1, REMEMBERED)[:, None] + 1, size=items.shape)
    earlier = order[np.maximum(place[:, None] - back, 0)]  # (session, time): an earlier session of the user
    repeated = random.randint(lengths[earlier])  # which of its events
    in_category = random.randint(max(num_items // CATEGORIES, 1), size=items.shape) if category_effect else items
    kinds, following = np.zeros(items.shape, dtype=np.int64), successor[None]
    if kind_effect or intent_effect:
        kinds = random.randint(len(KINDS), size=items.shape)
        rings = [random.permutation(num_items) for _ in KINDS]
        following = np.stack([np.roll(ring, -1)[np.argsort(ring)] for ring in rings])  # (kinds, items)
    choices = np.stack([items, items, likes[users[:, None], taste], on_topic, items, in_category, items, items, items])
    for rows in np.split(np.argsort(nth, kind="stable"), np.cumsum(np.bincount(nth))[:-1]):  # earlier sessions first
        choices[REPEAT, rows] = items[earlier[rows], repeated[rows]]
        _click(items, rows, choices, effect, dwell, successor, kinds, following)

    clock = start[:, None] + np.cumsum(dwell, axis=1) - dwell
    real = np.arange(time) < lengths[:, None]
    rows = np.repeat(users, lengths)
    viewed = items[real]
    categories = viewed % CATEGORIES if category_effect else None
    labels: dict[str, Any] = {}
    if kind_effect or intent_effect:
        labels = {"kinds": kinds[real] + 1, "kind_vocabulary": Vocabulary(np.array(KINDS, object), first=1)}
    labels |= {"num_users": num_users, "num_items": num_items + 1}
    return EventLog(rows, viewed + 1, clock[real], categories=categories, **labels)


def _click(
    items: NDArray[np.int64],
    rows: NDArray[np.int64],
    choices: NDArray[np.int64],
    effect: NDArray[np.int64],
    dwell: NDArray[np.float64],
    successor: NDArray[np.int64],
    kinds: NDArray[np.int64],
    of_kind: NDArray[np.int64],
) -> None:
    """Fill in the sessions `rows` step by step; the first two choices, and those of category and kind, depend on the
    steps before."""
    longest, longest_dwell = items[rows, 0], dwell[rows, 0]  # the longest dwell before the last item
    for step in range(1, items.shape[1]):
        last, last_dwell = items[rows, step - 1], dwell[rows, step - 1]
        *others, in_category, _, _, at_random = choices[2:, rows, step]
        following = ((last + 1) % CATEGORIES + CATEGORIES * in_category) % len(successor)
        by_kind, by_intent = of_kind[kinds[rows, step - 1], last], of_kind[kinds[rows, step], last]
        known = (successor[last], successor[longest], *others, following, by_kind, by_intent, at_random)
        items[rows, step] = np.choose(effect[rows, step], known)
        longest = np.where(last_dwell > longest_dwell, last, longest)
        longest_dwell = np.maximum(longest_dwell, last_dwell)
