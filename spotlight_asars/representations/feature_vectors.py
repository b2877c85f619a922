r"""What is known of items as part of their vectors and biases.

.. math:: v_i = \kappa_i \, e_i + \sum_{c \in C_i} f_c + W x_i, \qquad
          b_i = \kappa_i \, \beta_i + \sum_{c \in C_i} g_c + w \cdot x_i

:math:`e_i` is the item's own vector, with that of its neighbours (``ItemGraph``), :math:`\beta_i` its own bias,
:math:`C_i` its categories and :math:`x_i` its numbers. :math:`\kappa_i` is 0 for an item that nobody has viewed yet: it
is all features, and in training it is not compared with any target. In training :math:`\kappa_i` is 0 by chance for
others, too, and memories say nothing of them: what features say of an item is learned as if it were new. :math:`f`,
:math:`g`, W and w start at 0.

References
----------
M. Kula: Metadata embeddings for user and item cold-start recommendations. CBRecSys 2015 (LightFM).
M. Volkovs, G. Yu, T. Poutanen: DropoutNet: Addressing cold start in recommender systems. NeurIPS 2017.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spotlight_asars.events.item_features import FeatureSizes
from spotlight_asars.runtime.devices import moved

HIDDEN = -1e4  # bias of an item that no target is compared with


class FeatureVectors(nn.Module):
    """The part of items' vectors and biases that their features give.

    Parameters
    ----------
    num_items, embedding_dim : int
    sizes : FeatureSizes
    id_dropout : float
        Chance that an item is all features for a moment, in training.

    Attributes
    ----------
    own : bool (items,)
        Items that have a vector of their own as well.
    """

    categories: Tensor
    numbers: Tensor
    own: Tensor

    def __init__(self, num_items: int, embedding_dim: int, sizes: FeatureSizes, id_dropout: float) -> None:
        super().__init__()
        self.id_dropout = id_dropout
        self.register_buffer("categories", torch.zeros(num_items, sizes.columns, dtype=torch.int32))
        self.register_buffer("numbers", torch.zeros(num_items, sizes.numbers))
        self.register_buffer("own", torch.ones(num_items, dtype=torch.bool))
        self.of_category = nn.Parameter(torch.zeros(sizes.categories, embedding_dim + 1))  # the last is the bias
        self.of_number = nn.Parameter(torch.zeros(sizes.numbers, embedding_dim + 1))
        self._table: tuple[Any, Tensor] | None = None
        self._kept: Tensor | None = None

    @torch.no_grad()
    def describe(self, item_ids: Tensor, categories: Tensor, numbers: Tensor) -> None:
        """Take the features of some items: int64 (n,), int (n, columns), float (n, numbers)."""
        items = moved(item_ids, self.own.device)
        self.categories[items] = moved(categories, self.own.device)
        self.numbers[items] = moved(numbers, self.own.device)
        self._table = None

    def forward(self, item_ids: Tensor | None = None) -> Tensor:
        """Vectors, with the bias behind each, of items, int64 (...), or of the catalogue: (..., dim + 1)."""
        if self.training or torch.is_grad_enabled():
            return self._vectors(item_ids)
        version = self.of_category._version, self.of_number._version, self.of_category.data_ptr()
        if self._table is None or self._table[0] != version:
            self._table = version, self._vectors(None)
        return self._table[1] if item_ids is None else F.embedding(item_ids, self._table[1])

    def draw(self) -> None:
        """Choose the items that are all features for the next batch, in training."""
        drawn = torch.rand(len(self.own), device=self.own.device) >= self.id_dropout
        self._kept = self.own & drawn if self.training else None

    def kept(self) -> Tensor:
        """The items that are not all features now, bool (items,)."""
        return self.own if self._kept is None or not self.training else self._kept

    def added_to(self, vectors: Tensor, biases: Tensor, item_ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors (..., dim) and biases (...) of items with their part of features, and without their own where all is
        features.

        In training, an item that nobody has viewed has a bias so low that no target is compared with it.
        """
        own, kept = (part if item_ids is None else part[item_ids] for part in (self.own, self.kept()))
        given, kept = self(item_ids), kept.to(vectors.dtype)
        vectors, biases = vectors * kept.unsqueeze(-1) + given[..., :-1], biases * kept + given[..., -1]
        return vectors, biases.masked_fill(~own, HIDDEN) if self.training else biases

    def _vectors(self, item_ids: Tensor | None) -> Tensor:
        categories = self.categories if item_ids is None else self.categories[item_ids.flatten()]
        numbers = self.numbers if item_ids is None else self.numbers[item_ids]
        vectors = numbers @ self.of_number
        if categories.shape[1]:
            of_categories = F.embedding_bag(categories.long(), self.of_category, mode="sum", padding_idx=0)
            vectors = vectors + of_categories.view(vectors.shape)
        return vectors

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_table": None, "_kept": None}  # they can be computed again
