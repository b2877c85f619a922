"""The door: every argument of a caller is checked here, once, before work starts.

A message reads ``<argument> must <rule>; got <value>[. <way out>]``, with the caller's word for the argument and the
offending value itself. Inside the package values are trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

LARGEST_ID = 2**31 - 1  # Spotlight's ids are int32


def require(holds: bool, rule: str, value: object, way_out: str = "") -> None:
    """Raise ``ValueError("<rule>; got <value>. <way out>")`` unless the rule holds."""
    if not holds:
        plain = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{rule}; got {plain!r}" + (f". {way_out}" if way_out else ""))


def reject(bad: NDArray[np.bool_], values: NDArray[Any], rule: str, way_out: str = "") -> None:
    """Raise ``ValueError`` with the first of `values` that is `bad`, and the place where it stands."""
    if bad.any():
        place = np.unravel_index(int(np.argmax(bad)), bad.shape)
        where = tuple(int(axis) for axis in place)
        at = f" at {where[0] if len(where) == 1 else where}" if where else ""
        value = values[place]
        plain = value.item() if isinstance(value, np.generic) else value
        raise ValueError(f"{rule}; got {plain!r}{at}" + (f". {way_out}" if way_out else ""))


def integers(values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """`values` as int64; whole floats are let in, as Spotlight's own tests use them."""
    array = np.asarray(values)
    if array.dtype.kind == "f":
        array = array.astype(np.float64)
        whole = (np.abs(array) < 2.0**63) & (array == np.floor(array))  # False for NaN and infinity
        reject(~whole, array, f"{argument} must be whole numbers of 64 bits")
    elif array.dtype.kind not in "iu":
        raise TypeError(f"{argument} must be an array of integers; got dtype {array.dtype}")
    elif array.dtype == np.uint64:
        reject(array > np.uint64(2**63 - 1), array, f"{argument} must be whole numbers of 64 bits, with a sign")
    return array.astype(np.int64)


def seconds(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """Durations in seconds as float64: NaN is unknown, anything negative or infinite is refused."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{argument} must be numbers [s]; got dtype {array.dtype}")
    array = array.astype(np.float64)
    reject(array < 0, array, f"{argument} must not be negative")
    reject(array > np.finfo(np.float32).max, array, f"{argument} must be finite as float32, or NaN where unknown")
    return array


def resolve(option: str | T, table: Mapping[str, T], argument: str) -> T:
    """The entry of `table` that `option` names, or `option` itself where it is callable."""
    if isinstance(option, str) and option in table:
        return table[option]
    if not isinstance(option, str) and isinstance(option, Callable):  # type: ignore[arg-type]
        return option
    raise ValueError(f"{argument} must be a callable or one of {sorted(table)}; got {option!r}")


def one_of(option: object, choices: tuple[str, ...], argument: str) -> None:
    """Raise ``ValueError`` unless `option` is one of `choices`."""
    require(isinstance(option, str) and option in choices, f"{argument} must be one of {list(choices)}", option)


def whole(value: Any, argument: str, least: int, most: int = LARGEST_ID) -> int:
    """`value` as an int, from `least` to `most`; whole numbers of numpy are let in, floats and booleans are not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{argument} must be a whole number; got {value!r}")
    rule = f"{argument} must be {least} or more" if value < least else f"{argument} must be {most} or less"
    require(least <= value <= most, rule, value)
    return int(value)


def number(value: Any, argument: str) -> float:
    """`value` as it is, a number; booleans are none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{argument} must be a number; got {value!r}")
    return value  # type: ignore[return-value]
