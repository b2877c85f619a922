"""Writes a folder of sessions: raw ids become contiguous, sessions become rows, each part of the log a shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from spotlight_asars.events import frames
from spotlight_asars.events.labels import encode_labels
from spotlight_asars.events.vocabulary import Vocabulary, raw_array
from spotlight_asars.preparation.manifest import ITEMS, USERS, Manifest, Shard
from spotlight_asars.preparation.steps import CONTEXT, KIND
from spotlight_asars.sessions.cutting import LengthLimits

if TYPE_CHECKING:
    import pyarrow as pa


def write_shards(
    folder: Path,
    items: pa.ChunkedArray,
    parts: Iterable[pa.Table],
    limits: LengthLimits,
    labels: Mapping[str, list[Any]] | None = None,
    context: Sequence[str] = (),
) -> None:
    """Write a shard for each part of a log that has sessions, then the users and the manifest.

    Parameters
    ----------
    folder : Path
        Where to; it exists.
    items : pyarrow array
        Raw ids of all items of the log.
    parts : iterable of pyarrow tables
        Events of whole users, sorted by user, time and order; the users of each part come after those of the last.
    limits : LengthLimits
        Events of a row.
    labels : dict of lists
        All labels in each column of kinds and context.
    context : names
        What the columns of the context are called.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = pa.table({"raw": items}).sort_by("raw")
    pq.write_table(raw, folder / ITEMS)
    vocabulary = Vocabulary(raw_array(raw["raw"].to_pylist(), "item"), first=1)
    of_labels = {name: Vocabulary(raw_array(values, name), first=1) for name, values in (labels or {}).items()}
    users: list[pa.Array] = []
    shards: list[Shard] = []
    num_users = longest = 0
    for events in parts:
        if not len(events):
            continue
        raw_users, rows, longest_row = _rows(events, num_users, vocabulary, limits, of_labels)
        users.append(pa.array(raw_users, events["user"].type))
        num_users, longest = num_users + len(raw_users), max(longest, longest_row)
        if len(rows):
            file = f"sessions-{len(shards):05d}.parquet"
            pq.write_table(rows, folder / file)
            shards.append(Shard(file, len(rows), len(rows["items"].combine_chunks().flatten())))
    limits.require_some(len(shards), longest)
    pq.write_table(pa.table({"raw": pa.chunked_array(users)}), folder / USERS)
    known = {name: one.raw.tolist() for name, one in of_labels.items()}
    of_context = {name: known[f"{CONTEXT}{place}"] for place, name in enumerate(context)}
    Manifest(len(vocabulary) + 1, num_users, limits.largest, tuple(shards), known.get(KIND), of_context).save(folder)


def _rows(
    events: pa.Table, first_user: int, vocabulary: Vocabulary, limits: LengthLimits, labels: Mapping[str, Vocabulary]
) -> tuple[np.ndarray[Any, Any], pa.Table, int]:
    """The raw users of a part, whose ids start at `first_user`, its sessions as rows, and the longest row's length."""
    import pyarrow as pa

    table = nw.from_native(events, eager_only=True)
    users, user_ids = frames.encoded(table, "user", "user", first=first_user)
    items, codes = frames.encoded(table, "item", "item", first=0)
    session = events["session"].to_numpy()
    starts = np.r_[True, (user_ids[1:] != user_ids[:-1]) | (session[1:] != session[:-1])]
    rows = limits.rows(np.cumsum(starts) - 1)
    item_ids = vocabulary.encode(items.raw)[codes].astype(np.int32)
    dwell = events["dwell"].to_numpy().astype(np.float32)  # null becomes NaN
    offsets = pa.array(rows.offsets, pa.int32())
    columns = {
        "user_id": user_ids[rows.first],
        "started": events["time"].to_numpy()[rows.first].astype(np.float64),
        "items": pa.ListArray.from_arrays(offsets, pa.array(item_ids[rows.kept])),
        "dwell": pa.ListArray.from_arrays(offsets, pa.array(dwell[rows.kept])),
    }
    for name, known in labels.items():
        of_events = encode_labels(known, events[name].to_pylist(), name).astype(np.int32)
        if name == KIND:
            columns[name] = pa.ListArray.from_arrays(offsets, pa.array(of_events[rows.kept]))
        else:
            columns[name] = of_events[rows.first]
    return users.raw, pa.table(columns), rows.longest
