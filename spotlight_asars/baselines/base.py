"""What all baselines share: ``fit``, and scores of the catalogue after any prefix of a session."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import torch
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.baselines.ties import break_ties, popularity_ranks
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.recommending.recommender import NextItemScores
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

B = TypeVar("B", bound="Baseline")


class Baseline(NextItemScores, ABC):
    """A model that scores the catalogue after any prefix of a session.

    A subclass keeps its options, the constructor's arguments, as ``self._<name>``; sets all that it learns in
    ``_learn``, and nowhere else; and computes ``scores`` from both.
    """

    def fit(self: B, interactions: SequenceInteractions, verbose: bool = False) -> B:
        """Learn from these sessions; what an earlier call has learned is forgotten.

        Parameters
        ----------
        interactions : SessionInteractions or SequenceInteractions
            Spotlight's plain sequences are used with their users and unknown dwell times.
        verbose : bool
            Has no effect.

        Returns
        -------
        Baseline
            Itself.

        Raises
        ------
        ValueError
            If there is no event.
        """
        sessions = as_sessions(interactions)
        require(len(sessions.items) > 0, "interactions must have an event or more", len(sessions.items))
        self._learn(sessions)
        self._num_items = sessions.num_items
        self.item_vocabulary, self.user_vocabulary = sessions.item_vocabulary, sessions.user_vocabulary
        return self

    @abstractmethod
    def _learn(self, sessions: SessionInteractions) -> None:
        """Set everything that ``scores`` needs besides the options."""

    @abstractmethod
    def scores(self, prefixes: Prefixes) -> Floats:
        """Scores of the whole catalogue after each prefix, float64 (rows, items); ``NEVER`` excludes an item."""

    def encode(self, items: Tensor, channels: Channels | None = None) -> Prefixes:
        """The prefix that ends with each step, (batch, time): the states that ``score_catalogue`` takes."""
        self._check_fitted("encode")
        return Prefixes.of(items, channels)

    def score_catalogue(self, states: Prefixes, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, after prefixes (rows,): float32 (rows, items)."""
        self._check_fitted("score_catalogue")
        scores = torch.from_numpy(self._scores_to_rank(states)).float()  # (rows, items)
        scores[:, PADDING_IDX] = NEVER
        return scores if item_ids is None else scores[:, item_ids]

    def _scores_to_rank(self, prefixes: Prefixes) -> Floats:
        return self.scores(prefixes)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments by name, as scikit-learn's tools ask for them."""
        return {name: getattr(self, f"_{name}") for name in inspect.signature(type(self)).parameters}

    def set_params(self: B, **params: Any) -> B:
        """Start anew with some arguments changed: the model is as if just made, and not fitted."""
        known = self.get_params()
        for name in params:
            require(name in known, f"set_params must name arguments of the model, {sorted(known)}", name)
        changed = type(self)(**{**known, **params})
        self.__dict__ = changed.__dict__
        return self

    def _check_fitted(self, asked: str = "predict") -> None:
        if not hasattr(self, "_num_items"):
            raise RuntimeError(f"{asked} needs a fitted model; call fit first")


class CountedBaseline(Baseline):
    """A baseline that counts events: its scores are 0 without evidence, and popularity breaks their ties.

    Papers leave the order of equal scores open. Here no list is filled at random, and a session without events gets the
    most popular items.
    """

    def _learn(self, sessions: SessionInteractions) -> None:
        self._popularity = popularity_ranks(sessions)
        self._count(sessions)

    @abstractmethod
    def _count(self, sessions: SessionInteractions) -> None:
        """Set the counts that ``scores`` needs."""

    def _scores_to_rank(self, prefixes: Prefixes) -> Floats:
        return break_ties(self.scores(prefixes), self._popularity)
