"""The text inside a file: plain, compressed by gz, bz2 or zst, in a zip or tar.gz archive, or somewhere in a folder.

- Every packing gives the same lines.
- A file is read in blocks of whole lines, so it may be larger than memory.
- A damaged file raises ``ValueError`` with its name; it is never read in part without notice.
"""

from __future__ import annotations

import bz2
import gzip
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO, cast

from spotlight_asars._checks import require

BLOCK = 2**25  # bytes read at once
DAMAGE = (EOFError, OSError, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error)
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
TAR = (".tar.gz", ".tgz")


def _from_zst(file: IO[bytes]) -> IO[bytes]:
    if not find_spec("pyarrow"):
        raise ImportError("zst files need pyarrow; pip install 'spotlight-asars[parquet]' brings it")
    import pyarrow as pa

    return BytesIO(pa.CompressedInputStream(file, "zstd").read())


PACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {  # by the first bytes of a file
    b"\x1f\x8b": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
    b"\x28\xb5\x2f\xfd": _from_zst,
}


@dataclass(frozen=True)
class TextFile:
    """A text file: `path` itself, or its `member` where that is an archive."""

    path: Path
    member: str | None = None

    @property
    def label(self) -> str:
        """The name of the text file, quoted, as messages show it."""
        return repr(PurePosixPath(self.member or self.path.name).name)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The unpacked bytes; ``ValueError`` if the file is damaged."""
        with _named_if_damaged(self.path), _open(self.path, self.member) as file:
            yield file

    def blocks(self, size: int = BLOCK) -> Iterator[bytes]:
        r"""The lines in blocks of `size` bytes or a little more, each line ending in "\n".

        A byte order mark and blank lines at the end of the file are left out.

        Raises
        ------
        ValueError
            If the file is damaged or has no line.
        """
        empty, blank = True, b""  # `blank`: blank lines that count only if another line follows
        with self.open() as file:
            while text := file.read(size):
                text = (text + file.readline()).replace(b"\r\n", b"\n")
                text = blank + (text.removeprefix(BYTE_ORDER_MARK) if empty else text)
                lines = text.rstrip(b"\n")
                blank = text[len(lines) + bool(lines) :]
                if lines:
                    empty = False
                    yield lines + b"\n"
        require(not empty, f"{self.label} must have at least one line", "an empty file")


def find_text(path: str | Path, name: str) -> list[TextFile]:
    """All text files called `name` at or under `path`, sorted; at least one.

    Parameters
    ----------
    path : str or Path
        The file itself under any name, plain or gzipped; an archive that contains it; or a folder, searched at any
        depth for plain files first, then gzipped ones, then archives.
    name : str
        The published name, which may have wildcards.

    Raises
    ------
    FileNotFoundError
        If there is nothing at `path`, or no file of that name in it.
    ValueError
        For a damaged archive.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path must name an existing file or folder; got {str(path)!r}")
    files = _in_folder(path, name) if path.is_dir() else _in_file(path, name)
    if not files:
        raise FileNotFoundError(f"path must hold {name}, plain, gzipped or in an archive; got {str(path)!r}")
    return files


def find_one(path: str | Path, name: str) -> list[TextFile]:
    """As ``find_text``, but ``ValueError`` if there is more than one file of that name."""
    files = find_text(path, name)
    places = [str(file.path / file.member if file.member else file.path) for file in files]
    require(len(files) == 1, f"path must hold one {name}", places, "Give its own path")
    return files


def _in_folder(folder: Path, name: str) -> list[TextFile]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    for ending in ("", ".gz"):
        if files := [TextFile(path) for path in paths if _matches(path.name, name + ending)]:
            return files
    archives = (_in_file(path, name) for path in paths if path.name.endswith((".zip", *TAR)))
    return next(filter(None, archives), [])


def _in_file(path: Path, name: str) -> list[TextFile]:
    with _named_if_damaged(path):
        if _is_zip(path):
            with zipfile.ZipFile(path) as archive:
                members = archive.namelist()
        elif path.name.endswith(TAR):
            with tarfile.open(path) as tape:
                members = [member.name for member in tape if member.isfile()]
        else:
            return [TextFile(path)]
    return [TextFile(path, member) for member in sorted(members) if _matches(member, name)]


def _matches(member: str, name: str) -> bool:
    """Whether the last part of a path is `name`; macOS adds files that begin with "._" to archives."""
    last = PurePosixPath(member).name
    return fnmatch(last, name) and not last.startswith("._")


def _is_zip(path: Path) -> bool:
    """By the first bytes: ``zipfile`` looks for the directory at the end, which a file cut off lacks."""
    with path.open("rb") as file:
        return file.read(4) in (b"PK\x03\x04", b"PK\x05\x06")


@contextmanager
def _open(path: Path, member: str | None) -> Iterator[IO[bytes]]:
    """The unpacked bytes of a text file."""
    if member is None:
        with path.open("rb") as file:
            first = file.read(4)
            file.seek(0)
            unpack = next((unpack for mark, unpack in PACKED.items() if first.startswith(mark)), None)
            yield file if unpack is None else unpack(file)
    elif _is_zip(path):
        with zipfile.ZipFile(path) as archive, archive.open(member) as text:
            yield text
    else:
        with tarfile.open(path) as tape:
            extracted = tape.extractfile(member)
            assert extracted is not None, "only files are listed"
            yield extracted


@contextmanager
def _named_if_damaged(path: Path) -> Iterator[None]:
    """Raise ``ValueError`` with the name of the file where unpacking fails."""
    try:
        yield
    except DAMAGE as error:
        detail = str(error).rstrip(".").lower() or type(error).__name__
        raise ValueError(f"{path.name!r} must be a whole file; got one cut off or damaged: {detail}") from error
