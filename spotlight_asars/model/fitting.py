"""How a model learns: ``fit`` from the sessions to the weights, ``update`` without training."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.random import RandomState

from spotlight_asars._checks import require, resolve
from spotlight_asars._spotlight import ImplicitSequenceModel, SequenceInteractions
from spotlight_asars.evaluation import evaluate
from spotlight_asars.events.vocabulary import check_vocabulary
from spotlight_asars.losses import Loss
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.model.fingerprints import digest, option_text
from spotlight_asars.model.options import parse_monitor
from spotlight_asars.recommending.recommender import NetScores
from spotlight_asars.runtime.distributed import ALONE, ranks, share_random_state, share_weights, summed
from spotlight_asars.sampling import SAMPLERS, Sampler
from spotlight_asars.sessions.batching import Batch, scoring_batches, training_batches, user_parallel_batches
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions
from spotlight_asars.training.acceleration import Accelerated
from spotlight_asars.training.checkpoints import Checkpoints
from spotlight_asars.training.loop import EarlyStopping, Epoch, train
from spotlight_asars.training.objective import NextItemObjective

ONE_AT_A_TIME = threading.RLock()  # who trains has torch's generator for themselves

Model = TypeVar("Model", bound="Fitting")


class Fitting(NetScores, ImplicitSequenceModel):
    """The part of ``ASARSSequenceModel`` that learns, by these of its options."""

    epochs: list[Epoch]
    _loss_func: Loss
    _user_dropout: float
    _dwell_dropout: float
    _event_dropout: float
    _negative_sampling: str | Sampler
    _transitions: bool
    _averaging: bool
    _patience: int | None
    _monitor: str
    _autocast: bool
    _compile: bool
    get_params: Callable[..., dict[str, Any]]

    def fit(  # type: ignore[override]  # Spotlight's returns nothing
        self: Model,
        interactions: SequenceInteractions,
        verbose: bool = False,
        validation: SequenceInteractions | float | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
    ) -> Model:
        """Train for ``n_iter`` epochs; a second call goes on where the first one stopped.

        The memories are made anew, of these sessions alone; ``update`` adds sessions to the history.

        With `checkpoint`, a fit that was killed goes on from its latest checkpoint when the program is run again, and
        ends in the weights, to the bit, of one that was never killed on such a machine. A fit that has ended already
        is not run again.

        In a process group of ``torch.distributed``, every rank calls ``fit`` alike, and takes its share of each
        mini-batch: `batch_size` is that of all ranks together, and all end in the same weights. But for dropout, whose
        masks each rank draws for itself, these are those of a single process.

        Parameters
        ----------
        interactions : SessionInteractions or SequenceInteractions
            Spotlight's plain sequences are taken with their users, and dwell unknown.
        verbose : bool
            Show a progress bar.
        validation : SessionInteractions, SequenceInteractions or float, optional
            Sessions to look at after each epoch; or the share of the sessions, the latest ones, to hold out for that.
            The weights of the best epoch are kept, and `patience` may stop earlier.
        checkpoint : str or path, optional
            Folder for the checkpoints of this call, and no other.
        every : int, optional
            Batches between two checkpoints within an epoch; there is one at the start of each epoch in any case.

        Returns
        -------
        ASARSSequenceModel
            Itself.

        Raises
        ------
        ValueError
            If no session has two events; if a second call brings items or users beyond those of the first; if the loss
            stops being finite, in which case the weights from before that epoch are kept; if the checkpoint is damaged,
            or that of other sessions or other options.
        OSError
            If `checkpoint` can't be written to.
        """
        sessions, held_out = self._sessions_of(interactions, validation)
        require(every is None or checkpoint is not None, "every must come with a folder, checkpoint", every)
        checkpoints = None
        if checkpoint is not None:
            told = self._fit_told(sessions, held_out)
            checkpoints = Checkpoints(checkpoint, every, told, self._random_state, self.device)
        share_random_state(self._random_state)
        with self._seeded():
            if not self._initialized:
                self._initialize(sessions)
            share_weights(self._net)
            self._check_alike(sessions, held_out)
            self._remember(sessions)
            self.epochs += self._train(sessions, held_out, checkpoints, verbose)
            self._users.start_drift(sessions)
        return self

    @contextmanager
    def users_as_they_are(self) -> Iterator[None]:
        """What ``update`` does inside is undone at the end."""
        with self._users.as_it_is():
            yield

    def update(self: Model, sessions: SequenceInteractions) -> Model:
        """Roll finished sessions into the memory and the users' states, without training; predictions start from there.

        Parameters
        ----------
        sessions : SessionInteractions or SequenceInteractions
            Later than those that were trained on or rolled before. The memory takes in users that training did not
            meet; to the rest of the net they stay unknown.

        Returns
        -------
        ASARSSequenceModel
            Itself. Without `history`, representations that keep nothing between sessions are left as they are.
        """
        self._fitted_net("update")
        finished = as_sessions(sessions)
        self._check_known(finished, "sessions")
        self._users.roll(finished)
        return self

    def _sessions_of(
        self, interactions: SequenceInteractions, validation: SequenceInteractions | float | None
    ) -> tuple[SessionInteractions, SessionInteractions | None]:
        """The sessions to train on, and those to look at after each epoch."""
        sessions = as_sessions(interactions)
        held_out: SessionInteractions | None = None
        if isinstance(validation, SequenceInteractions):
            held_out = as_sessions(validation)
        elif validation is not None:
            sessions, held_out = sessions.split_latest(validation)
        require(
            self._patience is None or held_out is not None,
            "patience must come with sessions to validate on",
            self._patience,
            "fit(..., validation=0.1) holds the latest ones out",
        )
        for name, part in (("interactions", sessions), ("validation", held_out)):
            longest = 2 if part is None else int(part.lengths.max())
            require(longest >= 2, f"{name} must have a session of two events or more; the longest has", longest)
        return sessions, held_out

    def _check_alike(self, sessions: SessionInteractions, held_out: SessionInteractions | None) -> None:
        """Refuse what is beyond the first call of ``fit``."""
        for what in ("num_items", "num_users"):
            most, given = getattr(self, f"_{what}"), getattr(sessions, what)
            require(given <= most, f"{what} must be at most {most}, as in the first call of fit", given)
        check_vocabulary(self, sessions, "interactions")
        if held_out is not None:
            self._check_known(held_out, "validation")

    def _remember(self, sessions: SessionInteractions) -> None:
        """Make the memories anew of these sessions, and let the net meet their users."""
        self._users.start(sessions)
        self._followers = Transitions(sessions) if self._transitions else None
        net = self._users.asars
        if net is not None and sessions.user_ids is not None:
            users, started = (None if c is None else torch.from_numpy(c) for c in (sessions.user_ids, sessions.started))
            assert users is not None
            net.add_known_users(users.to(self.device), None if started is None else started.to(self.device))

    def _train(
        self,
        sessions: SessionInteractions,
        held_out: SessionInteractions | None,
        checkpoints: Checkpoints | None,
        verbose: bool,
    ) -> list[Epoch]:
        objective = self._objective(sessions, self._random_state, hidden=True)
        fast = Accelerated(self._net, self.device, self._autocast, self._compile)
        return train(
            self._net,
            self._optimizer,
            lambda net, batch: objective(fast, batch),
            lambda start: self._epoch(sessions, start),
            n_epochs=self._n_iter,
            batches_per_epoch=-(-int((sessions.lengths >= 2).sum()) // self._batch_size),
            verbose=verbose,
            validate=None if held_out is None else lambda: self._validate(sessions, held_out),
            stopping=EarlyStopping(self._patience, higher_is_better=self._monitor != "loss"),
            averaging=self._averaging,
            checkpoints=checkpoints,
        )

    def _objective(self, sessions: SessionInteractions, random_state: RandomState, hidden: bool) -> NextItemObjective:
        """Training's objective; without `hidden` nothing is hidden, and the loss is the plain mean of a batch."""
        return NextItemObjective(
            self._loss_func,
            sessions,
            resolve(self._negative_sampling, SAMPLERS, "negative_sampling"),
            self._num_negative_samples,
            random_state,
            user_dropout=self._user_dropout if hidden else 0.0,
            dwell_dropout=self._dwell_dropout if hidden else 0.0,
            event_dropout=self._event_dropout if hidden else 0.0,
            by_targets=hidden,
            ranks=ranks() if hidden else ALONE,
        )

    def _validate(self, sessions: SessionInteractions, held_out: SessionInteractions) -> float:
        """The monitored value on sessions held out, after those trained on: a mean over targets, of all ranks."""
        self._users.start_drift(sessions)
        rank, size = ranks()
        rows = np.flatnonzero(held_out.lengths >= 2)[rank::size]
        targets, value = int((held_out.lengths[rows] - 1).sum()), 0.0
        if targets:
            value = self._value(held_out.take(rows))
        total, count = summed(torch.tensor([value * targets, targets], dtype=torch.float64)).tolist()
        return total / count if size > 1 else value

    def _value(self, held_out: SessionInteractions) -> float:
        """The monitored value on these sessions."""
        metric = parse_monitor(self._monitor)
        if metric is not None:
            return evaluate(self, held_out, k=metric[1])[self._monitor]
        objective = self._objective(held_out, RandomState(0), hidden=False)  # the same negatives after every epoch
        net, total, count = self._net.eval(), 0.0, 0
        with torch.no_grad():
            for batch in scoring_batches(held_out, self._batch_size, self.device):
                batch = batch._replace(channels=self._recall(batch.items, batch.channels))
                targets = batch.whole.targets
                total, count = total + float(objective(net, batch)) * targets, count + targets
        return total / count

    def _fit_told(self, sessions: SessionInteractions, held_out: SessionInteractions | None) -> dict[str, str]:
        """What tells a call of ``fit`` from others, as text."""
        told = {name: option_text(value, name) for name, value in self.get_params().items()}
        return told | {
            "sessions": digest(sessions),
            "validation": "None" if held_out is None else digest(held_out),
            "epochs before": str(len(self.epochs)),
            "processes": str(ranks().size),
        }

    def _epoch(self, sessions: SessionInteractions, start: int) -> Iterator[Batch]:
        """Training batches from `start` on: of whole users where the net carries their state on between sessions."""
        host = torch.device("cpu")  # where the memory is, too
        if self._users.drift is not None:
            batches = user_parallel_batches(sessions, self._batch_size, host, self._random_state, start, ranks())
        else:
            batches = training_batches(sessions, self._batch_size, self._random_state, host, start, ranks())
        for batch in batches:
            yield batch._replace(channels=self._recall(batch.items, batch.channels, training=True)).to(self.device)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch draws from our random state, and the caller's generators stay as they were.

        Torch's generator is the process's own: two threads that train would draw from each other's, so they take turns.
        """
        devices = [torch.cuda.current_device()] if self._use_cuda else []
        with ONE_AT_A_TIME, torch.random.fork_rng(devices):
            torch.manual_seed(self._random_state.randint(2**31 - 1))
            yield
