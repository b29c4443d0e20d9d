"""Untrusted JSON: size, depth and number of containers are checked before the parser sees it."""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

_LENGTH_LIMIT = 2_000_000  # characters; the largest ComfyUI graphs seen are a few hundred thousand
_DEPTH_LIMIT = 64
_CONTAINER_LIMIT = 100_000
_BRACKETS = re.compile(r"[\[\]{}]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def parse(text: str | None) -> Any:
    """Parse JSON; None if the text is not JSON or exceeds a limit.

    NaN and infinities become None, integers of more than 30 digits become texts.
    """
    if not text or not _within_limits(text):
        return None
    try:
        return json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=lambda _name: None)
    except ValueError:
        return None


def parse_object(text: str | None) -> dict[str, Any]:
    """Parse a JSON object; an empty one if the text is anything else."""
    if not text or not text.lstrip("\ufeff \t\r\n").startswith("{"):
        return {}
    value = parse(text.strip("\ufeff \t\r\n\x00"))
    return value if isinstance(value, dict) else {}


def _within_limits(text: str) -> bool:
    if len(text) > _LENGTH_LIMIT:
        return False
    # Quotes that are escaped end no string, and what stands between the others is none of the structure.
    outside = "".join(text.replace("\\\\", "").replace('\\"', "").split('"')[::2])
    if outside.count("[") + outside.count("{") > _CONTAINER_LIMIT:
        return False
    depths = [*accumulate(map(_STEPS.__getitem__, _BRACKETS.findall(outside)))]
    return not depths or (max(depths) <= _DEPTH_LIMIT and min(depths) >= 0)


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 30 else digits


def _number(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
