"""What ``recommend`` answers: ids and scores, contiguous as Spotlight's, or raw as the caller's."""

from __future__ import annotations

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.recommending.requests import Histories, Unknown

NEVER = float(np.finfo(np.float32).min)  # score of what is no candidate; finite, as Spotlight's evaluators negate it


class Recommendations(NamedTuple):
    """The best items of each session, best first.

    items : int64 (session, k), 0 where a session has fewer than k candidates
    scores : float32 (session, k)
    """

    items: NDArray[Any]
    scores: NDArray[np.float32]


class RawRecommendations(Recommendations):
    """``Recommendations`` in raw ids.

    Attributes
    ----------
    items : raw ids (session, k)
        Of the vocabulary's type; an array of objects with None at the end of rows with fewer than k candidates, where
        there are such rows.
    scores : float32 (session, k)
    user_ids : raw ids (session,), or None
        Whose session each row is, as given.
    unknown : Unknown
        What of the sessions the model does not know, and so did not see.
    """

    user_ids: NDArray[Any] | None
    unknown: Unknown
    _backend: Any
    _names: tuple[str, str]

    @classmethod
    def of(cls, found: Recommendations, vocabulary: Vocabulary, asked: Histories) -> RawRecommendations:
        """What was found, in the raw ids of a vocabulary."""
        real = found.items != PADDING_IDX
        items = vocabulary.decode(np.where(real, found.items, vocabulary.first))
        if not real.all():
            items = items.astype(object)
            items[~real] = None
        answer = cls(items, found.scores)
        answer.user_ids, answer.unknown = asked.user_ids, asked.unknown
        answer._backend, answer._names = asked.backend, asked.names
        return answer

    def to_frame(self, backend: Any = None) -> Any:
        """A row for each recommendation: user (where known), session, rank from 1, item and score.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            Kind of the frame; by default that of the frame which was asked for.

        Raises
        ------
        ValueError
            Without a kind, where no frame was asked for.
        """
        kind = backend or self._backend
        require(
            kind is not None, "backend must be 'pandas', 'polars' or 'pyarrow' where sessions are no frame", backend
        )
        session, place = np.nonzero(self.scores > NEVER)
        user, item = self._names
        columns: dict[str, Any] = {} if self.user_ids is None else {user: self.user_ids[session].tolist()}
        columns |= {"session": session, "rank": place + 1, item: self.items[session, place].tolist()}
        return nw.from_dict({**columns, "score": self.scores[session, place]}, backend=kind).to_native()
