"""From options to a net and its optimizer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spotlight_asars._checks import require
from spotlight_asars.events.item_features import FeatureSpace
from spotlight_asars.events.labels import NO_LABELS, LabelSizes
from spotlight_asars.losses import find_loss
from spotlight_asars.memory import with_recall
from spotlight_asars.memory.recall_net import USUAL_GAINS, Gains
from spotlight_asars.model.options import EXACT_UP_TO, Options
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.representations import Blueprint, build
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.representations.transformer import Transformer
from spotlight_asars.runtime.devices import chosen_device
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.targets import weight_of_targets
from spotlight_asars.training.adagrad import RowwiseAdagrad

OF_THE_LOG = (
    "num_items",
    "num_users",
    "dwell_scale",
    "offset",
    "sparse",
    "feature_sizes",
    "num_kinds",
    "context_sizes",
)  # the rest of a blueprint are options
FEW_TARGETS, GAIN_OF_FEW = 15_000, 2.5  # a log so small the net knows all by heart: memories count for more beside it
LITTLE, MOST_BESIDE = 6_000, 4.0  # targets from which a net learns less than memories hold; these, at most so much more
SLOWER = 0.1  # learning rate of a transformer's weights, beside that of embeddings: at the same rate it learns worse


def build_for(sessions: SessionInteractions, options: Options, space: FeatureSpace | None = None) -> FittedNet:
    """A net with fresh weights for the items, users, dwell times, kinds and context of training sessions, and features
    of items."""
    dwell = sessions.flat_dwell_times
    scale = TIME_ENCODINGS[options.time_encoding].fit([] if dwell is None else dwell)
    labels = sessions.num_kinds, sessions.context_sizes
    gains = _gains(weight_of_targets(sessions, None)) if space is None else USUAL_GAINS  # memories lack what is new
    return build_fitted(options, sessions.num_items, sessions.num_users, scale, space=space, labels=labels, gains=gains)


def _gains(targets: float) -> Gains:
    """How much memories count beside a net that has learned so many targets."""
    if targets > FEW_TARGETS:
        return USUAL_GAINS
    beside = min(max(LITTLE / max(targets, 1), 1.0), MOST_BESIDE)
    return Gains(GAIN_OF_FEW * beside, beside)


def build_fitted(
    options: Options,
    num_items: int,
    num_users: int,
    dwell_scale: NDArray[np.float64],
    device: torch.device | None = None,
    space: FeatureSpace | None = None,
    labels: LabelSizes = NO_LABELS,
    gains: Gains = USUAL_GAINS,
) -> FittedNet:
    """A net with fresh weights that remembers nothing yet, on a device, or on that of the options.

    `labels` are the numbers of kinds, and of labels in each column of the context; the options' ``embedding_dim`` is a
    number.
    ``ValueError`` for a representation that takes no features, where there is a `space` of them.
    """
    options = options.settled(num_items)
    blueprint = Blueprint(
        num_items=num_items,
        num_users=num_users,
        dwell_scale=dwell_scale,
        offset=find_loss(options.loss).feels_offsets,
        sparse=options.sparse or (num_items > EXACT_UP_TO and _moves_touched_rows_only(options)),
        feature_sizes=None if space is None else space.sizes,
        num_kinds=labels[0],
        context_sizes=labels[1],
        **{name: getattr(options, name) for name in Blueprint._fields if name not in OF_THE_LOG},
    )
    net = with_recall(
        build(options.representation, blueprint),
        num_items,
        options.history,
        options.transitions,
        options.neighbours,
        labels[0],
        gains,
    )
    history_size = options.history_size if options.history else None
    device = device or chosen_device(options.use_cuda)
    fitted = FittedNet(
        net, num_items, num_users, dwell_scale, history_size, device, space, labels, options.embedding_dim
    )
    takes_features = fitted.asars is not None and fitted.asars.item_features is not None
    rule = "representation must be one of ASARS's where item_features are given"
    require(space is None or takes_features, rule, options.representation)
    return fitted


def make_optimizer(options: Options, net: nn.Module) -> torch.optim.Optimizer:
    """The caller's optimizer, or Adagrad, in which the weights of a transformer have a smaller learning rate."""
    if options.optimizer_func is not None:
        optimizer = options.optimizer_func(net.parameters())
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise TypeError(f"optimizer_func must return an optimizer of torch; got {type(optimizer).__name__}")
        return optimizer
    slow = [weight for part in net.modules() if isinstance(part, Transformer) for weight in part.parameters()]
    if not slow:
        return RowwiseAdagrad(net.parameters(), lr=options.learning_rate, weight_decay=options.l2)
    known = set(map(id, slow))
    others = [weight for weight in net.parameters() if id(weight) not in known]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": slow, "lr": SLOWER * options.learning_rate}]
    return RowwiseAdagrad(groups, lr=options.learning_rate, weight_decay=options.l2)


def _moves_touched_rows_only(options: Options) -> bool:
    """Whether embeddings outside a mini-batch stay as they are: sparse gradients then change nothing but time.

    A GPU would wait for the number of rows in each of them.
    """
    over_catalogue = find_loss(options.loss).over_catalogue is not None
    on_host = chosen_device(options.use_cuda).type == "cpu"
    return on_host and options.optimizer_func is None and options.l2 == 0 and not over_catalogue
