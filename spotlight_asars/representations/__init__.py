"""Nets that represent a session as a vector after each event, by name.

A representation is an ``nn.Module`` with the methods of ``Representation``. To add one, write its file and a line
in ``REPRESENTATIONS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._checks import resolve
from spotlight_asars._spotlight import CNNNet, LSTMNet, MixtureLSTMNet, PoolNet
from spotlight_asars.events.item_features import FeatureSizes
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.spotlight_net import SpotlightNet
from spotlight_asars.sessions.channels import Channels

__all__ = [
    "REPRESENTATIONS",
    "ASARSNet",
    "Blueprint",
    "Representation",
    "SpotlightNet",
    "build",
]


class Representation(Protocol):
    """The methods of a net that model, objective and evaluation call."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """What is trained, as of any ``nn.Module``."""

    def states(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step, (batch, time, ...): a tensor, or something indexed like one."""

    def score(self, states: Any, targets: Tensor) -> Tensor:
        """Scores of one item for each state, (rows, ...), (rows,) -> (rows,)."""

    def score_items(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the same items, or the whole catalogue, for every state: (rows, items)."""


class Blueprint(NamedTuple):
    """Everything that a net may be built from: sizes and dwell of the training log, and options of the model."""

    num_items: int
    num_users: int
    dwell_scale: NDArray[np.float64]
    time_encoding: str
    cell: str
    attention: str
    residual: bool
    offset: bool
    embedding_dim: int
    hidden_dim: int
    user_dim: int
    time_dim: int
    item_neighbours: int
    dropout: float
    last_dwell: str
    sparse: bool
    feature_sizes: FeatureSizes | None = None
    id_dropout: float = 0.0
    num_kinds: int = 0
    context_sizes: tuple[int, ...] = ()


def _asars(blueprint: Blueprint, **switches: Any) -> nn.Module:
    return ASARSNet(**switches, **blueprint._asdict())


def _spotlight(blueprint: Blueprint, net: Callable[..., nn.Module]) -> nn.Module:
    return SpotlightNet(net(blueprint.num_items, blueprint.embedding_dim, sparse=blueprint.sparse), blueprint.num_items)


REPRESENTATIONS: dict[str, Callable[[Blueprint], nn.Module]] = {
    "gru4rec": _asars,
    "user_att": partial(_asars, user="att"),
    "user_cat": partial(_asars, user="cat"),
    "time_att": partial(_asars, time="att"),
    "time_cat": partial(_asars, time="cat"),
    "time_user": partial(_asars, time="att", user="cat"),
    "dynamics": partial(_asars, user="cat", drift=True),
    "time_dynamics": partial(_asars, time="att", user="cat", drift=True),
    "transformer": partial(_asars, reader="transformer"),
    "time_transformer": partial(_asars, reader="time_transformer"),
    "pooling": partial(_spotlight, net=PoolNet),
    "cnn": partial(_spotlight, net=CNNNet),
    "lstm": partial(_spotlight, net=LSTMNet),
    "mixture": partial(_spotlight, net=MixtureLSTMNet),
}


def build(representation: str | nn.Module | Callable[[Blueprint], nn.Module], blueprint: Blueprint) -> nn.Module:
    """The net that `representation` names, builds or is; a net of Spotlight's kind is wrapped in a ``SpotlightNet``.

    Raises
    ------
    TypeError
        For something else than a net with ``user_representation``.
    ValueError
        For a net of the caller's own that has fewer items than there are.
    """
    net: Any = representation
    if not isinstance(representation, nn.Module):
        net = resolve(representation, REPRESENTATIONS, "representation")(blueprint)
    if not isinstance(net, nn.Module) or not (hasattr(net, "states") or hasattr(net, "user_representation")):
        raise TypeError(f"representation must be or make a net with user_representation; got {type(net).__name__}")
    net = net if hasattr(net, "states") else SpotlightNet(net, blueprint.num_items)
    if not isinstance(representation, str):
        _check_size(net, blueprint.num_items)
    return net


@torch.no_grad()
def _check_size(net: Any, num_items: int) -> None:
    """Look the last item up, where that tells whether there is one: on a GPU it would end the process."""
    if any(weight.device.type != "cpu" for weight in net.parameters()):
        return
    try:
        net.eval().states(torch.tensor([[num_items - 1]]), None)
    except IndexError:
        rule = f"representation must have all {num_items} items, padding included"
        raise ValueError(f"{rule}; got {type(getattr(net, 'net', net)).__name__} with fewer") from None
