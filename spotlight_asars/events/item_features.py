"""``ItemFeatures``: what is known of items, whoever viewed them; and ``FeatureSpace``, how that becomes numbers.

A space is learned once, from the features of the first training: later ones are read in it. A category that it does not
have, and a missing one, are the same value of their column; a missing number is the mean, beside a 1 that says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import reject, require
from spotlight_asars.events import frames
from spotlight_asars.events.vocabulary import Vocabulary

KINDS = ("categorical", "numerical", "vectors")


class ItemFeatures:
    """What is known of some items, one row each; made by ``from_frame``.

    Parameters
    ----------
    items : array (items,)
        Raw ids.
    categorical : dict of array (items,)
        Texts by the name of their column; None where one is missing.
    numerical : dict of float64 (items,)
        NaN where one is missing.
    vectors : dict of float32 (items, dim)
        Rows of NaN where one is missing.
    """

    def __init__(
        self,
        items: NDArray[Any],
        categorical: Mapping[str, NDArray[Any]],
        numerical: Mapping[str, NDArray[np.float64]],
        vectors: Mapping[str, NDArray[np.float32]],
    ) -> None:
        self.items = items
        self.categorical, self.numerical, self.vectors = dict(categorical), dict(numerical), dict(vectors)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        columns = [*self.categorical, *self.numerical, *self.vectors]
        return f"<ItemFeatures ({len(self)} items x {', '.join(map(str, columns))})>"

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        item: str = "item_id",
        categorical: Sequence[str] = (),
        numerical: Sequence[str] = (),
        vectors: Sequence[str] = (),
    ) -> ItemFeatures:
        """The features in a pandas, polars or pyarrow table of one item a row.

        Parameters
        ----------
        frame : table
        item : str
            Column of raw ids, of the same type as in the log; none twice.
        categorical : list of str
            Columns of texts, whole numbers or booleans. The number 1 and the text "1" are the same category.
        numerical : list of str
            Columns of finite numbers.
        vectors : list of str
            Columns of lists of finite numbers, of one length in each column.

        In all of them a value may be missing.

        Raises
        ------
        ValueError
            For a missing column, an empty table, missing or repeated ids, no columns of features or one that is named
            twice, numbers that are infinite, and vectors of different lengths or with NaN.
        TypeError
            For an object that is no such table.

        Examples
        --------
        >>> import pandas as pd
        >>> shelves = pd.DataFrame({"item_id": [7, 8], "shelf": ["tea", None], "price": [2.5, 4.0]})
        >>> ItemFeatures.from_frame(shelves, categorical=["shelf"], numerical=["price"])
        <ItemFeatures (2 items x shelf, price)>
        """
        table = frames.to_frame(frame)
        named = {"categorical": categorical, "numerical": numerical, "vectors": vectors}
        for argument, names in named.items():
            require(not isinstance(names, str), f"{argument} must be a list of columns", names)
        every = [name for names in named.values() for name in names]
        require(len(every) > 0, "categorical, numerical or vectors must name a column", every)
        require(len(set(every)) == len(every), "no column must be named twice", every)
        items = frames.ids(table, item, "item")
        _, first = np.unique(items, return_index=True)
        again = np.ones(len(items), dtype=bool)
        again[first] = False
        reject(again, items, f"item column {item!r} must have each item once")
        return cls(
            items,
            {name: _texts(table, name) for name in categorical},
            {name: _numbers(table, name) for name in numerical},
            {name: _vectors(table, name) for name in vectors},
        )


class FeatureSizes(NamedTuple):
    """Sizes of encoded features.

    categories : rows of an embedding of all categories, with row 0 for none
    columns : categories that an item has
    numbers : that an item has
    """

    categories: int
    columns: int
    numbers: int


class FeatureSpace:
    """How features become numbers: the categories of each column, and the scales of numbers.

    Parameters
    ----------
    categories : dict of list of str
    scales : dict of (float, float)
        Mean and standard deviation of each numerical column.
    lengths : dict of int
        Of the vectors of each column.
    """

    def __init__(
        self,
        categories: Mapping[str, list[str]],
        scales: Mapping[str, Sequence[float]],
        lengths: Mapping[str, int],
    ) -> None:
        self.categories, self.scales = dict(categories), {name: tuple(scale) for name, scale in scales.items()}
        self.lengths = dict(lengths)

    @classmethod
    def learn(cls, features: ItemFeatures) -> FeatureSpace:
        """The space of some features."""
        categories = {
            name: sorted({text for text in column.tolist() if text is not None})
            for name, column in features.categorical.items()
        }
        scales = {}
        for name, column in features.numerical.items():
            known = column[~np.isnan(column)]
            mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
            scales[name] = mean, deviation or 1.0
        return cls(categories, scales, {name: column.shape[1] for name, column in features.vectors.items()})

    def as_json(self) -> dict[str, Any]:
        """The arguments of the constructor, for a model file."""
        return {"categories": self.categories, "scales": self.scales, "lengths": self.lengths}

    @property
    def sizes(self) -> FeatureSizes:
        """Sizes of what ``encode`` returns."""
        categories = 1 + sum(1 + len(column) for column in self.categories.values())
        numbers = 2 * len(self.scales) + sum(1 + length for length in self.lengths.values())
        return FeatureSizes(categories, len(self.categories), numbers)

    def encode(self, features: ItemFeatures) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Features as numbers, of about the same size each.

        Returns
        -------
        categories : int32 (items, columns)
            The first of each column is for what is missing or unknown; 0 is none.
        numbers : float32 (items, numbers)
            Standardised, with 1 beside those that are missing; vectors by their lengths, likewise.

        Raises
        ------
        ValueError
            For other columns, or vectors of another length, than the space has.
        """
        own: tuple[Mapping[str, Any], ...] = (self.categories, self.scales, self.lengths)
        for kind, columns in zip(KINDS, own, strict=True):
            given, known = sorted(getattr(features, kind)), sorted(columns)
            require(given == known, f"features must have the {kind} columns of the first, {known}", given)
        codes: list[NDArray[Any]] = []
        numbers: list[NDArray[Any]] = []
        first = 1
        for name, texts in self.categories.items():
            codes.append(first + 1 + Vocabulary(np.array(texts, object), 0).encode(features.categorical[name]))
            first += 1 + len(texts)
        for name, (mean, deviation) in self.scales.items():
            column = features.numerical[name]
            absent = np.isnan(column)
            numbers += [np.where(absent, 0.0, (column - mean) / deviation), absent]
        for name, length in self.lengths.items():
            matrix = features.vectors[name]
            if not matrix.shape[1]:  # all are missing
                matrix = np.full((len(matrix), length), np.nan, np.float32)
            rule = f"vectors column {name!r} must have the length of the first, {length}"
            require(matrix.shape[1] == length, rule, matrix.shape[1])
            absent = np.asarray(np.isnan(matrix).all(axis=1))
            norm = np.linalg.norm(matrix, axis=1, keepdims=True)
            unit = matrix / np.where(norm > 0, norm, 1.0)
            numbers += [*np.where(absent[:, None], 0.0, unit).T, absent]
        number, sizes = len(features), self.sizes
        categories = np.array(codes, np.int32).reshape(sizes.columns, number).T
        return np.ascontiguousarray(categories), np.array(numbers, np.float32).reshape(sizes.numbers, number).T.copy()


def _texts(table: nw.DataFrame[Any], name: str) -> NDArray[Any]:
    """Categories as texts, None where one is missing; 1.0 is 1, as a column of numbers with gaps has it."""
    values = frames.column_of(table, name, "categorical").to_list()
    texts = np.full(len(values), None, dtype=object)
    for place, value in enumerate(values):
        whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
        if value is not None and value == value:  # NaN is not itself
            texts[place] = str(int(value) if whole else value)
    return texts


def _numbers(table: nw.DataFrame[Any], name: str) -> NDArray[np.float64]:
    kind = str(frames.column_of(table, name, "numerical").dtype)
    try:
        numbers = frames.numbers(table, name, "numerical").astype(np.float64)
    except ValueError:
        raise ValueError(f"numerical column {name!r} must be numbers; got {kind!r}") from None
    too_large = np.abs(numbers) > np.finfo(np.float32).max
    reject(too_large, numbers, f"numerical column {name!r} must be finite as float32, or missing")
    return numbers


def _vectors(table: nw.DataFrame[Any], name: str) -> NDArray[np.float32]:
    """Vectors of one length, float32 (items, dim); NaN where one is missing."""
    values = frames.column_of(table, name, "vectors").to_list()
    rows = [None if value is None or isinstance(value, float) else np.asarray(value) for value in values]
    label = f"vectors column {name!r}"
    known = [row for row in rows if row is not None]
    for row in known:
        fits = row.ndim == 1 and row.dtype.kind in "iuf"
        require(fits, f"{label} must hold lists of numbers", row.tolist())
    lengths = np.array([len(row) for row in known])
    length = int(lengths[0]) if len(known) else 0
    reject(lengths != length, lengths, f"{label} must have vectors of one length, {length}")
    matrix = np.full((len(rows), length), np.nan, np.float32)
    for place, vector in enumerate(rows):
        if vector is None:
            continue  # stays unknown
        require(bool(np.isfinite(vector).all()), f"{label} must be finite, or missing as a whole", vector.tolist())
        matrix[place] = vector
    return matrix
