"""Sessions as flat arrays: one after the other, with the offsets where each starts, checked and padded here."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import LARGEST_ID, floats, integers, reject, require, seconds, whole
from spotlight_asars._spotlight import PADDING_IDX
from spotlight_asars.events.labels import label_codes


class Ragged(NamedTuple):
    """Checked sessions of any lengths.

    items : int32 (events,), the sessions one after the other
    offsets : int64 (session + 1,), session s is ``items[offsets[s]:offsets[s + 1]]``
    dwell_times : float32 (events,) [s], NaN where unknown; None where none is known
    num_items : int, padding included
    max_sequence_length : int, width of the padded matrix
    kinds : int64 (events,), 0 where unknown; None where none is known
    """

    items: NDArray[np.int32]
    offsets: NDArray[np.int64]
    dwell_times: NDArray[np.float32] | None
    num_items: int
    max_sequence_length: int
    kinds: NDArray[np.int64] | None = None


def from_rows(
    rows: ArrayLike,
    dwell_times: ArrayLike | None,
    num_items: int | None,
    argument: str,
    kinds: ArrayLike | None = None,
) -> Ragged:
    """The sessions of a matrix (session, time), padded with 0 anywhere; errors call it `argument`."""
    matrix = np.atleast_2d(integers(rows, argument))
    fits = matrix.ndim == 2 and matrix.shape[1] > 0
    require(fits, f"{argument} must be (time,) or (session, time), with a step or more", matrix.shape)
    _check_range(matrix, num_items, argument)
    real = matrix != PADDING_IDX
    flat_dwell = None
    if dwell_times is not None:
        dwell = np.atleast_2d(floats(dwell_times, "dwell_times"))
        rule = f"dwell_times must have the shape of {argument}, {matrix.shape}"
        require(dwell.shape == matrix.shape, rule, dwell.shape)
        flat_dwell = seconds(np.where(real, dwell, np.nan), "dwell_times")[real]
    offsets = np.r_[0, np.cumsum(real.sum(axis=1))]
    flat_kinds = None if kinds is None else label_codes(np.atleast_2d(integers(kinds, "kinds")), "kinds")
    if flat_kinds is not None:
        rule = f"kinds must have the shape of {argument}, {matrix.shape}"
        require(flat_kinds.shape == matrix.shape, rule, flat_kinds.shape)
        flat_kinds = flat_kinds[real]
    return _ragged(matrix[real], offsets, flat_dwell, num_items, matrix.shape[1], argument, flat_kinds)


def from_flat(
    items: ArrayLike,
    offsets: ArrayLike,
    dwell_times: ArrayLike | None,
    num_items: int | None,
    max_sequence_length: int | None,
    kinds: ArrayLike | None = None,
) -> Ragged:
    """The sessions of flat arrays; `max_sequence_length` is by default that of the longest session."""
    flat, cuts = integers(items, "sequences"), integers(offsets, "offsets")
    require(flat.ndim == 1, "items must have one axis", flat.shape)
    require(cuts.ndim == 1 and len(cuts) > 0, "offsets must have one axis, and start with 0", cuts.shape)
    require(cuts[0] == 0, "offsets must start with 0", cuts[0])
    require(cuts[-1] == len(flat), f"offsets must end with the number of items, {len(flat)}", cuts[-1])
    lengths = np.diff(cuts)
    reject(lengths < 0, lengths, "offsets must not fall")
    longest = int(lengths.max(initial=1))
    width = longest if max_sequence_length is None else whole(max_sequence_length, "max_sequence_length", least=1)
    require(width >= longest, f"max_sequence_length must be at least that of the longest session, {longest}", width)
    _check_range(flat, num_items, "sequences")
    flat_dwell = None if dwell_times is None else seconds(dwell_times, "dwell_times")
    if flat_dwell is not None:
        rule = f"dwell_times must have one value for each of the {len(flat)} events"
        require(flat_dwell.shape == flat.shape, rule, flat_dwell.shape)
    flat_kinds = label_codes(kinds, "kinds")
    if flat_kinds is not None:
        rule = f"kinds must have one value for each of the {len(flat)} events"
        require(flat_kinds.shape == flat.shape, rule, flat_kinds.shape)
    return _ragged(flat, cuts, flat_dwell, num_items, width, "sequences", flat_kinds)


def _check_range(items: NDArray[np.int64], num_items: int | None, argument: str) -> None:
    reject(items < 0, items, f"{argument} must not have negative item ids")
    if num_items is not None:
        whole(num_items, "num_items", least=1, most=LARGEST_ID + 1)
        reject(items >= num_items, items, f"{argument} must have item ids below num_items, {num_items}")


def _ragged(
    items: NDArray[np.int64],
    offsets: NDArray[np.int64],
    dwell_times: NDArray[np.float64] | None,
    num_items: int | None,
    width: int,
    argument: str,
    kinds: NDArray[np.int64] | None,
) -> Ragged:
    require(len(offsets) > 1, f"{argument} must have at least one session", len(offsets) - 1)
    reject(items == PADDING_IDX, items, f"{argument} must not have item id 0, for it is padding")
    reject(items > LARGEST_ID, items, f"{argument} must be int32, as Spotlight's are")
    size = int(items.max(initial=0)) + 1 if num_items is None else int(num_items)
    flat_dwell = None if dwell_times is None else dwell_times.astype(np.float32)
    return Ragged(items.astype(np.int32), offsets, flat_dwell, size, width, kinds)


def flat_ranges(starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.int64]:
    """The ranges from `starts` up to `stops`, one after the other.

    >>> flat_ranges(np.array([5, 0]), np.array([7, 3]))
    array([5, 6, 0, 1, 2])
    """
    lengths = stops - starts
    before = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - before, lengths)


def real_steps(lengths: NDArray[np.int64], time: int) -> NDArray[np.bool_]:
    """True where rows of these lengths, padded from the left, have events: bool (session, time).

    >>> real_steps(np.array([1, 2]), 3).astype(int)
    array([[0, 0, 1],
           [0, 1, 1]])
    """
    return np.arange(time) >= time - lengths[:, None]


def padded(flat: NDArray[Any], real: NDArray[np.bool_], filler: float) -> NDArray[Any]:
    """The values of a flat array at the `real` steps of a matrix, the `filler` elsewhere: (session, time)."""
    matrix = np.full(real.shape, filler, dtype=flat.dtype)
    matrix[real] = flat
    return matrix
