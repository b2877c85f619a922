"""What a fitted net says: the scores of the next item, and the best of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from spotlight_asars._checks import integers, reject, require
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.batching import scoring_batches
from spotlight_asars.channels import Channels, SessionInteractions, as_sessions
from spotlight_asars.evaluation import SCORES_AT_ONCE
from spotlight_asars.representations.recall import RecallNet
from spotlight_asars.transitions import Transitions
from spotlight_asars.user_state import UserState

NEVER = float(np.finfo(np.float32).min)  # score of what is no candidate; finite, as Spotlight's evaluators negate it


class Recommendations(NamedTuple):
    """The best items of each session, best first.

    items : int64 (session, k), 0 where a session has fewer than k candidates
    scores : float32 (session, k)
    """

    items: NDArray[np.int64]
    scores: NDArray[np.float32]


class NextItemScores:
    """``predict`` and ``recommend`` of any model that can ``encode`` sessions and ``score_catalogue`` for their states.

    A subclass gives these two, ``_check_fitted``, and ``_num_items`` once it is fitted. States may be anything that is
    indexed like a tensor (batch, time, ...).
    """

    _num_items: Any

    def encode(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step of a batch, (batch, time, ...); feed them to ``score_catalogue``."""
        raise RuntimeError("a subclass must say how sessions are encoded")

    def score_catalogue(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items)."""
        raise RuntimeError("a subclass must say how the catalogue is scored")

    def _check_fitted(self, asked: str = "predict") -> None:
        """Raise ``RuntimeError`` before ``fit``."""

    @property
    def device(self) -> torch.device:
        """Where batches and scores are."""
        return torch.device("cpu")

    @property
    def num_items(self) -> int:
        """Size of the catalogue, padding included."""
        self._check_fitted()
        return int(self._num_items)

    def predict(
        self,
        sequence: ArrayLike,
        item_ids: ArrayLike | None = None,
        user_ids: ArrayLike | None = None,
        dwell_times: ArrayLike | None = None,
        started: ArrayLike | None = None,
    ) -> NDArray[np.float32]:
        """Scores of the next item.

        Parameters
        ----------
        sequence : int (time,) or (session, time)
            Item ids, padded with 0 anywhere. Rows of ``SessionInteractions.sequences`` bring their channels.
        item_ids : int (items,), optional
            Candidates; by default the whole catalogue, in the order of its ids.
        user_ids : int or int (session,), optional
            -1, or any id that training did not meet, is the unknown user.
        dwell_times : float, of the shape of `sequence`, optional
            Seconds; NaN where unknown.
        started : float or float (session,), optional
            When each session starts [s]; NaN where unknown.

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
        self._check_fitted()
        rows = SessionInteractions.from_rows(
            sequence, user_ids, self._num_items, dwell_times=dwell_times, started=started, argument="sequence"
        )
        candidates, num_scores = None, self._num_items
        if item_ids is not None:
            ids = integers(item_ids, "item_ids").ravel()
            require(len(ids) > 0, "item_ids must name at least one item", len(ids))
            reject((ids < 0) | (ids >= self._num_items), ids, f"item_ids must lie in 0..{self._num_items - 1}")
            candidates, num_scores = torch.from_numpy(ids).to(self.device), len(ids)
        scores = np.empty((len(rows), num_scores), dtype=np.float32)
        for batch in scoring_batches(rows, max(1, SCORES_AT_ONCE // num_scores), self.device):
            final = self.encode(batch.items, batch.channels)[:, -1]
            scores[batch.rows] = self.score_catalogue(final, candidates).cpu().numpy()
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
        self._check_fitted("recommend")
        require(k >= 1, "k must be 1 or more", k)
        if isinstance(sessions, SequenceInteractions):
            given = as_sessions(sessions)
            self._check_known(given, "sessions")
        else:
            given = SessionInteractions.from_rows(sessions, num_items=self._num_items, argument="sessions")
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

    def _check_known(self, sessions: SessionInteractions, argument: str) -> None:
        rule = f"{argument} must have item ids below {self._num_items}, as in the first call of fit"
        reject(sessions.items >= self._num_items, sessions.items, rule)


class NetScores(NextItemScores):
    """The part of ``ASARSSequenceModel`` that asks its net."""

    _net: Any
    _use_cuda: Any
    _users: UserState
    _followers: Transitions | None

    @torch.no_grad()
    def encode(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step of a batch, (batch, time, ...), without dropout; feed them to ``score_catalogue``."""
        net = self._fitted_net().eval()
        return net.states(items, self._recall(items, channels or Channels()))  # type: ignore[operator]

    @torch.no_grad()
    def score_catalogue(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items)."""
        scores: Tensor = self._fitted_net().score_items(states, item_ids)  # type: ignore[operator]
        padding = slice(0, 1) if item_ids is None else item_ids == PADDING_IDX
        scores[:, padding] = NEVER
        return scores

    def memory_weights(self) -> dict[str, float]:
        """What each term of the memories has learned, by its name; see ``HistoryTerms`` and ``TransitionTerms``."""
        net = self._fitted_net("memory_weights")
        return net.weights() if isinstance(net, RecallNet) else {}

    def _recall(self, items: Tensor, channels: Channels, training: bool = False) -> Channels:
        """`channels` with what is remembered: of the users, and of what followed the items."""
        channels = self._users.recall(channels, training)
        if self._followers is None:
            return channels
        return channels._replace(transitions=self._followers.ask(items, training))

    @property
    def device(self) -> torch.device:
        """Where the net and its batches are."""
        return torch.device("cuda" if self._use_cuda else "cpu")

    def _check_fitted(self, asked: str = "predict") -> None:
        self._fitted_net(asked)

    def _fitted_net(self, asked: str = "predict") -> nn.Module:
        if self._net is None:
            raise RuntimeError(f"{asked} needs a fitted model; call fit first")
        net: nn.Module = self._net
        return net
