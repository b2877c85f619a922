"""MovieLens, https://grouplens.org/datasets/movielens, from upstream's files and in its cache folder."""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path

from spotlight_asars._core.interactions import Interactions

VARIANTS = ("100K", "1M", "10M", "20M")
URL_PREFIX = "https://github.com/maciejkula/recommender_datasets/releases/download"
VERSION = "v0.2.0"


def _fetch(dataset: str) -> Path:
    """Path of the file in the cache, downloaded if it is not there yet."""
    path = Path.home() / "spotlight_data" / "movielens" / VERSION / f"{dataset}.hdf5"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")  # an interrupted download must not look complete
        with (
            urllib.request.urlopen(f"{URL_PREFIX}/{VERSION}/{path.name}") as response,
            partial.open("wb") as file,
        ):
            shutil.copyfileobj(response, file)
        partial.replace(path)
    return path


def get_movielens_dataset(variant: str = "100K") -> Interactions:
    """Ratings of one MovieLens dataset, downloaded on first use.

    Parameters
    ----------
    variant : {"100K", "1M", "10M", "20M"}, optional
        Roughly, its number of ratings.

    Raises
    ------
    ValueError
        If there is no such variant.
    ModuleNotFoundError
        If h5py, which reads the file, is not installed.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {VARIANTS}; got {variant!r}")
    try:
        import h5py
    except ModuleNotFoundError as error:
        message = "h5py must be installed to read MovieLens; got no such module. Run pip install h5py"
        raise ModuleNotFoundError(message, name=error.name) from error
    with h5py.File(_fetch(f"movielens_{variant}"), "r") as data:
        columns = (data[name][:] for name in ("user_id", "item_id", "rating", "timestamp"))
        return Interactions(*columns)
