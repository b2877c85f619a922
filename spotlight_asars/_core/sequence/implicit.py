"""Recommending the next item of a sequence, from implicit feedback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._core._model import ImplicitModel, Optimizer, check_ids, set_up, to_tensor, train_epoch
from spotlight_asars._core.interactions import SequenceInteractions
from spotlight_asars._core.sampling import sample_items
from spotlight_asars._core.sequence.representations import PADDING_IDX, CNNNet, LSTMNet, MixtureLSTMNet, PoolNet
from spotlight_asars._core.torch_utils import cpu, shuffle

NETS: dict[str, Callable[..., nn.Module]] = {
    "pooling": PoolNet,
    "cnn": CNNNet,
    "lstm": LSTMNet,
    "mixture": MixtureLSTMNet,
}


class ImplicitSequenceModel(ImplicitModel):
    """Scores all items as the next one of a sequence; trained on every step of it against sampled items.

    Options are those of :class:`ImplicitModel`, in upstream's order; ``representation`` is also the name of a net:
    "pooling", "cnn", "lstm" or "mixture".
    """

    def __init__(
        self,
        loss: str = "pointwise",
        representation: str | nn.Module = "pooling",
        embedding_dim: int = 32,
        n_iter: int = 10,
        batch_size: int = 256,
        l2: float = 0.0,
        learning_rate: float = 1e-2,
        optimizer_func: Optimizer | None = None,
        use_cuda: bool = False,
        sparse: bool = False,
        random_state: np.random.RandomState | None = None,
        num_negative_samples: int = 5,
    ) -> None:
        known = not isinstance(representation, str) or representation in NETS
        assert known, f"representation must be a module or one of {sorted(NETS)}; got {representation!r}"
        super().__init__(
            loss,
            embedding_dim,
            n_iter,
            batch_size,
            l2,
            learning_rate,
            optimizer_func,
            use_cuda,
            representation,
            sparse,
            random_state,
            num_negative_samples,
        )

    def _initialize(self, interactions: SequenceInteractions) -> None:
        self._num_items = interactions.num_items
        net = self._representation
        if isinstance(net, str):
            net = NETS[net](self._num_items, self._embedding_dim, sparse=self._sparse)
        set_up(self, net)

    def _check_input(self, item_ids: int | NDArray[Any]) -> None:
        check_ids("item", item_ids, self._num_items)

    def fit(self, interactions: SequenceInteractions, verbose: bool = False) -> None:
        """Train for ``n_iter`` epochs; a further call goes on from where the last one stopped.

        Parameters
        ----------
        interactions : SequenceInteractions
        verbose : bool, optional
            Print the loss of each epoch.

        Raises
        ------
        ValueError
            If an item is unknown to the model, or the loss of an epoch is NaN or 0.
        """

        def batch_loss(batch: Tensor) -> Tensor:
            users, _ = self._net.user_representation(batch)
            positive = self._net(users, batch)
            if self._loss == "adaptive_hinge":
                count = self._num_negative_samples
                negative = self._get_multiple_negative_predictions(batch.size(), users, n=count)
            else:
                negative = self._get_negative_prediction(batch.size(), users)
            loss: Tensor = self._loss_func(positive, negative, mask=batch != PADDING_IDX)
            return loss

        sequences = interactions.sequences.astype(np.int64)
        if not self._initialized:
            self._initialize(interactions)
        self._check_input(sequences)
        for epoch_num in range(self._n_iter):
            sequences = shuffle(sequences, random_state=self._random_state)
            train_epoch(self, epoch_num, [sequences], batch_loss, verbose)

    def _get_negative_prediction(self, shape: tuple[int, ...], user_representation: Tensor) -> Tensor:
        items = sample_items(self._num_items, shape, random_state=self._random_state)
        scores: Tensor = self._net(user_representation, to_tensor(self, items))
        return scores

    def _get_multiple_negative_predictions(
        self, shape: tuple[int, ...], user_representation: Tensor, n: int = 5
    ) -> Tensor:
        batch_size, length = shape
        users = user_representation.repeat(n, *[1] * (user_representation.dim() - 1))
        return self._get_negative_prediction((n * batch_size, length), users).view(n, batch_size, length)

    def predict(self, sequences: NDArray[Any], item_ids: NDArray[Any] | None = None) -> NDArray[Any]:
        """Scores of items as the next one of a sequence. Leaves the net in eval mode.

        Parameters
        ----------
        sequences : int (time,) or (1, time)
            Several rows are read as one long sequence.
        item_ids : int (items, 1), optional
            Which items to score; all of them, padding included, if absent.

        Returns
        -------
        float (items,)

        Raises
        ------
        ValueError
            If an item is unknown to the model.
        """
        self._net.train(False)
        sequences = np.atleast_2d(sequences)
        if item_ids is None:
            item_ids = np.arange(self._num_items).reshape(-1, 1)
        self._check_input(item_ids)
        self._check_input(sequences)

        items = to_tensor(self, item_ids.astype(np.int64))
        history = to_tensor(self, sequences.astype(np.int64).reshape(1, -1))
        _, user = self._net.user_representation(history)
        scores = self._net(user.expand(len(items), *user.size()[1:]), items)
        return cpu(scores).detach().numpy().flatten()
