"""A session that goes on event by event, at one step of the net for each.

>>> from spotlight_asars import ASARSSequenceModel, SessionInteractions
>>> model = ASARSSequenceModel(n_iter=30, random_state=0).fit(SessionInteractions([[1, 2, 3], [0, 1, 2]]))
>>> session = model.start_session()
>>> session.append(1).append(2, dwell=12.5).recommend(k=1).items
array([[3]])
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import moments, number, require, whole
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.vocabulary import Vocabulary, encode_raw
from spotlight_asars.memory.recall_net import RecallNet
from spotlight_asars.recommending.recommendations import RawRecommendations, Recommendations
from spotlight_asars.recommending.recommender import NetScores, best_of
from spotlight_asars.recommending.requests import Catalogue, Histories, Unknown
from spotlight_asars.representations.asars import ASARSNet
from spotlight_asars.representations.stepping import Arrival, Stepper
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import UNKNOWN_USER, SessionInteractions


class LiveSession:
    """A session that is going on: ``model.start_session()`` makes one.

    Scores are those that ``predict`` gives for the events so far, to rounding. An event costs one step of the net,
    however long the session is; representations other than ASARS's read the whole session again.

    It belongs to the model as it is: after ``fit``, ``update`` or ``load`` start a new one. It is not shared by
    threads; sessions of one model may run in any number of them.

    Attributes
    ----------
    unknown : Unknown
        Raw items skipped so far, and the user if unknown.
    """

    def __init__(self, model: NetScores, user: Any, started: float | None, raw: bool) -> None:
        net = model._fitted_net("start_session").eval()
        self._model, self._net, self._raw = model, net, raw
        self._catalogue = Catalogue(int(model.num_items), model.item_vocabulary, model.user_vocabulary)
        self._given_user, self._user = user, self._user_id(user)
        self._started = (
            np.nan if started is None else float(moments(number(started, "started"), "started", unknown=True))
        )
        self._items: list[int] = []
        self._dwell: list[float] = []
        self._skipped: list[Any] = []
        self._open = False  # whether the last event known to the model is the last one of all, with its dwell to come
        start = torch.tensor([self._started], dtype=torch.float64, device=model.device)
        users = torch.tensor([self._user], device=model.device)
        self._channels = model._users.recall(Channels(users, None, start))
        inner = net.net if isinstance(net, RecallNet) else net
        self._steps: Stepper | None = None
        if isinstance(inner, ASARSNet):
            with torch.no_grad():
                self._steps = Stepper(inner, users, start, batch=1)
                self._carry, self._state = self._steps.begin()
        self._arrival: Arrival | None = None

    def __len__(self) -> int:
        """Events so far, without those skipped."""
        return len(self._items)

    def __repr__(self) -> str:
        return f"<LiveSession (user {self._given_user!r}, {len(self)} events)>"

    @property
    def unknown(self) -> Unknown:
        unknown_user = self._raw and self._given_user is not None and self._user == UNKNOWN_USER
        return Unknown(len(self._skipped), len(set(self._skipped)), int(unknown_user))

    @torch.no_grad()
    def append(self, item: Any, dwell: float | None = None) -> LiveSession:
        """One more event.

        Parameters
        ----------
        item : id
            Raw where the session is; an unknown raw item is skipped and counted.
        dwell : float, optional
            Time spent on the event before [s], which is known now that this one has come; by default unknown.

        Returns
        -------
        LiveSession
            Itself.

        Raises
        ------
        ValueError
            For an item out of range, a negative dwell, and a dwell before the first event.
        """
        seconds = np.nan if dwell is None else float(number(dwell, "dwell"))
        fits = np.isnan(seconds) or 0 <= seconds <= float(np.finfo(np.float32).max)
        require(fits, "dwell must be seconds, 0 or more, or NaN", dwell)
        code = self._item_id(item)
        first = not self._items and not self._skipped
        require(
            not first or np.isnan(seconds), "dwell must be left out with the first event, for it is that before", dwell
        )
        if self._open:
            self._settle(seconds)
        self._open = code != Vocabulary.ABSENT
        if not self._open:
            self._skipped.append(item)
            return self
        self._items.append(code)
        self._dwell.append(np.nan)
        if self._steps is not None:
            self._arrival = self._steps.arrive(self._carry, self._tensor([code]))
            self._state = self._arrival.state
        return self

    @torch.no_grad()
    def scores(self) -> NDArray[np.float32]:
        """Scores of the next item, float32 (items,), in the order of the contiguous ids; padding scores lowest."""
        scores: NDArray[np.float32] = self._scores().cpu().numpy()[0]
        return scores

    @torch.no_grad()
    def recommend(self, k: int = 20, exclude_seen: bool = False) -> Recommendations:
        """The k best next items, as ``model.recommend`` gives them for one session: (1, k)."""
        k = whole(k, "k", least=1)
        viewed = self._viewed() if exclude_seen else None
        found = best_of(self._scores(), min(k, self._catalogue.num_items - 1), viewed)
        if not self._raw:
            return found
        user = None if self._given_user is None else np.array([self._given_user])
        asked = Histories(self.as_sessions(), True, self.unknown, user)
        return RawRecommendations.of(found, self._catalogue.items("item"), asked)

    def as_sessions(self) -> SessionInteractions:
        """The session so far, for ``model.update`` once it is over."""
        return SessionInteractions.from_ragged(
            np.array(self._items, dtype=np.int64),
            np.array([0, len(self)]),
            [self._user],
            self._catalogue.num_items,
            dwell_times=np.array(self._dwell),
            started=[self._started],
        ).named(self._catalogue.user_vocabulary, self._catalogue.item_vocabulary)

    def _settle(self, seconds: float) -> None:
        """The dwell of the last event is known."""
        self._dwell[-1] = seconds
        if self._steps is not None and self._arrival is not None:
            dwell = torch.full_like(self._carry.dwell, seconds)
            last = self._tensor(self._items[-1:])
            self._carry = self._steps.settle(self._carry, last, self._arrival, dwell)

    def _scores(self) -> Tensor:
        viewed = self._viewed()
        if self._steps is None:
            dwell = torch.tensor([self._dwell or [np.nan]], dtype=torch.float32, device=viewed.device)
            return self._model.score_catalogue(
                self._model.encode(viewed, self._channels._replace(dwell_times=dwell))[:, -1]
            )
        if isinstance(self._net, RecallNet):
            states = self._state.unsqueeze(1).expand(-1, viewed.shape[1], -1)  # those before the last are not looked at
            return self._model.score_catalogue(
                self._net.recall(states, viewed, self._model._recall(viewed, self._channels))[:, -1]
            )
        return self._model.score_catalogue(self._state)

    def _viewed(self) -> Tensor:
        """Items so far, int64 (1, time); padding where there is none."""
        return self._tensor(self._items or [PADDING_IDX]).unsqueeze(0)

    def _tensor(self, items: list[int]) -> Tensor:
        return torch.tensor(items, device=self._model.device)

    def _user_id(self, user: Any) -> int:
        if user is None:
            return UNKNOWN_USER
        if self._raw:
            users = self._catalogue.user_vocabulary
            return UNKNOWN_USER if users is None else int(encode_raw(users, [_raw_id(user, "user")], "user")[0])
        require(_is_whole(user), "user must be a contiguous id", user, "raw=True takes raw ids")
        require(user >= UNKNOWN_USER, "user must be 0 or more, or -1 where unknown", user)
        return int(user)

    def _item_id(self, item: Any) -> int:
        if self._raw:
            return int(encode_raw(self._catalogue.items("item"), [_raw_id(item, "item")], "item")[0])
        require(_is_whole(item), "item must be a contiguous id", item, "raw=True takes raw ids")
        last = self._catalogue.num_items - 1
        require(1 <= item <= last, f"item must lie in 1..{last}", item)
        return int(item)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _raw_id(value: Any, argument: str) -> Any:
    """`value`, if it is one raw id."""
    if not (isinstance(value, str) or _is_whole(value)):
        raise TypeError(f"{argument} must be one raw id, a string or an integer; got {value!r}")
    return value
