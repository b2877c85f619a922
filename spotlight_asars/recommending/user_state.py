"""What is kept of users between sessions: the history of what they viewed, and where their drift stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.memory import Memory
from spotlight_asars.representations import ASARSNet
from spotlight_asars.sessions import Channels, SessionInteractions
from spotlight_asars.sessions.batching import STEPS_AT_ONCE, user_parallel_batches
from spotlight_asars.sessions.interactions import UNKNOWN_USER

ROLLED_AT_ONCE = 1024  # sessions in a batch when users' states are rolled forward, at most


class UserState:
    """The history of each user and, for a net whose users drift, their drift; either may be missing.

    Parameters
    ----------
    net : ASARSNet, optional
        None for a net of another kind, which has no drift.
    history_size : int, optional
        Items of the history that a session sees at most, see ``Memory``; None keeps no history.
    """

    def __init__(self, net: ASARSNet | None, history_size: int | None) -> None:
        self.memory = None if history_size is None else Memory(size=history_size)
        self._net = net
        self.drift = None if net is None else net.drift

    def start(self, sessions: SessionInteractions) -> None:
        """Forget everything; keep these sessions."""
        if self.memory is not None:
            self.memory = Memory(sessions, self.memory.size)
        self.start_drift(sessions)

    def start_drift(self, sessions: SessionInteractions) -> None:
        """Compute the drift anew over these sessions, with the net's present weights."""
        if self.drift is not None:
            self.drift.forget()
            self._roll_drift(sessions)

    def roll(self, sessions: SessionInteractions) -> None:
        """Add these later sessions."""
        if self.memory is not None:
            self.memory = self.memory.with_sessions(sessions)
        self._roll_drift(sessions)

    def _roll_drift(self, sessions: SessionInteractions) -> None:
        if self._net is not None and self.drift is not None:
            self._net.eval()
            at_once = max(1, min(ROLLED_AT_ONCE, STEPS_AT_ONCE // max(int(sessions.lengths.max()), 1)))
            for batch in user_parallel_batches(sessions, at_once, self.drift.state.device):
                self._net.roll(batch.items, batch.channels)

    def recall(self, channels: Channels, training: bool = False) -> Channels:
        """`channels` with the history of each row's user.

        A session of unknown start comes after all that is remembered; but in training, where it may itself be among
        it, such a session has no history.
        """
        if self.memory is None or channels.user_ids is None or channels.history is not None:
            return channels
        users, started = _on_host(channels)
        if training:
            users = np.where(np.isnan(started), UNKNOWN_USER, users)
        return channels._replace(history=self.memory.recall(users, started).to(channels.user_ids.device))

    def viewed(self, channels: Channels, batch: int) -> Tensor:
        """All items in the histories of the users, int64 (batch, slots), padded with 0, on the host."""
        if self.memory is None or channels.user_ids is None:
            return torch.zeros(batch, 1, dtype=torch.int64)
        return self.memory.viewed(*_on_host(channels))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The history, for a model file; the drift is among the net's tensors."""
        return {} if self.memory is None else self.memory.arrays()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take the history that ``arrays`` returned."""
        if self.memory is not None:
            self.memory = Memory.from_arrays(arrays, self.memory.size)

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Undo at the end whatever is rolled inside the block."""
        memory, drift = self.memory, self.drift
        kept = None if drift is None else (drift.state.clone(), drift.final.clone())
        try:
            yield
        finally:
            self.memory = memory
            if drift is not None and kept is not None:
                drift.state.copy_(kept[0])
                drift.final.copy_(kept[1])


def _on_host(channels: Channels) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Users and starts of the rows, NaN where unknown, as arrays of numpy."""
    assert channels.user_ids is not None
    users = channels.user_ids.cpu().numpy()
    return users, np.full(len(users), np.nan) if channels.started is None else channels.started.cpu().numpy()
