"""The manifest of a folder of sessions: which files must be there, and how much each holds.

It is written last and read first, so that a folder that is incomplete or damaged is refused.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spotlight_asars._checks import require

MANIFEST, USERS, ITEMS = "manifest.json", "users.parquet", "items.parquet"
FORMAT = "spotlight_asars sessions 1"


@dataclass(frozen=True)
class Shard:
    """A file of sessions, and how many it holds."""

    file: str
    sessions: int
    events: int


@dataclass(frozen=True)
class Manifest:
    """Contents of the folder; `num_items` counts padding, as Spotlight's does.

    `kinds` and `context` are what kinds, and labels in each column of the context, are called where there are some.
    """

    num_items: int
    num_users: int
    max_sequence_length: int
    shards: tuple[Shard, ...]
    kinds: list[Any] | None = None
    context: dict[str, list[Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into `folder`."""
        (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """The manifest of `folder`; ``FileNotFoundError`` where there is none, ``ValueError`` for another file."""
        path = folder / MANIFEST
        if not path.is_file():
            rule = f"path must be a folder that write_sessions wrote, with a {MANIFEST}"
            raise FileNotFoundError(f"{rule}; got {str(folder)!r}")
        try:
            found = json.loads(path.read_text())
            rule = f"{str(path)!r} must have the format {FORMAT!r}"
            kind = found.pop("format", None) if isinstance(found, dict) else type(found).__name__
            require(kind == FORMAT, rule, kind)
            shards = tuple(Shard(**shard) for shard in found.pop("shards"))
            return cls(shards=shards, **found)
        except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(f"{str(path)!r} must be a manifest of sessions; got {error}") from error


def require_pyarrow() -> None:
    """Raise ``ImportError`` where there is no pyarrow, which reads and writes parquet."""
    if not find_spec("pyarrow"):
        raise ImportError("sessions in folders need pyarrow; pip install 'spotlight-asars[parquet]' brings it")
