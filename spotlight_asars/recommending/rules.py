"""Rules of a request: which items may be recommended, in all rows or in each of its own, and what their scores gain.

Ids are those of the request, raw or contiguous. Raw ids that the model does not know are left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import narwhals as nw
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spotlight_asars._checks import floats, integers, reject, require
from spotlight_asars.events import Vocabulary
from spotlight_asars.events.vocabulary import encode_raw
from spotlight_asars.recommending.catalogue import Catalogue
from spotlight_asars.recommending.requests import is_list
from spotlight_asars.runtime.devices import moved, rows_at_once
from spotlight_asars.sessions import PADDING_IDX
from spotlight_asars.sessions.ragged import flat_ranges

LARGEST_BOOST = 1e30  # so that no sum with a score overflows float32
NUMBERS_OF_A_PAIR = 64  # that are computed at once, about, to score one item for one row


class UnknownInRules(NamedTuple):
    """How many different raw ids of each rule the model does not know."""

    candidates: int = 0
    exclude: int = 0
    boosts: int = 0


class ItemLists(NamedTuple):
    """A list of items for each row.

    items : int64 (entries,), distinct and rising in each row
    offsets : int64 (rows + 1,)
    """

    items: NDArray[np.int64]
    offsets: NDArray[np.int64]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items of each row."""
        return np.diff(self.offsets)

    def padded(self, rows: NDArray[Any], device: torch.device) -> Tensor:
        """The lists of some rows, int64 (rows, slots), padded with 0 from the right."""
        lengths = self.lengths[rows]
        matrix = np.full((len(rows), int(lengths.max(initial=0))), PADDING_IDX)
        real = np.arange(matrix.shape[1]) < lengths[:, None]
        matrix[real] = self.items[flat_ranges(self.offsets[rows], self.offsets[rows + 1])]
        return moved(torch.from_numpy(matrix), device)

    def parts(self, rows: NDArray[Any], device: torch.device) -> Iterator[NDArray[np.intp]]:
        """Places in `rows` of those with an item or more, in parts whose lists are padded to twice their size at most.

        Their number bounds the memory that scoring them takes.
        """
        lengths = self.lengths[rows]
        order = np.argsort(lengths, kind="stable")
        start = int(np.searchsorted(lengths[order], 1))
        while start < len(order):
            longest = 2 * lengths[order[start]]
            stop = int(np.searchsorted(lengths[order], longest, side="right"))
            stop = min(stop, start + rows_at_once(device, int(longest) * NUMBERS_OF_A_PAIR))
            yield order[start:stop]
            start = stop


class Rules(NamedTuple):
    """Rules in contiguous ids.

    candidates : int64 (items,), distinct and rising, of all rows; or a list for each row; None are all items
    exclude : int64 (items,), distinct and rising, of all rows
    exclude_own : ItemLists, of each row
    boosts : int64 (items,), distinct and rising, and float32 (items,), added to their scores
    unknown : UnknownInRules
    """

    candidates: NDArray[np.int64] | ItemLists | None = None
    exclude: NDArray[np.int64] | None = None
    exclude_own: ItemLists | None = None
    boosts: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None
    unknown: UnknownInRules = UnknownInRules()

    def among(self, catalogue: Catalogue) -> int:
        """The most items that a row can get."""
        if isinstance(self.candidates, ItemLists):
            return int(self.candidates.lengths.max(initial=0))
        return catalogue.num_items - 1 if self.candidates is None else len(self.candidates)


def read_rules(
    catalogue: Catalogue, rows: int, raw: bool, candidates: Any = None, exclude: Any = None, boosts: Any = None
) -> Rules:
    """The rules in the arguments of ``recommend`` for so many rows; see there."""
    allowed, left_out, gains, unknown = None, None, None, UnknownInRules()
    if candidates is not None:
        allowed, number = _read(catalogue, rows, raw, candidates, "candidates")
        unknown = unknown._replace(candidates=number)
        if not isinstance(allowed, ItemLists):
            require(
                len(allowed) > 0, "candidates must name at least one item that the model knows", np.size(candidates)
            )
    if exclude is not None:
        left_out, number = _read(catalogue, rows, raw, exclude, "exclude")
        unknown = unknown._replace(exclude=number)
    if boosts is not None:
        gains, number = _read_boosts(catalogue, raw, boosts)
        unknown = unknown._replace(boosts=number)
    own = isinstance(left_out, ItemLists)
    return Rules(allowed, None if own else left_out, left_out if own else None, gains, unknown)  # type: ignore[arg-type]


def _read(
    catalogue: Catalogue, rows: int, raw: bool, given: Any, argument: str
) -> tuple[NDArray[np.int64] | ItemLists, int]:
    """Items of all rows, or a list for each row; and how many different raw ids are unknown."""
    series = nw.from_native(given, pass_through=True, allow_series=True)
    given = series.to_list() if isinstance(series, nw.Series) else given
    given = list(given) if isinstance(given, (set, frozenset)) else given
    if isinstance(given, np.ndarray) and given.dtype == bool:
        return _of_mask(catalogue, rows, given, argument), 0
    nested = given.ndim == 2 if isinstance(given, np.ndarray) and given.dtype != object else _is_nested(given, argument)
    if not nested:
        codes, unknown = _encode(catalogue, given, raw, argument)
        return np.unique(codes[codes > PADDING_IDX]), unknown
    require(len(given) == rows, f"{argument} must be ids, or a list of ids for each of {rows} sessions", len(given))
    row = np.repeat(np.arange(rows), [len(own) for own in given])
    if isinstance(given, np.ndarray) and given.dtype != object:
        flat: Any = given.ravel()
    elif raw:
        flat = np.fromiter((item for own in given for item in own), object, len(row))
    else:
        flat = np.concatenate([integers(own, argument) for own in given]) if rows else np.zeros(0, np.int64)
    codes, unknown = _encode(catalogue, flat, raw, argument, padding=PADDING_IDX)
    real = codes > PADDING_IDX
    return _lists(row[real], codes[real], rows, catalogue.num_items), unknown


def _is_nested(given: Any, argument: str) -> bool:
    if not is_list(given):
        return False
    nested = [is_list(own) for own in given]
    require(all(nested) or not any(nested), f"{argument} must be ids, or lists of ids only", given)
    return any(nested)


def _lists(row: NDArray[Any], items: NDArray[Any], rows: int, num_items: int) -> ItemLists:
    row, items = np.divmod(np.unique(row * num_items + items), num_items)
    return ItemLists(items, np.r_[0, np.cumsum(np.bincount(row, minlength=rows))].astype(np.int64))


def _of_mask(catalogue: Catalogue, rows: int, mask: NDArray[Any], argument: str) -> NDArray[np.int64] | ItemLists:
    width = catalogue.num_items
    rule = f"{argument} must have shape ({width},) or ({rows}, {width}) as a mask over the catalogue, padding included"
    require(mask.shape in ((width,), (rows, width)), rule, mask.shape)
    if mask.ndim == 1:
        return np.flatnonzero(mask[1:]) + 1
    row, items = np.nonzero(mask[:, 1:])
    return _lists(row, items + 1, rows, width)


def _encode(
    catalogue: Catalogue, given: Any, raw: bool, argument: str, padding: int | None = None
) -> tuple[NDArray[np.int64], int]:
    """Contiguous ids, -1 for unknown raw ones, and how many different ones there are; None among raw ids is padding."""
    if raw:
        values = given if isinstance(given, np.ndarray) else np.array(given, dtype=object)
        codes = encode_raw(catalogue.raw_items(argument), values, argument).ravel()
        absent = values.ravel()[codes == Vocabulary.ABSENT].tolist()
        return codes, len({*absent} - {None})
    ids, last = integers(given, argument).ravel(), catalogue.num_items - 1
    out_of_range = (ids < 1) | (ids > last)
    if padding is not None:
        out_of_range &= ids != padding
    reject(out_of_range, ids, f"{argument} must lie in 1..{last}")
    return ids, 0


def _read_boosts(
    catalogue: Catalogue, raw: bool, given: Any
) -> tuple[tuple[NDArray[np.int64], NDArray[np.float32]], int]:
    if isinstance(given, Mapping):
        codes, unknown = _encode(catalogue, list(given), raw, "boosts")
        values = floats(list(given.values()), "boosts", unit="")
        require(values.shape == (len(given),), "boosts must be one number for each id", values.shape)
    else:
        width = catalogue.num_items
        values = floats(given, "boosts", unit="")
        rule = f"boosts must be a dict, or numbers of shape ({width},) for the catalogue, padding included"
        require(values.shape == (width,), rule, values.shape)
        codes, values, unknown = np.arange(1, width), values[1:], 0
    reject(~(np.abs(values) <= LARGEST_BOOST), values, f"boosts must lie within -{LARGEST_BOOST:g}..{LARGEST_BOOST:g}")
    known = codes != Vocabulary.ABSENT
    items, place = np.unique(codes[known], return_index=True)
    return (items, values[known][place].astype(np.float32)), unknown
