"""Faster training of a net: in half precision, or compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spotlight_asars.memory import RecallNet
from spotlight_asars.memory.recall_net import looked_up
from spotlight_asars.sessions.channels import Channels


class Accelerated:
    """The ``Representation`` that a net is, with the same weights.

    Parameters
    ----------
    net : nn.Module
        A representation.
    device : torch.device
        Where it is.
    autocast : bool
        Compute matrix products in bfloat16. Weights, their gradients and the scores stay as they are; so do the states
        of a net that has a recurrent layer: a GPU takes float16 for it, and loses small gradients; some CPUs refuse it.
    compile : bool
        Compile the way from items to states, for any number of rows and steps at once.
    """

    def __init__(self, net: nn.Module, device: torch.device, autocast: bool, compile: bool) -> None:
        self._net, self._device, self._autocast = net, device.type, autocast
        recurrent = any(isinstance(layer, nn.RNNBase) for layer in net.modules())
        self._autocast_states = autocast and not recurrent
        self._states: Any = _compiled(net) if compile else net.states
        self._looks_up = not compile  # a compiled net would be compiled for each look-up

    @contextmanager
    def looked_up(self, item_ids: Tensor) -> Iterator[None]:
        if not self._looks_up:
            yield
            return
        with ExitStack() as block:
            with self._precision():
                block.enter_context(looked_up(self._net, item_ids))
            yield

    def states(self, items: Tensor, channels: Channels | None = None) -> Any:
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._autocast_states):
            return self._states(items, channels)

    def score(self, states: Any, targets: Tensor) -> Tensor:
        with self._precision():
            return _full(self._net.score(states, targets))  # type: ignore[operator]

    def score_items(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        with self._precision():
            return _full(self._net.score_items(states, item_ids))  # type: ignore[operator]

    def parameters(self) -> Iterator[nn.Parameter]:
        return self._net.parameters()

    def _precision(self) -> torch.autocast:
        return torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._autocast)


def _compiled(net: Any) -> Any:
    """The net's ``states``, compiled but for what memories hold: that has gradients more than once, part by part."""
    recalls = isinstance(net, RecallNet)
    read: Any = net.net.states if recalls else net.states
    inner: Any = torch.compile(read, dynamic=True)
    if not recalls:
        return inner

    def states(items: Tensor, channels: Channels | None = None) -> Any:
        channels = channels or Channels()
        return net.recall(inner(items, channels), items, channels)

    return states


def _full(scores: Tensor) -> Tensor:
    """A loss sums up far too many scores for half precision."""
    return scores.float() if scores.dtype == torch.bfloat16 else scores
