"""Files that cannot be written to their end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FULL = re.compile(r"no space|too large|quota|\berrno\b|os error|io error", re.IGNORECASE)  # as libraries put it


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise ``OSError`` with `path` where a library has an error of its own because the disk is full."""
    try:
        yield
    except Exception as error:
        if not FULL.search(str(error)) or isinstance(error, (FileExistsError, FileNotFoundError)):
            raise
        reason = str(error).splitlines()[0]
        raise OSError(f"path must stand where there is room for all of it; got {str(path)!r}: {reason}") from error
