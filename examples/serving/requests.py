"""What a server is asked: an object in JSON of known fields, small enough, or an error that says what is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request

LARGEST_BODY, LONGEST_TEXT, LARGEST_K = 2**16, 200, 1000  # bytes, letters, items
RULES: dict[str, tuple[type, ...]] = {
    "k": (int,),
    "exclude_seen": (bool, str),
    "candidates": (list,),
    "exclude": (list,),
    "boosts": (dict,),
}
FIELDS: dict[str, tuple[type, ...]] = {
    "session": (str,),
    "user": (str, int),
    "item": (str, int),
    "time": (int, float),
    **RULES,
}


async def read_fields(request: Request, *needed: str) -> dict[str, Any]:
    """The fields of a request's body; those `needed` are among them.

    Raises
    ------
    HTTPException
        413 for a body that is too large, 400 for what is no such object.
    """
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise HTTPException(413, f"the body must have {LARGEST_BODY} bytes or less")
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body must be JSON") from None
    if not isinstance(fields, dict):
        raise HTTPException(400, f"the body must be an object; got {type(fields).__name__}")
    for name, value in fields.items():
        _check(name, value)
    for name in needed:
        if name not in fields:
            raise HTTPException(400, f"{name} must be there")
    return fields


def rules_of(fields: dict[str, Any], model: Any) -> dict[str, Any]:
    """The rules among the fields, as ``recommend`` takes them: names in JSON are text, whatever the ids are."""
    rules, vocabulary = {name: fields[name] for name in RULES if name in fields}, model.item_vocabulary
    if "boosts" in rules and (vocabulary is None or vocabulary.raw.dtype.kind in "iu"):
        rules["boosts"] = {int(item): gain for item, gain in rules["boosts"].items()}
    return rules


def _check(name: str, value: Any) -> None:
    if name not in FIELDS:
        raise HTTPException(400, f"fields must be of {list(FIELDS)}; got {name[:LONGEST_TEXT]!r}")
    kinds = FIELDS[name]
    if type(value) not in kinds:
        rule = " or ".join(kind.__name__ for kind in kinds)
        raise HTTPException(400, f"{name} must be {rule}; got {type(value).__name__}")
    if isinstance(value, str) and not (0 < len(value) <= LONGEST_TEXT and value.isprintable()):
        raise HTTPException(400, f"{name} must be text of 1..{LONGEST_TEXT} letters that can be printed")
    if name == "k" and not 1 <= value <= LARGEST_K:
        raise HTTPException(400, f"k must lie in 1..{LARGEST_K}; got {value}")
    if name == "time" and not (math.isfinite(value) and 0 <= value < 2**53):
        raise HTTPException(400, f"time must be in seconds since 1970; got {value}")
    if type(value) is int and abs(value) >= 2**63:
        raise HTTPException(400, f"{name} must be a number of 64 bits")
