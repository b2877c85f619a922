"""One call of ``fit``: sessions are checked, batches drawn, and the net trained and validated."""

from __future__ import annotations

import hashlib
import numbers
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.evaluation import evaluate, parse_metric
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.item_features import ItemFeatures
from spotlight_asars.events.labels import raw_labels
from spotlight_asars.losses import find_loss
from spotlight_asars.model.batches import TrainingBatches
from spotlight_asars.model.options import Options
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.representations import REPRESENTATIONS
from spotlight_asars.runtime.devices import deterministic, preserved_generators
from spotlight_asars.runtime.distributed import processes, summed
from spotlight_asars.sampling import find_sampler
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.batching import Block
from spotlight_asars.sessions.interactions import as_sessions
from spotlight_asars.sessions.passes import scoring_batches
from spotlight_asars.sessions.targets import weight_of_targets
from spotlight_asars.training.acceleration import Accelerated
from spotlight_asars.training.checkpoints import Checkpoints
from spotlight_asars.training.loop import EarlyStopping, Epoch, train
from spotlight_asars.training.objective import NextItemObjective
from spotlight_asars.training.recording import RecordedSteps, recorder_for

OURS = tuple(REPRESENTATIONS)
ONE_AT_A_TIME = threading.RLock()  # torch's generator is the process's own: fits in several threads take turns


class TrainingData(NamedTuple):
    """The sessions to train on, and those to validate on after each epoch, in the ids of all items and users so far."""

    train: SessionInteractions
    held_out: SessionInteractions | None
    catalogue: Catalogue
    features: ItemFeatures | None = None
    described: NDArray[np.int64] | None = None
    kind_weights: tuple[float, ...] | None = None

    @classmethod
    def of(
        cls,
        interactions: SequenceInteractions,
        validation: SequenceInteractions | float | None,
        patience: int | None,
        known: Catalogue | None,
        features: ItemFeatures | None = None,
        kind_weights: Mapping[Any, float] | None = None,
    ) -> TrainingData:
        """The arguments of ``fit``, checked, also against what the model has `known` of items and users."""
        train, held_out = as_sessions(interactions, "interactions"), None
        if isinstance(validation, numbers.Number):
            train, held_out = train.split_latest(validation)
        elif validation is not None:
            held_out = as_sessions(validation, "validation")  # type: ignore[arg-type]  # checked there
        way_out = "fit(..., validation=0.1) holds the latest ones out"
        stops_by_something = patience is None or held_out is not None
        require(stops_by_something, "patience must come with sessions to validate on", patience, way_out)
        for name, part in (("interactions", train), ("validation", held_out)):
            longest = 2 if part is None else int(part.lengths.max())
            require(longest >= 2, f"{name} must have a session of two events or more; the longest has", longest)
        catalogue = (known or Catalogue.of(train)).grown(train, "interactions")
        catalogue = catalogue if known is None else catalogue.with_views(train)
        if held_out is not None:
            catalogue.check(held_out, "validation")
        described = None
        if features is not None:
            check_features(features, "item_features")
            catalogue, described = catalogue.with_items(features.items, "item_features")
        train = train.within(catalogue.num_items, catalogue.num_users)
        weights = weights_by_kind(kind_weights, train, catalogue.kind_vocabulary, is_first=known is None)
        return cls(train, held_out, catalogue, features, described, weights)

    def fingerprints(self) -> dict[str, str]:
        """A digest of each part, by which a checkpoint knows its fit."""
        digests = {
            "sessions": _digest(self.train),
            "validation": "None" if self.held_out is None else _digest(self.held_out),
        }
        if self.features is not None and self.described is not None:
            digests["item_features"] = _digest_of_features(self.features, self.described)
        return digests


def fit_epochs(
    fitted: FittedNet,
    optimizer: torch.optim.Optimizer,
    options: Options,
    data: TrainingData,
    random_state: RandomState,
    checkpoints: Checkpoints | None,
    is_new: bool,
    verbose: bool,
    report: Callable[[list[Epoch]], None] | None = None,
) -> list[Epoch]:
    """Train for ``n_iter`` epochs; the net, which may be new, then has the best or the averaged weights, as the options
    say. At the end of each epoch `report` is given those so far, and may ask the net as if training ended there."""
    fitted.remember(data.train, options.transitions)
    dropped = {name: getattr(options, name) for name in ("user_dropout", "dwell_dropout", "event_dropout")}
    shared = {"asks": True, "by_targets": True, "device": fitted.device, "processes": processes()}
    objective = _objective(options, data, data.train, random_state, **dropped, **shared)
    fast = Accelerated(fitted.net, fitted.device, options.autocast, options.compile)

    def reported(epochs: list[Epoch]) -> None:
        assert report is not None
        _remember_all(fitted, data)
        report(epochs)

    batches = TrainingBatches(fitted, data.train, options.batch_size, random_state, is_new)
    steps = _recorded_steps(fitted, options, objective, fast, batches)
    of_epoch: Callable[[int, int], Iterable[Any]] = batches if steps is None else batches.blocks

    def loss_of(_: Any, batch: Any) -> Tensor:
        return steps(batch) if steps is not None and isinstance(batch, Block) else objective(fast, batch)

    try:
        return train(
            fitted.net,
            optimizer,
            loss_of,
            of_epoch,
            n_epochs=options.n_iter,
            batches_per_epoch=-(-int((data.train.lengths >= 2).sum()) // options.batch_size),
            verbose=verbose,
            validate=None if data.held_out is None else partial(_validate, fitted, options, data),
            stopping=EarlyStopping(options.patience, higher_is_better=options.monitor != "loss"),
            averaging=options.averaging,
            checkpoints=checkpoints,
            report=None if report is None else reported,
        )
    finally:  # whatever ended it: the model answers with the weights that it has, as after a loss that is not finite
        if steps is not None:
            steps.forget()
        _remember_all(fitted, data)


def _recorded_steps(
    fitted: FittedNet, options: Options, objective: NextItemObjective, net: Accelerated, batches: TrainingBatches
) -> RecordedSteps | None:
    """The steps of a training, where the device can play them back, and nothing in them waits for the host."""
    whole = processes().size == 1 and fitted.users.drift is None and objective.takes_blocks
    known = options.representation in OURS and not (options.sparse or options.autocast or options.compile)
    recorder = recorder_for(fitted.device) if whole and known else None
    if recorder is None:
        return None

    def loss_of(block: Block, seeds: Sequence[Tensor]) -> Tensor:
        return objective.loss(net, batches.gather(block), seeds)

    return RecordedSteps(fitted.net, loss_of, objective.seeds, lambda: fitted.memories, fitted.device, recorder)


def _remember_all(fitted: FittedNet, data: TrainingData) -> None:
    """Remember what training does without, but scoring does not."""
    fitted.users.start_drift(data.train)
    fitted.remember_neighbours(data.train)


@contextmanager
def seeded(random_state: RandomState, device: torch.device) -> Iterator[None]:
    """Let torch draw from our random state and keep gradients inside the block; the caller's generators and
    ``no_grad`` stay as they were.

    Raises
    ------
    RuntimeError
        In ``torch.inference_mode``, whose tensors can never have gradients.
    """
    if torch.is_inference_mode_enabled():
        raise RuntimeError("fit needs gradients; call it outside of torch.inference_mode")
    with ONE_AT_A_TIME, preserved_generators(device.type == "cuda"), deterministic(device), torch.enable_grad():
        torch.manual_seed(random_state.randint(2**31 - 1))
        yield


def _objective(
    options: Options, data: TrainingData, sessions: SessionInteractions, random_state: RandomState, **training: Any
) -> NextItemObjective:
    sampler = find_sampler(options.negative_sampling)
    training["kind_weights"] = data.kind_weights
    return NextItemObjective(
        find_loss(options.loss), sessions, sampler, options.num_negative_samples, random_state, **training
    )


def weights_by_kind(
    given: Mapping[Any, float] | None, sessions: SessionInteractions, known: Vocabulary | None, is_first: bool = True
) -> tuple[float, ...] | None:
    """The weight of each kind of the sessions by its code, of the unknown one first; None where all weigh the same.

    After the first training kinds may come without a weight, which is 1 then, as that of the unknown one.

    Raises
    ------
    ValueError
        For sessions without kinds, weights of kinds that they do not have, kinds without weight, and sessions in which
        nothing is left to be predicted.
    """
    if given is None:
        return None
    require(sessions.flat_kinds is not None, "kind_weights must come with sessions that know kinds", dict(given))
    assert sessions.flat_kinds is not None
    names = raw_labels(sessions.kind_vocabulary or known, sessions.num_kinds)
    others = [name for name in given if name not in names]
    require(not others, f"kind_weights must name kinds of the sessions, {names}", others)
    without = [name for name in names if name not in given]
    require(
        not (without and is_first),
        "kind_weights must have a weight for each kind of the sessions",
        f"none for {without}",
    )
    weights = (1.0, *(float(given.get(name, 1.0)) for name in names))
    total = weight_of_targets(sessions, weights)
    require(total > 0, "kind_weights must leave targets among the sessions", dict(given))
    kinds = np.unique(sessions.flat_kinds)
    return weights if len({weights[kind] for kind in kinds}) > 1 else None


def _validate(fitted: FittedNet, options: Options, data: TrainingData) -> float:
    """The monitored value on the sessions held out: a mean over targets, of all ranks."""
    assert data.held_out is not None
    _remember_all(fitted, data)
    rank, size = processes()
    rows = np.flatnonzero(data.held_out.lengths >= 2)[rank::size]
    part = data.held_out.take(rows)
    weight, value = weight_of_targets(part, data.kind_weights if options.monitor == "loss" else None), 0.0
    if weight:
        value = _monitored(fitted, options, data, part)
    total, count = summed(torch.tensor([value * weight, weight], dtype=torch.float64)).tolist()
    return total / count if size > 1 and count else value


def _monitored(fitted: FittedNet, options: Options, data: TrainingData, held_out: SessionInteractions) -> float:
    if options.monitor != "loss":
        _, cutoff = parse_metric(options.monitor)
        return evaluate(fitted, held_out, k=cutoff)[options.monitor]
    objective = _objective(
        options, data, held_out, RandomState(0), device=fitted.device
    )  # the same negatives after every epoch
    net, total, count = fitted.net.eval(), 0.0, 0.0
    with torch.no_grad():
        for batch in scoring_batches(held_out, options.batch_size, fitted.device):
            batch = batch._replace(channels=fitted.recall(batch.items, batch.channels))
            weight = float(objective.weight(batch))
            total, count = total + float(objective(net, batch)) * weight, count + weight
    return total / count


def check_features(features: Any, argument: str) -> None:
    """Raise ``TypeError`` for what is no ``ItemFeatures``."""
    if not isinstance(features, ItemFeatures):
        raise TypeError(
            f"{argument} must be ItemFeatures; got {type(features).__name__}. ItemFeatures.from_frame(frame)"
        )


def _digest_of_features(features: ItemFeatures, item_ids: NDArray[np.int64]) -> str:
    """Eight bytes that tell these features from any others."""
    digest = hashlib.blake2b(item_ids.tobytes(), digest_size=8)
    for kind in (features.categorical, features.numerical, features.vectors):
        for name, column in kind.items():
            digest.update(f"{name} ".encode())
            digest.update(repr(column.tolist()).encode() if column.dtype == object else column.tobytes())
    return digest.hexdigest()


def _digest(sessions: SessionInteractions) -> str:
    """Eight bytes that tell these sessions from any others."""
    digest = hashlib.blake2b(digest_size=8)
    digest.update(f"{sessions.num_items} {sessions.num_users}".encode())
    for array in (sessions.offsets, sessions.items, sessions.user_ids, sessions.flat_dwell_times, sessions.started):
        digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    for name, labels in (("kinds", sessions.flat_kinds), ("context", sessions.context)):
        if labels is not None:
            digest.update(name.encode() + np.ascontiguousarray(labels).tobytes())
    return digest.hexdigest()
