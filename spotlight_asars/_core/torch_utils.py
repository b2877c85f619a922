"""Helpers for devices, batches, shuffling and seeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Movable = TypeVar("Movable", Tensor, nn.Module)


def gpu(tensor: Movable, gpu: bool = False) -> Movable:
    """The tensor or module, moved to the GPU if ``gpu``."""
    return tensor.cuda() if gpu else tensor


def cpu(tensor: Tensor) -> Tensor:
    """The tensor in main memory."""
    return tensor.cpu()


def minibatch(*tensors: Any, batch_size: int = 128) -> Iterator[Any]:
    """Consecutive slices of the first axis: bare for one input, as tuples for several."""
    for start in range(0, len(tensors[0]), batch_size):
        batch = tuple(tensor[start : start + batch_size] for tensor in tensors)
        yield batch if len(batch) > 1 else batch[0]


def shuffle(*arrays: Any, random_state: np.random.RandomState | None = None) -> Any:
    """All arrays in one new random order: bare for one input, a tuple for several.

    Raises
    ------
    ValueError
        If the arrays differ in length.
    """
    lengths = [len(array) for array in arrays]
    if len(set(lengths)) != 1:
        raise ValueError(f"arrays must all have one length; got {lengths}")
    order = np.arange(lengths[0])
    (random_state or np.random.RandomState()).shuffle(order)
    shuffled = tuple(array[order] for array in arrays)
    return shuffled if len(shuffled) > 1 else shuffled[0]


def assert_no_grad(variable: Tensor) -> None:
    """Raise if a loss target requires a gradient.

    Raises
    ------
    ValueError
        If ``variable.requires_grad``.
    """
    if variable.requires_grad:
        raise ValueError("observed_ratings must not require a gradient; got requires_grad=True. Detach it")


def set_seed(seed: int, cuda: bool = False) -> None:
    """Seed torch, and the GPU as well if ``cuda``."""
    torch.manual_seed(seed)
    if cuda:
        torch.cuda.manual_seed(seed)
