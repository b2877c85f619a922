"""What is kept of users between sessions: the memory of what they viewed, and where their drift stands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.memory.user_history import Memory
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.sessions.batching import user_parallel_batches
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions

ROLLED_AT_ONCE = 1024  # sessions in a batch when users' states are rolled forward


class UserState:
    """The memory, and the drift of an ``ASARSNet`` that has one; silent for other nets.

    Parameters
    ----------
    net : nn.Module
    size : int, optional
        What a session sees of the memory at most, see ``Memory``; without it there is no memory.
    """

    def __init__(self, net: nn.Module, size: int | None) -> None:
        self.memory = None if size is None else Memory(size=size)
        inner = net.net if isinstance(net, RecallNet) else net
        self.asars = inner if isinstance(inner, ASARSNet) else None
        self.drift = None if self.asars is None else self.asars.drift

    def start(self, sessions: SessionInteractions) -> None:
        """Forget all; keep these sessions."""
        if self.memory is not None:
            self.memory = Memory(sessions, self.memory.size)
        self.start_drift(sessions)

    def start_drift(self, sessions: SessionInteractions) -> None:
        """Let the drift start anew over these sessions, as the net's weights now have it."""
        if self.drift is not None:
            self.drift.forget()
            self._roll_drift(sessions)

    def roll(self, sessions: SessionInteractions) -> None:
        """Keep these later sessions, too."""
        if self.memory is not None:
            self.memory = self.memory.with_sessions(sessions)
        self._roll_drift(sessions)

    def _roll_drift(self, sessions: SessionInteractions) -> None:
        if self.asars is not None and self.drift is not None:
            self.asars.eval()
            for batch in user_parallel_batches(sessions, ROLLED_AT_ONCE, self.drift.state.device):
                self.asars.roll(batch.items, batch.channels)

    def recall(self, channels: Channels, training: bool = False) -> Channels:
        """`channels` with what the memory holds of the users' earlier sessions.

        A session of unknown start comes after all of them; but in training, where it may itself be among them, it has
        no history.
        """
        if self.memory is None or channels.user_ids is None or channels.history is not None:
            return channels
        users = channels.user_ids.cpu().numpy()
        started = np.full(len(users), np.nan) if channels.started is None else channels.started.cpu().numpy()
        if training:
            users = np.where(np.isnan(started), UNKNOWN_USER, users)
        return channels._replace(history=self.memory.recall(users, started).to(channels.user_ids.device))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a model file keeps beside the net's tensors, of which the drift is a part."""
        return {} if self.memory is None else self.memory.arrays()

    def restore(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Back to what ``arrays`` gave."""
        if self.memory is not None:
            self.memory = Memory.from_arrays(arrays, self.memory.size)

    def viewed(self, channels: Channels, batch: int) -> Tensor:
        """All items that the memory holds of the users' earlier sessions, int64 (batch, slots), padded with 0."""
        if self.memory is None or channels.user_ids is None:
            return torch.zeros(batch, 1, dtype=torch.int64)
        started = np.full(batch, np.nan) if channels.started is None else channels.started.cpu().numpy()
        return self.memory.viewed(channels.user_ids.cpu().numpy(), started)

    @contextmanager
    def as_it_is(self) -> Iterator[None]:
        """What is rolled inside is undone at the end."""
        memory, drift = self.memory, self.drift
        kept = None if drift is None else (drift.state.clone(), drift.final.clone())
        try:
            yield
        finally:
            self.memory = memory
            if drift is not None and kept is not None:
                drift.state.copy_(kept[0])
                drift.final.copy_(kept[1])
