"""``ASARSSequenceModel``: Spotlight's sequence model that also knows who is browsing and how long they looked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from torch import Tensor, nn

from spotlight_asars._checks import integers, one_of, reject, require, resolve, seconds
from spotlight_asars._spotlight import PADDING_IDX, ImplicitSequenceModel, SequenceInteractions
from spotlight_asars.batching import scoring_batches, training_batches
from spotlight_asars.channels import UNKNOWN_USER, Channels, SessionArray, SessionInteractions, as_sessions
from spotlight_asars.losses import LOSSES, Loss
from spotlight_asars.objective import NextItemObjective
from spotlight_asars.representations import REPRESENTATIONS, Blueprint, build
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.time_bins import scott_edges
from spotlight_asars.sampling import SAMPLERS, Sampler
from spotlight_asars.training import train

NEVER = float(np.finfo(np.float32).min)  # score of what is no candidate; finite, as Spotlight's evaluators negate it
SCORES_AT_ONCE = 2**24  # bounds the memory of scoring whole catalogues: 64 MB of float32


class Recommendations(NamedTuple):
    """The best items of each session, best first.

    items : int64 (session, k), 0 where a session has fewer than k candidates
    scores : float32 (session, k)
    """

    items: NDArray[np.int64]
    scores: NDArray[np.float32]


class ASARSSequenceModel(ImplicitSequenceModel):
    r"""Attentional Session-Aware Recommender System.

    Predicts the next item of a session from the items in it, the dwell time on each, and the user. Every prefix of a
    session is a training example. Negatives are drawn once for a batch and shared; ``cross_entropy`` needs none, for it
    compares each target with the whole catalogue.

    Parameters
    ----------
    loss : str or callable
        One of ``LOSSES``, or a function ``(positive, negative, mask) -> scalar`` like them.
    representation : str, nn.Module or callable
        One of ``REPRESENTATIONS``; or a net with Spotlight's ``user_representation`` and ``forward``; or a function of
        a ``Blueprint`` that returns a net.
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
        Use sparse gradients for the embeddings.
    random_state : RandomState or int, optional
        The one source of randomness: the same seed gives the same model.
    num_negative_samples : int
        Negatives drawn for a mini-batch.
    hidden_dim, user_dim, time_dim : int
        Sizes of the item RNN, the user embedding and the dwell encoder.
    dropout : float
        Share of the item embeddings' entries dropped before the RNN.
    negative_sampling : str or callable
        One of ``SAMPLERS``, or a function like them.
    last_dwell : {"unknown", "observed"}
        "observed" lets a prediction see the dwell of the last viewed item, as the paper does: the time up to the very
        click that is to be predicted.
    channel_dropout : float
        Share of the training rows whose user, and independently whose dwell times, are hidden, so that the unknown
        user and unknown dwell are trained.

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
        representation: str | nn.Module | Callable[[Blueprint], nn.Module] = "time_user",
        embedding_dim: int = 64,
        n_iter: int = 10,
        batch_size: int = 64,
        l2: float = 0.0,
        learning_rate: float = 0.05,
        optimizer_func: Callable[[Iterator[nn.Parameter]], torch.optim.Optimizer] | None = None,
        use_cuda: bool = False,
        sparse: bool = False,
        random_state: np.random.RandomState | int | None = None,
        num_negative_samples: int = 256,
        *,
        hidden_dim: int = 100,
        user_dim: int = 32,
        time_dim: int = 16,
        dropout: float = 0.25,
        negative_sampling: str | Sampler = "local",
        last_dwell: str = "unknown",
        channel_dropout: float = 0.1,
    ) -> None:
        resolve(loss, LOSSES, "loss")
        resolve(negative_sampling, SAMPLERS, "negative_sampling")
        if not isinstance(representation, nn.Module):
            resolve(representation, REPRESENTATIONS, "representation")
        one_of(last_dwell, ("unknown", "observed"), "last_dwell")
        counts = {
            "embedding_dim": embedding_dim,
            "batch_size": batch_size,
            "num_negative_samples": num_negative_samples,
            "hidden_dim": hidden_dim,
            "user_dim": user_dim,
            "time_dim": time_dim,
        }
        for name, count in counts.items():
            require(count >= 1, f"{name} must be 1 or more", count)
        for name, share in (("dropout", dropout), ("channel_dropout", channel_dropout)):
            require(0 <= share < 1, f"{name} must be a share from 0 up to but not 1", share)
        require(n_iter >= 0, "n_iter must be 0 or more", n_iter)
        require(learning_rate > 0, "learning_rate must be positive", learning_rate)
        require(l2 >= 0, "l2 must be 0 or more", l2)
        require(not (sparse and l2), "l2 must be 0 with sparse=True, for weight decay touches every row", l2)
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
            random_state=np.random.RandomState() if random_state is None else check_random_state(random_state),
            num_negative_samples=num_negative_samples,
        )
        self._loss = loss
        self._representation = representation
        self._hidden_dim = hidden_dim
        self._user_dim = user_dim
        self._time_dim = time_dim
        self._dropout = dropout
        self._negative_sampling = negative_sampling
        self._last_dwell = last_dwell
        self._channel_dropout = channel_dropout
        self._num_users = 0

    @property
    def num_items(self) -> int:
        """Size of the catalogue, padding included."""
        self._fitted_net()
        return int(self._num_items)

    def fit(  # type: ignore[override]  # Spotlight's returns nothing
        self, interactions: SequenceInteractions, verbose: bool = False
    ) -> ASARSSequenceModel:
        """Train for ``n_iter`` epochs; a second call goes on where the first one stopped.

        Parameters
        ----------
        interactions : SessionInteractions or SequenceInteractions
            Spotlight's plain sequences are taken with their users, and dwell unknown.
        verbose : bool
            Show a progress bar.

        Returns
        -------
        ASARSSequenceModel
            Itself.

        Raises
        ------
        ValueError
            If no session has two events; if a second call brings items or users beyond those of the first; if the loss
            stops being finite, in which case the weights from before that epoch are kept.
        """
        sessions = as_sessions(interactions)
        longest = int(sessions.lengths.max())
        require(longest >= 2, "interactions must have a session of two events or more; the longest has", longest)
        with self._seeded():
            if not self._initialized:
                self._initialize(sessions)
            for what in ("num_items", "num_users"):
                most, given = getattr(self, f"_{what}"), getattr(sessions, what)
                require(given <= most, f"{what} must be at most {most}, as in the first call of fit", given)
            if isinstance(self._net, ASARSNet) and sessions.user_ids is not None:
                self._net.know_users(torch.from_numpy(np.unique(sessions.user_ids)).to(self.device))
            objective = NextItemObjective(
                self._loss_func,
                sessions,
                resolve(self._negative_sampling, SAMPLERS, "negative_sampling"),
                self._num_negative_samples,
                self._channel_dropout,
                self._random_state,
            )
            train(
                self._net,
                self._optimizer,
                objective,
                lambda: training_batches(sessions, self._batch_size, self._random_state, self.device),
                n_epochs=self._n_iter,
                batches_per_epoch=-(-int((sessions.lengths >= 2).sum()) // self._batch_size),
                verbose=verbose,
            )
        return self

    def predict(
        self,
        sequence: ArrayLike,
        item_ids: ArrayLike | None = None,
        user_ids: ArrayLike | None = None,
        dwell_times: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Scores of the next item.

        Parameters
        ----------
        sequence : int (time,) or (session, time)
            Item ids, padded with 0. Rows of ``SessionInteractions.sequences`` bring their users and dwell along.
        item_ids : int (items,), optional
            Candidates; by default the whole catalogue, in the order of its ids.
        user_ids : int or int (session,), optional
            -1, or any id that training did not meet, is the unknown user.
        dwell_times : float, of the shape of `sequence`, optional
            Seconds; NaN where unknown.

        Returns
        -------
        float32 (items,) for one row, (session, items) for more
            The padding id 0 scores lowest.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        ValueError
            For ids out of range, and channels that don't fit.
        """
        self._fitted_net()
        items, channels = self._read(sequence, user_ids, dwell_times)
        candidates = None
        if item_ids is not None:
            ids = self._check_ids(integers(item_ids, "item_ids").ravel(), "item_ids")
            require(len(ids) > 0, "item_ids must name at least one item", len(ids))
            candidates = torch.from_numpy(ids).to(self.device)
        rows = max(1, SCORES_AT_ONCE // (self._num_items if candidates is None else len(candidates)))
        parts = []
        for start in range(0, len(items), rows):
            chunk = slice(start, start + rows)
            states = self.encode(items[chunk], channels.rows(chunk))
            parts.append(self.score_catalogue(states[:, -1], candidates).cpu())
        scores: NDArray[np.float32] = torch.cat(parts).numpy()
        return scores[0] if len(scores) == 1 else scores

    def recommend(
        self, sessions: SequenceInteractions | ArrayLike, k: int = 20, exclude_seen: bool = False
    ) -> Recommendations:
        """The k best next items of each session.

        Parameters
        ----------
        sessions : SessionInteractions, SequenceInteractions, or int (time,) or (session, time)
            What has been viewed so far.
        k : int
            Items per session; at most the size of the catalogue.
        exclude_seen : bool
            Leave out the items of the session itself.

        Returns
        -------
        Recommendations
            Item ids and their scores, (session, k), in the order of the sessions.
        """
        self._fitted_net("recommend")
        require(k >= 1, "k must be 1 or more", k)
        if not isinstance(sessions, SequenceInteractions):
            sessions = SessionInteractions(sessions, num_items=self._num_items)
        given = as_sessions(sessions)
        self._check_ids(given.items, "sessions")
        k = min(k, self._num_items - 1)
        items = np.zeros((len(given), k), dtype=np.int64)
        scores = np.full((len(given), k), NEVER, dtype=np.float32)
        rows_at_once = max(1, SCORES_AT_ONCE // self._num_items)
        for batch in scoring_batches(given, rows_at_once, self.device):
            score = self.score_catalogue(self.encode(batch.items, batch.channels)[:, -1])
            if exclude_seen:
                score = score.scatter(1, batch.items, NEVER)
            best = score.topk(k, dim=1)
            scores[batch.rows] = best.values.cpu()
            items[batch.rows] = best.indices.masked_fill(best.values <= NEVER, PADDING_IDX).cpu()
        return Recommendations(items, scores)

    @torch.no_grad()
    def encode(self, items: Tensor, channels: Channels | None = None) -> Tensor:
        """State after each step of a batch, (batch, time, ...), without dropout; feed them to ``score_catalogue``."""
        return self._fitted_net().eval().states(items, channels)  # type: ignore[operator]

    @torch.no_grad()
    def score_catalogue(self, states: Tensor, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items)."""
        scores: Tensor = self._fitted_net().score_items(states, item_ids)  # type: ignore[operator]
        padding = slice(0, 1) if item_ids is None else item_ids == PADDING_IDX
        scores[:, padding] = NEVER
        return scores

    @property
    def device(self) -> torch.device:
        """Where the net and its batches are."""
        return torch.device("cuda" if self._use_cuda else "cpu")

    def _fitted_net(self, asked: str = "predict") -> nn.Module:
        if self._net is None:
            raise RuntimeError(f"{asked} needs a fitted model; call fit first")
        net: nn.Module = self._net
        return net

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Torch draws from our random state, and the caller's generators stay as they were."""
        devices = [torch.cuda.current_device()] if self._use_cuda else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(self._random_state.randint(2**31 - 1))
            yield

    def _initialize(self, interactions: SequenceInteractions) -> None:
        sessions = as_sessions(interactions)
        self._num_items, self._num_users = sessions.num_items, sessions.num_users
        dwell = sessions.dwell
        blueprint = Blueprint(
            num_items=self._num_items,
            num_users=self._num_users,
            dwell_edges=scott_edges([] if dwell is None else dwell),
            embedding_dim=self._embedding_dim,
            hidden_dim=self._hidden_dim,
            user_dim=self._user_dim,
            time_dim=self._time_dim,
            dropout=self._dropout,
            last_dwell=self._last_dwell,
            sparse=self._sparse,
        )
        self._net = build(self._representation, blueprint).to(self.device)
        self._loss_func = resolve(self._loss, LOSSES, "loss")
        self._optimizer = self._make_optimizer(self._net)

    def _make_optimizer(self, net: nn.Module) -> torch.optim.Optimizer:
        if self._optimizer_func is not None:
            return self._optimizer_func(net.parameters())
        return torch.optim.Adagrad(net.parameters(), lr=self._learning_rate, weight_decay=self._l2)

    def _read(
        self, sequence: ArrayLike, user_ids: ArrayLike | None, dwell_times: ArrayLike | None
    ) -> tuple[Tensor, Channels]:
        """A caller's rows as tensors, checked."""
        if isinstance(sequence, SessionArray):
            user_ids = sequence.user_ids if user_ids is None else user_ids
            dwell_times = sequence.dwell_times if dwell_times is None else dwell_times
        items = np.atleast_2d(self._check_ids(integers(sequence, "sequence"), "sequence"))
        rule = "sequence must be (time,) or (session, time), not empty"
        require(items.ndim == 2 and items.size > 0, rule, items.shape)
        users: Tensor | None = None
        if user_ids is not None:
            given = np.atleast_1d(integers(user_ids, "user_ids"))
            require(given.shape == (len(items),), f"user_ids must have shape ({len(items)},)", given.shape)
            reject(given < UNKNOWN_USER, given, "user_ids must be 0 or more, or -1 where unknown")
            users = torch.from_numpy(given).to(self.device)
        dwell: Tensor | None = None
        if dwell_times is not None:
            times = np.atleast_2d(seconds(dwell_times, "dwell_times"))
            rule = f"dwell_times must have the shape of sequence, {items.shape}"
            require(times.shape == items.shape, rule, times.shape)
            dwell = torch.from_numpy(times.astype(np.float32)).to(self.device)
        return torch.from_numpy(np.ascontiguousarray(items)).to(self.device), Channels(users, dwell)

    def _check_ids(self, ids: NDArray[Any], argument: str) -> NDArray[Any]:
        bad = (ids < 0) | (ids >= self._num_items)
        reject(
            np.atleast_1d(bad),
            np.atleast_1d(ids),
            f"{argument} must have item ids in 0..{self._num_items - 1}",
        )
        return ids
