"""What is kept of users between sessions: the history of what they viewed, and where their drift stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars.memory import Memory
from spotlight_asars.representations import ASARSNet
from spotlight_asars.runtime.devices import moved
from spotlight_asars.sessions import Channels, SessionInteractions
from spotlight_asars.sessions.batching import SessionsOnDevice
from spotlight_asars.sessions.interactions import UNKNOWN_USER
from spotlight_asars.sessions.passes import STEPS_AT_ONCE, user_parallel_batches

ROLLED_AT_ONCE = 1024  # sessions in a batch when users' states are rolled forward, at most


class UserState:
    """The history of each user and, for a net whose users drift, their drift; either may be missing.

    Parameters
    ----------
    net : ASARSNet, optional
        None for a net of another kind, which has no drift.
    history_size : int, optional
        Items of the history that a session sees at most, see ``Memory``; None keeps no history.
    device : torch.device
        Where the histories are kept.
    """

    def __init__(self, net: ASARSNet | None, history_size: int | None, device: torch.device) -> None:
        self.memory = None if history_size is None else Memory(size=history_size, device=device)
        self._net = net
        self.drift = None if net is None else net.drift

    def start(self, sessions: SessionInteractions) -> None:
        """Forget everything; keep these sessions."""
        if self.memory is not None:
            self.memory = Memory(sessions, self.memory.size, self.memory.device)
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
            log = SessionsOnDevice(sessions, self.drift.state.device)
            for batch in user_parallel_batches(sessions, at_once, log):
                self._net.roll(batch.items, batch.channels)

    def recall(self, channels: Channels, training: bool = False) -> Channels:
        """`channels` with the history of each row's user.

        A session of unknown start comes after all that is remembered; but in training, where it may itself be among
        it, such a session has no history.
        """
        if self.memory is None or channels.user_ids is None or channels.history is not None:
            return channels
        users, started = _users_and_starts(channels, self.memory.device)
        if training:
            users = users.masked_fill(started.isnan(), UNKNOWN_USER)
        return channels._replace(history=self.memory.recall(users, started))

    def viewed(self, channels: Channels, batch: int) -> Tensor:
        """All items in the histories of the users, int64 (batch, slots), padded with 0."""
        assert self.memory is not None
        if channels.user_ids is None:
            return torch.zeros(batch, 1, dtype=torch.int64, device=self.memory.device)
        return self.memory.viewed(*_users_and_starts(channels, self.memory.device))

    def take_memory(self, other: UserState) -> None:
        """Take the histories of another state; the drift comes with the net."""
        self.memory = other.memory

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The history, for a model file; the drift is among the net's tensors."""
        return {} if self.memory is None else self.memory.arrays()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take the history that ``arrays`` returned."""
        if self.memory is not None:
            self.memory = Memory.from_arrays(arrays, self.memory.size, self.memory.device)

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


def _users_and_starts(channels: Channels, device: torch.device) -> tuple[Tensor, Tensor]:
    """Users and starts of the rows on `device`, int64 and float64 (batch,); NaN where the start is unknown."""
    assert channels.user_ids is not None
    users = moved(channels.user_ids, device)
    if channels.started is None:
        return users, torch.full_like(users, torch.nan, dtype=torch.float64)
    return users, moved(channels.started, device)
