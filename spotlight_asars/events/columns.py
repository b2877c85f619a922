"""The columns of a log: checked, sorted by user and time, with the gaps between a user's events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import LARGEST_ID, array, integers, moments, reject, require, seconds
from spotlight_asars.events import timeline
from spotlight_asars.events.labels import label_codes


@dataclass
class Columns:
    """What a log stores of each event; `gaps` and `pauses` as in ``timeline``, no gaps where dwell was measured."""

    user_ids: NDArray[np.int32]
    item_ids: NDArray[np.int32]
    timestamps: NDArray[Any]
    dwell_times: NDArray[np.float64] | None
    categories: NDArray[Any] | None
    gaps: NDArray[np.float64] | None
    pauses: NDArray[np.float64]
    kinds: NDArray[np.int64] | None = None
    context: NDArray[np.int64] | None = None

    @classmethod
    def recorded(
        cls,
        user_ids: ArrayLike,
        item_ids: ArrayLike,
        timestamps: ArrayLike,
        dwell_times: ArrayLike | None,
        categories: ArrayLike | None,
        sessions: ArrayLike | None,
        kinds: ArrayLike | None = None,
        context: ArrayLike | None = None,
    ) -> Columns:
        """The columns of ``EventLog``'s constructor, checked and sorted."""
        columns: dict[str, NDArray[Any] | None] = {
            "user_ids": (users := integers(user_ids, "user_ids")),
            "item_ids": (items := integers(item_ids, "item_ids")),
            "timestamps": (times := moments(timestamps, "timestamps")),
            "dwell_times": None if dwell_times is None else seconds(dwell_times, "dwell_times"),
            "categories": None if categories is None else array(categories, "categories"),
            "kinds": label_codes(kinds, "kinds"),
        }
        require(users.ndim == 1, "user_ids must have one axis", users.shape)
        require(len(users) > 0, "a log must have at least one event", len(users))
        for name, column in columns.items():
            shape = users.shape if column is None else column.shape
            require(shape == users.shape, f"{name} must have the shape of user_ids, {users.shape}", shape)
        columns["context"] = of_events = label_codes(context, "context")
        if of_events is not None:
            fits = of_events.ndim == 2 and len(of_events) == len(users)
            require(fits, f"context must have the shape ({len(users)}, columns)", of_events.shape)
        reject(users < 0, users, "user_ids must not be negative")
        reject(items < 1, items, "item_ids must be 1 or more, for 0 is padding")
        for name, ids in (("user_ids", users), ("item_ids", items)):
            reject(ids > LARGEST_ID, ids, f"{name} must be int32, as Spotlight's are")
        owners = users.astype(np.int32)  # Spotlight hashes int32 ids where it splits by user
        columns |= {"user_ids": owners, "item_ids": items.astype(np.int32)}

        ends = None
        if sessions is None:
            order = timeline.order_events(owners, times)
        else:
            numbers = integers(sessions, "sessions")
            rule = f"sessions must have the shape of user_ids, {users.shape}"
            require(numbers.shape == users.shape, rule, numbers.shape)
            order, ends = timeline.order_sessions(owners, numbers, times)
        ordered: dict[str, Any] = {name: None if column is None else column[order] for name, column in columns.items()}
        gaps = pauses = timeline.gaps_to_next(ordered["user_ids"], ordered["timestamps"])
        if ends is not None:
            pauses = np.where(ends, np.inf, 0.0)
            gaps = np.maximum(gaps, pauses)
        return cls(**ordered, gaps=gaps if dwell_times is None else None, pauses=pauses)

    def take(self, kept: NDArray[np.intp]) -> Columns:
        """The columns of the events `kept`, indices that rise."""
        columns: dict[str, Any] = {name: column[kept] for name, column in vars(self).items() if column is not None}
        return replace(self, **{**columns, "pauses": timeline.carry_pauses(self.pauses, kept)})
