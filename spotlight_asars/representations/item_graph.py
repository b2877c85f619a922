r"""Item vectors that share what their neighbours have learned.

.. math:: v_i = e_i + \gamma \sum_{k \in N_i} \frac{A_{ik}}{\sum_{l \in N_i} A_{il}} \, e_k

:math:`e_i` is the item's own embedding, :math:`N_i` are the items that are nearest to it within two steps from item to
item in the training sessions, :math:`A` how near (``Transitions.around``), and :math:`\gamma` is learned. Most items of
a large catalogue are rare: what is learned of one then serves those that are viewed with it. The vectors are both what
the net reads and what its states are compared with.

References
----------
Z. Wang, W. Wei, G. Cong, X.-L. Li, X.-L. Mao, M. Qiu: Global context enhanced graph neural networks for session-based
recommendation. SIGIR 2020. There the graph serves the reading of a session alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.runtime.devices import moved, take

PART = 64  # edges that are added up one after the other: an item that is a neighbour of thousands has several parts
MANY = 4  # vectors of more items than the catalogue has, over this, are taken from those of all


class ItemGraph(nn.Module):
    """Neighbours of each item, whose embeddings are added to its own.

    Parameters
    ----------
    num_items : int
    num_neighbours : int
        Of each item, at most.
    sparse : bool
        Give embeddings sparse gradients.
    """

    neighbours: Tensor
    shares: Tensor

    def __init__(self, num_items: int, num_neighbours: int, sparse: bool = False) -> None:
        super().__init__()
        self.register_buffer("neighbours", torch.zeros(num_items, num_neighbours, dtype=torch.int32))
        self.register_buffer("shares", torch.zeros(num_items, num_neighbours))
        self.gain = nn.Parameter(torch.ones(()))
        self._sparse, self._table = sparse, None  # type: bool, tuple[Any, Tensor] | None
        self._edges: tuple[Any, tuple[Tensor, Tensor, Tensor, Tensor]] | None = None

    @torch.no_grad()
    def connect(self, neighbours: Tensor, shares: Tensor) -> None:
        """Take other neighbours, int (items, neighbours), and their shares, float (items, neighbours).

        Shares of an item sum to 1, or are 0 where it has no neighbours.
        """
        self.neighbours.copy_(moved(neighbours, self.neighbours.device))
        self.shares.copy_(moved(shares, self.shares.device))
        self._table = None

    @torch.no_grad()
    def connect_some(self, items: Tensor, neighbours: Tensor, shares: Tensor) -> None:
        """Take the neighbours and shares, as in ``connect``, of some items, int64 (n,)."""
        self.neighbours[items], self.shares[items] = neighbours, shares
        self._table = None

    @property
    def version(self) -> tuple[int, ...]:
        """Unequal to an earlier one after any change of neighbours or shares."""
        return self.neighbours.data_ptr(), self.neighbours._version, self.shares.data_ptr(), self.shares._version

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """Undo at the end what is connected inside the block."""
        kept = self.neighbours, self.shares, self._table
        self.neighbours, self.shares = self.neighbours.clone(), self.shares.clone()
        try:
            yield
        finally:
            self.neighbours, self.shares, self._table = kept

    def forward(self, embeddings: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Vectors of items, int64 (...), or of the whole catalogue, from `embeddings` (items, dim): (..., dim)."""
        if self.training or torch.is_grad_enabled():
            return self._vectors(embeddings, item_ids)
        version = embeddings.data_ptr(), embeddings._version, self.gain._version
        if self._table is None or self._table[0] != version:
            self._table = version, self._vectors(embeddings, None)
        vectors = self._table[1]
        return vectors if item_ids is None else F.embedding(item_ids, vectors)

    def _vectors(self, embeddings: Tensor, item_ids: Tensor | None) -> Tensor:
        if item_ids is None and torch.is_grad_enabled():
            items, shares, begins, first = self._backwards()
            edges = self.neighbours, self.shares, items, shares, begins, first
            around = _Around.apply(embeddings, *edges)  # type: ignore[no-untyped-call]
            return embeddings + self.gain * around
        if item_ids is None:
            return embeddings + self.gain * _sums(embeddings, self.neighbours, self.shares)
        if item_ids.numel() * MANY > len(embeddings) and not self._sparse:
            return F.embedding(item_ids, self._vectors(embeddings, None))
        items = item_ids.flatten()
        neighbours, shares = take(self.neighbours, 0, items), take(self.shares, 0, items)
        if self._sparse:
            own, around = _OwnAndAround.apply(embeddings, items, neighbours, shares)  # type: ignore[no-untyped-call]
        else:
            own = F.embedding(items, embeddings)
            around = _sums(embeddings, neighbours, shares)
        return (own + self.gain * around).view(*item_ids.shape, embeddings.shape[1])

    @torch.no_grad()
    def _backwards(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """For each item, those that have it as a neighbour: all of these, their shares, where parts of each item's
        begin, and the first part of each item; or none, where each has one."""
        if self._edges is None or self._edges[0] != self.version:
            every = torch.arange(len(self.neighbours) + 1, device=self.neighbours.device, dtype=torch.int32)
            # empty places are divided up among the items: all of them with padding would be a sum as long as all others
            to = torch.where(self.shares > 0, self.neighbours, every[:-1, None])
            to, order = to.flatten().sort(stable=True)
            begins = torch.searchsorted(to, every)
            begins, first = (begins[:-1], to[:0]) if to.device.type == "cpu" else _in_parts(begins, len(to))
            backwards = (order // self.neighbours.shape[1]).int(), self.shares.flatten()[order], begins.int(), first
            self._edges = self.version, backwards
        return self._edges[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None, "_edges": None}  # they can be computed again


class _Around(torch.autograd.Function):
    """The sums of the neighbours' embeddings, whose gradient is a sum over the same edges the other way round.

    That of ``embedding_bag`` sorts the edges each time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        embeddings: Tensor,
        neighbours: Tensor,
        shares: Tensor,
        items: Tensor,
        of_items: Tensor,
        begins: Tensor,
        first: Tensor,
    ) -> Tensor:
        ctx.save_for_backward(items, of_items, begins, first)
        return _sums(embeddings, neighbours, shares)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (items, shares, begins, first) = gradients, ctx.saved_tensors
        sums = _sums(gradient, items, shares, begins)
        if len(first):
            sums = F.embedding_bag(torch.arange(len(sums), device=sums.device), sums, first, mode="sum")
        return sums, None, None, None, None, None, None


class _OwnAndAround(torch.autograd.Function):
    """The embeddings of some items, and the sums of their neighbours' embeddings, with one sparse gradient of both.

    Its rows are added up where it is made. Those of ``embedding`` and ``embedding_bag`` have a row for each edge, which
    an optimizer adds up in three times the time.
    """

    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, items: Tensor, neighbours: Tensor, shares: Tensor
    ) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(items, neighbours, shares)
        ctx.shape = embeddings.shape
        return take(embeddings, 0, items), _sums(embeddings, neighbours, shares)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        items, neighbours, shares = ctx.saved_tensors
        to, order = torch.cat([items, neighbours.flatten().long()]).sort(stable=True)
        is_edge = order >= len(items)  # the others are the items' own embeddings
        source = torch.where(is_edge, (order - len(items)) // neighbours.shape[1] + len(items), order)
        weight = torch.cat([torch.ones_like(shares[:, 0]), shares.flatten()])[order]
        rows, counts = to.unique_consecutive(return_counts=True)
        sums = _sums(torch.cat(gradients), source, weight, counts.cumsum(0) - counts)
        gradient = torch.sparse_coo_tensor(
            rows.unsqueeze(0), sums, ctx.shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None, None, None


def _in_parts(begins: Tensor, total: int) -> tuple[Tensor, Tensor]:
    """Ranges of `total` from each of `begins` to the next, in parts of at most ``PART``: where parts begin, and the
    first of each range. Empty ones at the end make up a number that has not to be asked of a GPU.

    >>> [part.tolist() for part in _in_parts(torch.tensor([0, 0, 70, 72]), 72)]
    [[0, 64, 70, 72], [0, 0, 2]]
    """
    counts = (begins.diff() + PART - 1) // PART
    last = counts.cumsum(0)
    first, part = last - counts, torch.arange(len(counts) + total // PART, device=begins.device)
    of = torch.searchsorted(last, part, right=True).clamp(max=len(counts) - 1)
    return (begins[of] + PART * (part - first[of])).clamp(max=total), first


def _sums(vectors: Tensor, places: Tensor, weights: Tensor, begins: Tensor | None = None) -> Tensor:
    """Weighted sums of some of the vectors (n, dim): of each row of places, or of those from each begin to the next."""
    return F.embedding_bag(places, vectors, begins, mode="sum", per_sample_weights=weights.to(vectors.dtype))
