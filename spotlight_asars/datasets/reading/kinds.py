"""The kinds of columns in published files, and how their texts become numpy arrays."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spotlight_asars._checks import require

MISSING = ("NA", "")  # what an "optional" column has in place of a number
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _integers(texts: list[str]) -> NDArray[np.int64]:
    return np.array([int(text) for text in texts], dtype=np.int64)


def _optional(texts: list[str]) -> NDArray[np.float64]:
    return np.array([np.nan if text in MISSING else int(text) for text in texts], dtype=np.float64)


def _texts(texts: list[str]) -> NDArray[np.object_]:
    require(all(texts), "text must not be blank", "")
    return np.array([sys.intern(text) for text in texts], dtype=object)  # equal texts share one string


def _times(texts: list[str], pattern: re.Pattern[str], unit: str) -> NDArray[np.datetime64]:
    require(all(map(pattern.fullmatch, texts)), "times must be written as", pattern.pattern)
    return np.array([text.removesuffix("Z") for text in texts], dtype=f"datetime64[{unit}]")


# By the name of a kind: the words of the error message, and the array of a list of fields, which raises for a bad one.
KINDS: dict[str, tuple[str, Callable[[list[str]], NDArray[Any]]]] = {
    "integer": ("an integer of 64 bits", _integers),
    "optional": (f"an integer or one of {list(MISSING)}", _optional),
    "text": ("text", _texts),
    "instant": ("a date and time such as 2014-04-07T10:51:09.277Z", lambda texts: _times(texts, INSTANT, "ms")),
    "day": ("a date such as 2016-05-09", lambda texts: _times(texts, DAY, "D")),
}
