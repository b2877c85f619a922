"""The state of a training run: weights, optimizer, losses, the average of weights, and snapshots to return to."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

ETA = 5  # of the average of weights


class Snapshot:
    """Weights, buffers and optimizer state at one moment, to go back to.

    Parameters
    ----------
    net : nn.Module
    optimizer : Optimizer
    instead_of : Snapshot, optional
        An earlier one that is no longer needed: its memory is written over, which is faster than to ask for more.
    but_weights : bool
        Leave the weights out, which are kept elsewhere.
    """

    def __init__(
        self, net: nn.Module, optimizer: Optimizer, instead_of: Snapshot | None = None, but_weights: bool = False
    ) -> None:
        self._net, self._optimizer, self._but_weights = net, optimizer, but_weights
        tensors = net.state_dict()
        if but_weights:
            weights = dict(net.named_parameters(remove_duplicate=False))
            tensors = {name: tensor for name, tensor in tensors.items() if name not in weights}
        self.saved: tuple[Any, Any] = _copied((tensors, optimizer.state_dict()), instead_of and instead_of.saved)

    @classmethod
    def of(cls, net: nn.Module, optimizer: Optimizer, saved: tuple[Any, Any], but_weights: bool = False) -> Snapshot:
        """From the ``saved`` of another one."""
        snapshot = cls.__new__(cls)
        snapshot._net, snapshot._optimizer, snapshot._but_weights = net, optimizer, but_weights
        snapshot.saved = saved
        return snapshot

    def restore(self) -> None:
        """Go back; weights that were left out stay as they are."""
        tensors, state = self.saved
        self._net.load_state_dict(tensors, strict=not self._but_weights)
        self._optimizer.load_state_dict(copy.deepcopy(state))  # it would go on with the very tensors that it is given


def late_epochs_count_more(average: Tensor, weight: Tensor, epochs: Tensor | int) -> Tensor:
    r"""The mean of a weight after each epoch, where later epochs count more.

    .. math:: \bar w_t = \bar w_{t-1} + \frac{\eta + 1}{t + \eta} (w_t - \bar w_{t-1})

    with :math:`\eta` = 5: of ten epochs the last has 40 % of all weight, the fifth 2.5 %. What a net learns of
    single sessions differs from epoch to epoch and averages out; what it learns of all of them stays.

    Parameters
    ----------
    average, weight : float tensors of one shape
        The mean so far, and the weight after another epoch.
    epochs : int ()
        Epochs in the mean so far.

    References
    ----------
    O. Shamir, T. Zhang: Stochastic gradient descent for non-smooth optimization: convergence results and optimal
    averaging schemes. ICML 2013.
    """
    return torch.lerp(average, weight, (ETA + 1) / (int(epochs) + 1 + ETA))


@contextmanager
def weights_of(average: AveragedModel | None, net: nn.Module) -> Iterator[None]:
    """Inside the block the net has the averaged weights."""
    if average is None:
        yield
        return
    own = [weight.detach().clone() for weight in net.parameters()]
    copy_weights(average.parameters(), net)
    try:
        yield
    finally:
        copy_weights(own, net)


def copy_weights(weights: Iterable[Tensor], net: nn.Module) -> None:
    """Give a net these weights, in the order of its own."""
    with torch.no_grad():
        for own, weight in zip(net.parameters(), weights, strict=True):
            own.copy_(weight)


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

    Attributes
    ----------
    best : float
        Merit of the best epoch: its value, or the negative of it where lower is better.
    kept : Snapshot or None
        Of that epoch.
    waited : int
        Epochs since then.
    """

    def __init__(self, patience: int | None = None, higher_is_better: bool = False) -> None:
        self._patience, self._sign = patience, 1.0 if higher_is_better else -1.0
        self.best, self.kept, self.waited = -math.inf, None, 0  # type: float, Snapshot | None, int

    def take(self, value: float) -> bool:
        """Take the value of another epoch; whether it is the best so far, to be ``kept``."""
        self.waited += 1
        merit = -math.inf if math.isnan(value) else self._sign * value  # else a NaN would stay the best for ever
        better = self.kept is None or merit > self.best
        if better:
            self.best, self.waited = merit, 0
        return better

    @property
    def is_over(self) -> bool:
        """Whether to stop."""
        return self._patience is not None and self.waited >= self._patience


class Progress:
    """Where training stands, between two batches.

    Attributes
    ----------
    epochs : list of Epoch
        Those done; the one under way is ``epochs[len(epochs)]`` to be.
    losses : list of float ()
        Of the batches of the epoch under way.
    average : AveragedModel or None
        Of the weights, where it is what training ends with; those from before training, until an epoch is done.
    good : Snapshot or None
        From before the epoch under way; but for the weights, where there is an average.
    finished : bool
        No epoch is under way, nor will be.
    """

    def __init__(self, net: nn.Module, optimizer: Optimizer, stopping: EarlyStopping, averaging: bool = False) -> None:
        self.net, self.optimizer, self.stopping = net, optimizer, stopping
        self.epochs: list[Epoch] = []
        self.losses: list[Tensor] = []
        self.good: Snapshot | None = None
        self.average: AveragedModel | None = None
        if averaging:
            self.average = AveragedModel(nn.ParameterList(net.parameters()), avg_fn=late_epochs_count_more)
        self.finished = False

    def begin_epoch(self) -> None:
        """From here on, what is there now is known to be good."""
        self.good = Snapshot(self.net, self.optimizer, self.good, but_weights=self.average is not None)

    def go_back(self) -> None:
        """To the weights from before the epoch under way, or their average."""
        assert self.good is not None
        self.good.restore()
        if self.average is not None:
            copy_weights(self.average.parameters(), self.net)

    def end_epoch(
        self, validate: Callable[[], float] | None = None, report: Callable[[list[Epoch]], None] | None = None
    ) -> None:
        """Validate and report what training would end with now; keep it if it is the best so far."""
        loss, value = torch.stack(self.losses).mean().item(), None
        if self.average is not None:
            self.average.update_parameters(nn.ParameterList(self.net.parameters()))
        looked_at = validate is not None or report is not None
        with weights_of(self.average if looked_at else None, self.net):
            if validate is not None:
                value = validate()
                if self.stopping.take(value):
                    self.stopping.kept = Snapshot(self.net, self.optimizer, self.stopping.kept)
            self.epochs.append(Epoch(loss, value))
            self.losses = []
            if report is not None:
                report(self.epochs)

    def finish(self) -> None:
        """What training ends with: the best epoch, if there was validation; the average, if there is one."""
        if self.stopping.kept is not None:
            self.stopping.kept.restore()
        elif self.average is not None and self.average.n_averaged:
            copy_weights(self.average.parameters(), self.net)
        self.stopping.kept = self.good = None
        self.finished = True


def _copied(value: Any, spare: Any) -> Any:
    """A deep copy, in the tensors of an earlier one where they fit."""
    if isinstance(value, Tensor):
        fits = isinstance(spare, Tensor) and (spare.shape, spare.dtype, spare.device) == (
            value.shape,
            value.dtype,
            value.device,
        )
        return spare.copy_(value.detach()) if fits else value.detach().clone()
    if isinstance(value, Mapping):
        known = spare if isinstance(spare, Mapping) else {}
        return {key: _copied(entry, known.get(key)) for key, entry in value.items()}
    if type(value) in (list, tuple):
        matched = spare if type(spare) is type(value) and len(spare) == len(value) else [None] * len(value)
        return type(value)(_copied(entry, other) for entry, other in zip(value, matched, strict=True))
    return copy.deepcopy(value)
