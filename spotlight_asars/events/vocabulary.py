"""``Vocabulary``: raw ids <-> contiguous ids.

Contiguous ids mean nothing without the vocabulary that gave them. So the vocabularies of two sides are compared where
both are known, and ids of another log are refused instead of being read as this one's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject, require
from spotlight_asars.events.distinct import distinct

ID_TYPES = {"i": "integers", "u": "integers", "O": "strings"}  # by the kind of numpy's dtype


class Vocabulary:
    """The raw ids behind the contiguous ids `first`, `first` + 1, ...

    Parameters
    ----------
    raw : array (n,)
        Distinct raw ids, integers or strings, in the order of their contiguous ids. They are kept as int64, as uint64
        where one exceeds int64, or as an array of objects of type str.
    first : int
        Contiguous id of ``raw[0]``: 0 for users, 1 for items, whose 0 is padding.

    Examples
    --------
    >>> cities = Vocabulary(np.array(["Bern", "Oslo"]), first=1)
    >>> cities.encode(["Oslo", "Rome"]), cities.decode([1, 2]).tolist()
    (array([ 2, -1]), ['Bern', 'Oslo'])
    """

    ABSENT = -1

    def __init__(self, raw: NDArray[Any], first: int) -> None:
        self.raw, self.first = raw_array(raw, "raw"), first

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.raw, kind="stable")

    @cached_property
    def _id_of_text(self) -> dict[str, int]:
        return {text: place for place, text in enumerate(self.raw.tolist(), self.first)}

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return f"<Vocabulary ({len(self)} ids from {self.first})>"

    @classmethod
    def learn(cls, values: NDArray[Any], first: int) -> tuple[Vocabulary, NDArray[np.int64]]:
        """The sorted vocabulary of `values`, and `values` encoded in it."""
        raw, codes = distinct(values)
        return cls(raw, first), codes + first

    def encode(self, values: ArrayLike) -> NDArray[np.int64]:
        """Contiguous ids; -1 for a raw id that is not in the vocabulary."""
        values = values if isinstance(values, np.ndarray) else np.array(values, dtype=object)
        if not len(self):
            return np.full(values.shape, self.ABSENT, dtype=np.int64)
        if self.raw.dtype.kind == "O":
            known = self._id_of_text
            codes = (known.get(value, self.ABSENT) for value in values.ravel().tolist())
            return np.fromiter(codes, np.int64, values.size).reshape(values.shape)
        alike, fits = _as_dtype(values, self.raw.dtype)
        place = np.searchsorted(self.raw, alike, sorter=self._order).clip(max=len(self) - 1)
        code = self._order[place]
        return np.where(fits & (self.raw[code] == alike), code + self.first, self.ABSENT)

    def decode(self, ids: ArrayLike) -> NDArray[Any]:
        """Raw ids; ``ValueError`` for an id that is not in the vocabulary."""
        known = integers(ids, "ids")
        last = self.first + len(self) - 1
        reject((known < self.first) | (known > last), known, f"ids must lie in {self.first}..{last}")
        return np.asarray(self.raw[known - self.first])

    def compact(self, used: NDArray[Any]) -> tuple[Vocabulary, NDArray[np.int64]]:
        """The vocabulary of the `used` ids alone, and the new id of each old one: int64 (old ids,), -1 for the rest."""
        present = np.zeros(self.first + len(self), dtype=bool)
        present[used] = True
        id_map = np.where(present, np.cumsum(present) - 1 + self.first, self.ABSENT)
        return Vocabulary(self.raw[present[self.first :]], self.first), id_map


def vocabularies(owner: Any) -> tuple[Vocabulary, Vocabulary]:
    """Vocabularies of the users and items of a log, of sessions or of a fitted model.

    Raises
    ------
    ValueError
        If `owner` does not know its raw ids.
    """
    users, items = getattr(owner, "user_vocabulary", None), getattr(owner, "item_vocabulary", None)
    if not (isinstance(users, Vocabulary) and isinstance(items, Vocabulary)):
        raise ValueError(
            f"other must know raw ids, as a log, its sessions, and a model that was trained with these do; got "
            f"{type(owner).__name__} without"
        )
    return users, items


def _as_dtype(values: NDArray[Any], dtype: np.dtype[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """`values` as int64 or uint64, and which of them that leaves as they are: numpy compares the two as floats."""
    if values.dtype.kind in "iu":
        alike = values.astype(dtype)
        return alike, (alike >= 0) & (values >= 0) if values.dtype.kind != dtype.kind else np.ones(values.shape, bool)
    limits = np.iinfo(dtype)
    listed = [value if _is_whole(value) and limits.min <= value <= limits.max else None for value in values.ravel()]
    fits = np.array([value is not None for value in listed], dtype=bool).reshape(values.shape)
    return np.array([value or 0 for value in listed], dtype=dtype).reshape(values.shape), fits


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _one_type(values: Any, argument: str) -> NDArray[Any]:
    """Raw ids as an array of integers, or of objects that are all int or all str, with None where they are missing."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values
    array = np.array(values, dtype=object)
    ids = array.ravel().tolist()
    types = {type(value) for value in ids if value is not None}
    if all(issubclass(kind, (str, UUID)) for kind in types):
        texts = (value if value is None else str(value) for value in ids)
        return np.fromiter(texts, object, len(ids)).reshape(array.shape)
    names = sorted({"strings" if issubclass(kind, str) else kind.__name__ for kind in types})
    if not all(value is None or _is_whole(value) for value in ids):
        raise TypeError(f"{argument} must be raw ids, all strings or all integers; got {names}")
    return array


def raw_array(values: Any, argument: str) -> NDArray[Any]:
    """Raw ids as an array of int64, of uint64 where one exceeds int64, or of objects of type str, as UUIDs become.

    Raises
    ------
    TypeError
        For ids of other types, a mixture of strings and integers, and integers that neither int64 nor uint64 has.
    """
    array = _one_type(values, argument)
    if not array.size or (array.dtype.kind == "O" and isinstance(array.flat[0], str)):
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.int64, np.uint64):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    raise TypeError(f"{argument} must be integers of 64 bits, all int64 or all uint64; got {low} and {high}")


def encode_raw(vocabulary: Vocabulary, values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """Contiguous ids of raw ones, -1 for None and for those that the vocabulary does not have.

    Raises
    ------
    TypeError
        For strings where the vocabulary has integers, or the other way round: "7" and 7 would silently differ.
    """
    array = _one_type(values, argument)
    one = next((value for value in array.flat if value is not None), None)
    if one is not None and len(vocabulary):
        expected, found = ID_TYPES[vocabulary.raw.dtype.kind], "strings" if isinstance(one, str) else "integers"
        if expected != found:
            raise TypeError(f"{argument} must be {expected}, as in training; got {found}, like {_plain(one)!r}")
    return vocabulary.encode(array)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def check_vocabulary(model: Any, other: Any, argument: str) -> None:
    """Raise ``ValueError`` where one id stands for different raw ids in `model` and in `other`.

    One may have more ids than the other, as a test log has users that training does not know. A side without a
    vocabulary is not checked. The columns of a context must stand in one order.
    """
    sides = [_named_vocabularies(side) for side in (model, other)]
    names = [list(getattr(side, "context_vocabularies", None) or ()) for side in (model, other)]
    rule = f"{argument} must have the columns of context that the model was trained with, {names[0]}"
    require(names[0] == names[1] or not all(names), rule, names[1], "log.encode_like(model) re-encodes a log")
    for kind in sides[0]:
        own, its = (side.get(kind) for side in sides)
        if own is None or its is None or own is its:
            continue
        both = min(len(own), len(its))
        if own.raw.dtype == its.raw.dtype and np.array_equal(own.raw[:both], its.raw[:both]):
            continue
        ours, theirs = own.raw[:both].tolist(), its.raw[:both].tolist()
        place = next((place for place in range(both) if ours[place] != theirs[place]), None)
        if place is not None:
            raise ValueError(
                f"{argument} must have the {kind} ids that the model was trained with, where {place + own.first} is "
                f"{ours[place]!r}; got {theirs[place]!r}. log.encode_like(model) re-encodes a log"
            )


def _named_vocabularies(side: Any) -> dict[str, Vocabulary | None]:
    """The vocabularies of a log, sessions or a model, by what their ids are of."""
    context = getattr(side, "context_vocabularies", None) or {}
    kinds = {kind: getattr(side, f"{kind}_vocabulary", None) for kind in ("item", "user", "kind")}
    return {**kinds, **{f"context {name!r}": vocabulary for name, vocabulary in context.items()}}
