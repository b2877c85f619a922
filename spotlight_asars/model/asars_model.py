"""``ASARSSequenceModel``: Spotlight's sequence model that also knows who is browsing and how long they looked."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.random import RandomState
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from torch import nn

from spotlight_asars._checks import require, resolve
from spotlight_asars._spotlight import SequenceInteractions
from spotlight_asars.losses import FEEL_OFFSETS, LOSSES, OVER_CATALOGUE, Loss
from spotlight_asars.memory import with_recall
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.model.files import ModelFiles
from spotlight_asars.model.fitting import Fitting
from spotlight_asars.model.options import check_options
from spotlight_asars.recommending.graph_export import Exports
from spotlight_asars.recommending.user_state import UserState
from spotlight_asars.representations import Blueprint, build
from spotlight_asars.representations.dwell_encoding import TIME_ENCODINGS
from spotlight_asars.sampling import Sampler
from spotlight_asars.sessions.interactions import as_sessions
from spotlight_asars.training.loop import Epoch


class ASARSSequenceModel(Exports, Fitting, ModelFiles):
    r"""Attentional Session-Aware Recommender System.

    Predicts the next item of a session from the items in it, the dwell time on each, and the user. Every prefix of a
    session is a training example. Negatives are drawn once for a batch and shared; ``cross_entropy`` needs none, for it
    compares each target with the whole catalogue.

    A fitted model may be asked from any number of threads at once, but not while ``fit`` or ``update`` changes it.

    Parameters
    ----------
    loss : str or callable
        One of ``LOSSES``, or a function ``(positive, negative, mask) -> scalar`` like them.
    representation : str, nn.Module or callable
        One of ``REPRESENTATIONS``: with both memories the plain recurrent net does best on the real logs we know; the
        paper's network is "time_user". Or a net with Spotlight's ``user_representation`` and ``forward``; or a function
        of a ``Blueprint`` that returns a net.
    embedding_dim : int
        Size of the item embeddings.
    n_iter : int
        Epochs of each call of ``fit``.
    batch_size : int
        Sessions in a mini-batch.
    l2 : float
        Weight decay.
    learning_rate : float
        Of Adagrad.
    optimizer_func : callable, optional
        Function of the parameters that returns an optimizer; overrides `l2` and `learning_rate`.
    use_cuda : bool
        Run on the GPU.
    sparse : bool
        Use sparse gradients for the embeddings. With the default optimizer and sampled negatives it is so by itself:
        Adagrad moves no row that a mini-batch does not touch.
    random_state : RandomState or int, optional
        The one source of randomness: the same seed gives the same model.
    num_negative_samples : int
        Negatives drawn for a mini-batch.
    hidden_dim, user_dim, time_dim : int
        Sizes of the item RNN, the user embedding and the dwell encoder.
    cell : {"lstm", "gru"}
        Of the item RNN.
    time_encoding : {"scott", "log_scott", "quantile", "continuous"}
        How dwell times become vectors: bins of seconds, of their logarithm, of equal counts, or a smooth curve.
    attention : {"prefix", "causal"}
        Reading of the time attention: the paper's triangle, or scores that depend on the row.
    residual : bool
        Add the RNN's state to what is attended to; False is the paper's formula.
    last_dwell : {"unknown", "observed"}
        "observed" lets a prediction see the dwell of the last viewed item, as the paper does: the time up to the very
        click that is to be predicted.
    dropout : float
        Share of the item embeddings' entries dropped before the RNN.
    event_dropout : float
        Share of the viewed events that the net does not see in a training pass; the memories see them.
    user_dropout, dwell_dropout : float
        Shares of the training rows whose user, and independently whose dwell times, are hidden, so that the unknown
        user and unknown dwell are trained, and no user is learned by heart.
    negative_sampling : str or callable
        One of ``SAMPLERS``, or a function like them.
    history : bool
        Add learned terms to the scores of items that the user viewed before, in earlier sessions and in this one; see
        ``HistoryTerms``.
    transitions : bool
        Add learned terms to the scores of items that followed the latest ones in training; see ``TransitionTerms``.
    history_size : int
        Items of earlier sessions that are recalled at most, the latest ones.
    averaging : bool
        End with a mean of the weights after each epoch, in which late ones count more, and not with the latest: a net
        that learns single sessions by heart in its last epochs then loses less by it.
    patience : int, optional
        Stop after so many epochs without a better validation; needs ``fit(..., validation=...)``.
    monitor : str
        What the validation looks at: "loss", or a metric like "mrr@20".
    autocast : bool
        Train in bfloat16 where that is safe: faster on the GPUs that have it, a little less exact.
    compile : bool
        Train the net compiled, which needs a C++ compiler and takes a minute at the start.

    Attributes
    ----------
    epochs : list of Epoch
        Mean training loss, and what validation found, of every epoch so far.
    item_vocabulary, user_vocabulary : Vocabulary or None
        Raw ids, where the training sessions know theirs.

    Examples
    --------
    >>> from spotlight_asars import SessionInteractions
    >>> sessions = SessionInteractions([[0, 1, 2, 3], [1, 2, 3, 1], [0, 0, 2, 3]], user_ids=[0, 1, 0])
    >>> model = ASARSSequenceModel(n_iter=30, batch_size=2, random_state=0).fit(sessions)
    >>> model.predict([1, 2]).argmax()
    np.int64(3)
    """

    def __init__(
        self,
        loss: str | Loss = "cross_entropy",
        representation: str | nn.Module | Callable[[Blueprint], nn.Module] = "gru4rec",
        embedding_dim: int = 64,
        n_iter: int = 10,
        batch_size: int = 32,
        l2: float = 0.0,
        learning_rate: float = 0.05,
        optimizer_func: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer] | None = None,
        use_cuda: bool = False,
        sparse: bool = False,
        random_state: RandomState | int | None = None,
        num_negative_samples: int = 256,
        *,
        hidden_dim: int = 100,
        user_dim: int = 32,
        time_dim: int = 16,
        cell: str = "lstm",
        time_encoding: str = "scott",
        attention: str = "prefix",
        residual: bool = True,
        last_dwell: str = "unknown",
        dropout: float = 0.5,
        event_dropout: float = 0.0,
        user_dropout: float = 0.5,
        dwell_dropout: float = 0.1,
        negative_sampling: str | Sampler = "local",
        history: bool = True,
        history_size: int = 200,
        transitions: bool = True,
        averaging: bool = True,
        patience: int | None = None,
        monitor: str = "loss",
        autocast: bool = False,
        compile: bool = False,
    ) -> None:
        check_options(locals())
        # Spotlight's constructor asserts that loss and representation are of its own, so it gets its defaults first.
        super().__init__(
            embedding_dim=embedding_dim,
            n_iter=n_iter,
            batch_size=batch_size,
            l2=l2,
            learning_rate=learning_rate,
            optimizer_func=optimizer_func,
            use_cuda=use_cuda,
            sparse=sparse,
            random_state=RandomState() if random_state is None else check_random_state(random_state),
            num_negative_samples=num_negative_samples,
        )
        self._loss = loss
        self._representation = representation
        self._seed = random_state
        self._hidden_dim = hidden_dim
        self._user_dim = user_dim
        self._time_dim = time_dim
        self._cell = cell
        self._time_encoding = time_encoding
        self._attention = attention
        self._residual = residual
        self._last_dwell = last_dwell
        self._dropout = dropout
        self._event_dropout = event_dropout
        self._user_dropout = user_dropout
        self._dwell_dropout = dwell_dropout
        self._negative_sampling = negative_sampling
        self._history = history
        self._history_size = history_size
        self._transitions = transitions
        self._averaging = averaging
        self._patience = patience
        self._monitor = monitor
        self._autocast = autocast
        self._compile = compile
        self._num_users = 0
        self._followers: Transitions | None = None
        self.item_vocabulary = self.user_vocabulary = None
        self.epochs: list[Epoch] = []

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name, as scikit-learn's tools ask for them."""
        names = list(inspect.signature(ASARSSequenceModel).parameters)
        return {name: getattr(self, "_seed" if name == "random_state" else f"_{name}") for name in names}

    def set_params(self, **params: Any) -> ASARSSequenceModel:
        """Start anew with some arguments changed: the model is as if just made, and not fitted."""
        known = self.get_params()
        for name in params:
            require(name in known, f"set_params must name arguments of the model, {sorted(known)}", name)
        self.__init__(**{**known, **params})  # type: ignore[misc]
        return self

    def _initialize(self, interactions: SequenceInteractions) -> None:
        sessions = as_sessions(interactions)
        self.item_vocabulary, self.user_vocabulary = sessions.item_vocabulary, sessions.user_vocabulary
        dwell = sessions.flat_dwell_times
        scale = TIME_ENCODINGS[self._time_encoding].fit([] if dwell is None else dwell)
        self._build(sessions.num_items, sessions.num_users, scale)

    def _build(self, num_items: int, num_users: int, dwell_scale: NDArray[np.float64]) -> None:
        """A fresh net for what the training log says."""
        self._num_items, self._num_users, self._dwell_scale = num_items, num_users, dwell_scale
        self._loss_func = resolve(self._loss, LOSSES, "loss")
        blueprint = Blueprint(
            num_items=self._num_items,
            num_users=self._num_users,
            dwell_scale=dwell_scale,
            time_encoding=self._time_encoding,
            cell=self._cell,
            attention=self._attention,
            residual=self._residual,
            offset=any(self._loss_func is loss for loss in FEEL_OFFSETS),
            embedding_dim=self._embedding_dim,
            hidden_dim=self._hidden_dim,
            user_dim=self._user_dim,
            time_dim=self._time_dim,
            dropout=self._dropout,
            last_dwell=self._last_dwell,
            sparse=self._sparse or self._moves_touched_rows_only(),
        )
        net = build(self._representation, blueprint)
        self._net = with_recall(net, self._history, self._transitions).to(self.device)
        self._users = UserState(self._net, self._history_size if self._history else None)
        self._optimizer = self._make_optimizer(self._net)

    def _moves_touched_rows_only(self) -> bool:
        """Whether embeddings outside a mini-batch stay as they are: sparse gradients then change nothing but time."""
        return self._optimizer_func is None and self._l2 == 0 and self._loss_func not in OVER_CATALOGUE

    def _make_optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        if self._optimizer_func is not None:
            return self._optimizer_func(net.parameters())
        return torch.optim.Adagrad(net.parameters(), lr=self._learning_rate, weight_decay=self._l2)
