"""What all baselines share: ``fit``, and scores of the catalogue after any prefix of a session."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import torch
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.baselines.ties import break_ties, popularity_ranks
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.recommending.recommender import Recommender
from spotlight_asars.recommending.requests import Catalogue
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

B = TypeVar("B", bound="Baseline")


class Baseline(Recommender):
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
        self._catalogue = Catalogue.of(sessions)
        return self

    @abstractmethod
    def _learn(self, sessions: SessionInteractions) -> None:
        """Set everything that ``scores`` needs besides the options."""

    @abstractmethod
    def scores(self, prefixes: Prefixes) -> Floats:
        """Scores of the whole catalogue after each prefix, float64 (rows, items); ``NEVER`` excludes an item."""

    def states(self, items: Tensor, channels: Channels | None = None) -> Prefixes:
        """The prefix that ends with each step, (batch, time): the states that ``score_catalogue`` takes."""
        self.known_catalogue("states")
        return Prefixes.of(items, channels)

    def score_catalogue(self, states: Prefixes, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, after prefixes (rows,): float32 (rows, items)."""
        self.known_catalogue("score_catalogue")
        scores = torch.from_numpy(self._scores_to_rank(states)).float()  # (rows, items)
        scores[:, PADDING_IDX] = NEVER
        return scores if item_ids is None else scores[:, item_ids]

    def _scores_to_rank(self, prefixes: Prefixes) -> Floats:
        return self.scores(prefixes)


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
