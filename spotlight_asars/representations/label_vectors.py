r"""Vectors of labels, such as the kinds of events: what a net reads beside the items.

A label that is unknown, or that training did not meet, has the vector 0, which says nothing. All vectors start at 0, so
that labels change nothing until something is learned of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.events.labels import UNKNOWN


class LabelVectors(nn.Module):
    """The sum of the vectors of a label of each column.

    Parameters
    ----------
    sizes : ints
        Number of labels of each column, the unknown one included.
    dim : int

    Examples
    --------
    >>> LabelVectors([3, 2], dim=4)(torch.tensor([[2, 1], [0, 0]])).shape
    torch.Size([2, 4])
    """

    def __init__(self, sizes: Sequence[int], dim: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.zeros(len(sizes), max(sizes), dim))  # as large for each column: so it grows

    def forward(self, codes: Tensor) -> Tensor:
        """int64 (..., columns) -> float (..., dim)."""
        columns, size, _ = self.vectors.shape
        known = (codes > UNKNOWN) & (codes < size)
        place = torch.where(known, codes + size * torch.arange(columns, device=codes.device), 0)
        return F.embedding(place, self.vectors.flatten(0, 1), padding_idx=0).sum(dim=-2)


def label_vectors(sizes: Sequence[int], dim: int) -> LabelVectors | None:
    """``LabelVectors``, or None where no column has two labels, which tell nothing from anything."""
    return LabelVectors(sizes, dim) if any(size > 2 for size in sizes) else None
