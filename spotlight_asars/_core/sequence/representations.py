"""Nets that represent a user by the items of a sequence, and score items for that user.

``user_representation(items)`` returns ``(every, final)``: the user before each item, (batch, dim, time), and after the
last one, (batch, dim). ``forward(representation, targets)`` scores the targets (batch, time) against either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.backends import cudnn

from spotlight_asars._core.layers import ScaledEmbedding, ZeroEmbedding

PADDING_IDX = 0
Layer = nn.Module | None
NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class _ItemNet(nn.Module):
    """Item vectors and biases, and the score ``bias + user . item``.

    Parameters
    ----------
    num_items : int
    embedding_dim : int, optional
        Length of the vectors of items and users.
    item_embedding_layer : nn.Module, optional
        Used in place of a new embedding of the items.
    sparse : bool, optional
        Sparse gradients for the embeddings.
    """

    def __init__(
        self, num_items: int, embedding_dim: int = 32, item_embedding_layer: Layer = None, sparse: bool = False
    ) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        if item_embedding_layer is None:
            item_embedding_layer = ScaledEmbedding(num_items, embedding_dim, padding_idx=PADDING_IDX, sparse=sparse)
        self.item_embeddings = item_embedding_layer
        self.item_biases = ZeroEmbedding(num_items, 1, padding_idx=PADDING_IDX, sparse=sparse)

    def _seen(self, item_sequences: Tensor) -> Tensor:
        """Item vectors behind a zero vector, which stands for no item seen yet: (batch, time + 1, dim)."""
        return F.pad(self.item_embeddings(item_sequences), (0, 0, 1, 0))

    def forward(self, user_representations: Tensor, targets: Tensor) -> Tensor:
        """Scores of ``targets``, (batch, time); for a lone target of each row, (batch,)."""
        items = self.item_embeddings(targets).permute(0, 2, 1).squeeze()  # (batch, dim, time)
        scores: Tensor = (user_representations * items).sum(1) + self.item_biases(targets).squeeze()
        return scores


class _SqueezedNet(_ItemNet):
    """Upstream drops every axis of length 1 from the scores of all nets but the pooling one."""

    def forward(self, user_representations: Tensor, targets: Tensor) -> Tensor:
        """Scores of ``targets``, (batch, time) without axes of length 1."""
        return super().forward(user_representations, targets).squeeze()


class PoolNet(_ItemNet):
    """The user is the mean of the items seen, with one zero vector counted in."""

    def user_representation(self, item_sequences: Tensor) -> tuple[Tensor, Tensor]:
        """``(every, final)``; a padding item is one whose vector is zero."""
        seen = self._seen(item_sequences).permute(0, 2, 1)  # (batch, dim, time + 1)
        users = seen.cumsum(2) / ((seen != 0.0).float().cumsum(2) + 1)
        return users[:, :, :-1], users[:, :, -1]


class LSTMNet(_SqueezedNet):
    """The user is the hidden state of an LSTM over the items. Padding changes the state."""

    def __init__(
        self, num_items: int, embedding_dim: int = 32, item_embedding_layer: Layer = None, sparse: bool = False
    ) -> None:
        super().__init__(num_items, embedding_dim, item_embedding_layer, sparse)
        self.lstm = nn.LSTM(embedding_dim, embedding_dim, batch_first=True)

    def user_representation(self, item_sequences: Tensor) -> tuple[Tensor, Tensor]:
        """``(every, final)``."""
        hidden, _ = self.lstm(self._seen(item_sequences))
        users = hidden.permute(0, 2, 1)  # (batch, dim, time + 1)
        return users[:, :, :-1], users[:, :, -1]


class CNNNet(_SqueezedNet):
    """The user is the output of stacked causal convolutions over the items.

    Parameters
    ----------
    num_items, embedding_dim, sparse, item_embedding_layer
        As in the other nets.
    kernel_width, dilation : int or sequence of int, optional
        How many items a layer looks at, and how far apart; an int holds for all layers.
    num_layers : int, optional
        Number of layers where both of these are ints.
    nonlinearity : {"tanh", "relu"}, optional
        Applied after each layer.
    residual_connections : bool, optional
        Add a layer's input to its output.
    benchmark : bool, optional
        New value of ``torch.backends.cudnn.benchmark``.

    Raises
    ------
    ValueError
        If the nonlinearity is neither of the two.
    """

    def __init__(
        self,
        num_items: int,
        embedding_dim: int = 32,
        kernel_width: int | Sequence[int] = 3,
        dilation: int | Sequence[int] = 1,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        residual_connections: bool = True,
        sparse: bool = False,
        benchmark: bool = True,
        item_embedding_layer: Layer = None,
    ) -> None:
        super().__init__(num_items, embedding_dim, item_embedding_layer, sparse)
        if nonlinearity not in NONLINEARITIES:
            raise ValueError(f"nonlinearity must be one of {sorted(NONLINEARITIES)}; got {nonlinearity!r}")
        cudnn.benchmark = benchmark
        self.kernel_width = _per_layer(kernel_width, num_layers)
        self.dilation = _per_layer(dilation, num_layers)
        self.nonlinearity = NONLINEARITIES[nonlinearity]
        self.residual_connections = residual_connections
        self.cnn_layers = [
            nn.Conv2d(embedding_dim, embedding_dim, (width, 1), dilation=(apart, 1))
            for width, apart in zip(self.kernel_width, self.dilation, strict=False)
        ]
        for i, layer in enumerate(self.cnn_layers):
            self.add_module(f"cnn_{i}", layer)

    def user_representation(self, item_sequences: Tensor) -> tuple[Tensor, Tensor]:
        """``(every, final)``; zeros on the left hide the future from every layer."""
        users = self._seen(item_sequences).permute(0, 2, 1).unsqueeze(3)  # (batch, dim, time + 1, 1)
        for layer, width, apart in zip(self.cnn_layers, self.kernel_width, self.dilation, strict=False):
            below = users
            users = self.nonlinearity(layer(F.pad(below, (0, 0, (width - 1) * apart, 0))))
            if self.residual_connections:
                users = users + below
        users = users.squeeze(3)  # (batch, dim, time + 1)
        return users[:, :, :-1], users[:, :, -1]


class MixtureLSTMNet(_ItemNet):
    """The user is ``num_mixtures`` taste vectors, each with an attention vector that says for which items it counts.

    References
    ----------
    Kula, "Mixture-of-tastes models for representing users with diverse interests", 2017.
    """

    def __init__(
        self,
        num_items: int,
        embedding_dim: int = 32,
        num_mixtures: int = 4,
        item_embedding_layer: Layer = None,
        sparse: bool = False,
    ) -> None:
        super().__init__(num_items, embedding_dim, item_embedding_layer, sparse)
        self.num_mixtures = num_mixtures
        self.lstm = nn.LSTM(embedding_dim, embedding_dim, batch_first=True)
        self.projection = nn.Conv1d(embedding_dim, embedding_dim * num_mixtures * 2, kernel_size=1)

    def user_representation(self, item_sequences: Tensor) -> tuple[Tensor, Tensor]:
        """``(every, final)`` of shape (batch, 2 num_mixtures, dim, time); the final one has time 1."""
        hidden, _ = self.lstm(self._seen(item_sequences))
        projected = self.projection(hidden.permute(0, 2, 1))  # (batch, 2 num_mixtures dim, time + 1)
        users = projected.unflatten(1, (2 * self.num_mixtures, self.embedding_dim))
        return users[..., :-1], users[..., -1:]

    def forward(self, user_representations: Tensor, targets: Tensor) -> Tensor:
        """Scores of ``targets``, (batch, time) without axes of length 1."""
        items = self.item_embeddings(targets).permute(0, 2, 1)  # (batch, dim, time)
        tastes, attention = user_representations.split(self.num_mixtures, dim=1)
        weight = (attention * items.unsqueeze(1)).sum(2, keepdim=True).softmax(1)  # (batch, mixture, 1, time)
        users = (weight * tastes).sum(1)  # (batch, dim, time)
        scores: Tensor = (users * items).sum(1).squeeze() + self.item_biases(targets).squeeze()
        return scores


def _per_layer(value: int | Sequence[int], num_layers: int) -> Sequence[int]:
    return value if isinstance(value, Iterable) else (value,) * num_layers
