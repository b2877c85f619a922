"""The door: every argument of a caller is checked here, once, before work starts.

A message reads ``<argument> must <rule>; got <value>[. <way out>]``, with the caller's word for the argument and the
offending value itself. Inside the package values are trusted.
"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

LARGEST_ID = 2**31 - 1  # Spotlight's ids are int32


def require(holds: bool | np.bool_, rule: str, value: object, way_out: str = "") -> None:
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


def array(values: ArrayLike, argument: str) -> NDArray[Any]:
    """`values` as an array; ``ValueError`` for lists whose lengths differ."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{argument} must be an array, all rows of one length; got {reprlib.repr(values)}") from None


def integers(values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """`values` as int64; floats are let in while they are whole and too small to have been rounded."""
    given = array(values, argument)
    if given.dtype.kind == "f":
        is_whole = np.isfinite(given) & (given == np.floor(given))
        reject(~is_whole, given, f"{argument} must be whole numbers of 64 bits")
        rule = f"{argument} must be below 2**{exact_bits(given.dtype)} as {given.dtype}, which rounds larger numbers"
        reject(np.abs(given) >= 2.0 ** exact_bits(given.dtype), given, rule, "Give int64")
    elif given.dtype.kind not in "iu":
        raise TypeError(f"{argument} must be an array of integers; got dtype {given.dtype}")
    elif given.dtype == np.uint64:
        reject(given > np.uint64(2**63 - 1), given, f"{argument} must be whole numbers of 64 bits, with a sign")
    return given.astype(np.int64)


def floats(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """`values`, numbers of seconds, as float64."""
    given = array(values, argument)
    if given.dtype.kind not in "iuf":
        raise TypeError(f"{argument} must be numbers [s]; got dtype {given.dtype}")
    return given.astype(np.float64)


def seconds(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """Durations in seconds as float64: NaN is unknown, anything negative or infinite is refused."""
    given = floats(values, argument)
    reject(given < 0, given, f"{argument} must not be negative")
    reject(given > np.finfo(np.float32).max, given, f"{argument} must be finite as float32, or NaN where unknown")
    return given


def moments(values: ArrayLike, argument: str, unknown: bool = False) -> NDArray[Any]:
    """Points in time [s] as int64 or float64, finite (or NaN where `unknown`), within the reach of whole seconds.

    float64 counts those up to 2**53; float32 up to 2**24, half a year, and has steps of 128 s by now.
    """
    given = array(values, argument)
    bits = 53
    if given.dtype.kind == "f":
        known = np.isfinite(given) | (np.isnan(given) & unknown)
        reject(~known, given, f"{argument} must be finite" + (", or NaN where unknown" if unknown else ""))
        bits = exact_bits(given.dtype)
        given = given.astype(np.float64)
    elif given.dtype.kind not in "iu":
        raise TypeError(f"{argument} must be numbers [s]; got dtype {given.dtype}")
    out_of_reach = (given > 2**bits) | (given < -(2**bits))
    reject(out_of_reach, given, f"{argument} must lie within 2**{bits} s of 1970", "Give int64 or float64")
    return given if given.dtype.kind == "f" else given.astype(np.int64)


def exact_bits(dtype: np.dtype[Any]) -> int:
    """Bits of the integers that a float type, up to float64, can tell apart."""
    return min(int(np.finfo(dtype).nmant) + 1, 53)


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


def number(value: Any, argument: str, least: float | None = None) -> float:
    """`value` as it is, a number, `least` or more; booleans are none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{argument} must be a number; got {value!r}")
    require(least is None or value >= least, f"{argument} must be {least} or more", value)
    return value  # type: ignore[return-value]


def positive(value: Any, argument: str) -> float:
    """`value` as it is, a number above 0; NaN is none."""
    require(number(value, argument) > 0, f"{argument} must be positive", value)
    return value


def switch(value: Any, argument: str) -> bool:
    """`value` as a bool; what is merely true or false to Python is refused."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False; got {value!r}")
    return bool(value)


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that `old` is now called `new`: an old public name is kept for one version."""
    warnings.warn(
        f"{old} is deprecated and goes with version 0.4; use {new}", DeprecationWarning, stacklevel=stacklevel
    )
