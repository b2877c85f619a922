"""What tells data and options apart in every run: so results of one question are never mixed with those of another."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Any

import numpy as np

from spotlight_asars.sessions.interactions import SessionInteractions


def digest(*parts: SessionInteractions) -> str:
    """Eight bytes that tell these sessions from any others.

    >>> sessions = SessionInteractions([[1, 2, 3]])
    >>> digest(sessions) == digest(SessionInteractions([[1, 2, 3]])) != digest(SessionInteractions([[1, 3, 2]]))
    True
    """
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        found.update(f"{part.num_items} {part.num_users}".encode())
        for array in (part.offsets, part.items, part.user_ids, part.flat_dwell_times, part.started):
            found.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def text_of(value: Any, argument: str) -> str:
    """`value` as text that is the same in every run.

    Raises
    ------
    TypeError
        For what no text can tell from others, such as a net that is built already.

    Examples
    --------
    >>> text_of(0.5, "dropout"), text_of(partial(dict, lr=0.5), "optimizer_func")
    ('0.5', 'partial(builtins.dict, lr=0.5)')
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return str(value)
    if isinstance(value, partial):
        inner = [text_of(part, argument) for part in (value.func, *value.args)]
        inner += [f"{name}={text_of(part, argument)}" for name, part in value.keywords.items()]
        return f"partial({', '.join(inner)})"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    rule = f"{argument} must be None, a number, a string or a function, for trials are told apart by its text"
    raise TypeError(f"{rule}; got {value!r}. A function can make it anew in each trial")


def option_text(value: Any, argument: str) -> str:
    """`value` as text, or the name of its class where no text tells it from others of the class."""
    plain = value.item() if isinstance(value, np.generic) else value
    try:
        return text_of(plain, argument)
    except TypeError:
        return f"{type(value).__module__}.{type(value).__qualname__}"
