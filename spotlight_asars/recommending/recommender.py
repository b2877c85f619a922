"""What a fitted net says: the scores of the next item, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from spotlight_asars._checks import integers, reject, require, whole
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.vocabulary import Vocabulary, check_vocabulary, encode_raw
from spotlight_asars.memory.item_transitions import Transitions
from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.recommending.recommendations import NEVER, RawRecommendations, Recommendations
from spotlight_asars.recommending.requests import Catalogue, read_histories
from spotlight_asars.recommending.user_state import UserState
from spotlight_asars.runtime.devices import SCORES_AT_ONCE
from spotlight_asars.sessions.batching import Batch, scoring_batches
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import SessionInteractions

__all__ = ["NEVER", "NetScores", "NextItemScores", "Recommendations"]


class NextItemScores:
    """``predict`` and ``recommend`` of any model that can ``encode`` sessions and ``score_catalogue`` for their states.

    A subclass gives these two, ``_check_fitted``, and ``_num_items`` once it is fitted. States may be anything that is
    indexed like a tensor (batch, time, ...).
    """

    _num_items: Any
    item_vocabulary: Vocabulary | None = None
    user_vocabulary: Vocabulary | None = None

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
        self,
        sessions: Any,
        k: int = 20,
        exclude_seen: bool | str = False,
        candidates: Any = None,
        *,
        user_ids: Any = None,
        dwell_times: Any = None,
        started: ArrayLike | None = None,
        raw: bool | None = None,
        columns: Mapping[str, str] | None = None,
    ) -> Recommendations:
        """The k best next items of each session.

        Parameters
        ----------
        sessions : SessionInteractions, SequenceInteractions, array, lists, EventLog or frame
            What has been viewed so far: contiguous ids, (time,) or (session, time), padded with 0 anywhere, or lists
            that differ in length; or raw ids, as lists, as an ``EventLog`` or as a pandas, polars or pyarrow table of
            events. A log or table gives one row for each of its sessions, in the order of ``to_sessions``, also of a
            single event. Raw items that the model does not know are skipped, and counted in the answer.
        k : int
            Items per session; at most the number of candidates.
        exclude_seen : {False, "session", "history"} or bool
            Leave out the items of the session itself, which is what True means; with "history", also those of all
            earlier sessions of its user that the model's memory holds.
        candidates : ids (items,), optional
            Recommend these only; raw ids with raw sessions. By default the whole catalogue.
        user_ids : one id or (session,), optional
            For arrays and lists. An unknown one, and None among raw ids, is the unknown user, who has no history.
        dwell_times : float, in the shape of `sessions`, optional
            Seconds; NaN where unknown. For arrays and lists.
        started : float or float (session,), optional
            When each session starts [s]; NaN where unknown, which is now. For arrays and lists.
        raw : bool, optional
            Whether ids are raw on the way in and out. By default strings, logs and tables are, other input is not.
        columns : dict, optional
            Names of a table's columns, as the arguments of ``EventLog.from_frame``.

        Returns
        -------
        Recommendations
            Item ids and their scores, (session, k), in the order of the sessions; ``RawRecommendations`` for raw ids,
            which also give a table of the kind that was asked for.

        Raises
        ------
        RuntimeError
            Before ``fit``.
        ValueError
            For contiguous ids out of range or of another vocabulary, raw ids for a model that knows none, candidates
            of which the model knows none, and "history" for a model without memory.
        TypeError
            For raw ids that are strings where the model knows integers, or the other way round.

        Examples
        --------
        >>> from spotlight_asars import ASARSSequenceModel, SessionInteractions
        >>> model = ASARSSequenceModel(n_iter=30, random_state=0).fit(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
        >>> model.recommend([[1, 2], [1]], k=1).items.tolist()
        [[3], [2]]
        """
        self._check_fitted("recommend")
        k = whole(k, "k", least=1)
        rule = "exclude_seen must be one of [False, True, 'session', 'history']"
        known = isinstance(exclude_seen, bool) or (
            isinstance(exclude_seen, str) and exclude_seen in ("session", "history")
        )
        require(known, rule, exclude_seen)
        seen = "session" if exclude_seen is True else exclude_seen
        catalogue = Catalogue(int(self._num_items), self.item_vocabulary, self.user_vocabulary)
        channels = {"user_ids": user_ids, "dwell_times": dwell_times, "started": started}
        asked = read_histories(catalogue, sessions, **channels, raw=raw, columns=columns)
        self._check_known(asked.sessions, "sessions")
        chosen = None if candidates is None else self._candidates(candidates, catalogue if asked.raw else None)
        found = self._best(asked.sessions, k, seen, chosen)
        return RawRecommendations.of(found, catalogue.items("sessions"), asked) if asked.raw else found

    def _best(self, given: SessionInteractions, k: int, seen: bool | str, chosen: Tensor | None) -> Recommendations:
        """The k best of the catalogue, or of the `chosen` ids in their order, without those `seen`."""
        among = self._num_items - 1 if chosen is None else len(chosen)
        k = min(k, among)
        items = np.zeros((len(given), k), dtype=np.int64)
        scores = np.full((len(given), k), NEVER, dtype=np.float32)
        rows_at_once = max(1, SCORES_AT_ONCE // (among + 1))
        for batch in scoring_batches(given, rows_at_once, self.device):
            score = self.score_catalogue(self.encode(batch.items, batch.channels)[:, -1], chosen)
            viewed = None if not seen else batch.items if seen == "session" else self._viewed_items(batch)
            items[batch.rows], scores[batch.rows] = best_of(score, k, viewed, chosen)
        return Recommendations(items, scores)

    def _candidates(self, candidates: Any, raw: Catalogue | None) -> Tensor:
        """Distinct ids in their order, int64 (items,)."""
        if raw is None:
            ids = integers(candidates, "candidates").ravel()
            reject((ids < 1) | (ids >= self._num_items), ids, f"candidates must lie in 1..{self._num_items - 1}")
        else:
            ids = encode_raw(raw.items("candidates"), candidates, "candidates").ravel()
            ids = ids[ids != Vocabulary.ABSENT]
        require(len(ids) > 0, "candidates must name at least one item that the model knows", np.size(candidates))
        return torch.from_numpy(np.unique(ids)).to(self.device)

    def _viewed_items(self, batch: Batch) -> Tensor:
        """Items of each row's session and of its user's earlier ones, (batch, slots), padded with 0."""
        raise ValueError("exclude_seen must be False or 'session' for a model without history; got 'history'")

    def _check_known(self, sessions: SessionInteractions, argument: str) -> None:
        check_vocabulary(self, sessions, argument)
        rule = f"{argument} must have item ids below {self._num_items}, as in the first call of fit"
        reject(sessions.items >= self._num_items, sessions.items, rule)


def best_of(scores: Tensor, k: int, viewed: Tensor | None = None, chosen: Tensor | None = None) -> Recommendations:
    """The k highest of scores (batch, items), without the items `viewed` by each row, (batch, slots).

    Columns stand for the catalogue, or for the `chosen` ids, which rise.
    """
    best = (scores if viewed is None else _never(scores, viewed, chosen)).topk(k, dim=1)
    ids = best.indices if chosen is None else chosen[best.indices]
    return Recommendations(ids.masked_fill(best.values <= NEVER, PADDING_IDX).cpu().numpy(), best.values.cpu().numpy())


def _never(scores: Tensor, viewed: Tensor, chosen: Tensor | None) -> Tensor:
    """`scores` with ``NEVER`` at the items `viewed` by each row, (batch, slots)."""
    if chosen is None:
        return scores.scatter(1, viewed, NEVER)
    place = torch.searchsorted(chosen, viewed).clamp(max=len(chosen) - 1)
    place = torch.where(chosen[place] == viewed, place, len(chosen))  # the rest falls into a column that is cut off
    return F.pad(scores, (0, 1)).scatter(1, place, NEVER)[:, :-1]


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
        return channels._replace(transitions=self._followers.query(items, training))

    def _viewed_items(self, batch: Batch) -> Tensor:
        if self._users.memory is None:
            return super()._viewed_items(batch)
        return torch.cat([batch.items, self._users.viewed(batch.channels, len(batch.items)).to(self.device)], dim=1)

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
