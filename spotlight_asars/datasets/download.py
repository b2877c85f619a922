"""Downloads of published files into a cache folder, by pooch (the extra ``download``)."""

from __future__ import annotations

import os
from pathlib import Path

from spotlight_asars._checks import one_of
from spotlight_asars.datasets.published import DATASETS
from spotlight_asars.runtime.quiet import quiet

CACHE_VARIABLE = "SPOTLIGHT_ASARS_CACHE"
DEFAULT_CACHE = Path("~/.cache/spotlight_asars")
PIECE = 2**20  # bytes read at once
TIMEOUT = 60.0  # [s] without an answer after which a download fails


def cache_folder(folder: str | Path | None = None) -> Path:
    """`folder`, else the environment variable ``SPOTLIGHT_ASARS_CACHE``, else ``~/.cache/spotlight_asars``."""
    return Path(folder or os.environ.get(CACHE_VARIABLE) or DEFAULT_CACHE).expanduser()


def fetch(name: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """The path of a published file in the cache folder, downloaded if it is not there.

    MovieLens and KuaiRand are downloaded from their providers and checked. The others need an account or unpacking:
    there the error message says which file to put where. A file that is there is taken as it is.

    Parameters
    ----------
    name : str
        One of ``DATASETS``.
    folder : str or Path, optional
        The cache folder; by default the environment variable ``SPOTLIGHT_ASARS_CACHE``, else
        ``~/.cache/spotlight_asars``.
    progress : bool
        Show a progress bar.

    Raises
    ------
    ValueError
        For another name, and if the downloaded file does not have the published checksum; it is deleted.
    FileNotFoundError
        If the file is not there and has no direct download.
    ConnectionError
        If the provider cannot be reached, or the connection breaks.
    ImportError
        If pooch is missing.
    """
    one_of(name, tuple(DATASETS), "name")
    dataset = DATASETS[name]
    path = cache_folder(folder) / dataset.file
    if path.is_file():
        return path
    by_hand = f"Download {path.name} by hand from {dataset.page} and put it at {path}"
    if dataset.url is None:
        why = f"{path.name} has no direct download ({dataset.by_hand})"
        raise FileNotFoundError(f"{why}; got no file at {str(path)!r}. {by_hand}")
    try:
        import pooch
        import requests
    except ModuleNotFoundError as error:
        if error.name != "pooch":  # something pooch itself needs is missing
            raise
        message = f"fetch needs pooch; pip install 'spotlight-asars[download]' brings it. Or: {by_hand}"
        raise ImportError(message) from error
    downloader = pooch.HTTPDownloader(progressbar=progress, chunk_size=PIECE, timeout=TIMEOUT)
    try:
        with quiet(pooch.get_logger()):
            pooch.retrieve(dataset.url, dataset.checksum, path.name, path.parent, downloader=downloader)
    except requests.RequestException as error:
        raise ConnectionError(f"{dataset.url} must be reachable; got {error}. {by_hand}, or call again") from error
    return path
