"""What a recommender with a net can be asked, beside ``predict`` and ``recommend``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spotlight_asars._checks import moments, require, warn_renamed
from spotlight_asars.memory import RecallNet
from spotlight_asars.recommending import graph_export, index_vectors
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.recommending.graph_memories import history_inputs
from spotlight_asars.recommending.live_session import LiveSession
from spotlight_asars.recommending.recommender import Recommender
from spotlight_asars.recommending.requests import encode_users, read_request
from spotlight_asars.sessions import Channels
from spotlight_asars.sessions.batching import Batch


class NetRecommender(Recommender):
    """A recommender whose answers come from a ``FittedNet``: from live sessions to vectors and graphs.

    A subclass sets ``_fitted`` in ``fit``.
    """

    _fitted: FittedNet | None = None  # None before fit

    def start_session(
        self,
        user_ids: Any = None,
        started: float | None = None,
        raw: bool | None = None,
        *,
        context: Any = None,
        user: Any = None,
    ) -> LiveSession:
        """A session to append events to as they come, and to ask for the next item at any time.

        Parameters
        ----------
        user_ids : id, optional
            The one user whose session it is; by default, and where training did not meet them, the unknown user.
        started : float, optional
            When it starts [s]; by default now, after all that the memory holds.
        raw : bool, optional
            Whether user and items are raw ids, on the way in and out. By default strings are, integers are not.
        context : dict, or int (columns,), optional
            What is known of the session, such as its device: labels by the name of their column; or codes.
        user : id, optional
            The old name of `user_ids`.

        Raises
        ------
        TypeError
            For what is no id.
        """
        if user is not None:
            warn_renamed("user", "user_ids")
            user_ids = user
        fitted, catalogue = self._fitted_net("start_session"), self.known_catalogue("start_session")
        return LiveSession(fitted, catalogue, user_ids, started, raw, context, self._asked_kind)

    def item_matrix(self) -> NDArray[np.float32]:
        """A vector for each item, whose dot product with those of ``queries`` is the score: float32 (items, dim).

        That is eq. 20's :math:`q \\cdot e_k + b_k` with the bias as a column of its own, in which are the item's trend
        and popularity, and all of a score but the other terms of memories, which are sparse: they touch few items of
        each session.
        Row 0 is padding, and has no place in an index.

        Raises
        ------
        ValueError
            For a representation whose score is not one dot product.
        """
        return index_vectors.item_matrix(self._fitted_net("item_matrix"))

    def queries(self, sessions: Any, kind: Any = None, **channels: Any) -> NDArray[np.float32]:
        """A vector for each session, for the items of ``item_matrix``: float32 (session, dim).

        Parameters
        ----------
        sessions, kind, **channels
            As in ``recommend``: contiguous or raw, with `user_ids`, `dwell_times`, `started`, `raw` and `columns`.
        """
        request = read_request(self.known_catalogue("queries"), sessions, **channels)
        asked = self._asked_kind(kind, request.raw)
        return index_vectors.query_matrix(self._fitted_net("queries"), request.sessions, asked)

    def remembered(self, sessions: Any, **channels: Any) -> list[NDArray[np.int64]]:
        """The items of each session whose scores have terms of the memory, and no dot product alone.

        They are those of the session itself, of its user's earlier ones as far as the memory goes, and what followed
        the latest ones in training; beside what an index of ``item_matrix`` proposes they are the candidates for
        ``recommend``.

        Parameters
        ----------
        sessions, **channels
            As in ``queries``.

        Returns
        -------
        list of int64 (items,)
            Distinct contiguous ids, rising; none without `history` and `transitions`.
        """
        request = read_request(self.known_catalogue("remembered"), sessions, **channels)
        return index_vectors.remembered_items(self._fitted_net("remembered"), request.sessions)

    def memory_weights(self) -> dict[str, float]:
        """What each term of the memories is worth, by its name.

        See ``HistoryTerms``, ``TransitionTerms`` and ``NeighbourTerms``.
        """
        net = self._fitted_net("memory_weights").net
        return net.weights() if isinstance(net, RecallNet) else {}

    def export(
        self,
        path: str | Path,
        format: str = "onnx",
        output: str = "scores",
        *,
        top_k: int | None = None,
        memories: bool | Iterable[str] = True,
    ) -> None:
        """Write the scores of the next item as a graph: those of ``predict``, with all memories.

        Its inputs are, for any number of sessions, ``items`` int64 (batch, time), padded with 0 anywhere;
        ``dwell_times`` float32 (batch, time) [s], NaN where unknown; ``user_ids`` int64 (batch,), -1 where unknown;
        ``started`` float64 (batch,) [s], NaN where unknown. A graph with history also has, of what each user viewed
        before, ``history_items`` int64 (batch, slots), padded with 0, float32 (batch, slots) each ``history_times``,
        ``history_sessions_ago``, ``history_seconds_ago`` and ``history_dwell``, and ``history_kinds`` int64 (batch,
        slots), as in ``History``; ``history_inputs`` fills them. Transitions and neighbours are constants, as the model
        has them now. One of a model that was fitted to several kinds or to a context has codes of these, int64 and 0
        where unknown, after ``started``: ``kinds`` (batch, time), ``context`` (batch, columns), and ``next_kind``
        (batch,), which is that of the event to come, where it is asked for by its kind. It is one of the CPU, wherever
        the model is.

        Parameters
        ----------
        path : str or Path
            Replaced if it exists.
        format : {"onnx", "torch"}
            For an ONNX runtime, or for ``torch.export.load``.
        output : {"scores", "query"}
            ``scores`` float32 (batch, items), or ``query`` float32 (batch, dim) for an index of ``item_matrix``, which
            is without the memories, as that of ``queries`` is.
        top_k : int, optional
            Give ``top_items`` int64 (batch, top_k) and ``top_scores`` float32 (batch, top_k), the best first, and not
            the scores of all items.
        memories : bool or collection of {"history", "transitions", "neighbours"}
            Whose terms the scores have; with fewer than the model has they are no longer those of ``predict``.

        Raises
        ------
        ValueError
            For a representation that is not ASARS's, for ``attention="causal"``, which keeps no fixed state, and for
            memories that the model does not have.
        ImportError
            Where the packages for ONNX are not installed, or torch is too old to trace a loop.
        """
        graph_export.export(self._fitted_net("export"), path, format, output, top_k, memories)

    def history_inputs(
        self, user_ids: Any, started: ArrayLike | None = None, raw: bool | None = None
    ) -> dict[str, NDArray[Any]]:
        """Inputs of an exported graph that say who is browsing, and what they viewed before, as the model knows it now.

        Parameters
        ----------
        user_ids : id or (session,)
            Whose sessions they are; None and ids that the model does not know are the unknown user.
        started : float or float (session,), optional
            When the sessions start [s]; by default now, after all that the memory holds.
        raw : bool, optional
            Whether the users are raw ids. By default strings are, integers are not.

        Returns
        -------
        dict
            Arrays by the names of the inputs, (session,) and (session, slots) each: ``user_ids``, ``started`` and, for
            a model with history, the five that ``export`` names.

        Raises
        ------
        ValueError
            For starts that are not one for each user.
        """
        fitted = self._fitted_net("history_inputs")
        users = encode_users(self.known_catalogue("history_inputs"), user_ids, raw)
        starts = moments(np.nan if started is None else started, "started", unknown=True).astype(np.float64)
        fits = starts.shape in ((), users.shape)
        require(fits, f"started must be one number, or have shape ({len(users)},)", starts.shape)
        return history_inputs(fitted, users, np.broadcast_to(starts, users.shape).copy())

    @property
    def device(self) -> torch.device:
        """Where the net and its batches are."""
        return self._fitted_net("device").device

    def states(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step of a batch, (batch, time, ...), without dropout; for ``score_catalogue``."""
        return self._fitted_net("states").states(items, channels)

    def score_catalogue(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items)."""
        return self._fitted_net("score_catalogue").score_catalogue(states, item_ids)

    def score_pairs(self, states: Any, item_ids: Tensor) -> Tensor:
        """Scores of items of each state's own, int64 (rows, n): float (rows, n); it costs these items alone."""
        return self._fitted_net("score_pairs").score_pairs(states, item_ids)

    def viewed_items(self, batch: Batch) -> Tensor:
        """Items of each row's session and of its user's earlier ones, int64 (batch, slots), padded with 0."""
        return self._fitted_net("viewed_items").viewed_items(batch.items, batch.channels)

    @property
    def asks_kinds(self) -> bool:
        """Whether the first training had several kinds of events, so that one may be asked for."""
        return self._fitted_net("asks_kinds").asks_kinds

    @property
    def seen_items(self) -> NDArray[np.bool_]:
        """Which items occur in the sessions of a training, bool (items,); ``RuntimeError`` before ``fit``."""
        return self._fitted_net("seen_items").seen

    def _fitted_net(self, caller: str) -> FittedNet:
        if self._fitted is None:
            raise RuntimeError(f"{caller} needs a fitted model; call fit first")
        return self._fitted
