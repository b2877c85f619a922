"""Devices, and the random generators that belong to them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
import torch.utils.deterministic
from torch import Tensor

SCORES_AT_ONCE = 2**21  # of whole catalogues, 8 MB of float32: what is done to a larger matrix leaves the cache
LEARNED = 2  # times as many at once in training, where each part adds up a gradient of all items
STEPS = 2.0**40  # of a number, in which a GPU counts what it adds up: finer than float32 from 1e-5 on
_THREAD = threading.local()  # whether it is the one that trains, whose settings are those of the process
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"  # variable that cuBLAS reads for the memory it adds up in
SCORES_AT_ONCE_ON_GPU = 2**27  # 0.5 GB: a smaller matrix leaves the GPU idle between launches


def rows_at_once(device: torch.device, columns: int, learning: bool = False) -> int:
    """How many rows of so many scores to compute at a time, or to learn from."""
    on_host = SCORES_AT_ONCE * (LEARNED if learning else 1)
    scores = SCORES_AT_ONCE_ON_GPU if device.type == "cuda" else on_host
    return max(1, scores // max(columns, 1))


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a GPU copies it from pinned memory while the host goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def take(values: Tensor, dim: int, index: Tensor) -> Tensor:
    """``values.index_select(dim, index)``, whose gradient adds up in a fixed order on a GPU, too."""
    if values.device.type == "cpu" or not (values.requires_grad and torch.is_grad_enabled()):
        return values.index_select(dim, index)
    if dim == 0 and values.dim() == 2:
        return F.embedding(index, values)  # its gradient is sorted first, where index_select's is not
    if dim == 0 and values.dim() == 1:
        return F.embedding(index, values.unsqueeze(1)).squeeze(1)
    return values[(slice(None),) * dim + (index,)]  # likewise, but slow where an index comes very often


def take_at(values: Tensor, places: Tensor) -> Tensor:
    """``values[places]`` of values (n,), for places int64 (...): (...), without gradients, in half the time."""
    return take(values, 0, places.flatten()).view(places.shape)


def places_of(item_ids: Tensor, number: int, missing: int) -> Tensor:
    """Where each of so many items stands among `item_ids`, int64 (n,): int64 (number,), one place of several.

    >>> places_of(torch.tensor([3, 1]), number=5, missing=-1).tolist()
    [-1, 1, -1, 0, -1]
    """
    places = item_ids.new_full((number,), missing)
    every = torch.arange(len(item_ids), device=item_ids.device)
    if item_ids.device.type == "cpu":
        places[item_ids] = every
    else:
        with in_any_order():  # of which the highest is the same
            places.scatter_reduce_(0, item_ids, every, "amax", include_self=False)
    return places


def addends(values: Tensor) -> Tensor:
    """`values`, or on a GPU whole numbers in their place, whose sums are the same in any order; see ``sums``.

    Values and sums must be finite, and less than 2 ** 23.
    """
    return values if values.device.type == "cpu" else values.double().mul_(STEPS).round_().long()


def sums(of_addends: Tensor, dtype: torch.dtype) -> Tensor:
    """Sums of ``addends`` as numbers of a type again.

    >>> sums(addends(torch.tensor([0.5, 0.25])).sum(), torch.float32)
    tensor(0.7500)
    """
    return of_addends if of_addends.device.type == "cpu" else of_addends.double().div_(STEPS).to(dtype)


def chosen_device(use_cuda: bool) -> torch.device:
    """The CPU, or the GPU that is current now: a bare "cuda" would follow whichever thread asks."""
    return torch.device("cuda", torch.cuda.current_device()) if use_cuda else torch.device("cpu")


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Have a GPU add up in a fixed order inside the block: the same seed gives the same weights there, too."""
    if device.type != "cuda":
        yield
        return
    mode = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    settings: Any = torch.utils.deterministic
    fills, workspace = settings.fill_uninitialized_memory, os.environ.get(CUBLAS_WORKSPACE)
    os.environ.setdefault(CUBLAS_WORKSPACE, ":4096:8")
    _THREAD.is_deterministic = True
    settings.fill_uninitialized_memory = False
    torch.use_deterministic_algorithms(True, warn_only=True)  # an operation that cannot be so says it
    try:
        yield
    finally:
        _THREAD.is_deterministic = False
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
        settings.fill_uninitialized_memory = fills
        if workspace is None:
            del os.environ[CUBLAS_WORKSPACE]


@contextmanager
def in_any_order() -> Iterator[None]:
    """Inside a ``deterministic`` block of this thread, for what is alike in any order: a GPU sorts nothing for it."""
    if not getattr(_THREAD, "is_deterministic", False):
        yield
        return
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True, warn_only=True)


class _FullPrecision:
    """cuDNN without TF32 for as long as any thread is inside."""

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                torch.backends.cudnn.allow_tf32 = self._before


FULL_PRECISION = _FullPrecision()  # scores of a GPU then are those of a CPU, to rounding


@contextmanager
def preserved_generators(use_cuda: bool = False) -> Iterator[None]:
    """Leave torch's generators, of the CPU and of all GPUs in use, as they were before the block."""
    in_use = use_cuda or (torch.cuda.is_available() and torch.cuda.is_initialized())
    with torch.random.fork_rng(range(torch.cuda.device_count()) if in_use else []):
        yield
