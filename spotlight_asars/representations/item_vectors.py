"""The vectors and biases of items: what a net reads, and what its states are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from spotlight_asars._spotlight import PADDING_IDX, ZeroEmbedding
from spotlight_asars.events.item_features import FeatureSizes
from spotlight_asars.representations.feature_vectors import FeatureVectors
from spotlight_asars.representations.item_graph import ItemGraph
from spotlight_asars.runtime.devices import places_of, take

ITEM_SCALE = 0.3  # standard deviation of new item embeddings; 1 / embedding_dim, as in Spotlight, learns far slower


class ItemVectors(nn.Module):
    """The part of a net that knows its items: embeddings and biases, and what neighbours and features add to them.

    Parameters
    ----------
    num_items : int
        Size of the catalogue, padding included.
    embedding_dim : int
    item_neighbours : int
        Neighbours of each item whose embeddings are added to its own, see ``ItemGraph``; 0 for none.
    feature_sizes : FeatureSizes, optional
        Of what is known of items, which becomes a part of their vectors and biases; see ``FeatureVectors``.
    id_dropout : float
        Chance that an item is all features for a moment, in training.
    sparse : bool
        Use sparse gradients.
    """

    def __init__(
        self,
        num_items: int,
        embedding_dim: int,
        item_neighbours: int,
        feature_sizes: FeatureSizes | None,
        id_dropout: float,
        sparse: bool,
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self._looked_up: tuple[Tensor, ...] | None = None
        self.item_embeddings = nn.Embedding(num_items, embedding_dim, padding_idx=PADDING_IDX, sparse=sparse)
        nn.init.normal_(self.item_embeddings.weight[1:], std=ITEM_SCALE)
        self.item_biases = ZeroEmbedding(num_items, 1, padding_idx=PADDING_IDX, sparse=sparse)
        self.item_graph = ItemGraph(num_items, item_neighbours, sparse) if item_neighbours else None
        self.item_features: FeatureVectors | None = None
        if feature_sizes is not None:
            self.item_features = FeatureVectors(num_items, embedding_dim, feature_sizes, id_dropout)

    def item_vectors(self, item_ids: Tensor | None = None) -> Tensor:
        """Vectors of items, int64 (...), or of the whole catalogue: what is read, and what states are compared with."""
        return self.item_rows(item_ids)[0]

    def item_rows(self, item_ids: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Vectors and biases of items, int64 (...), or of the whole catalogue: float (..., dim) and (...)."""
        if self._looked_up is not None and item_ids is not None:
            place, *rows = self._looked_up
            at = take(place, 0, item_ids.flatten())
            found, of_found = (take(part, 0, at) for part in rows)
            return found.view(*item_ids.shape, self.embedding_dim), of_found.view(item_ids.shape)
        if self.item_graph is not None:
            vectors: Tensor = self.item_graph(self.item_embeddings.weight, item_ids)
        else:
            vectors = self.item_embeddings.weight if item_ids is None else self.item_embeddings(item_ids)
        biases = (self.item_biases.weight if item_ids is None else self.item_biases(item_ids)).squeeze(-1)
        if self.item_features is not None:
            return self.item_features.added_to(vectors, biases, item_ids)
        return vectors, biases

    @contextmanager
    def looked_up(self, item_ids: Tensor) -> Iterator[None]:
        """Inside the block there are no items but these, int64 (n,), and padding, and each is looked up once.

        A training step asks for its items as what is viewed, as targets and as negatives: with one look-up there is one
        gradient of the embeddings, not one for each.
        """
        item_ids = torch.cat([item_ids.new_full((1,), PADDING_IDX), item_ids])
        if item_ids.device.type == "cpu":  # a GPU would wait for their number
            item_ids = item_ids.unique()
        if self.item_features is not None:
            self.item_features.draw()
        rows = self.item_rows(item_ids)
        out_of_range = len(item_ids)
        self._looked_up = places_of(item_ids, len(self.item_biases.weight), out_of_range), *rows
        try:
            yield
        finally:
            self._looked_up = None
