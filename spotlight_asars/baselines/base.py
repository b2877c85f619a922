"""What all baselines share: ``fit``, and scores of the catalogue after any prefix of a session."""

from __future__ import annotations

from abc import abstractmethod
from typing import TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX, SequenceInteractions
from spotlight_asars.baselines.prefixes import Floats, Prefixes
from spotlight_asars.baselines.ties import Ties
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.recommendations import NEVER
from spotlight_asars.recommending.recommender import Recommender
from spotlight_asars.sessions.channels import Channels
from spotlight_asars.sessions.interactions import SessionInteractions, as_sessions

B = TypeVar("B", bound="Baseline")

SCORES_AT_ONCE = 2**24  # of whole catalogues; few of them are there as a rule, 200 MB if all are


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
        sessions = as_sessions(interactions, "interactions")
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
        scores = torch.from_numpy(self.scores(states)).float()  # (rows, items)
        scores[:, PADDING_IDX] = NEVER
        return scores if item_ids is None else scores[:, item_ids]


class CountedBaseline(Baseline):
    """A baseline that counts events: its scores are 0 without evidence, and popularity breaks their ties.

    Papers leave the order of equal scores open. Here no list is filled at random, and a session without events gets the
    most popular items. As most items have no evidence, scores stay sparse, and targets are ranked among the few that
    have.
    """

    def _learn(self, sessions: SessionInteractions) -> None:
        self._ties = Ties.learn(sessions)
        self._count(sessions)

    @abstractmethod
    def _count(self, sessions: SessionInteractions) -> None:
        """Set the counts that ``evidence`` needs."""

    @abstractmethod
    def evidence(self, prefixes: Prefixes) -> sp.csr_array:
        """Scores of the items that have any after each prefix, each item once: sparse float64 (rows, items).

        ``NEVER`` excludes an item.
        """

    def scores(self, prefixes: Prefixes) -> Floats:
        """The ``evidence``, 0 where there is none: float64 (rows, items)."""
        scores: Floats = self.evidence(prefixes).toarray()
        return scores

    def score_catalogue(self, states: Prefixes, item_ids: Tensor | None = None) -> Tensor:
        """Scores of the whole catalogue, or of `item_ids`, with ties broken: float32 (rows, items)."""
        self.known_catalogue("score_catalogue")
        scores = torch.from_numpy(self._ties.fill(self.evidence(states)))  # (rows, items)
        return scores if item_ids is None else scores[:, item_ids]

    def rank_targets(self, states: Prefixes, targets: Tensor) -> Tensor:
        """Rank of one target after each prefix among the scores of ``score_catalogue``: float64 (rows,).

        1 is highest, ties get the mean, and a row with a score that is NaN gives NaN.
        """
        at_once = max(1, SCORES_AT_ONCE // self.known_catalogue("rank_targets").num_items)
        ranks = np.empty(len(states))
        for start in range(0, len(states), at_once):
            rows = slice(start, start + at_once)
            ranks[rows] = self._ties.rank(self.evidence(states[rows]), targets[rows].numpy())
        return torch.from_numpy(ranks)
