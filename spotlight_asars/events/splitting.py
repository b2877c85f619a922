"""Parts of a log: which of its events stay, and which ids their users and items have there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.events import timeline
from spotlight_asars.events.vocabulary import Vocabulary, encode_raw, raw_array, vocabularies

RETURNING_SHARE = 0.01  # below this share of users with a second session, a "user" is taken to be a session


class Events(Protocol):
    """What parts of an ``EventLog`` are made of."""

    user_ids: NDArray[np.int32]
    item_ids: NDArray[np.int32]
    timestamps: Any
    user_vocabulary: Vocabulary
    item_vocabulary: Vocabulary

    def __len__(self) -> int: ...

    def session_ids(self, inactivity: float) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Dropped:
    """What a log lost in the step that made it."""

    events: int
    items: int
    users: int


class NewIds(NamedTuple):
    """Ids of users or items in a part of a log.

    vocabulary : Vocabulary of the new ids
    of_old : int64 (old ids,), the new id at the place of each old one, -1 where it has none
    """

    vocabulary: Vocabulary
    of_old: NDArray[np.int64]

    def extended(self, old: Vocabulary, used: NDArray[np.integer[Any]]) -> NewIds:
        """New ids after the last one for those of the `used` old ids that have none."""
        newcomers = np.unique(used[self.of_old[used] < 0])
        of_old = self.of_old.copy()
        of_old[newcomers] = self.vocabulary.first + len(self.vocabulary) + np.arange(len(newcomers))
        raw = [*self.vocabulary.raw.tolist(), *old.raw[newcomers - old.first].tolist()]  # int64 and uint64 may meet
        return NewIds(Vocabulary(raw_array(raw, "raw ids"), old.first), of_old)


def new_ids(own: Vocabulary, other: Vocabulary | None, argument: str, grow: bool = True) -> NewIds:
    """The ids that raw ids have in another vocabulary, if there is one; if it is to `grow`, new ones come after it.

    ``TypeError`` for strings on one side and integers on the other.
    """
    padding = [Vocabulary.ABSENT] * own.first
    if other is None:
        return NewIds(own, np.arange(own.first + len(own)))
    known = NewIds(other, np.r_[padding, encode_raw(other, own.raw, argument)].astype(np.int64))
    return known.extended(own, np.arange(own.first, own.first + len(own))) if grow else known


class Part(NamedTuple):
    """The events of a log that stay, by their indices, and the ids of their users and items."""

    kept: NDArray[np.intp]
    users: NewIds
    items: NewIds
    dropped: Dropped = Dropped(0, 0, 0)


def compact_part(log: Events, kept: NDArray[np.intp]) -> Part:
    """The events `kept`; their users and items get new ids without gaps."""
    users = NewIds(*log.user_vocabulary.compact(log.user_ids[kept]))
    return Part(kept, users, NewIds(*log.item_vocabulary.compact(log.item_ids[kept])))


def known_part(log: Events, events: NDArray[np.bool_], users: NewIds, items: NewIds, keep_unknown_users: bool) -> Part:
    """Those of the `events`, bool (events,), whose items have a new id, and whose users have one or get one."""
    known = events & (items.of_old[log.item_ids] >= 0)
    if keep_unknown_users:
        users = users.extended(log.user_vocabulary, log.user_ids[known])
    known &= users.of_old[log.user_ids] >= 0
    lost = events & ~known
    dropped = Dropped(
        events=int(lost.sum()),
        items=len(np.unique(log.item_ids[lost & (items.of_old[log.item_ids] < 0)])),
        users=len(np.unique(log.user_ids[lost & (users.of_old[log.user_ids] < 0)])),
    )
    return Part(np.flatnonzero(known), users, items, dropped)


def supported_part(log: Events, inactivity: float, *, item: int, session: int, user: int) -> Part:
    """What ``EventLog.filter_support`` keeps."""
    sessions = log.session_ids(inactivity)
    kept = timeline.supported(log.user_ids, log.item_ids, sessions, item=item, session=session, user=user)
    support = {"item": item, "session": session, "user": user}
    require(len(kept) > 0, f"filter_support must leave events of the {len(log)} given", support)
    lost = np.ones(len(log), dtype=bool)
    lost[kept] = False
    items, users = (len(np.unique(ids[lost])) for ids in (log.item_ids, log.user_ids))
    return compact_part(log, kept)._replace(dropped=Dropped(len(log) - len(kept), items, users))


def encoded_part(log: Events, other: Any, keep_unknown_users: bool, grow: bool) -> Part:
    """What ``EventLog.encode_like`` keeps, with the ids of `other`: events of its items, or of all, if they `grow`."""
    user_vocabulary, item_vocabulary = vocabularies(other)
    users = new_ids(log.user_vocabulary, user_vocabulary, "user ids of the log", grow=False)
    items = new_ids(log.item_vocabulary, item_vocabulary, "item ids of the log", grow=False)
    if grow:
        items = items.extended(log.item_vocabulary, log.item_ids)
    part = known_part(log, np.ones(len(log), dtype=bool), users, items, keep_unknown_users)
    rule = "encode_like must leave events of known items and users"
    require(len(part.kept) > 0, rule, f"{len(log)} of unknown ones")
    return part._replace(dropped=replace(part.dropped, users=0)) if keep_unknown_users else part


def parts_by_time(
    log: Events, test_fraction: float, inactivity: float, unknown_users: str, new_items: str
) -> tuple[Part, Part]:
    """What ``EventLog.split_by_time`` keeps for training, and for the test."""
    sessions = log.session_ids(inactivity)
    last = np.flatnonzero(np.diff(sessions, append=sessions[-1] + 1))  # index of each session's last event
    ended = np.asarray(log.timestamps)[last]
    boundary = np.quantile(ended, 1 - test_fraction, method="inverted_cdf")
    late = (ended > boundary)[sessions]
    require(
        late.any(), f"test_fraction must leave sessions that end after {boundary}, as the latest does", test_fraction
    )
    if unknown_users == "auto":
        sessions_of = np.bincount(log.user_ids[last])
        returning = (sessions_of > 1).sum() / (sessions_of > 0).sum()
        unknown_users = "keep" if returning < RETURNING_SHARE else "drop"

    train = compact_part(log, np.flatnonzero(~late))
    items = train.items.extended(log.item_vocabulary, log.item_ids[late]) if new_items == "keep" else train.items
    test = known_part(log, late, train.users, items, unknown_users == "keep")
    require(
        len(test.kept) > 0,
        "split_by_time must leave test events of known items and users",
        f"{test.dropped.events} of unknown ones",
        "unknown_users='keep' keeps users without a training session",
    )
    return train, test
