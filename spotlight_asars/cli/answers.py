"""What a command answers: text for people, and the same as JSON for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np

from spotlight_asars.analysis.tables import text_table


@dataclass(frozen=True)
class Answer:
    """The same twice: text for stdout, and data that ``--json`` writes instead."""

    text: str
    data: Mapping[str, Any]

    def as_json(self) -> str:
        """One line of JSON, where what is not finite is null."""
        return json.dumps(plain(self.data), allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:
    """`value` in the types that JSON has.

    >>> plain({"a": np.array([1.5, np.nan]), "b": (np.int64(3), None)})
    {'a': [1.5, None], 'b': [3, None]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic)):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def table(rows: Sequence[Sequence[object]]) -> str:
    """Rows as a text table; the first row has the heads.

    >>> print(table([("item", "n"), ("pear", 12)]))
    item   n
    pear  12
    """
    head, *others = rows
    return text_table(head, others)
