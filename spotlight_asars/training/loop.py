"""The training loop: epochs of mini-batches, with checks that losses and weights stay finite."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain, islice
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from spotlight_asars.runtime.distributed import add_up, processes
from spotlight_asars.training.checkpoints import Checkpoints
from spotlight_asars.training.progress import EarlyStopping, Epoch, Progress, Snapshot

__all__ = ["CHECK_EVERY", "EarlyStopping", "Epoch", "Snapshot", "train"]

B = TypeVar("B")  # a mini-batch, in whatever form the loss takes it

CHECK_EVERY = 100  # batches between two looks at the losses, each of which makes a GPU wait


def train(
    net: nn.Module,
    optimizer: Optimizer,
    loss_of: Callable[[Any, B], Tensor],
    batches: Callable[[int, int], Iterable[B]],
    n_epochs: int,
    batches_per_epoch: int,
    verbose: bool = False,
    validate: Callable[[], float] | None = None,
    stopping: EarlyStopping | None = None,
    averaging: bool = False,
    checkpoints: Checkpoints | None = None,
    report: Callable[[list[Epoch]], None] | None = None,
) -> list[Epoch]:
    """Train a net, and return the loss and validation of each epoch.

    Parameters
    ----------
    net, optimizer
        What is trained, in place.
    loss_of : callable
        ``(net, batch) -> scalar``; of one that needs no gradient, the weights have it already. In a process group it is
        this process's part of a sum, and every process descends along the sum of the gradients.
    batches : callable
        ``batches(epoch, start)`` gives the mini-batches of an epoch, counted from 0, without the first `start`.
    n_epochs, batches_per_epoch : int
        The second is for the progress bar.
    verbose : bool
        Show a progress bar.
    validate : callable, optional
        Gives the monitored value after an epoch. The weights at the end are then those of the epoch that `stopping`
        finds best.
    stopping : EarlyStopping, optional
    averaging : bool
        Validate and end with an average of the weights after each epoch.
    checkpoints : Checkpoints, optional
        Training goes on from the latest of them, and ends as if it had never been interrupted.
    report : callable, optional
        Is given all epochs so far at the end of each, while the net has the weights that are validated.

    Raises
    ------
    ValueError
        If a loss or a weight is NaN or infinite. The weights are then those from before that epoch, or their average.
        The message counts epochs and batches from 1.
    """
    progress = Progress(net, optimizer, stopping or EarlyStopping(), averaging)
    if checkpoints is not None:
        checkpoints.resume(progress)
    done = len(progress.epochs) * batches_per_epoch + len(progress.losses)
    with tqdm(
        total=n_epochs * batches_per_epoch, initial=done, disable=not verbose or processes().rank > 0, unit="batch"
    ) as bar:
        while len(progress.epochs) < n_epochs and not progress.finished:
            _descend(progress, loss_of, batches, bar, checkpoints)
            progress.end_epoch(validate, report)
            bar.n = len(progress.epochs) * batches_per_epoch  # an epoch of two parts may have one more
            bar.set_postfix_str(_describe(progress.epochs, n_epochs))
            if progress.stopping.is_over:
                break
    if not progress.finished:
        progress.finish()
        if checkpoints is not None:
            checkpoints.save(progress)
    return progress.epochs


def _descend(
    progress: Progress,
    loss_of: Callable[[Any, B], Tensor],
    batches: Callable[[int, int], Iterable[B]],
    bar: Any,
    checkpoints: Checkpoints | None,
) -> None:
    """Train for the rest of an epoch, from its start or from where it was interrupted."""
    if not progress.losses:
        progress.begin_epoch()
        if checkpoints is not None:
            checkpoints.save(progress)
    progress.optimizer.zero_grad()
    for batch in _ahead(progress, batches, checkpoints):
        progress.losses.append(_step(progress.net, progress.optimizer, loss_of(progress.net.train(), batch)))
        bar.update()
        if len(progress.losses) % CHECK_EVERY == 0:
            _check_losses(progress, len(progress.losses) - CHECK_EVERY)
        if checkpoints is not None and checkpoints.is_due(len(progress.losses)):
            _check_losses(progress, 0)
            checkpoints.save(progress)
    _check_losses(progress, 0)
    _check_weights(progress)


def _ahead(
    progress: Progress, batches: Callable[[int, int], Iterable[B]], checkpoints: Checkpoints | None
) -> Iterator[B]:
    """The mini-batches of the epoch that are still to come."""
    with nullcontext() if checkpoints is None else checkpoints.drawing_order():
        ahead = iter(batches(len(progress.epochs), len(progress.losses)))
        first = list(islice(ahead, 1))  # with which the order of the epoch is drawn
    return chain(first, ahead)


def _describe(epochs: list[Epoch], n_epochs: int) -> str:
    loss, validation = epochs[-1]
    text = f"epoch {len(epochs)}/{n_epochs}, loss {loss:.4f}"
    return text if validation is None else f"{text}, validation {validation:.4f}"


def _step(net: nn.Module, optimizer: Optimizer, loss: Tensor) -> Tensor:
    if loss.requires_grad:  # on a rank without a session of the batch it is a constant
        loss.backward()
    loss = add_up(net, loss.detach())
    with torch.sparse.check_sparse_tensor_invariants(enable=False):  # the optimizer's own; torch warns where unsaid
        optimizer.step()
    optimizer.zero_grad()  # now, for the gradients of a large catalogue fill much memory
    return loss


def _check_losses(progress: Progress, first: int) -> None:
    """Stop at the first loss of this epoch, from that of batch `first` on, that is not finite."""
    values = torch.stack(progress.losses[first:]).tolist()
    for batch, value in enumerate(values, start=first):
        if not math.isfinite(value):
            _stop(progress, "loss", value, batch)


def _check_weights(progress: Progress) -> None:
    """Stop at the first weight that is not finite after the last batch of an epoch."""
    named = list(progress.net.named_parameters())
    finite = torch.stack(
        [weights.isfinite().all() for _, weights in named]
    ).tolist()  # in one look: a GPU waits for each
    for (name, weights), is_finite in zip(named, finite, strict=True):
        if not is_finite:
            _stop(progress, name, weights[~weights.isfinite()][0].item(), len(progress.losses) - 1)


def _stop(progress: Progress, what: str, value: float, batch: int) -> NoReturn:
    progress.go_back()
    raise ValueError(
        f"{what} must stay finite; got {value} in epoch {len(progress.epochs) + 1}, batch {batch + 1}. "
        "What was learned before this epoch is kept; a lower learning_rate may help"
    )
