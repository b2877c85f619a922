"""Devices, and the random generators that belong to them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

SCORES_AT_ONCE = {  # of whole catalogues
    "cpu": 2**22,  # 16 MB of float32: a larger matrix is new from the system each time
    "cuda": 2**27,  # 0.5 GB: a smaller one leaves the GPU idle between launches
}


def rows_at_once(device: torch.device, columns: int) -> int:
    """How many rows of so many scores to compute at a time."""
    return max(1, SCORES_AT_ONCE.get(device.type, SCORES_AT_ONCE["cpu"]) // max(columns, 1))


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a GPU copies it from pinned memory while the host goes on."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def chosen_device(use_cuda: bool) -> torch.device:
    """The CPU, or the GPU that is current now: a bare "cuda" would follow whichever thread asks."""
    return torch.device("cuda", torch.cuda.current_device()) if use_cuda else torch.device("cpu")


@contextmanager
def preserved_generators(use_cuda: bool = False) -> Iterator[None]:
    """Leave torch's generators, of the CPU and of all GPUs in use, as they were before the block."""
    in_use = use_cuda or (torch.cuda.is_available() and torch.cuda.is_initialized())
    with torch.random.fork_rng(range(torch.cuda.device_count()) if in_use else []):
        yield
