"""Untrusted JSON: size, depth and number of containers are checked before the parser sees it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_LENGTH_LIMIT = 2_000_000  # characters; the largest ComfyUI graphs seen are a few hundred thousand
_DEPTH_LIMIT = 64
_CONTAINER_LIMIT = 100_000


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
    without_strings = re.sub(r'"[^"]*"?', "", re.sub(r"\\.", "", text))
    depth = containers = 0
    for bracket in re.finditer(r"[\[\]{}]", without_strings):
        if bracket[0] in "[{":
            depth, containers = depth + 1, containers + 1
            if depth > _DEPTH_LIMIT or containers > _CONTAINER_LIMIT:
                return False
        elif not depth:
            return False
        else:
            depth -= 1
    return True


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= 30 else digits


def _number(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None
