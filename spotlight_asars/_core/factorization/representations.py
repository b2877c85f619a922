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
        Used in place of new embeddings.
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

        self.embedding_dim = embedding_dim
        self.user_embeddings = user_embedding_layer or ScaledEmbedding(num_users, embedding_dim, sparse=sparse)
        self.item_embeddings = item_embedding_layer or ScaledEmbedding(num_items, embedding_dim, sparse=sparse)
        self.user_biases = ZeroEmbedding(num_users, 1, sparse=sparse)
        self.item_biases = ZeroEmbedding(num_items, 1, sparse=sparse)

    def forward(self, user_ids: Tensor, item_ids: Tensor) -> Tensor:
        """Scores of the pairs, (batch,). Upstream's squeezes need more than one pair."""
        users = self.user_embeddings(user_ids).squeeze()  # (batch, dim)
        items = self.item_embeddings(item_ids).squeeze()  # (batch, dim)
        scores: Tensor = (users * items).sum(1)
        scores = scores + self.user_biases(user_ids).squeeze() + self.item_biases(item_ids).squeeze()
        return scores
