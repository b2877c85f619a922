"""What a model knows of items and users: their numbers, their raw ids, and how often items were viewed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import reject, require
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.labels import Vocabularies
from spotlight_asars.events.splitting import new_ids
from spotlight_asars.events.vocabulary import check_vocabulary
from spotlight_asars.sessions import SessionInteractions


class Catalogue(NamedTuple):
    """What a model knows: the number of items, padding included, and of users; and raw ids where it learned them.

    item_counts : int64 (items,), how often each item was viewed in the sessions of all trainings
    kind_vocabulary, context_vocabularies : what the kinds of events and the labels of each column of a context are
        called; those of the first training stay, and others are unknown
    """

    num_items: int
    num_users: int
    item_counts: NDArray[np.int64]
    item_vocabulary: Vocabulary | None = None
    user_vocabulary: Vocabulary | None = None
    kind_vocabulary: Vocabulary | None = None
    context_vocabularies: Vocabularies = {}  # noqa: RUF012  # never written to

    @classmethod
    def of(cls, sessions: SessionInteractions) -> Catalogue:
        """The items and users of training sessions."""
        counts = np.bincount(sessions.items, minlength=sessions.num_items)
        vocabularies = sessions.item_vocabulary, sessions.user_vocabulary
        labels = sessions.kind_vocabulary, sessions.context_vocabularies
        return cls(sessions.num_items, sessions.num_users, counts, *vocabularies, *labels)

    def raw_items(self, argument: str) -> Vocabulary:
        """The raw ids of items; ``ValueError`` where there are none."""
        if self.item_vocabulary is None:
            raise ValueError(
                f"{argument} must be contiguous ids for a model that was trained without raw ids; got raw ones. "
                "fit(to_sessions(log)) of an EventLog lets it learn them"
            )
        return self.item_vocabulary

    def grown(self, sessions: SessionInteractions, argument: str) -> Catalogue:
        """The catalogue with what sessions bring beyond it, with later ids.

        Raises
        ------
        ValueError
            For ids of another vocabulary, and new ids without raw ones where the model knows those of all others.
        """
        check_vocabulary(self, sessions, argument)
        items = _longer(self.item_vocabulary, sessions.item_vocabulary)
        users = _longer(self.user_vocabulary, sessions.user_vocabulary)
        num_items, num_users = max(self.num_items, sessions.num_items), max(self.num_users, sessions.num_users)
        way_out = "log.encode_like(model, grow=True) gives ids to new ones"
        if items is not None and num_items > len(items) + items.first:
            num_items = max(self.num_items, int(sessions.items.max(initial=0)) + 1)
            rule = f"{argument} must have item ids below {self.num_items}, or raw ids for new items as for all others"
            require(num_items <= max(self.num_items, len(items) + items.first), rule, num_items - 1, way_out)
        return self._of_sizes(num_items, num_users, items, users)

    def with_items(self, raw: NDArray[Any], argument: str) -> tuple[Catalogue, NDArray[np.int64]]:
        """The catalogue with these raw items as well, and the ids that they have in it, int64 (n,).

        Raises
        ------
        ValueError
            Where the raw ids of items are not known.
        TypeError
            For strings where the others are integers, or the other way round.
        """
        known = self.item_vocabulary
        if known is None:
            raise ValueError(
                f"{argument} must come with sessions that know raw ids; got some without. "
                "fit(to_sessions(log)) of an EventLog lets a model learn them"
            )
        own, _ = Vocabulary.learn(raw, known.first)
        ids = new_ids(own, known, argument)
        size = max(self.num_items, len(ids.vocabulary) + known.first)
        grown = self._of_sizes(size, self.num_users, ids.vocabulary, self.user_vocabulary)
        return grown, ids.of_old[own.encode(raw)]

    def _of_sizes(
        self, num_items: int, num_users: int, items: Vocabulary | None, users: Vocabulary | None
    ) -> Catalogue:
        """A larger catalogue, of whose items those that come later were not in the training."""
        counts = np.pad(self.item_counts, (0, num_items - self.num_items))
        return Catalogue(num_items, num_users, counts, items, users, self.kind_vocabulary, self.context_vocabularies)

    def with_views(self, sessions: SessionInteractions) -> Catalogue:
        """The catalogue after a training on these sessions, of no more items."""
        return self._replace(item_counts=self.item_counts + np.bincount(sessions.items, minlength=self.num_items))

    def check(self, sessions: SessionInteractions, argument: str) -> None:
        """Raise ``ValueError`` unless the sessions have the model's item ids and, where known, its vocabularies."""
        check_vocabulary(self, sessions, argument)
        rule = f"{argument} must have item ids below {self.num_items}, as in the first call of fit"
        reject(sessions.items >= self.num_items, sessions.items, rule)


def _longer(known: Vocabulary | None, given: Vocabulary | None) -> Vocabulary | None:
    """The longer of two vocabularies of which one begins the other; none where `known` is."""
    return given if known is not None and given is not None and len(given) > len(known) else known
