"""The loop over epochs: each starts from weights known to be good, and ends with a check that they still are."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

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


def train(
    net: nn.Module,
    optimizer: Optimizer,
    loss_of: Callable[[Any, Batch], Tensor],
    batches: Callable[[], Iterable[Batch]],
    n_epochs: int,
    batches_per_epoch: int,
    verbose: bool,
) -> list[float]:
    """Descend along ``loss_of(net, batch)`` for `n_epochs`; the mean loss of each is returned.

    Raises
    ------
    ValueError
        If a loss or a weight is NaN or infinite. The weights are then those from before that epoch.
    """
    means: list[float] = []
    with tqdm(total=n_epochs * batches_per_epoch, disable=not verbose, unit="batch") as progress:
        for epoch in range(n_epochs):
            good, losses = Snapshot(net, optimizer), []
            for batch in batches():
                losses.append(_step(net, optimizer, loss_of(net.train(), batch)))
                progress.update()
                if len(losses) % CHECK_EVERY == 0:
                    _check_losses(losses[-CHECK_EVERY:], len(losses) - CHECK_EVERY, epoch, good)
            _check_losses(losses, 0, epoch, good)
            if not all(weights.isfinite().all() for weights in net.parameters()):
                _stop(good, "weight", "a number that is not", epoch, len(losses) - 1)
            means.append(torch.stack(losses).mean().item())
            progress.set_postfix_str(f"epoch {epoch + 1}/{n_epochs}, loss {means[-1]:.4f}")
    return means


def _step(net: nn.Module, optimizer: Optimizer, loss: Tensor) -> Tensor:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def _check_losses(losses: list[Tensor], first: int, epoch: int, good: Snapshot) -> None:
    """Stop at the first loss that is not finite; `losses` are those of batches `first`, `first` + 1, ..."""
    values = torch.stack(losses).tolist()
    finite = [value - value == 0.0 for value in values]
    if not all(finite):
        at = finite.index(False)
        _stop(good, "loss", values[at], epoch, first + at)


def _stop(good: Snapshot, what: str, value: object, epoch: int, batch: int) -> None:
    good.restore()
    raise ValueError(
        f"{what} must stay finite; got {value} in epoch {epoch}, batch {batch}. "
        "The weights from before this epoch are kept; a lower learning_rate may help"
    )
