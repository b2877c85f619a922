"""A number for each kind of event, and for each pair of kinds, that of an unknown kind being fixed."""

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
        kinds = met(kinds, len(self.weight))
        return torch.where(kinds > UNKNOWN, take(self.weight, 0, kinds.flatten()).view(kinds.shape), self.start)

    def named(self, what: str) -> dict[str, float]:
        """The weight of each known kind, by its code."""
        return {f"{what} kind {kind}": weight for kind, weight in enumerate(self.weight.tolist()) if kind != UNKNOWN}


class PairWeights(nn.Module):
    """Learned numbers by the kind of an event, and that of the event to come; 0 where the latter is unknown.

    Parameters
    ----------
    num_kinds : int
        The unknown one included.
    """

    def __init__(self, num_kinds: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_kinds, num_kinds))

    def forward(self, kinds: Tensor, asked: Tensor) -> Tensor:
        """int64 (...) and int64 (...), of shapes that fit -> float (...)."""
        size = len(self.weight)
        kinds, asked = torch.broadcast_tensors(met(kinds, size), met(asked, size))
        found = take(self.weight.flatten(), 0, (kinds * size + asked).flatten()).view(kinds.shape)
        return torch.where(asked > UNKNOWN, found, 0.0)

    def named(self, what: str) -> dict[str, float]:
        """The weight of each pair of kinds, of which the first may be unknown, by their codes."""
        return {
            f"{what} kind {kind}, asked for {asked}": weight
            for kind, row in enumerate(self.weight.tolist())
            for asked, weight in enumerate(row)
            if asked != UNKNOWN
        }


def met(kinds: Tensor, num_kinds: int) -> Tensor:
    """The kinds, those that training did not meet as unknown ones."""
    return torch.where((kinds > UNKNOWN) & (kinds < num_kinds), kinds, UNKNOWN)


def kind_weights(num_kinds: int, start: float) -> KindWeights | None:
    """``KindWeights``, or None where there are no two kinds."""
    return KindWeights(num_kinds, start) if num_kinds > 2 else None


def pair_weights(num_kinds: int) -> PairWeights | None:
    """``PairWeights``, or None where there are no two kinds."""
    return PairWeights(num_kinds) if num_kinds > 2 else None
