"""A fitted net for a larger catalogue, or more users: what it has learned stays, new rows come after the old ones.

A net of the new size is built, and the tensors of the old one are copied into the first rows of its own, whatever the
representation. The optimizer's state grows in the same way: of new rows it is that of an optimizer which has not moved
them yet.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from spotlight_asars._checks import require
from spotlight_asars.events.labels import LabelSizes
from spotlight_asars.model.building import build_fitted, make_optimizer
from spotlight_asars.model.options import Options
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.runtime.devices import preserved_generators


def grown(fitted: FittedNet, options: Options, num_items: int, num_users: int, labels: LabelSizes) -> FittedNet:
    """The net with rows for so many items, padding included, users and labels, which remembers what the old one does.

    New items start as ``FittedNet.start_items`` says, new users by chance, always the same, and new labels without a
    part in the scores.

    Raises
    ------
    ValueError
        For a net of the caller's own, which can't be built anew.
    """
    given = options.representation
    rule = "representation must be a name or a function of a Blueprint where new items, users, kinds or context come"
    require(not isinstance(given, nn.Module), rule, type(given).__name__)
    options = replace(options, embedding_dim=fitted.embedding_dim)
    with preserved_generators(fitted.device.type == "cuda"):
        torch.manual_seed(num_users)
        sizes = num_items, num_users
        larger = build_fitted(options, *sizes, fitted.dwell_scale, fitted.device, fitted.space, labels)
    copy_rows(fitted.net, larger.net)
    larger.take_memories(fitted)
    return larger


@torch.no_grad()
def copy_rows(old: nn.Module, new: nn.Module) -> None:
    """Copy each tensor of a net into the first rows of that of a larger net."""
    tensors = dict(chain(new.named_parameters(), new.named_buffers()))
    for name, tensor in chain(old.named_parameters(), old.named_buffers()):
        _first_rows(tensors[name], tensor).copy_(tensor)


def grown_optimizer(optimizer: Optimizer, options: Options, old: nn.Module, new: nn.Module) -> Optimizer:
    """An optimizer of the larger net, `new`, whose state begins with that of the optimizer of the smaller one, `old`.

    The state of weights that only the larger net has is that of an optimizer which has not moved them yet.
    """
    larger = make_optimizer(options, new)
    saved, fresh = optimizer.state_dict(), larger.state_dict()
    name_of: dict[Tensor, str] = {weight: name for name, weight in old.named_parameters()}
    place_of = {weight: place for place, weight in enumerate(_weights(larger))}
    wider: dict[str, Tensor] = dict(new.named_parameters())
    for number, weight in enumerate(_weights(optimizer)):
        other = wider[name_of[weight]]
        fresh["state"][place_of[other]] = {
            name: _grown_state(value, weight, other, larger.state.get(other, {}).get(name))
            for name, value in saved["state"].get(number, {}).items()
        }
    groups = zip(saved["param_groups"], fresh["param_groups"], strict=True)
    fresh["param_groups"] = [{**group, "params": wide["params"]} for group, wide in groups]
    larger.load_state_dict(fresh)
    return larger


def _weights(optimizer: Optimizer) -> list[Tensor]:
    """In the order in which a state dict numbers them."""
    return [weight for group in optimizer.param_groups for weight in group["params"]]


def _grown_state(value: Any, weight: Tensor, wider: Tensor, fresh: Tensor | None) -> Any:
    """One entry of the state of a weight; one of the weight's shape becomes one of the wider weight's."""
    if not isinstance(value, Tensor) or value.shape != weight.shape or weight.shape == wider.shape:
        return value
    larger = torch.zeros_like(wider, dtype=value.dtype) if fresh is None else fresh.clone()
    _first_rows(larger, value).copy_(value)
    return larger


def _first_rows(tensor: Tensor, like: Tensor) -> Tensor:
    """The first part of a tensor along each axis, of the shape of a smaller one."""
    return tensor[tuple(slice(size) for size in like.shape)]
