r"""States that ask for a next event of one kind.

.. math:: q' = q + W_k q + b_k

k is the kind that the next event is to be of, such as a purchase. Where it is unknown, or training did not meet it, a
state stays as it is. All W and b start at 0, so that nothing changes until something is learned of them.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.events.labels import UNKNOWN


class AskedKinds(nn.Module):
    """What the kind of the next event changes in a state: a linear map for each.

    Parameters
    ----------
    num_kinds : int
        The unknown one included.
    dim : int

    Examples
    --------
    >>> AskedKinds(3, dim=4)(torch.ones(5, 4), torch.tensor([0, 1, 2, 9, 0])).shape
    torch.Size([5, 4])
    """

    def __init__(self, num_kinds: int, dim: int) -> None:
        super().__init__()
        self.maps = nn.Parameter(torch.zeros(num_kinds, dim, dim))
        self.shifts = nn.Parameter(torch.zeros(num_kinds, dim))

    def forward(self, query: Tensor, asked: Tensor) -> Tensor:
        """States (..., dim) for the kind of the event after each, int64 (...)."""
        known = (asked > UNKNOWN) & (asked < len(self.maps))
        changes = F.linear(query, self.maps.flatten(0, 1), self.shifts.flatten()).unflatten(-1, self.shifts.shape)
        place = torch.where(known, asked, UNKNOWN)[..., None, None].expand(*query.shape[:-1], 1, query.shape[-1])
        return query + torch.where(known.unsqueeze(-1), changes.gather(-2, place).squeeze(-2), 0.0)
