"""``predict`` and ``recommend``, the same for our model and for every baseline."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spotlight_asars._checks import integers, reject, require, whole
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.labels import UNKNOWN, Vocabularies, read_context
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.recommendations import RawRecommendations, Recommendations
from spotlight_asars.recommending.requests import check_exclusion, read_request
from spotlight_asars.recommending.rules import NUMBERS_OF_A_PAIR, ItemLists, Rules, read_rules
from spotlight_asars.recommending.top_items import RulesOnDevice, no_recommendations
from spotlight_asars.runtime.devices import moved, rows_at_once
from spotlight_asars.sessions import Channels, SessionInteractions
from spotlight_asars.sessions.batching import Batch
from spotlight_asars.sessions.passes import scoring_batches

Model = TypeVar("Model", bound="Recommender")


class Recommender(ABC):
    """A model that scores all items after each step of a session.

    A subclass has ``states`` and ``score_catalogue``, sets ``_catalogue`` in ``fit``, and keeps each argument of its
    constructor as ``self._name`` or overrides ``get_params``. States may be anything that is indexed like a tensor
    (batch, time, ...). Whatever needs a fitted model raises ``RuntimeError`` before ``fit``.
    """

    _catalogue: Catalogue | None = None  # what fit learned of items and users; None before

    @abstractmethod
    def states(self, items: Tensor, channels: Channels | None = None) -> Any:
        """State after each step of a batch, (batch, time, ...), for ``score_catalogue``."""

    @abstractmethod
    def score_catalogue(self, states: Any, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for states (rows, ...): float (rows, items).

        The caller may overwrite them.
        """

    def score_pairs(self, states: Any, item_ids: Tensor) -> Tensor:
        """Scores of items of each state's own, int64 (rows, n): float (rows, n); anything at padding.

        Here by scoring the whole catalogue; a model that can do better overrides it.
        """
        at_once = rows_at_once(self.device, self.num_items)
        parts = [slice(start, start + at_once) for start in range(0, len(item_ids), at_once)]
        return torch.cat([self.score_catalogue(states[part]).gather(1, item_ids[part]) for part in parts])

    @property
    def device(self) -> torch.device:
        """Where batches and scores are."""
        return torch.device("cpu")

    @property
    def num_items(self) -> int:
        """Size of the catalogue, padding included; ``RuntimeError`` before ``fit``."""
        return self.known_catalogue("num_items").num_items

    @property
    def item_vocabulary(self) -> Vocabulary | None:
        """Raw ids of the items, where the training sessions know theirs."""
        return self._catalogue and self._catalogue.item_vocabulary

    @property
    def kind_vocabulary(self) -> Vocabulary | None:
        """What the kinds of events are called, where the first training knows it."""
        return self._catalogue and self._catalogue.kind_vocabulary

    @property
    def context_vocabularies(self) -> Vocabularies:
        """What the labels of a context are called, by its columns, where the first training knows it."""
        return {} if self._catalogue is None else self._catalogue.context_vocabularies

    @property
    def user_vocabulary(self) -> Vocabulary | None:
        """Raw ids of the users, where the training sessions know theirs."""
        return self._catalogue and self._catalogue.user_vocabulary

    def known_catalogue(self, caller: str) -> Catalogue:
        """The items and users that the model knows; ``RuntimeError`` before ``fit``."""
        if self._catalogue is None:
            raise RuntimeError(f"{caller} needs a fitted model; call fit first")
        return self._catalogue

    @property
    def asks_kinds(self) -> bool:
        """Whether the next event may be asked for by its kind."""
        return False

    def _asked_kind(self, kind: Any, raw: bool) -> int:
        """The code of the kind that the next event is to be of; 0 for None."""
        if kind is None:
            return UNKNOWN
        require(self.asks_kinds, "kind must be left out for a model that was not fitted to several kinds", kind)
        return self.known_catalogue("recommend").kind_code(kind, raw)

    def viewed_items(self, batch: Batch) -> Tensor:
        """Items of each row's session and of its user's earlier ones, int64 (batch, slots), padded with 0."""
        raise ValueError("exclude_seen must be False or 'session' for a model without history; got 'history'")

    def predict(
        self,
        sequence: ArrayLike,
        item_ids: ArrayLike | None = None,
        user_ids: ArrayLike | None = None,
        dwell_times: ArrayLike | None = None,
        started: ArrayLike | None = None,
        kinds: ArrayLike | None = None,
        context: Any = None,
        kind: Any = None,
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
        kinds : int, of the shape of `sequence`, optional
            Kind of each event; 0, or any that training did not meet, is unknown.
        context : dict, or int (session, columns), optional
        kind : optional
            As in ``recommend``.

        Returns
        -------
        float32 (items,) for one row, (session, items) for more
            The padding id 0 scores lowest.

        Raises
        ------
        ValueError
            For ids out of range, and channels that don't fit.
        """
        catalogue = self.known_catalogue("predict")
        num_items, asked = catalogue.num_items, self._asked_kind(kind, raw=False)
        if context is not None:
            context = read_context(context, catalogue.context_vocabularies, len(np.atleast_2d(sequence)))
        channels = {"dwell_times": dwell_times, "started": started, "kinds": kinds, "context": context}
        rows = SessionInteractions.from_rows(sequence, user_ids, num_items, **channels, argument="sequence")
        catalogue.check_ids(rows, "sequence")
        candidates, num_scores = None, num_items
        if item_ids is not None:
            ids = integers(item_ids, "item_ids").ravel()
            require(len(ids) > 0, "item_ids must name at least one item", len(ids))
            reject((ids < 0) | (ids >= num_items), ids, f"item_ids must lie in 0..{num_items - 1}")
            candidates, num_scores = moved(torch.from_numpy(ids), self.device), len(ids)
        scores = np.empty((len(rows), num_scores), dtype=np.float32)
        for batch in scoring_batches(rows, rows_at_once(self.device, num_scores), self.device):
            final = self.states(batch.items, batch.channels.asking(asked, batch.items))[:, -1]
            scores[batch.rows] = self.score_catalogue(final, candidates).cpu().numpy()
        return scores[0] if len(scores) == 1 else scores

    def recommend(
        self,
        sessions: Any,
        k: int = 20,
        exclude_seen: bool | str = False,
        candidates: Any = None,
        *,
        exclude: Any = None,
        boosts: Any = None,
        user_ids: Any = None,
        dwell_times: Any = None,
        started: ArrayLike | None = None,
        kinds: Any = None,
        context: Any = None,
        kind: Any = None,
        raw: bool | None = None,
        columns: Mapping[str, Any] | None = None,
        inactivity: float | None = None,
    ) -> Recommendations:
        """The k best next items of each session.

        Parameters
        ----------
        sessions : SessionInteractions, SequenceInteractions, array, lists, EventLog or frame
            What has been viewed so far: contiguous ids, (time,) or (session, time), padded with 0 anywhere, or lists
            that differ in length, also as a column of pandas or polars; or raw ids, as lists, as an ``EventLog`` or as
            a pandas, polars or pyarrow table of events. A log or table gives one row for each of its sessions, in the
            order of ``to_sessions``, also of a single event. Raw items that the model does not know are skipped, and
            counted in the answer.
        k : int
            Items per session; at most the number of candidates.
        exclude_seen : {False, "session", "history"} or bool
            Leave out the items of the session itself, which is what True means; with "history", also those of all
            earlier sessions of its user that the model's memory holds.
        candidates : ids (items,), or a list of ids for each session, optional
            Recommend these only; by default the whole catalogue. Raw ids with raw sessions; those that the model does
            not know are left out, and counted in the answer. Lists of each session's own may be empty, and padded with
            0 or, among raw ids, None; nets then score these items and no others. A mask is a bool array over the
            catalogue, padding included: (items,) or (session, items).
        exclude : as `candidates`, optional
            Items that are not recommended, even if they are candidates.
        boosts : dict, or float (items,), optional
            What is added to the score of an item, by its id; or numbers for the whole catalogue, padding included.
        user_ids : one id or (session,), optional
            For arrays and lists. An unknown one, and None among others, is the unknown user, who has no history.
        dwell_times : float, in the shape of `sessions`, optional
            Seconds; NaN where unknown. For arrays and lists.
        started : float or float (session,), optional
            When each session starts [s]; NaN where unknown, which is now. For arrays and lists.
        kinds : in the shape of `sessions`, optional
            Kind of each event: what it is called with raw ids, else its code; one that training did not meet is
            unknown. For arrays and lists.
        context : dict, or int (session, columns), optional
            What is known of the sessions, for arrays and lists: one label or one for each session, by the name of its
            column; or codes.
        kind : optional
            Ask for the next event as one of this kind, say the next purchase: what the kind is called, or its code. For
            models fitted to several kinds of events; one that ``update`` brought changes nothing until ``fit`` learns
            of it.
        raw : bool, optional
            Whether ids are raw on the way in and out. By default strings, logs and tables are, other input is not.
        columns : dict, optional
            Names of a table's columns, and its unit, as the arguments of ``EventLog.from_frame``. A missing user is
            the unknown one.
        inactivity : float, optional
            For logs and tables: a session ends where its user is idle this long [s]; by default an hour.

        Returns
        -------
        Recommendations
            Item ids and their scores, (session, k), in the order of the sessions; ``RawRecommendations`` for raw ids,
            which also give a table of the kind that was asked for.

        Raises
        ------
        ValueError
            For contiguous ids out of range or of another vocabulary, raw ids for a model that knows none, candidates
            of which the model knows none, lists for another number of sessions, boosts that are no finite
            numbers, "history" for a model without memory, and a kind that is not known or never predicted.
        TypeError
            For raw ids that are strings where the model knows integers, or the other way round.

        Examples
        --------
        >>> from spotlight_asars import ASARSSequenceModel, SessionInteractions
        >>> model = ASARSSequenceModel(n_iter=30, random_state=0).fit(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
        >>> model.recommend([[1, 2], [1]], k=1).items.tolist()
        [[3], [2]]
        """
        catalogue = self.known_catalogue("recommend")
        k, excluded = whole(k, "k", least=1), check_exclusion(exclude_seen)
        channels = {"user_ids": user_ids, "dwell_times": dwell_times, "started": started}
        channels |= {"kinds": kinds, "context": context}
        request = read_request(catalogue, sessions, **channels, raw=raw, columns=columns, inactivity=inactivity)
        rules = read_rules(catalogue, len(request.sessions), request.raw, candidates, exclude, boosts)
        asked = self._asked_kind(kind, request.raw)
        best = self._best(request.sessions, min(k, rules.among(catalogue)), excluded, rules, asked)
        if not request.raw:
            return best
        vocabulary, frame = catalogue.raw_items("sessions"), (request.backend, request.names)
        return RawRecommendations.of(best, vocabulary, request.user_ids, request.unknown, rules.unknown, *frame)

    def _best(
        self, sessions: SessionInteractions, k: int, excluded: str | None, rules: Rules, asked: int
    ) -> Recommendations:
        """The k best items for each session, for an event of the kind that is `asked` for."""
        own, device = rules.candidates if isinstance(rules.candidates, ItemLists) else None, self.device
        best, on_device = no_recommendations(len(sessions), k), RulesOnDevice(rules, device)
        columns = self.num_items if own is None else int(own.lengths.max(initial=0)) * NUMBERS_OF_A_PAIR
        if on_device.columns is not None:
            columns = len(on_device.columns) + 1
        for batch in scoring_batches(sessions, rows_at_once(device, columns), device):
            states = self.states(batch.items, batch.channels.asking(asked, batch.items))[:, -1]
            seen = self.viewed_items(batch) if excluded == "history" else batch.items if excluded else None
            if own is None:
                scores = self.score_catalogue(states, on_device.columns)
                best.items[batch.rows], best.scores[batch.rows] = on_device.top_k(scores, k, batch.rows, seen)
                continue
            for part in own.parts(batch.rows, device):
                rows, chosen = batch.rows[part], moved(torch.from_numpy(part), device)
                items = own.padded(rows, device)
                scores = self.score_pairs(states[chosen], items)
                found = on_device.top_k(scores, k, rows, None if seen is None else seen[chosen], items)
                width = found.items.shape[1]
                best.items[rows, :width], best.scores[rows, :width] = found
        return best

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name, as scikit-learn's tools ask for them."""
        return {name: getattr(self, f"_{name}") for name in inspect.signature(type(self)).parameters}

    def set_params(self: Model, **params: Any) -> Model:
        """Start anew with some arguments changed: the model is as if just made, and not fitted.

        Raises
        ------
        ValueError, TypeError
            For a name that is no argument, and for a value that the constructor refuses; the model is then unchanged.
        """
        known = self.get_params()
        for name in params:
            require(name in known, f"set_params must name arguments of the model, {sorted(known)}", name)
        fresh = type(self)(**{**known, **params})
        vars(self).clear()
        vars(self).update(vars(fresh))
        return self
