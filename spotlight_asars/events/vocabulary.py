"""``Vocabulary``: raw ids <-> contiguous ids.

Contiguous ids mean nothing without the vocabulary that gave them. So the vocabularies of two sides are compared where
both are known, and ids of another log are refused instead of being read as this one's.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject, require
from spotlight_asars.events.distinct import distinct

ID_TYPES = {"i": "integers", "u": "integers", "U": "strings", "O": "strings"}  # by the kind of numpy's dtype


class Vocabulary:
    """The raw ids behind the contiguous ids `first`, `first` + 1, ...

    Parameters
    ----------
    raw : array (n,)
        Distinct raw ids, integers or strings, in the order of their contiguous ids.
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
        self.raw, self.first = raw, first

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.raw, kind="stable")

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
        values = np.asarray(values)
        if not len(self):
            return np.full(values.shape, self.ABSENT, dtype=np.int64)
        alike = values
        if self.raw.dtype.kind in "iu" and values.dtype.kind in "iu":
            alike = values.astype(self.raw.dtype)  # numpy would compare int64 and uint64 as floats
        place = np.searchsorted(self.raw, alike, sorter=self._order).clip(max=len(self) - 1)
        code = self._order[place]
        return np.where(self.raw[code] == values, code + self.first, self.ABSENT)

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


def raw_array(values: Any, argument: str) -> NDArray[Any]:
    """Raw ids as an array of int64 or uint64, or of strings.

    Raises
    ------
    TypeError
        For ids of other types, and for a mixture of strings and integers.
    ValueError
        For strings that end in NUL.
    """
    array = values if isinstance(values, np.ndarray) and values.dtype.kind in "iuU" else np.array(values, dtype=object)
    if array.dtype.kind == "O" and array.size:
        ids = array.ravel().tolist()
        types = {"strings" if isinstance(value, str) else type(value).__name__ for value in ids}
        whole = all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in ids)
        if types != {"strings"} and not whole:
            raise TypeError(f"{argument} must be raw ids, all strings or all integers; got {sorted(types)}")
        cut = [value for value in ids if types == {"strings"} and value.endswith("\0")]
        require(not cut, f"{argument} must have no ids that end in NUL, where numpy's text ends", cut)
        array = np.array(ids).reshape(array.shape)
        if array.dtype.kind not in "iuU":  # integers beyond 64 bits or on both sides of int64
            raise TypeError(f"{argument} must be integers of 64 bits; got {max(ids, key=abs)}")
    return array


def encode_raw(vocabulary: Vocabulary, values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """Contiguous ids of raw ones, -1 for those that the vocabulary does not have.

    Raises
    ------
    TypeError
        For strings where the vocabulary has integers, or the other way round: "7" and 7 would silently differ.
    """
    array = raw_array(values, argument)
    if not array.size:
        return np.full(array.shape, Vocabulary.ABSENT, dtype=np.int64)
    expected, found = ID_TYPES.get(vocabulary.raw.dtype.kind), ID_TYPES.get(array.dtype.kind)
    if len(vocabulary) and expected != found:
        raise TypeError(f"{argument} must be {expected}, as in training; got {found}, like {array.flat[0].item()!r}")
    return vocabulary.encode(array)


def check_vocabulary(model: Any, other: Any, argument: str) -> None:
    """Raise ``ValueError`` where one id stands for different raw ids in `model` and in `other`.

    One may have more ids than the other, as a test log has users that training does not know. A side without a
    vocabulary is not checked.
    """
    for kind in ("item", "user"):
        own, its = (getattr(side, f"{kind}_vocabulary", None) for side in (model, other))
        if own is None or its is None or own is its:
            continue
        both = min(len(own), len(its))
        alike = own.raw.dtype.kind == its.raw.dtype.kind and np.array_equal(own.raw[:both], its.raw[:both])
        if not alike:
            place = int(np.argmax(own.raw[:both] != its.raw[:both]))
            raise ValueError(
                f"{argument} must have the {kind} ids that the model was trained with, where {place + own.first} is "
                f"{own.raw[place].item()!r}; got {its.raw[place].item()!r}. log.encode_like(model) re-encodes a log"
            )
