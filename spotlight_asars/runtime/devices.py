"""From the host to the device without making either wait."""

from __future__ import annotations

import torch
from torch import Tensor

SCORES_AT_ONCE = 2**22  # of whole catalogues, 16 MB of float32: a larger matrix is new from the system each time


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on `device`; a GPU fetches it by itself from memory that stays in its place."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
