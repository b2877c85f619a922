"""What a log stores of each event, checked at the door."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import LARGEST_ID, reject, require


@dataclass
class Columns:
    """What a log stores per event; ids are int32 once they are checked."""

    user_ids: NDArray[np.integer[Any]]
    item_ids: NDArray[np.integer[Any]]
    timestamps: NDArray[Any]
    dwell_times: NDArray[np.float64] | None
    categories: NDArray[Any] | None

    def check(self) -> None:
        require(self.user_ids.ndim == 1, "user_ids must have one axis", self.user_ids.shape)
        require(len(self.user_ids) > 0, "a log must have at least one event", len(self.user_ids))
        for name, column in vars(self).items():
            if column is not None:
                rule = f"{name} must have the shape of user_ids, {self.user_ids.shape}"
                require(column.shape == self.user_ids.shape, rule, column.shape)
        reject(self.user_ids < 0, self.user_ids, "user_ids must not be negative")
        reject(self.item_ids < 1, self.item_ids, "item_ids must be 1 or more, for 0 is padding")
        for name, column in (("user_ids", self.user_ids), ("item_ids", self.item_ids)):
            reject(column > LARGEST_ID, column, f"{name} must be int32, as Spotlight's are")

    def take(self, kept: NDArray[np.intp]) -> Columns:
        columns: dict[str, Any] = {name: column[kept] for name, column in vars(self).items() if column is not None}
        return replace(self, **columns)


def pauses_between(sessions: NDArray[np.int64], order: NDArray[np.intp], user_ids: NDArray[Any]) -> NDArray[np.float64]:
    """Pauses that cut a log where its user or session changes, and nowhere else; `sessions` not yet in `order`."""
    require(sessions.shape == order.shape, f"sessions must have the shape of user_ids, {order.shape}", sessions.shape)
    ordered = sessions[order]
    ends = np.ones(len(order), dtype=bool)
    ends[:-1] = (ordered[1:] != ordered[:-1]) | (user_ids[1:] != user_ids[:-1])
    each, times = np.unique(np.stack([user_ids[ends], ordered[ends]]), axis=1, return_counts=True)
    again = each[:, times > 1][:, :1].ravel().tolist()
    rule = "sessions must not overlap where they are one user's, but end before the next begins"
    require(not again, f"{rule}: user and session", again)
    return np.where(ends, np.inf, 0.0)
