"""JSON responses: Starlette's own cannot write the lone surrogates that files hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from unprompt.output.jsonl import to_json


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A value as JSON in UTF-8; lone surrogates and invisible characters are escaped."""
    return Response(to_json(content).encode("utf-8"), status, headers, media_type="application/json")
