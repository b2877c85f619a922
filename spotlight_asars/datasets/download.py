"""One published file onto this disk: resumed where it was cut off, checked, and only then given its name.

It must satisfy: a file that has its final name is whole; what has arrived is never asked for again; a file that is not
the published one is removed; and without a network the message says what to put where.
"""

from __future__ import annotations

import hashlib
import os
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tqdm import tqdm

from spotlight_asars._checks import require

CACHE_VARIABLE = "SPOTLIGHT_ASARS_CACHE"
DEFAULT_CACHE = Path("~/.cache/spotlight_asars")
PIECE = 2**20  # bytes read at once
TIMEOUT = 60.0  # [s] of silence after which a connection is given up
NOTHING_LEFT = 416  # the HTTP status of a range that begins at the end of the file or beyond


@dataclass(frozen=True)
class Source:
    """Where a data set is published."""

    page: str  # of the provider
    file: str  # to be had there
    url: str | None = None  # of the file; None where there is no direct download
    checksum: str | None = None  # as the provider publishes it: "md5:..."; None without a url


def cache_folder(folder: str | Path | None = None) -> Path:
    """`folder`, else that of the environment variable ``SPOTLIGHT_ASARS_CACHE``, else ``~/.cache/spotlight_asars``."""
    return Path(folder or os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE).expanduser()


def fetch_file(
    source: Source, folder: str | Path | None = None, progress: bool = True, timeout: float = TIMEOUT
) -> Path:
    """Path of the file in the cache, downloaded if it is not there yet.

    What arrives goes into a file with ".part" at the end of its name, where a later call goes on after an interruption.

    Parameters
    ----------
    source : Source
    folder : str or Path, optional
        The cache; see ``cache_folder``.
    progress : bool
        Show a progress bar.
    timeout : float
        Silence on the line [s] that ends the download.

    Raises
    ------
    FileNotFoundError
        If the file is not there, and its provider has no direct download.
    ConnectionError
        If the provider cannot be reached, or the connection breaks.
    ValueError
        If the file that arrived is not the published one; it is removed.
    """
    path = cache_folder(folder) / source.file
    if path.is_file():
        return path
    by_hand = f"Download {source.file} by hand from {source.page} and put it at {path}"
    if source.url is None:
        raise FileNotFoundError(f"{source.file} has no direct download; got no file at {str(path)!r}. {by_hand}")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        _go_on(source.url, part, path.name, progress, timeout)
    except (urllib.error.URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error
        raise ConnectionError(f"{source.url} must be reachable; got {reason}. {by_hand}, or call again") from error
    _check(part, source)
    part.replace(path)
    return path


def _go_on(url: str, part: Path, name: str, progress: bool, timeout: float) -> None:
    """Append to `part` what is not there yet; start again where the server does not know how to go on."""
    start = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response: HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == NOTHING_LEFT:
            error.close()
            return  # all of it is there; the checksum will tell
        raise
    with response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        start = start if goes_on else 0
        length = response.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=not progress)
        with part.open("ab" if goes_on else "wb") as file, bar:
            while piece := response.read(PIECE):
                file.write(piece)
                bar.update(len(piece))
            arrived = file.tell()
    if total is not None and arrived < total:
        raise ConnectionError(f"a connection that broke after {arrived} of {total} bytes")


def _check(part: Path, source: Source) -> None:
    assert source.checksum is not None, "a source with a url has a checksum"
    algorithm, _, expected = source.checksum.partition(":")
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with part.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    if digest.hexdigest() != expected:
        part.unlink()
    found = f"{algorithm}:{digest.hexdigest()}"
    rule = f"{source.file} must have the published checksum {source.checksum}"
    require(digest.hexdigest() == expected, rule, found, f"The file was removed; call again, or see {source.page}")
