"""Options, set-up and one epoch of training, shared by the two implicit models.

Helpers are functions, not methods: a subclass must find the same attribute names free as on upstream's models.
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
    """Base of the implicit models, with the options of the factorization model.

    Parameters
    ----------
    loss : {"pointwise", "bpr", "hinge", "adaptive_hinge"}, optional
        One of :mod:`losses`.
    embedding_dim : int, optional
        Length of the vectors, unless ``representation`` is a ready-made net.
    n_iter : int, optional
        Epochs per call of ``fit``.
    batch_size : int, optional
        Sequences, or pairs of user and item, per step.
    l2 : float, optional
        Weight decay.
    learning_rate : float, optional
    optimizer_func : callable, optional
        Makes the optimizer from the net's parameters; Adam with ``l2`` and ``learning_rate`` if absent.
    use_cuda : bool, optional
        Train on the GPU.
    representation : nn.Module, optional
        The net to train, in place of the model's own.
    sparse : bool, optional
        Sparse gradients for the embeddings.
    random_state : numpy.random.RandomState, optional
        Seeds torch's global generator, shuffles and draws negatives.
    num_negative_samples : int, optional
        Negatives per target of the adaptive hinge loss.
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
        representation: Any = None,
        sparse: bool = False,
        random_state: np.random.RandomState | None = None,
        num_negative_samples: int = 5,
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
    """Train on the arrays once; ``batch_loss`` takes a batch as :func:`minibatch` yields it."""
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
