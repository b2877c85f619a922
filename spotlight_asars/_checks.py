"""Argument checks, called once at the public edge, before work starts; inside the package values are trusted.

A message reads ``<argument> must <rule>; got <value>[. <way out>]``, with the caller's word for the argument and the
offending value itself.
"""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.random import RandomState
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T")

LARGEST_ID = 2**31 - 1  # Spotlight's ids are int32


def require(holds: bool | np.bool_, rule: str, value: object, way_out: str = "") -> None:
    """Raise ``ValueError("<rule>; got <value>. <way out>")`` unless the rule holds."""
    if not holds:
        raise ValueError(_message(rule, value, way_out))


def reject(bad: NDArray[np.bool_], values: NDArray[Any], rule: str, way_out: str = "") -> None:
    """Raise ``ValueError`` with the first of `values` that is `bad`, and its index."""
    if bad.any():
        index = tuple(int(axis) for axis in np.unravel_index(int(np.argmax(bad)), bad.shape))
        at = f" at {index[0] if len(index) == 1 else index}" if index else ""
        raise ValueError(_message(rule, values[index], way_out, at))


def _message(rule: str, value: object, way_out: str, at: str = "") -> str:
    plain = value.item() if isinstance(value, np.generic) else value
    return f"{rule}; got {plain!r}{at}" + (f". {way_out}" if way_out else "")


def array(values: ArrayLike, argument: str) -> NDArray[Any]:
    """`values` as an array; ``ValueError`` for lists whose lengths differ."""
    try:
        return np.asarray(values)
    except ValueError:
        raise ValueError(f"{argument} must be an array, all rows of one length; got {reprlib.repr(values)}") from None


def integers(values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """`values` as int64; floats are accepted if they are whole and too small to have been rounded."""
    numbers = array(values, argument)
    if numbers.dtype.kind == "f":
        is_whole = np.isfinite(numbers) & (numbers == np.floor(numbers))
        reject(~is_whole, numbers, f"{argument} must be whole numbers of 64 bits")
        bits = _exact_bits(numbers.dtype)
        rule = f"{argument} must be below 2**{bits} as {numbers.dtype}, which rounds larger numbers"
        reject(np.abs(numbers) >= 2.0**bits, numbers, rule, "Give int64")
    elif numbers.dtype.kind not in "iu":
        raise TypeError(f"{argument} must be an array of integers; got dtype {numbers.dtype}")
    elif numbers.dtype == np.uint64:
        reject(numbers > np.uint64(2**63 - 1), numbers, f"{argument} must be whole numbers of 64 bits, with a sign")
    return numbers.astype(np.int64)


def floats(values: ArrayLike, argument: str, unit: str = " [s]") -> NDArray[np.float64]:
    """`values` as float64; errors name their unit."""
    return _numbers(values, argument, unit).astype(np.float64)


def seconds(values: ArrayLike, argument: str) -> NDArray[np.float64]:
    """Durations in seconds as float64: NaN is unknown, anything negative or infinite is refused."""
    numbers = floats(values, argument)
    reject(numbers < 0, numbers, f"{argument} must not be negative")
    reject(numbers > np.finfo(np.float32).max, numbers, f"{argument} must be finite as float32, or NaN where unknown")
    return numbers


def moments(values: ArrayLike, argument: str, unknown: bool = False) -> NDArray[Any]:
    """Points in time [s] as int64 or float64: finite (or NaN if `unknown`), and small enough to count whole seconds.

    float64 counts seconds up to 2**53; float32 up to 2**24, half a year, and is off by a minute today.
    """
    numbers = _numbers(values, argument)
    bits = 53
    if numbers.dtype.kind == "f":
        known = np.isfinite(numbers) | (np.isnan(numbers) & unknown)
        reject(~known, numbers, f"{argument} must be finite" + (", or NaN where unknown" if unknown else ""))
        bits = _exact_bits(numbers.dtype)
        numbers = numbers.astype(np.float64)
    too_large = (numbers > 2**bits) | (numbers < -(2**bits))
    reject(too_large, numbers, f"{argument} must lie within 2**{bits} s of 1970", "Give int64 or float64")
    return numbers if numbers.dtype.kind == "f" else numbers.astype(np.int64)


def _numbers(values: ArrayLike, argument: str, unit: str = " [s]") -> NDArray[Any]:
    numbers = array(values, argument)
    if numbers.dtype.kind not in "iuf":
        raise TypeError(f"{argument} must be numbers{unit}; got dtype {numbers.dtype}")
    return numbers


def _exact_bits(dtype: np.dtype[Any]) -> int:
    """How many bits an integer can have to be exact as this float type, at most 53."""
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
    """`value` as an int, from `least` to `most`; numpy integers are accepted, floats and booleans are not."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{argument} must be a whole number; got {value!r}")
    rule = f"{argument} must be {least} or more" if value < least else f"{argument} must be {most} or less"
    require(least <= value <= most, rule, value)
    return int(value)


def number(value: Any, argument: str, least: float | None = None) -> float:
    """`value` unchanged: a number, `least` or more, and no boolean."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{argument} must be a number; got {value!r}")
    require(least is None or value >= least, f"{argument} must be {least} or more", value)
    return value  # type: ignore[return-value]


def positive(value: Any, argument: str) -> float:
    """`value` unchanged: a number above 0, not NaN."""
    require(number(value, argument) > 0, f"{argument} must be positive", value)
    return value


def random_state_of(seed: RandomState | int | None, argument: str = "random_state") -> RandomState:
    """The ``RandomState`` itself, or a new one: with this seed, or with any for None."""
    if isinstance(seed, RandomState):
        return seed
    return RandomState(None if seed is None else whole(seed, argument, least=0, most=2**32 - 1))


def switch(value: Any, argument: str) -> bool:
    """`value` as a bool; other truthy or falsy values raise ``TypeError``."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{argument} must be True or False; got {value!r}")
    return bool(value)


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that `old` is now called `new`; an old public name is kept for one version."""
    warnings.warn(
        f"{old} is deprecated and will be removed in version 0.4; use {new}", DeprecationWarning, stacklevel=stacklevel
    )
