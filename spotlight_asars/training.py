"""The loop over epochs: each starts from weights known to be good, and ends with a check that they still are."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from spotlight_asars.batching import Batch

CHECK_EVERY = 100  # batches between two looks at the losses, each of which makes a GPU wait


class Snapshot:
    """Weights and optimizer state at one moment, to go back to."""

    def __init__(self, net: nn.Module, optimizer: Optimizer) -> None:
        self._net, self._optimizer = net, optimizer
        self._saved = copy.deepcopy((net.state_dict(), optimizer.state_dict()))

    def restore(self) -> None:
        weights, state = self._saved
        self._net.load_state_dict(weights)
        self._optimizer.load_state_dict(state)


class Epoch(NamedTuple):
    """Mean training loss of an epoch, and what validation found after it."""

    loss: float
    validation: float | None


class EarlyStopping:
    """Keeps the best epoch, and says when no better one has come for long enough.

    Parameters
    ----------
    patience : int, optional
        Epochs without a better value after which to stop; None never stops.
    higher_is_better : bool
        Whether the value is a metric rather than a loss.
    """

    def __init__(self, patience: int | None = None, higher_is_better: bool = False) -> None:
        self._patience, self._sign = patience, 1.0 if higher_is_better else -1.0
        self._best, self._kept, self._waited = -math.inf, None, 0  # type: float, Snapshot | None, int

    def stops(self, value: float, snapshot: Callable[[], Snapshot]) -> bool:
        """Take the value of another epoch; keep a snapshot of it if it is the best so far."""
        self._waited += 1
        merit = -math.inf if math.isnan(value) else self._sign * value  # else a NaN would stay the best for ever
        if self._kept is None or merit > self._best:
            self._best, self._kept, self._waited = merit, snapshot(), 0
        return self._patience is not None and self._waited >= self._patience

    def restore(self) -> None:
        """Back to the best epoch."""
        if self._kept is not None:
            self._kept.restore()


def train(
    net: nn.Module,
    optimizer: Optimizer,
    loss_of: Callable[[Any, Batch], Tensor],
    batches: Callable[[], Iterable[Batch]],
    n_epochs: int,
    batches_per_epoch: int,
    verbose: bool = False,
    validate: Callable[[], float] | None = None,
    stopping: EarlyStopping | None = None,
) -> list[Epoch]:
    """Descend along ``loss_of(net, batch)`` for `n_epochs` of about `batches_per_epoch`; what came of each is returned.

    With `validate`, the weights at the end are those of the epoch that `stopping` finds best.

    Raises
    ------
    ValueError
        If a loss or a weight is NaN or infinite. The weights are then those from before that epoch. The message
        counts epochs and batches from 1.
    """
    stopping = stopping or EarlyStopping()
    epochs: list[Epoch] = []
    with tqdm(total=n_epochs * batches_per_epoch, disable=not verbose, unit="batch") as bar:
        for epoch in range(n_epochs):
            good, losses = Snapshot(net, optimizer), []
            for batch in batches():
                losses.append(_step(net, optimizer, loss_of(net.train(), batch)))
                bar.update()
                if len(losses) % CHECK_EVERY == 0:
                    _check_losses(losses[-CHECK_EVERY:], len(losses) - CHECK_EVERY, epoch, good)
            _check_losses(losses, 0, epoch, good)
            _check_weights(net, len(losses) - 1, epoch, good)
            value = None if validate is None else validate()
            epochs.append(Epoch(torch.stack(losses).mean().item(), value))
            bar.set_postfix_str(_describe(epoch, n_epochs, epochs[-1]))
            if value is not None and stopping.stops(value, lambda: Snapshot(net, optimizer)):
                break
    stopping.restore()
    return epochs


def _describe(epoch: int, n_epochs: int, found: Epoch) -> str:
    told = f"epoch {epoch + 1}/{n_epochs}, loss {found.loss:.4f}"
    return told if found.validation is None else f"{told}, validation {found.validation:.4f}"


def _step(net: nn.Module, optimizer: Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def _check_losses(losses: list[Tensor], first: int, epoch: int, good: Snapshot) -> None:
    """Stop at the first loss that is not finite; `losses` are those of batches `first`, `first` + 1, ..."""
    values = torch.stack(losses).tolist()
    for batch, value in enumerate(values, start=first):
        if not math.isfinite(value):
            _stop(good, "loss", value, epoch, batch)


def _check_weights(net: nn.Module, batch: int, epoch: int, good: Snapshot) -> None:
    """Stop at the first weight that is not finite after the last `batch` of an epoch."""
    for name, weights in net.named_parameters():
        finite = weights.isfinite()
        if not finite.all():
            _stop(good, name, weights[~finite][0].item(), epoch, batch)


def _stop(good: Snapshot, what: str, value: float, epoch: int, batch: int) -> NoReturn:
    good.restore()
    raise ValueError(
        f"{what} must stay finite; got {value} in epoch {epoch + 1}, batch {batch + 1}. "
        "The weights from before this epoch are kept; a lower learning_rate may help"
    )
