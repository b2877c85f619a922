"""What a model knows of items and users: their numbers, their raw ids, and how often items were viewed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import reject, require, whole
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.labels import NO_LABELS, LabelSizes, Vocabularies, raw_labels
from spotlight_asars.events.splitting import new_ids
from spotlight_asars.events.vocabulary import check_vocabulary
from spotlight_asars.sessions import SessionInteractions


class Catalogue(NamedTuple):
    """What a model knows: the number of items, padding included, and of users; and raw ids where it learned them.

    item_counts : int64 (items,), how often each item was viewed in the sessions of all trainings
    kind_vocabulary, context_vocabularies : what the kinds of events and the labels of each column of a context are
        called; a model that was trained without them at first, or without a column, never knows them
    labels : number of kinds, and of labels in each column of the context, the unknown ones included
    """

    num_items: int
    num_users: int
    item_counts: NDArray[np.int64]
    item_vocabulary: Vocabulary | None = None
    user_vocabulary: Vocabulary | None = None
    kind_vocabulary: Vocabulary | None = None
    context_vocabularies: Vocabularies = {}  # noqa: RUF012  # never written to
    labels: LabelSizes = NO_LABELS

    @classmethod
    def of(cls, sessions: SessionInteractions) -> Catalogue:
        """The items and users of training sessions."""
        counts = np.bincount(sessions.items, minlength=sessions.num_items)
        vocabularies = sessions.item_vocabulary, sessions.user_vocabulary
        named = sessions.kind_vocabulary, sessions.context_vocabularies
        labels = sessions.num_kinds, sessions.context_sizes
        return cls(sessions.num_items, sessions.num_users, counts, *vocabularies, *named, labels)

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
            For ids of another vocabulary, new ids without raw ones where the model knows those of all others, and
            another number of columns of the context.
        """
        self.check_ids(sessions, argument)
        items = _longer(self.item_vocabulary, sessions.item_vocabulary)
        users = _longer(self.user_vocabulary, sessions.user_vocabulary)
        num_items, num_users = max(self.num_items, sessions.num_items), max(self.num_users, sessions.num_users)
        way_out = "log.encode_like(model, grow=True) gives ids to new ones"
        if items is not None and num_items > len(items) + items.first:
            num_items = max(self.num_items, int(sessions.items.max(initial=0)) + 1)
            rule = f"{argument} must have item ids below {self.num_items}, or raw ids for new items as for all others"
            require(num_items <= max(self.num_items, len(items) + items.first), rule, num_items - 1, way_out)
        return self._of_sizes(num_items, num_users, items, users)._with_labels(sessions)

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
        grown = self._replace(num_items=num_items, num_users=num_users, item_counts=counts)
        return grown._replace(item_vocabulary=items, user_vocabulary=users)

    def _with_labels(self, sessions: SessionInteractions) -> Catalogue:
        """The catalogue with the kinds, and the labels of its columns of context, that sessions bring beyond it."""
        num_kinds, context_sizes = self.labels
        kinds, given = _longer(self.kind_vocabulary, sessions.kind_vocabulary), sessions.context_vocabularies
        context = {name: _longer(own, given.get(name)) or own for name, own in self.context_vocabularies.items()}
        if num_kinds:
            num_kinds = max(num_kinds, sessions.num_kinds) if kinds is None else len(kinds) + 1
        if context:
            context_sizes = tuple(len(vocabulary) + 1 for vocabulary in context.values())
        elif context_sizes and sessions.context_sizes:
            context_sizes = tuple(map(max, context_sizes, sessions.context_sizes))
        labels = num_kinds, context_sizes
        return self._replace(kind_vocabulary=kinds, context_vocabularies=context, labels=labels)

    def kind_code(self, kind: Any, raw: bool) -> int:
        """The code of a kind that may be asked for: of what it is called, if that is raw or a text; else it is one.

        ``ValueError`` for a kind that is not known.
        """
        names, given = raw_labels(self.kind_vocabulary, self.labels[0]), kind
        if not (raw or isinstance(kind, str)):
            require(0 < whole(kind, "kind", least=0) < self.labels[0], f"kind must lie in 1..{len(names)}", given)
            return int(kind)
        require(kind in names, f"kind must be one of {names}", given)
        return names.index(kind) + 1

    def with_views(self, sessions: SessionInteractions) -> Catalogue:
        """The catalogue after a training on these sessions, of no more items."""
        return self._replace(item_counts=self.item_counts + np.bincount(sessions.items, minlength=self.num_items))

    def check(self, sessions: SessionInteractions, argument: str) -> None:
        """Raise ``ValueError`` unless the sessions have the model's item ids and, where known, its vocabularies."""
        self.check_ids(sessions, argument)
        rule = f"{argument} must have item ids below {self.num_items}, as in the first call of fit"
        reject(sessions.items >= self.num_items, sessions.items, rule)

    def check_ids(self, sessions: SessionInteractions, argument: str) -> None:
        """Raise ``ValueError`` unless the sessions have the model's columns of context and known vocabularies."""
        check_vocabulary(self, sessions, argument)
        if sessions.context is not None:
            self.check_columns(len(sessions.context_sizes), argument)

    def check_columns(self, number: int, argument: str) -> None:
        """Raise ``ValueError`` for another number of columns of context than the model was trained with, if any."""
        own = len(self.labels[1])
        rule = f"{argument} must have as many columns of context as the model was trained with, {own}"
        require(own in (0, number), rule, number)


def _longer(known: Vocabulary | None, given: Vocabulary | None) -> Vocabulary | None:
    """The longer of two vocabularies of which one begins the other; none where `known` is."""
    return given if known is not None and given is not None and len(given) > len(known) else known
