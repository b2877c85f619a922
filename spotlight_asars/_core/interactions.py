"""Interactions of users with items, as a log and as a matrix of sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray


class Interactions:
    """A log of user-item pairs, with ratings, timestamps and weights where known.

    Parameters
    ----------
    user_ids, item_ids : int32 (events,)
        Who interacted with what. For sequences, item ids start at 1: 0 is padding.
    ratings, weights : float32 (events,), optional
    timestamps : int32 (events,), optional
    num_users, num_items : int, optional
        Sizes of the vocabularies; one above the highest id if absent.

    Raises
    ------
    ValueError
        If an id does not fit its vocabulary, or the columns differ in length.
    """

    def __init__(
        self,
        user_ids: NDArray[Any],
        item_ids: NDArray[Any],
        ratings: NDArray[Any] | None = None,
        timestamps: NDArray[Any] | None = None,
        weights: NDArray[Any] | None = None,
        num_users: int | None = None,
        num_items: int | None = None,
    ) -> None:
        self.num_users = num_users or int(user_ids.max() + 1)
        self.num_items = num_items or int(item_ids.max() + 1)
        self.user_ids = user_ids
        self.item_ids = item_ids
        self.ratings = ratings
        self.timestamps = timestamps
        self.weights = weights
        self._check()

    def __repr__(self) -> str:
        return f"<Interactions dataset ({self.num_users} users x {self.num_items} items x {len(self)} interactions)>"

    def __len__(self) -> int:
        return len(self.user_ids)

    def _check(self) -> None:
        for who, ids, size in (
            ("user", self.user_ids, self.num_users),
            ("item", self.item_ids, self.num_items),
        ):
            if ids.max() >= size:
                raise ValueError(f"{who}_ids must be below num_{who}s={size}; got {ids.max()}")
        for name in ("item_ids", "ratings", "timestamps", "weights"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self):
                raise ValueError(f"{name} must have one entry per user id ({len(self)}); got {len(column)}")

    def tocoo(self) -> sp.coo_matrix:
        """Sparse (num_users, num_items) matrix of ratings, or of ones where there are none."""
        data = np.ones(len(self)) if self.ratings is None else self.ratings
        return sp.coo_matrix((data, (self.user_ids, self.item_ids)), shape=(self.num_users, self.num_items))

    def tocsr(self) -> sp.csr_matrix:
        """:meth:`tocoo` by rows; repeated pairs are summed."""
        return self.tocoo().tocsr()

    def to_sequence(
        self,
        max_sequence_length: int = 10,
        min_sequence_length: int | None = None,
        step_size: int | None = None,
    ) -> SequenceInteractions:
        """Windows over each user's items in order of time, padded with 0 from the left.

        A window of 3 moves back from the user's last item, here by a ``step_size`` of 2::

            items of a user        sequences
            4 7 2 9 5         ->   2 9 5
                                   4 7 2
                                   0 0 4

        Parameters
        ----------
        max_sequence_length : int, optional
            Width of the window.
        min_sequence_length : int, optional
            Leave out windows with fewer items.
        step_size : int, optional
            How far the window moves; its own width if absent.

        Returns
        -------
        SequenceInteractions
            int32 sequences and user ids, users ascending, each user's latest window first.

        Raises
        ------
        ValueError
            If timestamps are missing, or an item has the padding id 0.
        """
        if self.timestamps is None:
            raise ValueError("timestamps must be given to order the events; got None")
        if 0 in self.item_ids:
            raise ValueError("item_ids must be above 0, which is padding in a sequence; got 0")
        step_size = max_sequence_length if step_size is None else step_size

        order = np.lexsort((self.timestamps, self.user_ids))
        items = self.item_ids[order]
        users, first, count = np.unique(self.user_ids[order], return_index=True, return_counts=True)

        windows = np.ceil(count / step_size).astype(np.int64)
        owner = np.repeat(np.arange(len(users)), windows)
        moved = np.arange(len(owner)) - np.repeat(np.cumsum(windows) - windows, windows)
        end = (first + count)[owner] - moved * step_size
        index = end[:, np.newaxis] - np.arange(max_sequence_length, 0, -1)  # (session, time)
        real = index >= first[owner, np.newaxis]
        sequences = np.where(real, items[np.maximum(index, 0)], 0).astype(np.int32)
        user_ids = users[owner].astype(np.int32)

        if min_sequence_length is not None:
            long_enough = sequences[:, -min_sequence_length] != 0
            sequences, user_ids = sequences[long_enough], user_ids[long_enough]
        return SequenceInteractions(sequences, user_ids=user_ids, num_items=self.num_items)


class SequenceInteractions:
    """A matrix of item sequences.

    Parameters
    ----------
    sequences : int32 (session, time)
        As :meth:`Interactions.to_sequence` makes it.
    user_ids : int32 (session,), optional
        Whose sequence a row is.
    num_items : int, optional
        Size of the vocabulary; one above the highest id if absent.
    """

    def __init__(
        self,
        sequences: NDArray[Any],
        user_ids: NDArray[Any] | None = None,
        num_items: int | None = None,
    ) -> None:
        self.sequences = sequences
        self.user_ids = user_ids
        self.max_sequence_length: int = sequences.shape[1]
        self.num_items = int(sequences.max() + 1) if num_items is None else num_items

    def __repr__(self) -> str:
        sessions, length = self.sequences.shape
        return f"<Sequence interactions dataset ({sessions} sequences x {length} sequence length)>"
