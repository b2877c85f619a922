"""What every baseline of counts has in common: fit and forget, score prefixes, get and set parameters.

Papers leave open how equal scores are ranked: two items that followed once each, or all for which nothing speaks. Here
popularity decides. So no list is filled at random, and a session without events gets the most popular items.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.baselines.prefixes import Prefixes
from spotlight_asars.recommending.recommender import NEVER, NextItemScores
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

NUDGE = 1e-4  # far less than what tells two counts apart, far more than the precision of float32

B = TypeVar("B", bound="Baseline")


class Baseline(NextItemScores, ABC):
    """A model that is counted, not trained: a subclass says what it counts and how it scores.

    Options are the constructor's arguments, kept unchanged as ``self._name``.
    """

    def fit(self: B, interactions: SequenceInteractions, verbose: bool = False) -> B:
        """Count anew; what an earlier call has counted is forgotten.

        Parameters
        ----------
        interactions : SessionInteractions or SequenceInteractions
            Spotlight's plain sequences are taken with their users, and dwell unknown.
        verbose : bool
            Counting is done at once and has nothing to say.

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
        self._popularity = places_by_popularity(sessions)
        self._num_items = sessions.num_items
        self.item_vocabulary, self.user_vocabulary = sessions.item_vocabulary, sessions.user_vocabulary
        return self

    @abstractmethod
    def _learn(self, sessions: SessionInteractions) -> None:
        """Count what ``scores`` needs."""

    @abstractmethod
    def scores(self, prefixes: Prefixes) -> NDArray[np.float64]:
        """Scores of the whole catalogue after each prefix, float64 (rows, items).

        0 where nothing speaks for an item, ``NEVER`` where it is no candidate.
        """

    def encode(self, items: Tensor, channels: Channels | None = None) -> Prefixes:
        """The prefix that ends with each step, (batch, time); feed them to ``score_catalogue``."""
        self._check_fitted("encode")
        return Prefixes.of(items, channels)

    def score_catalogue(self, states: Prefixes, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, for prefixes (rows,): float32 (rows, items).

        As ``scores`` says, but for ties: popularity adds up to ``NUDGE`` of itself to a positive score, and replaces 0
        by a number from -1 up to but not 0.
        """
        self._check_fitted("score_catalogue")
        scores = torch.from_numpy(self._break_ties(self.scores(states))).float()  # (rows, items)
        scores[:, PADDING_IDX] = NEVER
        return scores if item_ids is None else scores[:, item_ids]

    def _break_ties(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores (rows, items) without ties between items that are not equally popular."""
        nudged = np.where(scores > 0, 1.0 + NUDGE * self._popularity, 1.0)
        nudged *= scores
        np.copyto(nudged, self._popularity - 1.0, where=scores == 0)
        return nudged

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


def places_by_popularity(sessions: SessionInteractions) -> NDArray[np.float64]:
    """Place of each item among the popularities in training, from 0 up to but not 1: float64 (items,).

    Equally popular items share a place; so it is as precise in float32 as the popularity itself would not be.

    >>> places_by_popularity(SessionInteractions([[1, 2, 2], [0, 2, 3]])).tolist()
    [0.0, 0.0, 0.5, 0.0]
    """
    counts = np.bincount(sessions.items, minlength=sessions.num_items)
    counts[PADDING_IDX] = counts[1:].min(initial=len(sessions.items))  # padding adds no place
    values, place = np.unique(counts, return_inverse=True)
    return place / len(values)
