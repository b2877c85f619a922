"""``SessionShards``: sessions in a folder, read a shard at a time or all at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require, warn_renamed
from spotlight_asars.events.labels import recoded, recoded_context, with_names
from spotlight_asars.events.splitting import NewIds, new_ids
from spotlight_asars.events.vocabulary import Vocabulary, raw_array, vocabularies
from spotlight_asars.preparation.manifest import ITEMS, USERS, Manifest, Shard, require_pyarrow
from spotlight_asars.preparation.steps import CONTEXT, KIND
from spotlight_asars.sessions.interactions import SessionInteractions

if TYPE_CHECKING:
    import pyarrow as pa


class SessionShards(Sequence[SessionInteractions]):
    """Sessions that ``LazyLog.write_sessions`` wrote, read a shard at a time.

    All shards share the ids, so a model that was fitted on some of them can score the others. Each call of ``fit``
    makes the memories anew of the sessions that it is given, so a model is to be fitted on all that it should remember.

    Parameters
    ----------
    path : str or Path
        The folder.
    like : fitted model, SessionShards, SessionInteractions or EventLog, optional
        Have the ids that raw ids have there; those that it does not know come after them, as of
        ``EventLog.encode_like(like, grow=True)``.

    Attributes
    ----------
    num_items, num_users, max_sequence_length : int
        The same for each of the ``SessionInteractions``.
    user_vocabulary, item_vocabulary : Vocabulary
        Raw ids, read at first use.
    kind_vocabulary : Vocabulary or None
    context_vocabularies : dict of Vocabulary
        What kinds and labels of the context are called, where the log has them.

    Raises
    ------
    FileNotFoundError
        For a folder without a manifest, or without a file that it names.
    ValueError
        For a folder of another kind, a shard that differs from the manifest, and a `like` without raw ids.
    TypeError
        If the raw ids are strings on one side and integers on the other.
    """

    def __init__(self, path: str | Path, like: Any = None) -> None:
        require_pyarrow()
        self.path = Path(path).expanduser()
        self._manifest = Manifest.load(self.path)
        self.num_items, self.num_users = self._manifest.num_items, self._manifest.num_users
        self.max_sequence_length = self._manifest.max_sequence_length
        for file in (USERS, ITEMS, *(shard.file for shard in self._manifest.shards)):
            if not (self.path / file).is_file():
                raise FileNotFoundError(f"path must have all files of its manifest; got no {file} in {str(path)!r}")
        self._like = None if like is None else vocabularies(like)
        if self._like is not None:
            self.num_users, self.num_items = len(self.user_vocabulary), len(self.item_vocabulary) + 1
        self._own_kinds = _names(self._manifest.kinds)
        own = {name: _names(labels) for name, labels in self._manifest.context.items()}
        self._own_context = {name: vocabulary for name, vocabulary in own.items() if vocabulary is not None}
        self.kind_vocabulary, self.context_vocabularies = self._own_kinds, self._own_context
        known = getattr(like, "kind_vocabulary", None), getattr(like, "context_vocabularies", None)
        if known[0] is not None:
            self.kind_vocabulary = with_names(known[0], self._own_kinds, "kinds of the shards")
        if known[1] and self._own_context:
            self.context_vocabularies = {
                name: with_names(vocabulary, self._own_context.get(name), f"context {name!r}")
                for name, vocabulary in known[1].items()
            }

    def __repr__(self) -> str:
        counts = f"{self.num_sessions} sessions, {self.num_events} events, {self.num_items - 1} items"
        return f"<SessionShards ({len(self)} shards, {counts})>"

    @property
    def num_sessions(self) -> int:
        """Sessions in all shards."""
        return sum(shard.sessions for shard in self._manifest.shards)

    @property
    def num_events(self) -> int:
        """Events in all shards."""
        return sum(shard.events for shard in self._manifest.shards)

    @cached_property
    def user_vocabulary(self) -> Vocabulary:
        """Raw ids of users."""
        return self._users.vocabulary

    @cached_property
    def item_vocabulary(self) -> Vocabulary:
        """Raw ids of items."""
        return self._items.vocabulary

    @cached_property
    def _users(self) -> NewIds:
        own = self._vocabulary(USERS, first=0, size=self._manifest.num_users)
        return new_ids(own, None if self._like is None else self._like[0], "user ids of the shards")

    @cached_property
    def _items(self) -> NewIds:
        own = self._vocabulary(ITEMS, first=1, size=self._manifest.num_items - 1)
        return new_ids(own, None if self._like is None else self._like[1], "item ids of the shards")

    @property
    def users(self) -> Vocabulary:
        """Deprecated name of ``user_vocabulary``."""
        warn_renamed("SessionShards.users", "user_vocabulary")
        return self.user_vocabulary

    @property
    def items(self) -> Vocabulary:
        """Deprecated name of ``item_vocabulary``."""
        warn_renamed("SessionShards.items", "item_vocabulary")
        return self.item_vocabulary

    def __len__(self) -> int:
        return len(self._manifest.shards)

    @overload
    def __getitem__(self, index: int) -> SessionInteractions: ...
    @overload
    def __getitem__(self, index: slice) -> list[SessionInteractions]: ...
    def __getitem__(self, index: int | slice) -> SessionInteractions | list[SessionInteractions]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self._read([self._manifest.shards[index]])

    def __iter__(self) -> Iterator[SessionInteractions]:
        return (self[place] for place in range(len(self)))

    def read(self) -> SessionInteractions:
        """All sessions at once."""
        return self._read(list(self._manifest.shards))

    def _read(self, shards: list[Shard]) -> SessionInteractions:
        tables = [self._table(shard) for shard in shards]
        items, users, dwell, started, lengths = (
            np.concatenate([table[name] for table in tables])
            for name in ("items", "user_id", "dwell", "started", "lengths")
        )
        kinds, context = self._labels(tables)
        sessions = SessionInteractions.from_ragged(
            self._items.of_old[items],
            np.r_[0, np.cumsum(lengths)],
            self._users.of_old[users],
            self.num_items,
            dwell_times=dwell,
            num_users=self.num_users,
            started=started,
            kinds=kinds,
            context=context,
            max_sequence_length=self.max_sequence_length,
        ).named(self.user_vocabulary, self.item_vocabulary)
        return sessions.with_labels(self.kind_vocabulary, self.context_vocabularies)

    def _labels(self, tables: list[dict[str, Any]]) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """Kinds and context of the sessions in tables, in the codes of the vocabularies."""

        def column(name: str) -> NDArray[np.int64]:
            return np.concatenate([table[name] for table in tables]).astype(np.int64)

        kinds, context = None, None
        if self._own_kinds is not None:
            kinds = recoded(column(KIND), self._own_kinds, self.kind_vocabulary, "kinds of the shards")
        if self._own_context:
            columns = [column(f"{CONTEXT}{place}") for place in range(len(self._own_context))]
            context = recoded_context(np.stack(columns, axis=1), self._own_context, self.context_vocabularies)
        return kinds, context

    def _table(self, shard: Shard) -> dict[str, Any]:
        path = self.path / shard.file
        labels = [KIND] if self._own_kinds is not None else []
        labels += [f"{CONTEXT}{place}" for place in range(len(self._own_context))]
        table = _parquet(path, ["user_id", "started", "items", "dwell", *labels])
        items, dwell = (table[name].combine_chunks() for name in ("items", "dwell"))
        found = Shard(shard.file, len(table), len(items.flatten()))
        require(found == shard, f"{str(path)!r} must hold what the manifest says, {shard}", found)
        return {
            "user_id": table["user_id"].to_numpy(),
            "started": table["started"].to_numpy(),
            "items": items.flatten().to_numpy(zero_copy_only=False),
            "dwell": dwell.flatten().to_numpy(zero_copy_only=False),
            "lengths": items.value_lengths().to_numpy(),
            **{name: _flat(table[name].combine_chunks()) for name in labels},
        }

    def _vocabulary(self, file: str, first: int, size: int) -> Vocabulary:
        raw = _parquet(self.path / file, ["raw"])["raw"]
        require(len(raw) == size, f"{file} must hold the {size} ids of the manifest", len(raw))
        return Vocabulary(raw_array(raw.to_pylist(), file), first)


def _names(labels: list[Any] | None) -> Vocabulary | None:
    return None if labels is None else Vocabulary(raw_array(labels, "labels"), first=1)


def _flat(column: pa.Array) -> NDArray[Any]:
    """A column of lists one after the other, or of numbers."""
    values: NDArray[Any] = (column.flatten() if hasattr(column, "flatten") else column).to_numpy(zero_copy_only=False)
    return values


def read_sessions(path: str | Path, like: Any = None) -> SessionInteractions:
    """All sessions of a folder that ``LazyLog.write_sessions`` wrote, in the ids of `like`; see ``SessionShards``."""
    return SessionShards(path, like).read()


def _parquet(path: Path, columns: list[str]) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise ValueError(f"{str(path)!r} must be a parquet file; got {error}") from error
    require(table.column_names == columns, f"{str(path)!r} must have the columns {columns}", table.column_names)
    return table
