"""Click logs and sessions of any size, made by numpy: Zipf's popularity, geometric lengths, exponential gaps."""

from __future__ import annotations

import numpy as np
from numpy.random import RandomState
from numpy.typing import NDArray

from spotlight_asars import SessionInteractions
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.events import DAY

PERIOD, MEAN_GAP = 90 * DAY, 90.0  # [s] in which sessions start; between two events of a session
LONGEST = 50  # positions that Spotlight pads all sessions to
SESSIONS_PER_USER, EVENTS_PER_ITEM = 10, 20
SPREAD = 15_485_863  # a prime: ranks of popularity are not in the order of the ids


def click_sessions(sessions: int, num_items: int, mean_length: float = 5.0, seed: int = 0) -> SessionInteractions:
    """Sessions of two events or more, in order of time, with users, dwell times and starts; padding is an item."""
    random = RandomState(seed)
    lengths = np.minimum(1 + random.geometric(1 / (mean_length - 1), size=sessions), LONGEST)
    offsets = np.r_[0, np.cumsum(lengths)]
    rank = np.exp(random.rand(offsets[-1]) * np.log(num_items)).astype(np.int64)  # in proportion to 1 / rank
    dwell_times = random.exponential(MEAN_GAP, size=offsets[-1]).astype(np.float32)
    dwell_times[offsets[1:] - 1] = np.nan
    return SessionInteractions.from_ragged(
        1 + rank.clip(1, num_items - 1) * SPREAD % (num_items - 1),
        offsets,
        random.randint(max(sessions // SESSIONS_PER_USER, 1), size=sessions),
        num_items,
        dwell_times=dwell_times,
        started=np.sort(random.rand(sessions) * PERIOD),
        max_sequence_length=LONGEST,
    )


def click_log(events: int, part: int = 0, parts: int = 1, text: bool = False) -> dict[str, NDArray]:
    """Columns ``user_id, item_id, timestamp`` of about `events` in all, in order of time, or one of `parts` of it."""
    sessions = click_sessions(events // parts // 5, max(events // EVENTS_PER_ITEM, 3), seed=part)
    gaps = np.r_[0.0, np.nan_to_num(sessions.flat_dwell_times)[:-1]]
    elapsed = np.cumsum(gaps)
    elapsed -= np.repeat(elapsed[sessions.offsets[:-1]], sessions.lengths)
    time = (np.repeat((sessions.started + part * PERIOD) / parts, sessions.lengths) + elapsed).astype(np.int64)
    order = np.argsort(time, kind="stable")
    users = 10**9 + np.repeat(sessions.user_ids, sessions.lengths)[order]  # raw ids are not contiguous
    items = 10**6 + sessions.items[order].astype(np.int64)
    if text:
        users, items = (np.char.add(word, ids.astype(str)) for word, ids in (("user-", users), ("item-", items)))
    return {"user_id": users, "item_id": items, "timestamp": time[order]}


def padded_rows(sessions: SessionInteractions) -> SequenceInteractions:
    """The same sessions as Spotlight holds them for training: int64 (session, time)."""
    return SequenceInteractions(np.array(sessions.sequences, np.int64), num_items=sessions.num_items)


def targets(sessions: SessionInteractions) -> int:
    """Events to be predicted: all but the first of each session."""
    return int((sessions.lengths - 1).sum())
