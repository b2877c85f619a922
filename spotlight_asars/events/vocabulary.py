"""Raw ids <-> contiguous ids."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject
from spotlight_asars.events.distinct import distinct


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

    def compact(self, used: NDArray[Any]) -> NDArray[np.int64]:
        """Map from id to the id it has when only the `used` ones are kept, indexed by the old id; -1 for the rest."""
        present = np.zeros(self.first + len(self), dtype=bool)
        present[used] = True
        return np.where(present, np.cumsum(present) - 1 + self.first, self.ABSENT)

    def renamed(self, id_map: NDArray[np.int64]) -> Vocabulary:
        """The vocabulary of the ids that `id_map`, indexed by the old id, gives; those mapped to -1 are left out."""
        old = np.flatnonzero(id_map != self.ABSENT)
        return Vocabulary(self.decode(old[np.argsort(id_map[old])]), self.first)
