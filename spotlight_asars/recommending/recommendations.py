"""The answer of ``recommend``: the best items of each session with their scores, in contiguous or in raw ids."""

from __future__ import annotations

from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require
from spotlight_asars.events import Vocabulary, frames
from spotlight_asars.recommending.requests import Unknown
from spotlight_asars.recommending.rules import UnknownInRules
from spotlight_asars.sessions import PADDING_IDX

TABLES = ("pandas", "polars", "pyarrow")
NEVER = float(np.finfo(np.float32).min)  # score of what is no candidate; finite, as Spotlight's evaluators negate it


class Recommendations(NamedTuple):
    """The best items of each session, best first.

    items : int64 (session, k), 0 where a session has fewer than k candidates
    scores : float32 (session, k)
    """

    items: NDArray[Any]
    scores: NDArray[np.float32]

    @property
    def found(self) -> NDArray[np.bool_]:
        """Where there is an item: bool (session, k)."""
        return self.scores > NEVER


class RawRecommendations(Recommendations):
    """``Recommendations`` in raw ids.

    Attributes
    ----------
    items : raw ids (session, k)
        Integers, or objects of type str; always objects, with None at the end of rows with fewer than k candidates,
        where there are such rows.
    scores : float32 (session, k)
    user_ids : raw ids (session,), or None
        Whose session each row is, as given.
    unknown : Unknown
        What of the sessions the model does not know, and so did not see.
    unknown_in_rules : UnknownInRules
        How many ids of the candidates, of what is excluded and of what is boosted the model does not know.
    """

    user_ids: NDArray[Any] | None
    unknown: Unknown
    unknown_in_rules: UnknownInRules
    _backend: Any
    _names: tuple[str, str]

    @classmethod
    def of(
        cls,
        best: Recommendations,
        vocabulary: Vocabulary,
        user_ids: NDArray[Any] | None,
        unknown: Unknown,
        unknown_in_rules: UnknownInRules,
        backend: Any = None,
        names: tuple[str, str] = ("user_id", "item_id"),
    ) -> RawRecommendations:
        """The `best` items in the raw ids of a vocabulary; `backend` and `names` are those of a ``Request``."""
        real = best.items != PADDING_IDX
        items = vocabulary.decode(np.where(real, best.items, vocabulary.first))
        if not real.all():
            items = items.astype(object)
            items[~real] = None
        answer = cls(items, best.scores)
        answer.user_ids, answer.unknown, answer.unknown_in_rules = user_ids, unknown, unknown_in_rules
        answer._backend, answer._names = backend, names
        return answer

    def columns(self) -> dict[str, Any]:
        """Columns with a row for each recommendation: user (where known), session, rank from 1, item and score."""
        session, place = np.nonzero(self.found)
        user, item = self._names
        columns: dict[str, Any] = {} if self.user_ids is None else {user: self.user_ids[session]}
        columns |= {"session": session, "rank": place + 1, item: self.items[session, place]}
        return {**columns, "score": self.scores[session, place]}

    def to_frame(self, backend: Any = None) -> Any:
        """The ``columns`` as a frame.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow"}, optional
            Kind of the frame; by default that of the frame which was asked for. Whole numbers beside a missing user
            are objects in pandas, which would make them floats.

        Raises
        ------
        ValueError
            Without a kind, where no frame was asked for.
        """
        kind = backend or self._backend
        known = kind is not None and nw.Implementation.from_backend(kind).value in TABLES
        rule = "backend must be 'pandas', 'polars' or 'pyarrow' where sessions are no such frame"
        require(known, rule, kind if kind is None else str(kind))
        return nw.from_dict(
            {name: frames.exact_column(name, values, kind) for name, values in self.columns().items()}
        ).to_native()
