"""Matrix factorization from implicit feedback."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._core._model import ImplicitModel, check_ids, set_up, to_tensor, train_epoch
from spotlight_asars._core.factorization.representations import BilinearNet
from spotlight_asars._core.interactions import Interactions
from spotlight_asars._core.sampling import sample_items
from spotlight_asars._core.torch_utils import cpu, shuffle


class ImplicitFactorizationModel(ImplicitModel):
    """Scores items for a user by their vectors; trained on each pair of the log against sampled items.

    Options are those of :class:`ImplicitModel`; ``representation`` replaces the :class:`BilinearNet`.
    """

    _num_users: Any = None

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
        item_ids = np.arange(self._num_items) if item_ids is None else item_ids
        users, items = (to_tensor(self, np.asarray(ids).astype(np.int64).reshape(-1)) for ids in (user_ids, item_ids))
        if len(users) != len(items):
            users = users.expand(len(items))
        scores = self._net(users, items)
        return cpu(scores).detach().numpy().flatten()
