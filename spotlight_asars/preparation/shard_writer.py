"""Shards on their way into a folder: raw ids become contiguous, sessions become rows."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from spotlight_asars.events import frames
from spotlight_asars.events.vocabulary import Vocabulary
from spotlight_asars.preparation.manifest import ITEMS, USERS, Manifest, Shard
from spotlight_asars.sessions.cutting import LengthLimits

if TYPE_CHECKING:
    import pyarrow as pa


class ShardWriter:
    """Writes shards, then, when it is left without an error, the vocabulary of users and the manifest.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    items : pyarrow array
        Raw ids of all items of the log.
    lengths : LengthLimits
        Events of a row.
    """

    def __init__(self, folder: Path, items: pa.ChunkedArray, lengths: LengthLimits) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._folder, self._lengths = folder, lengths
        raw = pa.table({"raw": items}).sort_by("raw")
        pq.write_table(raw, folder / ITEMS)
        self._items = Vocabulary(np.array(raw["raw"].to_pylist()), first=1)
        self._num_users, self._longest = 0, 0
        self._shards: list[Shard] = []
        self._users: pq.ParquetWriter | None = None

    def write(self, events: pa.Table) -> None:
        """A shard of `events` sorted by user, time and order; its users come after those of the last one."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not len(events):
            return
        table = nw.from_native(events, eager_only=True)
        users, user_ids = frames.encoded(table, "user", "user", first=self._num_users)
        items, codes = frames.encoded(table, "item", "item", first=0)
        self._append_users(pa.array(users.raw, events["user"].type))
        session = events["session"].to_numpy()
        starts = np.r_[True, (user_ids[1:] != user_ids[:-1]) | (session[1:] != session[:-1])]
        rows = self._lengths.rows(np.cumsum(starts) - 1)
        self._longest = max(self._longest, rows.longest)
        if not len(rows.first):
            return
        columns: dict[str, Any] = {
            "user_id": user_ids[rows.first],
            "started": events["time"].to_numpy()[rows.first].astype(np.float64),
        }
        item_ids = self._items.encode(items.raw)[codes].astype(np.int32)
        dwell = events["dwell"].to_numpy().astype(np.float32)  # null becomes NaN
        offsets = pa.array(rows.offsets, pa.int32())
        for name, flat in (("items", item_ids), ("dwell", dwell)):
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(flat[rows.kept]))
        file = f"sessions-{len(self._shards):05d}.parquet"
        pq.write_table(pa.table(columns), self._folder / file)
        self._shards.append(Shard(file, len(rows.first), int(rows.offsets[-1])))

    def _append_users(self, raw: pa.Array) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table({"raw": raw})
        self._users = self._users or pq.ParquetWriter(self._folder / USERS, table.schema)
        self._users.write_table(table)
        self._num_users += len(raw)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._users:
            self._users.close()
        if error is None:
            self._lengths.require_some(len(self._shards), self._longest)
            manifest = Manifest(len(self._items) + 1, self._num_users, self._lengths.largest, tuple(self._shards))
            manifest.save(self._folder)
