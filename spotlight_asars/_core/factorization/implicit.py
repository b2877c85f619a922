"""Matrix factorization from implicit feedback."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from spotlight_asars._core._model import (
    ImplicitModel,
    Optimizer,
    check_ids,
    set_up,
    to_tensor,
    train_epoch,
)
from spotlight_asars._core.factorization.representations import BilinearNet
from spotlight_asars._core.interactions import Interactions
from spotlight_asars._core.sampling import sample_items
from spotlight_asars._core.torch_utils import cpu, shuffle


class ImplicitFactorizationModel(ImplicitModel):
    """Ranks items for a user by their vectors; learns each pair of the log against sampled items.

    Parameters
    ----------
    loss : {"pointwise", "bpr", "hinge", "adaptive_hinge"}, optional
        One of :mod:`losses`.
    embedding_dim : int, optional
        Length of the vectors, unless ``representation`` brings its own.
    n_iter : int, optional
        Epochs per call of :meth:`fit`.
    batch_size : int, optional
        Pairs per step.
    l2 : float, optional
        Weight decay.
    learning_rate : float, optional
    optimizer_func : callable, optional
        Makes the optimizer from the net's parameters; else Adam with ``l2`` and ``learning_rate``.
    use_cuda : bool, optional
        Train on the GPU.
    representation : nn.Module, optional
        Net that scores (user ids, item ids), in place of a :class:`BilinearNet`.
    sparse : bool, optional
        Sparse gradients for the embeddings.
    random_state : numpy.random.RandomState, optional
        Seeds torch, shuffles and draws negatives.
    num_negative_samples : int, optional
        Negatives per pair of the adaptive hinge loss.
    """

    def __init__(
        self,
        loss: str = "pointwise",
        embedding_dim: int = 32,
        n_iter: int = 10,
        batch_size: int = 256,
        l2: float = 0.0,
        learning_rate: float = 1e-2,
        optimizer_func: Optimizer | None = None,
        use_cuda: bool = False,
        representation: nn.Module | None = None,
        sparse: bool = False,
        random_state: np.random.RandomState | None = None,
        num_negative_samples: int = 5,
    ) -> None:
        super().__init__(
            loss=loss,
            representation=representation,
            embedding_dim=embedding_dim,
            n_iter=n_iter,
            batch_size=batch_size,
            l2=l2,
            learning_rate=learning_rate,
            optimizer_func=optimizer_func,
            use_cuda=use_cuda,
            sparse=sparse,
            random_state=random_state,
            num_negative_samples=num_negative_samples,
        )
        self._num_users: Any = None

    def _initialize(self, interactions: Interactions) -> None:
        self._num_users, self._num_items = interactions.num_users, interactions.num_items
        net = self._representation
        if net is None:
            net = BilinearNet(self._num_users, self._num_items, self._embedding_dim, sparse=self._sparse)
        set_up(self, net)

    def _check_input(
        self,
        user_ids: int | NDArray[Any],
        item_ids: int | NDArray[Any] | None,
        allow_items_none: bool = False,
    ) -> None:
        check_ids("user", user_ids, self._num_users)
        if item_ids is not None or not allow_items_none:
            check_ids("item", item_ids, self._num_items)

    def fit(self, interactions: Interactions, verbose: bool = False) -> None:
        """Train for ``n_iter`` epochs; a further call goes on from where the last one stopped.

        Parameters
        ----------
        interactions : Interactions
        verbose : bool, optional
            Print the loss of each epoch.

        Raises
        ------
        ValueError
            If a user or an item is unknown to the model, or the loss of an epoch is NaN or 0.
        """

        def batch_loss(batch: tuple[Tensor, Tensor]) -> Tensor:
            users, items = batch
            positive = self._net(users, items)
            if self._loss == "adaptive_hinge":
                negative = self._get_multiple_negative_predictions(users, n=self._num_negative_samples)
            else:
                negative = self._get_negative_prediction(users)
            loss: Tensor = self._loss_func(positive, negative)
            return loss

        user_ids = interactions.user_ids.astype(np.int64)
        item_ids = interactions.item_ids.astype(np.int64)
        if not self._initialized:
            self._initialize(interactions)
        self._check_input(user_ids, item_ids)
        for epoch_num in range(self._n_iter):
            # Unlike the sequence model, upstream shuffles the original order anew in every epoch.
            shuffled = shuffle(user_ids, item_ids, random_state=self._random_state)
            train_epoch(self, epoch_num, shuffled, batch_loss, verbose)

    def _get_negative_prediction(self, user_ids: Tensor) -> Tensor:
        items = sample_items(self._num_items, len(user_ids), random_state=self._random_state)
        scores: Tensor = self._net(user_ids, to_tensor(self, items))
        return scores

    def _get_multiple_negative_predictions(self, user_ids: Tensor, n: int = 5) -> Tensor:
        # Users are laid out (batch, neg) and read back as (neg, batch): upstream's negatives mix users.
        return self._get_negative_prediction(user_ids.repeat_interleave(n)).view(n, len(user_ids))

    def predict(self, user_ids: int | NDArray[Any], item_ids: NDArray[Any] | None = None) -> NDArray[Any]:
        """Scores of items for a user, or of pairs. Leaves the net in eval mode.

        Parameters
        ----------
        user_ids : int or int (items,)
            One user for all of ``item_ids``, or one for each.
        item_ids : int (items,), optional
            Which items to score; all of them if absent.

        Returns
        -------
        float (items,)

        Raises
        ------
        ValueError
            If a user or an item is unknown to the model.
        """
        self._check_input(user_ids, item_ids, allow_items_none=True)
        self._net.train(False)
        items = np.arange(self._num_items) if item_ids is None else item_ids
        columns = (to_tensor(self, np.asarray(ids).astype(np.int64).reshape(-1)) for ids in (user_ids, items))
        user_column, item_column = columns
        if len(user_column) != len(item_column):
            user_column = user_column.expand(len(item_column))
        scores = self._net(user_column, item_column)
        return cpu(scores).detach().numpy().flatten()
