"""A number for each kind of event, that of an unknown kind being fixed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spotlight_asars.runtime.devices import take

UNKNOWN = 0  # row of an unknown kind


class KindWeights(nn.Module):
    """Learned numbers by kind; unknown kinds, and those that training did not meet, have the number from the start.

    Parameters
    ----------
    num_kinds : int
        The unknown one included.
    start : float

    Examples
    --------
    >>> KindWeights(3, 1.0)(torch.tensor([[2, 0]])).tolist()
    [[1.0, 1.0]]
    """

    def __init__(self, num_kinds: int, start: float) -> None:
        super().__init__()
        self.start = start
        self.weight = nn.Parameter(torch.full((num_kinds,), start))

    def forward(self, kinds: Tensor) -> Tensor:
        """int64 (...) -> float (...)."""
        known = (kinds > UNKNOWN) & (kinds < len(self.weight))
        found = take(self.weight, 0, torch.where(known, kinds, UNKNOWN).flatten()).view(kinds.shape)
        return torch.where(known, found, self.start)

    def named(self, what: str) -> dict[str, float]:
        """The weight of each known kind, by its code."""
        return {f"{what} kind {kind}": weight for kind, weight in enumerate(self.weight.tolist()) if kind != UNKNOWN}


def kind_weights(num_kinds: int, start: float) -> KindWeights | None:
    """``KindWeights``, or None where there are no two kinds."""
    return KindWeights(num_kinds, start) if num_kinds > 2 else None
