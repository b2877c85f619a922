"""Labels of events and of sessions, such as "buy" or "phone", as codes: 0 is unknown, which says nothing.

Kinds label events, the columns of a context label sessions. What a label is called is in a ``Vocabulary`` from 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spotlight_asars._checks import integers, reject, require
from spotlight_asars.events.vocabulary import Vocabulary, encode_raw, raw_array

UNKNOWN = 0

Vocabularies = Mapping[str, Vocabulary]
LabelSizes = tuple[int, tuple[int, ...]]  # number of kinds, and of labels in each column of the context, 0 included
NO_LABELS: LabelSizes = (0, ())


def label_codes(codes: ArrayLike | None, argument: str) -> NDArray[np.int64] | None:
    """Checked codes of labels, or None; ``ValueError`` for one below 0."""
    if codes is None:
        return None
    checked = integers(codes, argument)
    reject(checked < UNKNOWN, checked, f"{argument} must be 0, which is unknown, or more")
    return checked


def number_of(vocabulary: Vocabulary | None, codes: NDArray[np.int64]) -> int:
    """How many codes there are, 0 included."""
    return max(int(codes.max(initial=UNKNOWN)), 0 if vocabulary is None else len(vocabulary)) + 1


def own_names(codes: NDArray[np.int64]) -> Vocabulary:
    """A vocabulary in which each code is its own name."""
    return Vocabulary(np.arange(1, number_of(None, codes)), first=1)


def known_names(vocabulary: Vocabulary, codes: NDArray[np.int64], argument: str) -> Vocabulary:
    """The vocabulary itself; ``ValueError`` for codes that it does not have."""
    reject(codes > len(vocabulary), codes, f"{argument} must be at most {len(vocabulary)}, as its vocabulary has")
    return vocabulary


def encode_labels(vocabulary: Vocabulary | None, raw: Any, argument: str) -> NDArray[np.int64]:
    """Codes of raw labels; 0 for None, for NaN, and for those that the vocabulary does not have.

    ``TypeError`` for strings where the vocabulary has integers, or the other way round.
    """
    values = np.array(raw, dtype=object)
    missing = np.array([value is None or value != value for value in values.flat], dtype=bool).reshape(values.shape)
    values[missing] = None
    if vocabulary is None or missing.all():
        return np.zeros(values.shape, dtype=np.int64)
    return np.maximum(encode_raw(vocabulary, values, argument), UNKNOWN)


def recoded(
    codes: NDArray[np.int64] | None, own: Vocabulary | None, other: Vocabulary | None, argument: str
) -> NDArray[np.int64] | None:
    """Codes of one vocabulary as those of another; 0 for what it does not have."""
    if codes is None or own is None or other is None or own is other or not len(own):
        return codes
    of_old = np.r_[UNKNOWN, encode_labels(other, own.raw, argument)]
    return np.asarray(of_old[codes], dtype=np.int64)


def grown_names(
    known: Vocabulary, own: Vocabulary | None, codes: NDArray[np.int64] | None, argument: str
) -> Vocabulary:
    """The vocabulary `known`, and after its labels those of `codes` in the vocabulary `own` that it does not have."""
    if own is None or codes is None:
        return known
    used = np.unique(codes[codes != UNKNOWN])
    return with_names(known, Vocabulary(own.decode(used), own.first), argument)


def grown_context(known: Vocabularies, own: Vocabularies, codes: NDArray[np.int64] | None) -> Vocabularies:
    """The columns `known` of a context, with the labels in `codes` (rows, columns of `own`) that each does not have."""
    if codes is None:
        return known
    columns = dict(zip(own, codes.T, strict=True))
    return {
        name: grown_names(names, own.get(name), columns.get(name), f"context {name!r}") for name, names in known.items()
    }


def with_names(known: Vocabulary, own: Vocabulary | None, argument: str) -> Vocabulary:
    """The vocabulary `known`, and after its labels those of another that it does not have."""
    if own is None:
        return known
    new = own.raw[encode_labels(known, own.raw, argument) == UNKNOWN]
    return known if not len(new) else Vocabulary(raw_array([*known.raw.tolist(), *new.tolist()], argument), known.first)


def recoded_context(
    codes: NDArray[np.int64] | None, own: Vocabularies, other: Vocabularies
) -> NDArray[np.int64] | None:
    """The columns of a context that another one has, in its order and codes; 0 in those that are not here."""
    if codes is None or own is other or not own or not other:
        return codes
    columns, names = [np.zeros(len(codes), dtype=np.int64)] * len(other), list(own)
    for place, (name, vocabulary) in enumerate(other.items()):
        if name in own:
            columns[place] = np.asarray(
                recoded(codes[:, names.index(name)], own[name], vocabulary, f"context {name!r}")
            )
    return np.stack(columns, axis=1)


def read_context(given: Any, names: Vocabularies, rows: int, argument: str = "context") -> NDArray[np.int64] | None:
    """The context of some sessions, int64 (rows, columns), or None.

    Parameters
    ----------
    given : dict or int (rows, columns) or (columns,), optional
        Raw labels by the name of the column, one or one for each session; columns that are left out are unknown. Or
        codes.
    names : dict of Vocabulary
        The columns that are known.
    rows : int
    argument : str
        What errors call it.

    Raises
    ------
    ValueError
        For a column that is not known, and another number of rows.
    """
    if given is None:
        return None
    if not isinstance(given, Mapping):
        return label_codes(np.atleast_2d(given), argument)
    codes = np.zeros((rows, len(names)), dtype=np.int64)
    for name, labels in given.items():
        require(name in names, f"{argument} must name columns of {list(names)}", name)
        many = isinstance(labels, (Sequence, np.ndarray)) and not isinstance(labels, str)
        column = encode_labels(names[name], labels if many else [labels] * rows, f"{argument} {name!r}")
        require(column.shape == (rows,), f"{argument} {name!r} must have one label for each of {rows} sessions", labels)
        codes[:, list(names).index(name)] = column
    return codes


def raw_labels(vocabulary: Vocabulary | None, codes: int) -> list[Any]:
    """What each code from 1 is called: its raw label, or itself where that is not known."""
    names: list[Any] = [] if vocabulary is None else raw_array(vocabulary.raw, "labels").tolist()
    return [*names, *range(len(names) + 1, codes)]
