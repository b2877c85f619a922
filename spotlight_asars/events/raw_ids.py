"""Raw ids on their way into a model: whose vocabulary they are in, and whether two vocabularies are the same.

Contiguous ids mean nothing without the vocabulary that gave them. So where both sides know theirs they are compared,
and ids of another log are refused instead of being taken for others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import require
from spotlight_asars.events.vocabulary import Vocabulary

KINDS = {"i": "integers", "u": "integers", "U": "strings", "O": "strings"}  # of numpy's dtypes


def vocabularies(known: Any) -> tuple[Vocabulary, Vocabulary]:
    """Users and items of an ``EventLog``, of ``SessionInteractions`` or of a fitted model.

    Raises
    ------
    ValueError
        If it does not know its raw ids.
    """
    users, items = getattr(known, "user_vocabulary", None), getattr(known, "item_vocabulary", None)
    users, items = users or getattr(known, "users", None), items or getattr(known, "items", None)
    if not (isinstance(users, Vocabulary) and isinstance(items, Vocabulary)):
        raise ValueError(
            f"other must know raw ids, as a log, its sessions, and a model that was trained with these do; got "
            f"{type(known).__name__} without"
        )
    return users, items


def raw_array(values: Any, argument: str) -> NDArray[Any]:
    """Raw ids as an array of int64 or uint64, or of strings.

    Raises
    ------
    TypeError
        For ids of other types, or of both at once.
    """
    array = values if isinstance(values, np.ndarray) and values.dtype.kind in "iuU" else np.array(values, dtype=object)
    if array.dtype.kind == "O" and array.size:
        given = array.ravel().tolist()
        kinds = {"strings" if isinstance(value, str) else type(value).__name__ for value in given}
        whole = all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in given)
        if kinds != {"strings"} and not whole:
            raise TypeError(f"{argument} must be raw ids, all strings or all integers; got {sorted(kinds)}")
        cut = [value for value in given if kinds == {"strings"} and value.endswith("\0")]
        require(not cut, f"{argument} must have no ids that end in NUL, where numpy's text ends", cut)
        array = np.array(given).reshape(array.shape)
        if array.dtype.kind not in "iuU":  # integers beyond 64 bits or on both sides of int64
            raise TypeError(f"{argument} must be integers of 64 bits; got {max(given, key=abs)}")
    return array


def encode_raw(vocabulary: Vocabulary, values: ArrayLike, argument: str) -> NDArray[np.int64]:
    """Contiguous ids of raw ones, -1 where the vocabulary does not have them.

    Raises
    ------
    TypeError
        For strings where the vocabulary has integers, or the other way round: "7" and 7 would silently differ.
    """
    array = raw_array(values, argument)
    known, given = KINDS.get(vocabulary.raw.dtype.kind), KINDS.get(array.dtype.kind)
    if array.size and len(vocabulary) and known != given:
        raise TypeError(f"{argument} must be {known}, as in training; got {given}, like {array.flat[0].item()!r}")
    if not array.size:
        return np.full(array.shape, Vocabulary.ABSENT, dtype=np.int64)
    return vocabulary.encode(array)


def check_vocabulary(known: Any, given: Any, argument: str) -> None:
    """Raise ``ValueError`` where an id means one raw id to `known` and another to `given`.

    One may have more than the other, as a test log has users that training does not know. What knows no raw ids is
    taken at its word.
    """
    for kind in ("item", "user"):
        own, its = (getattr(side, f"{kind}_vocabulary", None) for side in (known, given))
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
