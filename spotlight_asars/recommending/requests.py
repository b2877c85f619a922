"""What ``recommend`` is asked for, in any form, as sessions that the model can read.

Raw ids in, raw ids out: a frame, an ``EventLog`` and strings are raw by their kind; integers are contiguous ids, as
everywhere in Spotlight, unless the caller says ``raw=True``. Events of items that the model does not know are skipped
and counted, and a session of nothing else is an empty one: every history keeps its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import require, seconds
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.events import HOUR, EventLog
from spotlight_asars.events.vocabulary import Vocabulary, check_vocabulary, encode_raw, raw_array
from spotlight_asars.sessions import to_sessions
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions, as_sessions


class Unknown(NamedTuple):
    """How much of some sessions the model does not know."""

    events: int
    items: int
    users: int


class Histories(NamedTuple):
    """Sessions in the model's ids, and how to answer.

    sessions : SessionInteractions
    raw : whether the answer is in raw ids
    unknown : what was skipped
    user_ids : raw ids (session,), or None
    backend : of the frame that was given, or None
    names : columns of users and items
    """

    sessions: SessionInteractions
    raw: bool = False
    unknown: Unknown = Unknown(0, 0, 0)
    user_ids: NDArray[Any] | None = None
    backend: Any = None
    names: tuple[str, str] = ("user_id", "item_id")


class Catalogue(NamedTuple):
    """What a model knows: its sizes, and its raw ids where it was trained with some."""

    num_items: int
    item_vocabulary: Vocabulary | None
    user_vocabulary: Vocabulary | None

    def items(self, argument: str) -> Vocabulary:
        """The raw ids of items; ``ValueError`` where there are none."""
        if self.item_vocabulary is None:
            raise ValueError(
                f"{argument} must be contiguous ids for a model that was trained without raw ids; got raw ones. "
                "fit(to_sessions(log)) of an EventLog lets it learn them"
            )
        return self.item_vocabulary


def read_histories(
    catalogue: Catalogue,
    given: Any,
    *,
    user_ids: Any = None,
    dwell_times: Any = None,
    started: ArrayLike | None = None,
    raw: bool | None = None,
    columns: Mapping[str, str] | None = None,
) -> Histories:
    """Sessions of what ``recommend`` was given; see there."""
    frame = nw.from_native(given, pass_through=True)
    is_frame = isinstance(frame, (nw.DataFrame, nw.LazyFrame))
    require(columns is None or is_frame, "columns must come with a frame of events", columns)
    if is_frame:
        names = dict(columns or {})
        log = EventLog.from_frame(given, **names)
        _no_channels("a frame", user_ids, dwell_times, started)
        read = _read_log(catalogue, log, raw is not False)
        named = names.get("user", "user_id"), names.get("item", "item_id")
        return read._replace(backend=frame.implementation, names=named)
    if isinstance(given, EventLog):
        _no_channels("a log", user_ids, dwell_times, started)
        return _read_log(catalogue, given, raw is not False)
    if isinstance(given, SequenceInteractions):
        _no_channels("sessions", user_ids, dwell_times, started)
        sessions = as_sessions(given)
        if raw and sessions.item_vocabulary is not None:
            return _translate(catalogue, sessions)
        check_vocabulary(catalogue, sessions, "sessions")
        return Histories(sessions, bool(raw))
    if not raw and isinstance(given, np.ndarray) and given.dtype.kind not in "UO":
        channels = {"dwell_times": dwell_times, "started": started}
        return Histories(_contiguous(given, catalogue.num_items, user_ids, **channels))
    rows = _rows(given)
    require(rows is not None or not raw, "sessions must be lists of raw ids with raw=True", type(given).__name__)
    if raw or (raw is None and _any_string(rows)):
        return _read_raw(catalogue, rows, user_ids, dwell_times, started)
    if rows is not None and len({len(row) for row in rows}) > 1:
        return Histories(_ragged(rows, catalogue.num_items, user_ids, dwell_times, started))
    return Histories(_contiguous(given, catalogue.num_items, user_ids, dwell_times, started))


def _no_channels(kind: str, *channels: Any) -> None:
    for name, channel in zip(("user_ids", "dwell_times", "started"), channels, strict=True):
        require(channel is None, f"{name} must be left out where {kind} has its own", channel)


def _rows(given: Any, argument: str = "sessions") -> list[Any] | None:
    """The rows of a list of lists, of a matrix, or of one list; None for what is no sequence."""
    if isinstance(given, np.ndarray):
        return [row.tolist() for row in given] if given.ndim == 2 else _rows(given.tolist(), argument)
    if not _is_list(given):
        return None
    nested = [_is_list(row) for row in given]
    if any(nested):
        require(all(nested), f"{argument} must be one list, or lists only", given)
        return list(given)
    return [given]


def _is_list(given: Any) -> bool:
    return isinstance(given, (Sequence, np.ndarray)) and not isinstance(given, (str, bytes))


def _any_string(rows: list[Any] | None) -> bool:
    return rows is not None and any(isinstance(item, str) for row in rows for item in row)


def _read_log(catalogue: Catalogue, log: EventLog, raw: bool) -> Histories:
    """One row for each session of a log, whole, as long as it is."""
    longest = int(np.bincount(log.session_ids(HOUR)).max())
    read = _translate(catalogue, to_sessions(log, max_sequence_length=longest, min_sequence_length=1))
    return read if raw else read._replace(raw=False)


def _translate(catalogue: Catalogue, sessions: SessionInteractions) -> Histories:
    """Sessions of another vocabulary."""
    theirs, users = sessions.item_vocabulary, sessions.user_vocabulary
    assert theirs is not None
    codes = encode_raw(catalogue.items("sessions"), theirs.raw, "sessions")[sessions.items - theirs.first]
    known_users = raw_users = None
    if sessions.user_ids is not None and users is not None:
        if catalogue.user_vocabulary is not None:
            named = np.r_[encode_raw(catalogue.user_vocabulary, users.raw, "user_ids"), UNKNOWN_USER]
            known_users = named[sessions.user_ids]  # -1, the unknown user, is the last of them
        raw_users = users.raw[sessions.user_ids]
        if (sessions.user_ids == UNKNOWN_USER).any():
            raw_users = raw_users.astype(object)
            raw_users[sessions.user_ids == UNKNOWN_USER] = None
    known, unknown = _without_unknown(
        catalogue, codes, sessions.items, sessions.offsets, known_users, sessions.flat_dwell_times, sessions.started
    )
    return Histories(known, True, _count_users(unknown, known_users, raw_users), raw_users)


def _read_raw(catalogue: Catalogue, rows: list[Any] | None, user_ids: Any, dwell_times: Any, started: Any) -> Histories:
    """Lists of raw ids, or an array of them."""
    assert rows is not None
    flat = raw_array([item for row in rows for item in row], "sessions")
    codes = encode_raw(catalogue.items("sessions"), flat, "sessions")
    offsets = np.r_[0, np.cumsum([len(row) for row in rows], dtype=np.int64)]
    users = raw_users = None
    if user_ids is not None:
        raw_users = np.atleast_1d(np.array(user_ids, dtype=object))
        require(raw_users.shape == (len(rows),), f"user_ids must have shape ({len(rows)},)", raw_users.shape)
        users = np.full(len(rows), UNKNOWN_USER)
        named = np.flatnonzero([user is not None for user in raw_users])
        if catalogue.user_vocabulary is not None:
            users[named] = encode_raw(catalogue.user_vocabulary, raw_users[named], "user_ids")
    dwell = None if dwell_times is None else _flat_dwell(rows, dwell_times)
    known, unknown = _without_unknown(catalogue, codes, flat, offsets, users, dwell, started)
    return Histories(known, True, _count_users(unknown, users, raw_users), raw_users)


def _ragged(rows: list[Any], num_items: int, user_ids: Any, dwell_times: Any, started: Any) -> SessionInteractions:
    """Lists of contiguous ids that differ in length; 0 is padding here, too."""
    width = max(len(row) for row in rows)
    items = [[PADDING_IDX] * (width - len(row)) + list(row) for row in rows]
    dwell = None
    if dwell_times is not None:
        _flat_dwell(rows, dwell_times)
        dwell = [[np.nan] * (width - len(row)) + list(row) for row in dwell_times]
    return _contiguous(items, num_items, user_ids, dwell, started)


def _contiguous(rows: Any, num_items: int, user_ids: Any, dwell_times: Any, started: Any) -> SessionInteractions:
    return SessionInteractions.from_rows(
        rows, user_ids, num_items, dwell_times=dwell_times, started=started, argument="sessions"
    )


def _flat_dwell(rows: list[Any], dwell_times: Any) -> NDArray[np.float64]:
    """Dwell of all rows one after the other, where each row has one for every item."""
    given = _rows(dwell_times, "dwell_times")
    lengths, theirs = [len(row) for row in rows], None if given is None else [len(row) for row in given]
    require(lengths == theirs, f"dwell_times must have the lengths of sessions, {lengths}", theirs or dwell_times)
    assert given is not None
    return seconds([np.nan if value is None else value for row in given for value in row], "dwell_times")


def _without_unknown(
    catalogue: Catalogue,
    codes: NDArray[np.int64],
    given: NDArray[Any],
    offsets: NDArray[np.int64],
    users: NDArray[np.int64] | None,
    dwell: NDArray[Any] | None,
    started: Any,
) -> tuple[SessionInteractions, Unknown]:
    """The sessions without the events whose code is -1, and the number of these and of their items."""
    known = codes != Vocabulary.ABSENT
    kept = np.r_[0, np.cumsum(known)][offsets]
    sessions = SessionInteractions.from_ragged(
        codes[known],
        kept,
        users,
        catalogue.num_items,
        dwell_times=None if dwell is None else dwell[known],
        started=started,
    )
    return sessions, Unknown(int((~known).sum()), len(np.unique(given[~known])), 0)


def _count_users(unknown: Unknown, codes: NDArray[np.int64] | None, raw: NDArray[Any] | None) -> Unknown:
    """With the number of named users whose code is -1."""
    if raw is None:
        return unknown
    absent = np.ones(len(raw), dtype=bool) if codes is None else codes == UNKNOWN_USER
    return unknown._replace(users=len({user for user in raw[absent].tolist() if user is not None}))
