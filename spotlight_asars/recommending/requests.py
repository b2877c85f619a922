"""What ``recommend`` is given, in any form, as sessions in the model's ids.

Raw ids in, raw ids out: a frame, an ``EventLog`` and strings are raw; integers are contiguous ids, as everywhere in
Spotlight, unless the caller says ``raw=True``. Events of items that the model does not know are skipped and counted,
and a session of nothing else is an empty one: every session keeps its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import narwhals as nw
import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject, require, seconds
from spotlight_asars.events import HOUR, EventLog, Vocabulary
from spotlight_asars.events.labels import (
    UNKNOWN,
    encode_labels,
    read_context,
    recoded,
    recoded_context,
)
from spotlight_asars.events.vocabulary import encode_raw
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.sessions import PADDING_IDX, SequenceInteractions, SessionInteractions, to_sessions
from spotlight_asars.sessions.interactions import UNKNOWN_USER, as_sessions


class Unknown(NamedTuple):
    """How many events were skipped, of how many items, and how many users the model does not know."""

    events: int
    items: int
    users: int


class Request(NamedTuple):
    """Sessions in the model's ids, and the form of the answer.

    sessions : SessionInteractions
    raw : whether the answer is in raw ids
    unknown : what was skipped
    user_ids : raw ids (session,), or None
    backend : kind of the frame that came in, or None
    names : columns of users and items
    """

    sessions: SessionInteractions
    raw: bool = False
    unknown: Unknown = Unknown(0, 0, 0)
    user_ids: NDArray[Any] | None = None
    backend: Any = None
    names: tuple[str, str] = ("user_id", "item_id")


def read_request(
    catalogue: Catalogue,
    sessions: Any,
    *,
    user_ids: Any = None,
    dwell_times: Any = None,
    started: ArrayLike | None = None,
    kinds: Any = None,
    context: Any = None,
    raw: bool | None = None,
    columns: Mapping[str, Any] | None = None,
    inactivity: float | None = None,
) -> Request:
    """Sessions of the arguments of ``recommend``; see there."""
    channels = {"user_ids": user_ids, "dwell_times": dwell_times, "started": started}
    channels |= {"kinds": kinds, "context": context}
    frame = nw.from_native(sessions, pass_through=True, allow_series=True)
    if isinstance(frame, nw.Series):
        sessions = frame.to_list()
    is_frame = isinstance(frame, (nw.DataFrame, nw.LazyFrame))
    require(columns is None or is_frame, "columns must come with a frame of events", columns)
    cut = is_frame or isinstance(sessions, EventLog)
    require(inactivity is None or cut, "inactivity must come with a frame of events or a log", inactivity)
    idle = HOUR if inactivity is None else inactivity
    if is_frame:
        _refuse(channels, "a frame")
        names = dict(columns or {})
        request = _of_log(catalogue, EventLog.from_frame(sessions, **names, missing_users=True), raw, idle)
        named = names.get("user", "user_id"), names.get("item", "item_id")
        request = request._replace(backend=frame.implementation, names=named)
    elif isinstance(sessions, EventLog):
        _refuse(channels, "a log")
        request = _of_log(catalogue, sessions, raw, idle)
    elif isinstance(sessions, SequenceInteractions):
        _refuse(channels, "sessions")
        own = as_sessions(sessions)
        request = _translated(catalogue, own) if raw and own.item_vocabulary is not None else Request(own, bool(raw))
    else:
        request = _of_rows(catalogue, sessions, raw, **channels)
    catalogue.check(request.sessions, "sessions")
    return request


def is_list(given: Any) -> bool:
    """Whether this is a list of ids, or of lists: no text, and no array of one value without an axis."""
    if isinstance(given, np.ndarray):
        return given.ndim > 0
    return isinstance(given, Sequence) and not isinstance(given, (str, bytes))


def check_exclusion(exclude_seen: Any) -> str | None:
    """What `exclude_seen` leaves out: None, "session" or "history"."""
    known = isinstance(exclude_seen, (bool, np.bool_)) or exclude_seen in ("session", "history")
    require(known, "exclude_seen must be one of [False, True, 'session', 'history']", exclude_seen)
    return str(exclude_seen) if isinstance(exclude_seen, str) else "session" if exclude_seen else None


def _refuse(channels: Mapping[str, Any], kind: str) -> None:
    for name, channel in channels.items():
        require(channel is None, f"{name} must be left out where {kind} has its own", channel)


def _of_log(catalogue: Catalogue, log: EventLog, raw: bool | None, inactivity: float) -> Request:
    """One row for each session of a log, whole, however long it is."""
    longest = int(np.bincount(log.session_ids(inactivity)).max())
    sessions = to_sessions(log, inactivity, max_sequence_length=longest, min_sequence_length=1)
    return _translated(catalogue, sessions)._replace(raw=raw is not False)


def _translated(catalogue: Catalogue, sessions: SessionInteractions) -> Request:
    """Sessions of another vocabulary, in the model's ids."""
    items, users = sessions.item_vocabulary, sessions.user_vocabulary
    assert items is not None
    codes = encode_raw(catalogue.raw_items("sessions"), items.raw, "sessions")[sessions.items - items.first]
    raw_users = None
    if sessions.user_ids is not None and users is not None:
        known = sessions.user_ids != UNKNOWN_USER
        raw_users = np.full(len(known), None) if not known.all() else np.empty(len(known), users.raw.dtype)
        raw_users[known] = users.raw[sessions.user_ids[known]]
    known_kinds, known_context = catalogue.kind_vocabulary, catalogue.context_vocabularies
    kinds = recoded(sessions.flat_kinds, sessions.kind_vocabulary, known_kinds, "kinds")
    context = recoded_context(sessions.context, sessions.context_vocabularies, known_context)
    channels = sessions.flat_dwell_times, sessions.started, kinds, context
    return _without_unknown(catalogue, codes, sessions.items, sessions.offsets, raw_users, *channels)


def encode_users(catalogue: Catalogue, user_ids: Any, raw: bool | None) -> NDArray[np.int64]:
    """One id or some, raw or contiguous, as contiguous ids (users,); -1 for None and for those that are unknown."""
    given = [user_ids] if not is_list(user_ids) else list(user_ids)
    if raw or (raw is None and any(isinstance(user, (str, UUID)) for user in given)):
        if catalogue.user_vocabulary is None:
            return np.full(len(given), UNKNOWN_USER)
        return encode_raw(catalogue.user_vocabulary, np.array(given, dtype=object), "user_ids")
    codes = integers([UNKNOWN_USER if user is None else user for user in given], "user_ids")
    reject(codes < UNKNOWN_USER, codes, "user_ids must be 0 or more, or -1 where unknown")
    return codes


def _of_rows(
    catalogue: Catalogue,
    given: Any,
    raw: bool | None,
    user_ids: Any,
    dwell_times: Any,
    started: Any,
    kinds: Any,
    context: Any,
) -> Request:
    """An array or lists, of raw or of contiguous ids."""
    rows = None
    if raw or not isinstance(given, np.ndarray) or given.dtype.kind in "UO":
        rows = _rows(given, "sessions")
        require(rows is not None or not raw, "sessions must be lists of raw ids with raw=True", type(given).__name__)
    if rows is not None and (
        raw or (raw is None and any(isinstance(item, (str, UUID)) for row in rows for item in row))
    ):
        items = np.array([item for row in rows for item in row], dtype=object)
        codes = encode_raw(catalogue.raw_items("sessions"), items, "sessions")
        offsets = np.r_[0, np.cumsum([len(row) for row in rows], dtype=np.int64)]
        users = None if user_ids is None else np.atleast_1d(np.array(user_ids, dtype=object))
        if users is not None:
            require(users.shape == (len(rows),), f"user_ids must have shape ({len(rows)},)", users.shape)
        dwell = None if dwell_times is None else _flat_dwell(rows, dwell_times)
        if kinds is not None:
            kinds = encode_labels(catalogue.kind_vocabulary, _flat(rows, kinds, "kinds"), "kinds")
        context = read_context(context, catalogue.context_vocabularies, len(rows))
        return _without_unknown(catalogue, codes, items, offsets, users, dwell, started, kinds, context)
    if rows is not None and (len({len(row) for row in rows}) > 1 or not any(len(row) for row in rows)):
        if dwell_times is not None:
            _flat_dwell(rows, dwell_times)  # a check of the lengths
            dwell_times = _padded(dwell_times, np.nan)
        if kinds is not None:
            _flat(rows, kinds, "kinds")
            kinds = _padded(kinds, UNKNOWN)
        given = _padded(rows, PADDING_IDX)
    if isinstance(user_ids, (list, tuple)) or (isinstance(user_ids, np.ndarray) and user_ids.dtype == object):
        user_ids = [UNKNOWN_USER if user is None else user for user in user_ids]
    rows_given = len(given) if np.ndim(given) == 2 else 1
    context = read_context(context, catalogue.context_vocabularies, rows_given)
    channels = {"dwell_times": dwell_times, "started": started, "kinds": kinds, "context": context}
    return Request(SessionInteractions.from_rows(given, user_ids, catalogue.num_items, **channels, argument="sessions"))


def _rows(given: Any, argument: str) -> list[Any] | None:
    """The rows of a list of lists, of a matrix, or of one list; None for what is no sequence."""
    if isinstance(given, np.ndarray):
        return [row.tolist() for row in given] if given.ndim == 2 else _rows(given.tolist(), argument)
    if not is_list(given):
        return None
    nested = [is_list(row) for row in given]
    if any(nested):
        require(all(nested), f"{argument} must be one list, or lists only", given)
        return list(given)
    return [given]


def _padded(rows: Sequence[Any], filler: float) -> list[list[Any]]:
    """Rows of one length, a step or more, filled up from the left."""
    width = max(1, *(len(row) for row in rows))
    return [[filler] * (width - len(row)) + list(row) for row in rows]


def _flat_dwell(rows: list[Any], dwell_times: Any) -> NDArray[np.float64]:
    """Dwell of all rows one after the other, where each row has one for every item."""
    flat = _flat(rows, dwell_times, "dwell_times")
    return seconds([np.nan if value is None else value for value in flat], "dwell_times")


def _flat(rows: list[Any], channel: Any, argument: str) -> list[Any]:
    """A channel of all rows one after the other, where each row has one value for every item."""
    of_rows = _rows(channel, argument)
    lengths, theirs = [len(row) for row in rows], None if of_rows is None else [len(row) for row in of_rows]
    require(lengths == theirs, f"{argument} must have the lengths of sessions, {lengths}", theirs or channel)
    assert of_rows is not None
    return [value for row in of_rows for value in row]


def _without_unknown(
    catalogue: Catalogue,
    codes: NDArray[np.int64],
    items: NDArray[Any],
    offsets: NDArray[np.int64],
    raw_users: NDArray[Any] | None,
    dwell_times: NDArray[Any] | None,
    started: Any,
    kinds: NDArray[np.int64] | None,
    context: NDArray[np.int64] | None,
) -> Request:
    """The sessions without the events whose code is -1, and how much of them is unknown."""
    users, unknown_users = None, 0
    if raw_users is not None:
        users = np.full(len(raw_users), UNKNOWN_USER)
        if catalogue.user_vocabulary is not None:
            users = encode_raw(catalogue.user_vocabulary, raw_users, "user_ids")
        unknown_users = len({user for user in raw_users[users == UNKNOWN_USER].tolist() if user is not None})
    known = codes != Vocabulary.ABSENT
    sessions = SessionInteractions.from_ragged(
        codes[known],
        np.r_[0, np.cumsum(known)][offsets],
        users,
        catalogue.num_items,
        dwell_times=None if dwell_times is None else dwell_times[known],
        started=started,
        kinds=None if kinds is None else kinds[known],
        context=context,
    )
    unknown = Unknown(int((~known).sum()), len({*items[~known].tolist()}), unknown_users)
    return Request(sessions, True, unknown, raw_users)
