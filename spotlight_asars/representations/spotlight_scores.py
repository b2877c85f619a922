r"""How Spotlight's own nets score, by products of matrices instead of a product for every pair of a state and an item.

With item vectors :math:`e_k` and biases :math:`b_k`, the pooling, LSTM and CNN nets score a state :math:`q`, the
mixture net tastes :math:`q_m` with attention vectors :math:`a_m`:

.. math:: r_k = q \cdot e_k + b_k, \qquad
          r_k = \sum_m \mathrm{softmax}_m(a_m \cdot e_k) \; q_m \cdot e_k + b_k

A net's ``forward`` says which of the two it is, so a class of one's own that changes it is not taken for either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from spotlight_asars._spotlight import CNNNet, LSTMNet, MixtureLSTMNet, PoolNet

MOST_NUMBERS = 2**24  # entries of the largest tensor that is made at once to score all pairs, 64 MB of float32


class Scoring(NamedTuple):
    """Scores without biases, of states (rows, ...) and item vectors.

    pairs : ``(states, vectors)``, of one vector for each state, (rows, dim) -> (rows,)
    matrix : ``(states, vectors, biases)``, of the same vectors for all states, (items, dim), (items,) -> (rows, items)
    """

    pairs: Callable[[Tensor, Tensor], Tensor]
    matrix: Callable[[Tensor, Tensor, Tensor], Tensor]


def mixture_pairs(states: Tensor, vectors: Tensor) -> Tensor:
    """Of tastes and their attention vectors, (rows, 2 mixtures, dim)."""
    products = (states @ vectors.unsqueeze(-1)).squeeze(-1)  # (rows, 2 mixtures)
    tastes, attention = products.chunk(2, dim=1)
    return (attention.softmax(dim=1) * tastes).sum(dim=1)


def mixture_matrix(states: Tensor, vectors: Tensor, biases: Tensor) -> Tensor:
    """Of tastes and their attention vectors, (rows, 2 mixtures, dim); chunks bound the memory."""
    at_once = max(1, MOST_NUMBERS // max(len(vectors) * states.shape[1], 1))
    if len(states) <= at_once:
        return _mixture_matrix(states, vectors, biases)
    chunks = [  # which backward computes again
        checkpoint(_mixture_matrix, rows, vectors, biases, use_reentrant=False, preserve_rng_state=False)
        for rows in states.split(at_once)
    ]
    return torch.cat(chunks)


def _mixture_matrix(states: Tensor, vectors: Tensor, biases: Tensor) -> Tensor:
    tastes, attention = F.linear(states, vectors).chunk(2, dim=1)  # (rows, mixtures, items) each
    return (attention.softmax(dim=1) * tastes).sum(dim=1) + biases


DOT_PRODUCT = Scoring(lambda states, vectors: (states * vectors).sum(dim=-1), F.linear)
MIXTURE = Scoring(mixture_pairs, mixture_matrix)
SCORINGS: dict[Any, Scoring] = {
    PoolNet.forward: DOT_PRODUCT,
    LSTMNet.forward: DOT_PRODUCT,
    CNNNet.forward: DOT_PRODUCT,
    MixtureLSTMNet.forward: MIXTURE,
}


def scoring_of(net: nn.Module) -> Scoring | None:
    """How `net` scores, if it does so as one of Spotlight's own nets."""
    return None if "forward" in vars(net) else SCORINGS.get(type(net).forward)


def rows_of(table: nn.Module, item_ids: Tensor | None, num_items: int, device: torch.device) -> Tensor:
    """What the embedding layer `table` holds for these items, or for the first `num_items`: (items, width)."""
    if item_ids is not None:
        return table(item_ids)
    if type(table).forward is not nn.Embedding.forward or table.max_norm is not None or table.scale_grad_by_freq:
        return table(torch.arange(num_items, device=device))
    assert isinstance(table, nn.Embedding)
    weight = table.weight if table.padding_idx is None else _WithoutRow.apply(table.weight, table.padding_idx)
    return weight if len(weight) == num_items else weight[:num_items]


class _WithoutRow(torch.autograd.Function):
    """A matrix of which one row takes no gradient: that of padding, as in a look-up."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, row: int) -> Tensor:
        ctx.row = row
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        gradient[ctx.row] = 0  # in place: it is as large as the matrix, and made for this matrix alone
        return gradient, None
