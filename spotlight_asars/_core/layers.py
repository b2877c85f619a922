"""Embedding layers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

# One murmurhash seed per hash function; with other numbers, weights from upstream would be useless here.
# fmt: off
SEEDS = [
    179424941, 179425457, 179425907, 179426369, 179424977, 179425517, 179425943, 179426407,
    179424989, 179425529, 179425993, 179426447, 179425003, 179425537, 179426003, 179426453,
    179425019, 179425559, 179426029, 179426491, 179425027, 179425579, 179426081, 179426549,
]
# fmt: on


class ScaledEmbedding(nn.Embedding):
    """Embedding that starts from N(0, 1 / embedding_dim), and from 0 for padding."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, 0, 1.0 / self.embedding_dim)
        if self.padding_idx is not None:
            nn.init.zeros_(self.weight[self.padding_idx])


class ZeroEmbedding(nn.Embedding):
    """Embedding that starts from 0: for biases."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)


class ScaledEmbeddingBag(nn.EmbeddingBag):
    """Sum of embeddings that start from N(0, 1 / embedding_dim)."""

    def reset_parameters(self) -> None:
        nn.init.normal_(self.weight, 0, 1.0 / self.embedding_dim)


class BloomEmbedding(nn.Module):
    """Embedding with fewer rows than ids: an id is the sum of the rows its hashes point to.

    Rows are shared, but two ids seldom share all of theirs.

    Parameters
    ----------
    num_embeddings : int
        Number of ids.
    embedding_dim : int
        Length of a vector.
    compression_ratio : float, optional
        Rows per id.
    num_hash_functions : int, optional
        Rows summed per id; at most ``len(SEEDS)``.
    bag : bool, optional
        Sum in an ``EmbeddingBag``. Upstream starts a bag at every hash instead of every id, so only
        the last id of a batch is summed; the numbers are kept.
    padding_idx : int, optional
        Id whose hashes all point to row 0.

    Raises
    ------
    ValueError
        If there are more hash functions than seeds.

    References
    ----------
    Serrà and Karatzoglou, "Getting deep recommenders fit", RecSys 2017.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        compression_ratio: float = 0.2,
        num_hash_functions: int = 4,
        bag: bool = False,
        padding_idx: int = 0,
    ) -> None:
        super().__init__()
        if num_hash_functions > len(SEEDS):
            raise ValueError(f"num_hash_functions must be at most {len(SEEDS)}; got {num_hash_functions}")
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.compression_ratio = compression_ratio
        self.compressed_num_embeddings = int(compression_ratio * num_embeddings)
        self.num_hash_functions = num_hash_functions
        self.padding_idx = padding_idx
        self._bag = bag
        self._hashes: Tensor | None = None
        rows = self.compressed_num_embeddings
        self.embeddings: nn.Module = (
            ScaledEmbeddingBag(rows, embedding_dim, mode="sum")
            if bag
            else ScaledEmbedding(rows, embedding_dim, padding_idx=padding_idx)
        )

    def __repr__(self) -> str:
        return f"<BloomEmbedding (compression_ratio: {self.compression_ratio}): {self.embeddings!r}>"

    def _hash_all(self) -> Tensor:
        from sklearn.utils import murmurhash3_32  # takes as long to import as torch

        ids = np.arange(self.num_embeddings, dtype=np.int32)
        seeds = SEEDS[: self.num_hash_functions]
        hashes = np.stack([murmurhash3_32(ids, seed=seed) for seed in seeds], axis=1)
        hashes[self.padding_idx] = 0
        return torch.from_numpy((hashes % self.compressed_num_embeddings).astype(np.int64))

    def forward(self, indices: Tensor) -> Tensor:
        """Vectors of the ids, (batch, time, dim) for (batch, time), and (batch, 1, dim) for (batch,)."""
        hashes = self._hash_all() if self._hashes is None else self._hashes
        self._hashes = hashes.to(indices.device)
        hashed = self._hashes[indices.reshape(-1)]  # (batch * time, hash)
        if self._bag:
            vectors = self.embeddings(hashed.view(-1), torch.arange(len(hashed), device=indices.device))
        else:
            vectors = self.embeddings(hashed).sum(1)
        embedded: Tensor = vectors.view(indices.size(0), -1, self.embedding_dim)
        return embedded
