"""The text inside what was downloaded: a plain file, a gzipped one, an archive, or a folder that holds one of them.

It must satisfy: whatever the packing, the same lines come out; a file is read as a stream of blocks of whole lines, so
that its size never matters; what is cut off or damaged is refused by name, and never read half in silence.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import IO, cast

from spotlight_asars._checks import require

BLOCK = 2**25  # bytes read at once
DAMAGE = (EOFError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error)
MARK = b"\xef\xbb\xbf"  # the byte order mark of UTF-8
PACKINGS = ("", ".gz", ".zip", ".tar.gz", ".tgz")  # in the order of preference where a folder holds several


@dataclass(frozen=True)
class TextFile:
    """One text file: `path` itself, or its `member` where that is an archive."""

    path: Path
    member: str | None = None

    @property
    def label(self) -> str:
        """How messages call it: the name of the file with the lines, quoted."""
        return repr(PurePosixPath(self.member).name if self.member else self.path.name)

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        """The lines in blocks of about `size` bytes; a block ends with a line, and its lines with a newline alone.

        Blank lines at the end of the file are left out, and so is a byte order mark at its start.

        Raises
        ------
        ValueError
            Where the file turns out to be cut off or damaged, and if it holds no line at all.
        """
        rest, begun = b"", False
        with _whole(self.path), _stream(self.path, self.member) as file:
            while piece := file.read(size):
                lines, newline, tail = (rest + piece).rpartition(b"\n")
                if not begun:
                    lines, tail = lines.removeprefix(MARK), tail if newline else tail.removeprefix(MARK)
                body = lines.replace(b"\r\n", b"\n").rstrip(b"\r\n")
                if body:
                    begun = True
                    yield body + b"\n"
                blank = lines.count(b"\n") - body.count(b"\n") + (newline == b"\n" and not body)
                rest = b"\n" * blank + tail  # blank lines that something follows are lines
            if rest := rest.rstrip(b"\r\n"):
                begun = True
                yield rest + b"\n"
        require(begun, f"{self.label} must have at least one line", "an empty file")


def find_text(path: str | Path, name: str) -> list[TextFile]:
    """The text files called `name`, at or under `path`, in the order of their names; at least one.

    Parameters
    ----------
    path : str or Path
        The file itself, whatever its name, plain or gzipped; a zip or tar.gz archive with it inside; or a folder, in
        which both are looked for, at any depth. A name that stands there both plain and packed is taken plain.
    name : str
        The name as published, which may have wildcards.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`, or nothing of that name in it.
    ValueError
        For an archive that is cut off or damaged.
    """
    path = Path(path)
    if path.is_dir():
        found = _in_folder(path, name)
    elif path.is_file():
        found = _in_file(path, name)
    else:
        raise FileNotFoundError(f"path must name an existing file or folder; got {str(path)!r}")
    if not found:
        raise FileNotFoundError(f"path must hold {name}, plain, gzipped or in an archive; got {str(path)!r}")
    return found


def find_one(path: str | Path, name: str) -> list[TextFile]:
    """``find_text`` where there must be no more than one; the rest would be another data set's."""
    found = find_text(path, name)
    places = [str(file.path / file.member if file.member else file.path) for file in found]
    require(len(found) == 1, f"path must hold one {name}", places, "Give its own path")
    return found


def _in_folder(folder: Path, name: str) -> list[TextFile]:
    """Files of that name, plain or gzipped; else those in the first archive that has some."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
    for suffix in PACKINGS[:2]:
        plain = [TextFile(file) for file in files if _matches(file.name, name + suffix)]
        if plain:
            return plain
    archives = [file for file in files if file.name.endswith(PACKINGS[2:])]
    return next(filter(None, (_in_file(archive, name) for archive in archives)), [])


def _in_file(path: Path, name: str) -> list[TextFile]:
    if not _is_zip(path) and not _is_tar(path):
        return [TextFile(path)]
    with _whole(path):
        if _is_zip(path):
            with zipfile.ZipFile(path) as archive:
                members = archive.namelist()
        else:
            with tarfile.open(path) as tape:
                members = [member.name for member in tape if member.isfile()]
    return [TextFile(path, member) for member in sorted(members) if _matches(member, name)]


def _matches(member: str, name: str) -> bool:
    """Whether the last part of a path is the name; "._name" is what macOS puts beside it in an archive."""
    last = PurePosixPath(member).name
    return fnmatch(last, name) and not last.startswith("._")


def _is_zip(path: Path) -> bool:
    """Told by its first bytes, for the end of a zip file, where others look, is missing from one that is cut off."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


def _is_tar(path: Path) -> bool:
    return path.name.endswith((".tar.gz", ".tgz"))


@contextmanager
def _stream(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The bytes of the text, unpacked as they are read."""
    if member is None:
        with path.open("rb") as file:
            gzipped = file.read(2) == b"\x1f\x8b"
        with path.open("rb") as file:
            yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if gzipped else file
    elif _is_zip(path):
        with zipfile.ZipFile(path) as archive, archive.open(member) as text:
            yield text
    else:
        with tarfile.open(path) as tape:
            extracted = tape.extractfile(member)
            assert extracted is not None, "only files are listed"
            with extracted as text:
                yield text


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Say which file is damaged, in place of whatever the unpacking met."""
    try:
        yield
    except DAMAGE as error:
        detail = str(error).rstrip(".").lower() or type(error).__name__
        raise ValueError(f"{path.name!r} must be a whole file; got one cut off or damaged: {detail}") from error
