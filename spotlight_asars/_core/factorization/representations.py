"""The net of the factorization models."""

from __future__ import annotations

from torch import Tensor, nn

from spotlight_asars._core.layers import ScaledEmbedding, ZeroEmbedding


class BilinearNet(nn.Module):
    """Scores ``user . item + user bias + item bias``.

    Parameters
    ----------
    num_users, num_items : int
    embedding_dim : int, optional
    user_embedding_layer, item_embedding_layer : nn.Module, optional
        Used in place of a new embedding.
    sparse : bool, optional
        Sparse gradients for the embeddings.
    """

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        user_embedding_layer: nn.Module | None = None,
        item_embedding_layer: nn.Module | None = None,
        sparse: bool = False,
    ) -> None:
        super().__init__()

        def vectors(size: int, layer: nn.Module | None) -> nn.Module:
            return ScaledEmbedding(size, embedding_dim, sparse=sparse) if layer is None else layer

        self.embedding_dim = embedding_dim
        self.user_embeddings = vectors(num_users, user_embedding_layer)
        self.item_embeddings = vectors(num_items, item_embedding_layer)
        self.user_biases = ZeroEmbedding(num_users, 1, sparse=sparse)
        self.item_biases = ZeroEmbedding(num_items, 1, sparse=sparse)

    def forward(self, user_ids: Tensor, item_ids: Tensor) -> Tensor:
        """Scores of the pairs, (batch,). Upstream's squeezes need more than one pair."""
        users = self.user_embeddings(user_ids).squeeze()  # (batch, dim)
        items = self.item_embeddings(item_ids).squeeze()  # (batch, dim)
        user_bias: Tensor = self.user_biases(user_ids).squeeze()
        item_bias: Tensor = self.item_biases(item_ids).squeeze()
        scores: Tensor = (users * items).sum(1) + user_bias + item_bias
        return scores
