"""``ASARSSequenceModel``: Spotlight's sequence model that also knows who is browsing and how long they looked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from numpy.random import RandomState
from torch import nn
from tqdm import tqdm

from spotlight_asars._checks import random_state_of, require
from spotlight_asars._spotlight import ImplicitSequenceModel, SequenceInteractions
from spotlight_asars.events.item_features import FeatureSpace, ItemFeatures
from spotlight_asars.events.labels import UNKNOWN, raw_labels
from spotlight_asars.losses import LossFunction, find_loss
from spotlight_asars.model import files
from spotlight_asars.model.building import build_for, make_optimizer
from spotlight_asars.model.fitting import TrainingData, check_features, fit_epochs, seeded
from spotlight_asars.model.growth import grown, grown_optimizer
from spotlight_asars.model.options import LARGEST_DIM, OPTIONS, Options
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.recommending.net_recommender import NetRecommender
from spotlight_asars.representations import Blueprint
from spotlight_asars.runtime.devices import chosen_device, preserved_generators
from spotlight_asars.runtime.distributed import processes, share_random_state, share_weights
from spotlight_asars.sampling import Sampler
from spotlight_asars.sessions import SessionInteractions
from spotlight_asars.sessions.interactions import as_sessions
from spotlight_asars.training.checkpoints import Checkpoints
from spotlight_asars.training.progress import Epoch

Callback = Callable[["ASARSSequenceModel", int], object]


class ASARSSequenceModel(NetRecommender, ImplicitSequenceModel):
    r"""Attentional Session-Aware Recommender System.

    Predicts the next item of a session from the items in it, the dwell time on each, and the user. Every prefix of a
    session is a training example. Negatives are drawn once for a batch and shared; ``cross_entropy`` needs none, for it
    compares each target with the whole catalogue.

    A fitted model may be asked from any number of threads at once, but not while ``fit`` or ``update`` changes it.
    Whatever needs a fitted model raises ``RuntimeError`` before ``fit``; ``fit``, ``update`` and ``add_items`` return
    the model itself.
    ``predict``, ``recommend`` and ``set_params`` are those of ``Recommender``, as the baselines have them.

    Parameters
    ----------
    loss : str or callable
        "auto" is exact cross entropy where the catalogue is small, up to 8,000 items, and beyond that sampled softmax
        with log-Q correction. Else one of ``LOSSES``, or a function ``(positive, negative, mask) ->
        scalar``; a ``Loss`` says what else it needs.
    representation : str, nn.Module or callable
        One of ``REPRESENTATIONS``: with all memories the plain recurrent net does best on the real logs we know; the
        paper's network is "time_user"; "transformer" reads with a causal transformer in the place of the recurrent net,
        and "time_transformer" with one that knows the time between events. Or a net with Spotlight's
        ``user_representation`` and ``forward``; or a function of a ``Blueprint`` that returns a net.
    embedding_dim : int or "auto"
        Size of the item embeddings; "auto" is 8 for a first training on up to 10,000 targets, 16 up to 15,000, 32 up to
        30,000, and 64 beyond or with `item_features`: a larger net learns a small log by heart. It stays as it is when
        the catalogue grows.
    n_iter : int or "auto"
        Epochs of each call of ``fit``; "auto" is 10 where the catalogue is small, and 5 beyond 8,000 items.
    batch_size : int or "auto"
        Sessions in a mini-batch; "auto" is 32 where the catalogue is small, and 128 beyond 8,000 items.
    l2 : float
        Weight decay.
    learning_rate : float
        Of Adagrad; the weights of a transformer have a tenth of it.
    optimizer_func : callable, optional
        Function of the parameters that returns an optimizer; overrides `l2` and `learning_rate`.
    use_cuda : bool
        Run on the GPU.
    sparse : bool
        Use sparse gradients for the embeddings. With the default optimizer, sampled negatives and a large catalogue it
        is so by itself on the CPU: Adagrad moves no row that a mini-batch does not touch. A GPU would wait for them.
    random_state : RandomState or int, optional
        The one source of randomness: the same seed gives the same model.
    num_negative_samples : int or "auto"
        Negatives drawn for a mini-batch; "auto" is 1024 for sampled softmax, and 256 for other losses.
    hidden_dim, user_dim, time_dim : int
        Sizes of the state of the item RNN or transformer, the user embedding and the dwell encoder.
    item_neighbours : int
        Items that come together with each item most often, or with those that do, whose embeddings are added to its
        own; see ``ItemGraph``. 0 for none.
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
        Share of the item embeddings' entries dropped before the RNN or transformer, and of what a layer of the latter
        adds.
    event_dropout : float
        Share of the viewed events that the net does not see in a training pass; the memories see them.
    user_dropout, dwell_dropout : float
        Shares of the training rows whose user, and independently whose dwell times, kinds and context, are hidden, so
        that what is unknown is trained, and no user is learned by heart.
    id_dropout : float
        Share of the items that are nothing but their features for a moment in training; see ``FeatureVectors``. It
        matters only where ``fit`` is given ``item_features``.
    negative_sampling : str or callable
        One of ``SAMPLERS``, or a function like them; "auto" is by popularity for sampled softmax, and local for other
        losses.
    history : bool
        Add learned terms to the scores of items that the user viewed before, in earlier sessions and in this one; see
        ``HistoryTerms``.
    transitions : bool
        Add learned terms to the scores of items that followed the latest ones in training; see ``TransitionTerms``.
    neighbours : bool
        Add terms to the scores of items that were viewed in earlier sessions like this one, of those that were in this
        one, and of all by their trend and popularity; see ``NeighbourTerms``. Their weights are found on the latest
        sessions, which come last in the first epoch of a new model; a net whose users drift reads sessions in another
        order, and has no such terms.
    history_size : int
        Items of earlier sessions that are recalled at most, the latest ones.
    averaging : bool
        End with a mean of the weights after each epoch, in which late ones count more, and not with the latest: a net
        that learns single sessions by heart in its last epochs then loses less by it.
    kind_weights : dict, optional
        What a target of each kind weighs in training, by the name of the kind; with 0, events of that kind are read but
        not learned to be predicted. Events of unknown kind, and of kinds that come after the first training, weigh 1,
        as all do by default.
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
    >>> model.predict([1, 2]).argmax().item()
    3
    """

    def __init__(
        self,
        loss: str | LossFunction = "auto",
        representation: str | nn.Module | Callable[[Blueprint], nn.Module] = "gru4rec",
        embedding_dim: int | str = "auto",
        n_iter: int | str = "auto",
        batch_size: int | str = "auto",
        l2: float = 0.0,
        learning_rate: float = 0.05,
        optimizer_func: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer] | None = None,
        use_cuda: bool = False,
        sparse: bool = False,
        random_state: RandomState | int | None = None,
        num_negative_samples: int | str = "auto",
        *,
        hidden_dim: int = 100,
        user_dim: int = 32,
        time_dim: int = 16,
        item_neighbours: int = 12,
        cell: str = "lstm",
        time_encoding: str = "scott",
        attention: str = "prefix",
        residual: bool = True,
        last_dwell: str = "unknown",
        dropout: float = 0.5,
        event_dropout: float = 0.0,
        user_dropout: float = 0.5,
        dwell_dropout: float = 0.1,
        id_dropout: float = 0.1,
        negative_sampling: str | Sampler = "auto",
        history: bool = True,
        history_size: int = 200,
        transitions: bool = True,
        neighbours: bool = True,
        averaging: bool = True,
        kind_weights: Mapping[Any, float] | None = None,
        patience: int | None = None,
        monitor: str = "loss",
        autocast: bool = False,
        compile: bool = False,
    ) -> None:
        self._options = Options(**{name: value for name, value in locals().items() if name in OPTIONS})
        with preserved_generators(use_cuda):  # Spotlight seeds torch's
            # Spotlight asserts that loss and representation are of its own, so it gets its defaults first.
            super().__init__(
                embedding_dim=LARGEST_DIM if embedding_dim == "auto" else int(embedding_dim),
                n_iter=10 if n_iter == "auto" else int(n_iter),
                batch_size=32 if batch_size == "auto" else int(batch_size),
                l2=l2,
                learning_rate=learning_rate,
                optimizer_func=optimizer_func,
                use_cuda=use_cuda,
                sparse=sparse,
                random_state=random_state_of(random_state),
                num_negative_samples=256 if num_negative_samples == "auto" else int(num_negative_samples),
            )
        self._loss, self._representation = loss, representation
        self.epochs: list[Epoch] = []

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name, as scikit-learn's tools ask for them."""
        return self._options.as_dict()

    def fit(  # type: ignore[override]  # Spotlight's returns nothing
        self,
        interactions: SequenceInteractions,
        verbose: bool = False,
        validation: SequenceInteractions | float | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        every: int | None = None,
        n_iter: int | None = None,
        item_features: ItemFeatures | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> ASARSSequenceModel:
        """Train for ``n_iter`` epochs; a second call goes on where the first one stopped.

        A second call may bring items and users with ids beyond the model's, and kinds and labels of the context that it
        does not know: embeddings, biases and the optimizer's state grow, and nothing else changes until something is
        learned. The memories are made anew, of these sessions alone; ``update`` adds sessions to them.

        With `checkpoint`, a fit that was killed goes on from its latest checkpoint when the program is run again, and
        ends in the weights, to the bit, of one that was never killed on such a machine. A fit that has ended already
        is not run again.

        In a process group of ``torch.distributed``, every rank calls ``fit`` alike, and takes its share of each
        mini-batch: `batch_size` is that of all ranks together, and all end in the same weights. But for dropout, whose
        masks each rank draws for itself, these are those of a single process.

        Parameters
        ----------
        interactions : SessionInteractions or SequenceInteractions
            Spotlight's plain sequences are taken with their users, and dwell unknown.
        verbose : bool
            Show a progress bar.
        validation : SessionInteractions, SequenceInteractions or float, optional
            Sessions to look at after each epoch; or the share of the sessions, the latest ones, to hold out for that.
            The weights of the best epoch are kept, and `patience` may stop earlier.
        checkpoint : str or path, optional
            Folder for the checkpoints of this call, and no other.
        every : int, optional
            Batches between two checkpoints within an epoch; there is one at the start of each epoch in any case.
        n_iter : int, optional
            Epochs of this call, in the place of the model's own number.
        item_features : ItemFeatures, optional
            What is known of items, for a `representation` of ASARS's, or a function that returns an ``ASARSNet`` of its
            ``Blueprint``; Spotlight's nets and others have no place for it, and are refused. Items that are not in the
            sessions are candidates, too, by their features alone. Later calls may leave them out.
        callbacks : list of callable
            Each is called as ``callback(model, epoch)`` at the end of an epoch, counted from 1 over all calls of
            ``fit``, on every rank. ``model.epochs`` then ends with it, and the model answers as it would if training
            ended there. What a callback raises ends training; see ``callbacks`` for ready ones.

        Raises
        ------
        ValueError
            If no session has two events; if a second call brings new ids without raw ones where those of all others are
            known, or any to a net of the caller's own; if the loss stops being finite, in which case the weights from
            before that epoch are kept; if the checkpoint is damaged, or that of other sessions or other options.
            If `kind_weights` and the kinds of the sessions are not the same. Nothing is kept of a call that is refused.
        OSError
            If `checkpoint` can't be written to.
        RuntimeError
            In ``torch.inference_mode``. Under ``torch.no_grad`` the model is trained as anywhere.
        """
        known = self._catalogue, item_features, self._options.kind_weights
        data = TrainingData.of(interactions, validation, self._options.patience, *known)
        space = None if item_features is None else FeatureSpace.learn(item_features)
        if self._fitted is not None and item_features is not None:
            known_space = self._fitted.space
            require(known_space is not None, "item_features must come with the first call of fit", item_features)
            assert known_space is not None
            known_space.encode(item_features)  # refuses other columns before anything grows
        require(every is None or checkpoint is not None, "every must come with a folder, checkpoint", every)
        if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
            raise TypeError(f"callbacks must be a list of callables of a model and an epoch; got {callbacks!r}")
        device = self._fitted.device if self._fitted else chosen_device(self._options.use_cuda)
        given = self._options if n_iter is None else replace(self._options, n_iter=n_iter)
        options = given.settled(data.catalogue.num_items)
        dim = self._fitted.embedding_dim if self._fitted else given.dim_for(data.train, item_features is not None)
        options = replace(options, embedding_dim=dim)
        self._loss_func = find_loss(options.loss)
        if verbose and processes().rank == 0:
            tqdm.write(options.describe_training())
        checkpoints = None
        if checkpoint is not None:
            fit = {**options.as_text(), **data.fingerprints(), "epochs before": str(len(self.epochs))}
            fit["processes"] = str(processes().size)
            checkpoints = Checkpoints(checkpoint, every, fit, self._random_state, device)
        share_random_state(self._random_state)
        with seeded(self._random_state, device):
            if self._fitted is None:
                built = build_for(data.train, options, space)
                self._take(built, data.catalogue, make_optimizer(self._options, built.net))
                first = 1
            else:
                self._optimizer = self._optimizer or make_optimizer(self._options, self._fitted.net)
                first = self._fitted.num_items
            self._grow(data.catalogue)
            fitted = self._fitted_net("fit")
            if data.features is not None and data.described is not None:
                fitted.describe(data.features, data.described, first, but_seen=False)
            share_weights(fitted.net)
            before = self.epochs

            def report(epochs: list[Epoch]) -> None:
                self.epochs = before + epochs
                for callback in callbacks:
                    callback(self, len(self.epochs))

            epochs = fit_epochs(
                fitted,
                self._optimizer,
                options,
                data,
                self._random_state,
                checkpoints,
                is_new=not before,
                verbose=verbose,
                report=report if callbacks else None,
            )
            self.epochs = before + epochs
        return self

    def update(self, sessions: SequenceInteractions) -> ASARSSequenceModel:
        """Add finished sessions to the memories and the users' states, without training; predictions start from there.

        New items are candidates from then on: they are remembered as any other, and their embeddings start from those
        of the items that come together with them. Kinds and labels of the context may be new, too, and say nothing
        until ``fit`` learns of them. What is learned of all others stays as it is, until ``fit``. The
        memories take in users that training did not meet; to the rest of the net they stay unknown.

        Costs a copy of the transitions and the neighbours, however few the sessions: many at a time cost less.

        Parameters
        ----------
        sessions : SessionInteractions or SequenceInteractions
            Later than those that were trained on or added before. New items have ids beyond the model's, as
            ``log.encode_like(model, grow=True)`` gives them.

        Raises
        ------
        ValueError
            For ids of another vocabulary, new ids without raw ones where the model knows those of all others, and new
            items for a net of the caller's own.
        """
        fitted, finished = self._fitted_net("update"), as_sessions(sessions)
        catalogue = self.known_catalogue("update").grown(finished, "sessions")
        self._grow(catalogue._replace(num_users=fitted.num_users))  # nothing is learned of new users
        self._fitted_net("update").add(finished.within(catalogue.num_items, catalogue.num_users))
        return self

    def add_items(self, features: ItemFeatures) -> ASARSSequenceModel:
        """Make items that nobody has viewed yet candidates by what is known of them, without training.

        Parameters
        ----------
        features : ItemFeatures
            With the columns of those that ``fit`` had. Items of the training keep the features that they had there.

        Raises
        ------
        ValueError
            For a model that was fitted without features, and for other columns than it knows.
        TypeError
            For what is no ``ItemFeatures``, and for raw ids of another type.
        """
        fitted = self._fitted_net("add_items")
        check_features(features, "features")
        require(fitted.space is not None, "add_items must be asked of a model fitted with item_features", "none")
        assert fitted.space is not None
        fitted.space.encode(features)  # refuses other columns before anything grows
        catalogue, ids = self.known_catalogue("add_items").with_items(features.items, "features")
        self._grow(catalogue)
        self._fitted_net("add_items").describe(features, ids, first=fitted.num_items, but_seen=True)
        return self

    @contextmanager
    def preserved_user_state(self) -> Iterator[Callable[[SessionInteractions], None]]:
        """Undo at the end of the block what ``update`` does inside it.

        Gives a function that adds sessions to the histories and states of their own users alone.
        """
        fitted, catalogue = self._fitted_net("preserved_user_state"), self.known_catalogue("preserved_user_state")
        optimizer = self._optimizer
        try:
            with fitted.preserved():
                yield fitted.users.roll
        finally:
            self._take(fitted, catalogue, optimizer)

    def save(self, path: str | Path) -> None:
        """Write the fitted model to one safetensors file: weights, memory, users' drift, raw ids and options.

        The file is there as a whole or not at all, and holds no code. The optimizer's state is left out.

        Parameters
        ----------
        path : str or Path
            Replaced if it exists.

        Raises
        ------
        ValueError
            If an option is a function or a net, which no file of numbers can hold.
        """
        content = files.Content(
            self._options, self._fitted_net("save"), self.known_catalogue("save"), self.epochs, self._random_state
        )
        files.write(content, Path(path).expanduser())

    @classmethod
    def load(cls, path: str | Path, use_cuda: bool = False) -> ASARSSequenceModel:
        """The model that ``save`` wrote: it scores as before, ``update`` goes on, and nothing in the file is run.

        ``fit`` goes on from the same weights and random state, with a fresh optimizer.

        Parameters
        ----------
        path : str or Path
        use_cuda : bool
            Run on the GPU, wherever the model was trained.

        Raises
        ------
        ValueError
            If the file is no model file, of a newer format, not whole, or changed in any byte.
        """
        content = files.read(Path(path).expanduser(), cls().get_params(), use_cuda)
        model = cls(**content.options.as_dict())
        model._random_state, model.epochs = content.random_state, content.epochs
        model._take(content.fitted, content.catalogue)
        return model

    def _asked_kind(self, kind: Any, raw: bool) -> int:
        code, weights = super()._asked_kind(kind, raw), self._options.kind_weights
        if code != UNKNOWN and weights is not None:
            name = raw_labels(self.kind_vocabulary, code + 1)[code - 1]
            require(weights.get(name, 1.0) > 0, "kind must be one of those that kind_weights has predicted", kind)
        return code

    def _take(self, fitted: FittedNet, catalogue: Catalogue, optimizer: torch.optim.Optimizer | None = None) -> None:
        """Make this net the model's own, also under Spotlight's names for it.

        A loaded model has no optimizer before ``fit``: torch takes two seconds to import what its first one needs.
        """
        self._fitted, self._catalogue, self._optimizer = fitted, catalogue, optimizer
        self._net, self._num_items = fitted.net, fitted.num_items

    def _grow(self, catalogue: Catalogue) -> None:
        """Know the items, users, kinds and context of a larger catalogue."""
        fitted, sizes = self._fitted_net("fit"), (catalogue.num_items, catalogue.num_users, catalogue.labels)
        optimizer = self._optimizer
        if sizes != (fitted.num_items, fitted.num_users, fitted.labels):
            larger = grown(fitted, self._options, *sizes)
            if optimizer is not None:
                optimizer = grown_optimizer(optimizer, self._options, fitted.net, larger.net)
            fitted = larger
        self._take(fitted, catalogue, optimizer)
