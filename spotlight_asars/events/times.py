"""Units of timestamps, and dates as seconds.

Timestamps of another unit than seconds would make wrong sessions: of milliseconds every event is a session. So numbers
whose size speaks for another unit are refused, or named, and a unit that was guessed is logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import one_of, require

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
EARLIEST, LATEST = 631_152_000, 4_102_444_800  # [s]; 1990 and 2100, between which logs are recorded
FIRST_DAY, LAST_DAY = 32_874, 73_050  # the same in days of spreadsheets, which count from 1900
ZONE = re.compile(r" ?(Z|UTC|([+-])(\d\d):?(\d\d)?)$")

logger = logging.getLogger("spotlight_asars")


def check_unit(unit: str) -> None:
    """Raise ``ValueError`` for a unit that is none."""
    one_of(unit, (*PER_SECOND, "auto"), "unit")


def find_unit(unit: str, median: float, low: float, high: float, column: str) -> str:
    """The unit of timestamps, which is `unit` itself unless that is "auto".

    Parameters
    ----------
    unit : {"s", "ms", "us", "ns", "auto"}
    median, low, high : float
        Of the timestamps.
    column : str
        What messages call them.

    Raises
    ------
    ValueError
        For "auto", if the median lies between 1990 and 2100 in no unit; for "s", if it does so in another, lies beyond
        2100, or if the numbers are dates such as 20240531.
    """
    if unit not in ("s", "auto"):
        return unit
    likely = next((name for name, per in PER_SECOND.items() if EARLIEST <= median / per <= LATEST), None)
    if unit == "auto":
        rule = f"{column} must have a median between 1990 and 2100 in one of {list(PER_SECOND)} for unit='auto'"
        if likely is None:
            raise ValueError(f"{rule}; got {median}")
        level = logging.INFO if likely == "s" else logging.WARNING
        logger.log(level, "%s is read in %s: its median is then of %s", column, likely, _day(median, likely))
        return likely
    if likely not in (None, "s"):
        raise ValueError(
            f"{column} must be seconds; got a median of {median}, which is of {_day(median, likely)} in {likely}. "
            f"unit={likely!r} reads it"
        )
    require(not abs(median) > LATEST, f"{column} must be seconds, with a median before 2100", median)
    rule, way_out = f"{column} must be seconds, or dates", "Convert it to dates"
    require(not (_is_date(low) and _is_date(high)), rule, low, f"{way_out}, which it reads as")
    if low >= FIRST_DAY and high <= LAST_DAY:
        text = "%s lies between %s and %s: is it days of a spreadsheet? It is read as seconds of one day"
        logger.warning(text, column, low, high)
    return "s"


def in_seconds(times: Any, unit: str, whole: bool) -> Any:
    """Numbers in `unit`, as an array or an expression, in seconds; nanoseconds that are `whole` up to a microsecond."""
    if unit == "ns" and whole:  # float64 is exact for integers up to 2**53 only
        return in_seconds(times // 1000, "us", whole)
    return times if unit == "s" else times / PER_SECOND[unit]


def _day(median: float, unit: str | None) -> str:
    return datetime.fromtimestamp(median / PER_SECOND[unit or "s"], timezone.utc).strftime("%Y-%m-%d")


def _is_date(number: float) -> bool:
    """Whether a number is written as year, month and day, like 20240531."""
    if not 19_900_101 <= number <= 21_001_231 or number != number // 1:
        return False
    try:
        return bool(datetime.strptime(str(int(number)), "%Y%m%d"))
    except ValueError:
        return False


def seconds_of(dates: Sequence[str | None]) -> NDArray[np.float64]:
    """Seconds since 1970-01-01 of ISO dates and times, UTC where they have no zone; NaN for None.

    >>> seconds_of(["1970-01-02", "1970-01-01T02:00:00.5+01:00", None]).tolist()
    [86400.0, 3600.5, nan]
    """
    moments, offsets = [], []
    for date in dates:
        text = date if isinstance(date, str) else "NaT"
        zone = ZONE.search(text, 11)
        moments.append(text if zone is None else text[: zone.start()])
        hours, minutes = (int(zone[3]), int(zone[4] or 0)) if zone is not None and zone[2] else (0, 0)
        offsets.append((3600 * hours + 60 * minutes) * (-1 if zone is not None and zone[2] == "-" else 1))
    microseconds = np.array(moments, dtype="datetime64[us]")
    seconds = np.where(np.isnat(microseconds), np.nan, microseconds.astype(np.int64) / 1e6)
    return seconds - np.array(offsets, dtype=np.float64)
