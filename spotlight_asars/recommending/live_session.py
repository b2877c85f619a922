"""A session that goes on event by event, at one step of the net for each.

>>> from spotlight_asars import ASARSSequenceModel, SessionInteractions
>>> model = ASARSSequenceModel(n_iter=30, random_state=0).fit(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
>>> session = model.start_session()
>>> session.append(1).append(2, dwell_times=12.5).recommend(k=1).items
array([[3]])
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import moments, number, require, warn_renamed, whole
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.labels import UNKNOWN, encode_labels, read_context
from spotlight_asars.events.vocabulary import encode_raw
from spotlight_asars.memory import RecallNet
from spotlight_asars.memory.session_terms import SessionTerms
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.fitted_net import FittedNet
from spotlight_asars.recommending.recommendations import NEVER, RawRecommendations, Recommendations
from spotlight_asars.recommending.requests import Unknown, check_exclusion
from spotlight_asars.recommending.rules import ItemLists, read_rules
from spotlight_asars.recommending.top_items import RulesOnDevice, no_recommendations
from spotlight_asars.representations.stepping import Arrival, Stepper
from spotlight_asars.sessions import PADDING_IDX, Channels, SessionInteractions
from spotlight_asars.sessions.interactions import UNKNOWN_USER


class LiveSession:
    """A session that is going on: ``model.start_session()`` makes one.

    Scores are those that ``predict`` gives for the events so far, to rounding. An event costs one step of the net,
    however long the session is; transformers, and representations other than ASARS's, read the whole session again.

    It belongs to the model as it is: after ``fit``, ``update`` or ``load`` start a new one. It is not shared by
    threads; sessions of one model may run in any number of them.

    Parameters
    ----------
    fitted : FittedNet
    catalogue : Catalogue
    user_ids, started, raw, context
        As in ``start_session``.
    asked_kind : function
        The code of a kind that is asked for, given it and whether it is raw.

    Attributes
    ----------
    unknown : Unknown
        Raw items skipped so far, and the user if unknown.
    """

    def __init__(
        self,
        fitted: FittedNet,
        catalogue: Catalogue,
        user_ids: Any,
        started: float | None,
        raw: bool | None,
        context: Any,
        asked_kind: Callable[[Any, bool], int],
    ) -> None:
        self._asked_kind = asked_kind
        self._fitted, self._catalogue = fitted, catalogue
        self._raw = raw  # None until an id says what it is
        self._given_user, self._user = user_ids, self._user_code(user_ids)
        self._started = np.nan if started is None else number(started, "started")
        moments(self._started, "started", unknown=True)
        self._items: list[int] = []
        self._dwell_times: list[float] = []
        self._kinds: list[int] = []
        self._context = read_context(context, catalogue.context_vocabularies, 1)
        if self._context is not None:
            catalogue.check_columns(self._context.shape[1], "context")
        self._skipped: list[Any] = []
        self._dwell_is_open = False  # whether the last event of all is one that the model knows, with its dwell to come
        self._device = fitted.device
        self._arrival: Arrival | None = None
        self._stepped = 0  # events that the state has taken in: the others wait until scores are asked for
        if fitted.net.training:
            fitted.net.eval()
        start = torch.tensor([self._started], dtype=torch.float64, device=self._device)
        users = torch.tensor([self._user], device=self._device)
        labels = None if self._context is None else torch.from_numpy(self._context).to(self._device)
        self._channels = Channels(users, None, start, context=labels)
        self._stepper: Stepper | None = None
        self._terms: SessionTerms | None = None
        with torch.no_grad():
            if isinstance(fitted.net, RecallNet):
                history = None if self._user == UNKNOWN_USER else fitted.users.recall(self._channels).history
                self._terms = SessionTerms(fitted.net, fitted.transitions, fitted.neighbours, history)
            if fitted.asars is not None and fitted.asars.item_rnn is not None:
                self._stepper = Stepper(fitted.asars, users, start, 1, labels)
                self._carry, self._state = self._stepper.begin()

    def __len__(self) -> int:
        """Events so far, without those skipped."""
        return len(self._items)

    def __repr__(self) -> str:
        return f"<LiveSession (user {self._given_user!r}, {len(self)} events)>"

    @property
    def unknown(self) -> Unknown:
        unknown_user = bool(self._raw) and self._given_user is not None and self._user == UNKNOWN_USER
        return Unknown(len(self._skipped), len(set(self._skipped)), int(unknown_user))

    def append(
        self, item: Any, dwell_times: float | None = None, *, kind: Any = None, dwell: float | None = None
    ) -> LiveSession:
        """Add one more event.

        Parameters
        ----------
        item : id
            A string is a raw id, an integer is one where the session is raw; an unknown raw item is skipped and
            counted.
        dwell_times : float, optional
            Time spent on the event before [s], which is known now that this one has come; by default unknown.
        kind : optional
            Kind of this event: what it is called where the session is raw, else its code; by default unknown.
        dwell : float, optional
            The old name of `dwell_times`.

        Returns
        -------
        LiveSession
            Itself.

        Raises
        ------
        ValueError
            For an item out of range, a negative dwell, and a dwell before the first event.
        TypeError
            For what is no id, and for raw ids that are strings where the model knows integers, or the other way round.
        """
        if dwell is not None:
            warn_renamed("dwell", "dwell_times")
            dwell_times = dwell
        seconds = np.nan if dwell_times is None else float(number(dwell_times, "dwell_times"))
        fits = np.isnan(seconds) or 0 <= seconds <= float(np.finfo(np.float32).max)
        require(fits, "dwell_times must be seconds, 0 or more, or NaN", dwell_times)
        code = self._item_code(item)
        kind = self._kind_code(kind)
        is_first = not self._items and not self._skipped
        rule = "dwell_times must be left out with the first event, for it is that of the event before"
        require(not is_first or np.isnan(seconds), rule, dwell_times)
        if self._dwell_is_open:
            self._dwell_times[-1] = seconds
        self._dwell_is_open = code != Vocabulary.ABSENT
        if not self._dwell_is_open:
            self._skipped.append(item)
            return self
        self._items.append(code)
        self._dwell_times.append(np.nan)
        self._kinds.append(kind)
        return self

    @torch.no_grad()
    def scores(self) -> NDArray[np.float32]:
        """Scores of the next item, float32 (items,), in the order of the contiguous ids; padding scores lowest."""
        scores: NDArray[np.float32] = self._scores().cpu().numpy()[0]
        return scores

    @torch.no_grad()
    def recommend(
        self,
        k: int = 20,
        exclude_seen: bool | str = False,
        candidates: Any = None,
        *,
        exclude: Any = None,
        boosts: Any = None,
        kind: Any = None,
    ) -> Recommendations:
        """The k best next items, as ``model.recommend`` gives them for one session: (1, k).

        Parameters
        ----------
        k, exclude_seen, candidates, exclude, boosts, kind
            As in ``ASARSSequenceModel.recommend``; ids are raw where the session is.
        """
        k, excluded = whole(k, "k", least=1), check_exclusion(exclude_seen)
        rules = read_rules(self._catalogue, 1, bool(self._raw), candidates, exclude, boosts)
        if isinstance(rules.candidates, ItemLists):
            rules = rules._replace(candidates=rules.candidates.items)
        viewed = self._viewed() if excluded else None
        if excluded == "history":
            viewed = self._fitted.viewed_items(self._viewed(), self._channels)
        on_device = RulesOnDevice(rules, self._device)
        k = min(k, rules.among(self._catalogue))
        asked = self._asked_kind(kind, bool(self._raw))
        best = no_recommendations(1, 0)
        if k:
            best = on_device.top_k(self._scores(on_device.columns, asked), k, np.zeros(1, np.int64), viewed)
        if not self._raw:
            return best
        user = None if self._given_user is None else np.array([self._given_user])
        return RawRecommendations.of(best, self._catalogue.raw_items("item"), user, self.unknown, rules.unknown)

    def as_sessions(self) -> SessionInteractions:
        """The session so far, for ``model.update`` once it is over."""
        sessions = SessionInteractions.from_ragged(
            np.array(self._items, dtype=np.int64),
            np.array([0, len(self)]),
            [self._user],
            self._catalogue.num_items,
            dwell_times=np.array(self._dwell_times),
            started=[self._started],
            kinds=np.array(self._kinds, dtype=np.int64) if any(self._kinds) else None,
            context=self._context,
        ).named(self._catalogue.user_vocabulary, self._catalogue.item_vocabulary)
        return sessions.with_labels(self._catalogue.kind_vocabulary, self._catalogue.context_vocabularies)

    def _scores(self, allowed: Tensor | None = None, asked: int = UNKNOWN) -> Tensor:
        """Scores of the catalogue, or of the `allowed` items, rising, for an event of a kind: (1, items)."""
        if asked != UNKNOWN:
            viewed, channels = self._all_events()
            state = self._fitted.states(viewed, channels.asking(asked, viewed))[:, -1]
            return self._fitted.score_catalogue(state, allowed)
        net = self._fitted.inner
        state = self._own_state() if self._stepper is None else self._stepped_state(self._stepper)
        scores: Tensor = net.score_items(state, allowed)
        common = self._fitted.common_terms
        if common is not None:
            scores = scores.add_(common if allowed is None else common[allowed])
        if self._terms is not None:
            items, values = self._terms.of(state.flatten().cpu().numpy(), self._items, self._kinds)
            if allowed is not None:
                columns = allowed.cpu().numpy()
                place = np.searchsorted(columns, items).clip(max=len(columns) - 1)
                found = columns[place] == items
                items, values = place[found], values[found]
            scores[0].index_add_(0, self._moved(items), self._moved(values).to(scores.dtype))
        if allowed is None:
            scores[:, PADDING_IDX] = NEVER
        return scores

    def _own_state(self) -> Tensor:
        """The state of a net that reads the whole session again, (1, ...)."""
        state: Tensor = self._fitted.inner.states(*self._all_events())[:, -1]
        return state

    def _stepped_state(self, stepper: Stepper) -> Tensor:
        """The state of a net that takes in event by event, after those that have come since the last scores."""
        for place in range(self._stepped, len(self)):
            if self._arrival is not None:  # of the event before, whose dwell is known by now
                dwell = torch.full_like(self._carry.dwell, self._dwell_times[place - 1])
                item, kind = self._tensor(self._items[place - 1 : place]), self._tensor(self._kinds[place - 1 : place])
                self._carry = stepper.settle(self._carry, item, self._arrival, dwell, kind)
            item, kind = self._tensor(self._items[place : place + 1]), self._tensor(self._kinds[place : place + 1])
            self._arrival = stepper.arrive(self._carry, item, kinds=kind)
            self._state = self._arrival.state
        self._stepped = len(self)
        return self._state

    def _all_events(self) -> tuple[Tensor, Channels]:
        """The session so far, int64 (1, time), with its channels."""
        dwell = torch.tensor([self._dwell_times or [np.nan]], dtype=torch.float32, device=self._device)
        kinds = self._tensor(self._kinds or [UNKNOWN]).unsqueeze(0)
        return self._viewed(), self._channels._replace(dwell_times=dwell, kinds=kinds)

    def _viewed(self) -> Tensor:
        """Items so far, int64 (1, time); padding where there is none."""
        return self._tensor(self._items or [PADDING_IDX]).unsqueeze(0)

    def _tensor(self, items: list[int]) -> Tensor:
        return torch.tensor(items, device=self._device)

    def _moved(self, array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(self._device)

    def _user_code(self, user: Any) -> int:
        if user is None:
            return UNKNOWN_USER
        if self._is_raw(user, "user_ids"):
            users = self._catalogue.user_vocabulary
            return UNKNOWN_USER if users is None else int(encode_raw(users, [user], "user_ids")[0])
        require(user >= UNKNOWN_USER, "user_ids must be 0 or more, or -1 where unknown", user)
        return int(user)

    def _item_code(self, item: Any) -> int:
        if self._is_raw(item, "item"):
            return int(encode_raw(self._catalogue.raw_items("item"), [item], "item")[0])
        last = self._catalogue.num_items - 1
        require(1 <= item <= last, f"item must lie in 1..{last}", item)
        return int(item)

    def _kind_code(self, kind: Any) -> int:
        if kind is None:
            return UNKNOWN
        if self._raw:
            return int(encode_labels(self._catalogue.kind_vocabulary, [kind], "kind")[0])
        return whole(kind, "kind", least=UNKNOWN)

    def _is_raw(self, given: Any, argument: str) -> bool:
        """Whether one id is raw; where nothing said so before, a string is, and an integer is contiguous."""
        is_whole = isinstance(given, (int, np.integer)) and not isinstance(given, (bool, np.bool_))
        if not (is_whole or isinstance(given, (str, UUID))):
            raise TypeError(f"{argument} must be one id, a string or an integer; got {given!r}")
        if self._raw is None:
            self._raw = not is_whole
        rule = f"{argument} must be a contiguous id in a session of contiguous ids"
        require(self._raw or is_whole, rule, given, "raw=True takes raw ids")
        return self._raw
