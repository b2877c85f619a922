"""What the two implicit models share: options, setting up, and one epoch of descent.

The class has no name that upstream's lack, so that a subclass finds the same ones free on either
Spotlight. What more there is to share is a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn, optim

from spotlight_asars._core.losses import adaptive_hinge_loss, bpr_loss, hinge_loss, pointwise_loss
from spotlight_asars._core.torch_utils import gpu, minibatch, set_seed

Optimizer = Callable[[Iterator[nn.Parameter]], optim.Optimizer]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "pointwise": pointwise_loss,
    "bpr": bpr_loss,
    "hinge": hinge_loss,
    "adaptive_hinge": adaptive_hinge_loss,
}


class ImplicitModel:
    """Base of the implicit models. Options are kept unchanged under their names with a leading underscore."""

    def __init__(
        self,
        *,
        loss: str,
        representation: Any,
        embedding_dim: int,
        n_iter: int,
        batch_size: int,
        l2: float,
        learning_rate: float,
        optimizer_func: Optimizer | None,
        use_cuda: bool,
        sparse: bool,
        random_state: np.random.RandomState | None,
        num_negative_samples: int,
    ) -> None:
        # Upstream asserts here, so callers who catch anything catch an AssertionError.
        assert loss in LOSSES, f"loss must be one of {sorted(LOSSES)}; got {loss!r}"
        self._loss: Any = loss
        self._representation = representation
        self._embedding_dim = embedding_dim
        self._n_iter = n_iter
        self._batch_size = batch_size
        self._l2 = l2
        self._learning_rate = learning_rate
        self._optimizer_func = optimizer_func
        self._use_cuda = use_cuda
        self._sparse = sparse
        self._random_state = random_state or np.random.RandomState()
        self._num_negative_samples = num_negative_samples

        self._num_items: Any = None
        self._net: Any = None
        self._optimizer: Any = None
        self._loss_func: Any = None

        set_seed(self._random_state.randint(-(10**8), 10**8), cuda=use_cuda)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._net if self._initialized else '[uninitialised]'}>"

    @property
    def _initialized(self) -> bool:
        return self._net is not None


def set_up(model: ImplicitModel, net: nn.Module) -> None:
    """Put the net on its device, and choose optimizer and loss."""
    model._net = gpu(net, model._use_cuda)
    parameters = model._net.parameters()
    if model._optimizer_func is None:
        model._optimizer = optim.Adam(parameters, weight_decay=model._l2, lr=model._learning_rate)
    else:
        model._optimizer = model._optimizer_func(parameters)
    model._loss_func = LOSSES[model._loss]


def to_tensor(model: ImplicitModel, array: NDArray[Any]) -> Tensor:
    """The array on the model's device."""
    return gpu(torch.from_numpy(array), model._use_cuda)


def train_epoch(
    model: ImplicitModel,
    epoch_num: int,
    arrays: Iterable[NDArray[Any]],
    batch_loss: Callable[[Any], Tensor],
    verbose: bool,
) -> None:
    """One pass over the arrays; ``batch_loss`` takes a batch as :func:`minibatch` hands it out."""
    losses = []
    tensors = (to_tensor(model, array) for array in arrays)
    for batch in minibatch(*tensors, batch_size=model._batch_size):
        loss = batch_loss(batch)
        model._optimizer.zero_grad()
        loss.backward()
        model._optimizer.step()
        losses.append(loss.item())
    epoch_loss = sum(losses) / len(losses)
    if verbose:
        print(f"Epoch {epoch_num}: loss {epoch_loss}")
    if np.isnan(epoch_loss) or epoch_loss == 0.0:
        raise ValueError(f"the loss of an epoch must be a number other than 0; got {epoch_loss}")


def check_ids(name: str, ids: Any, size: int) -> None:
    """Raise ValueError unless the highest id is below ``size``."""
    if np.max(ids) >= size:
        raise ValueError(f"{name} ids must be below {size}, the number the model knows; got {np.max(ids)}")
