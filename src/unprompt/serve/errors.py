"""What is refused, and how each dialect says so.

A refusal is an HTTP status and one sentence of what was expected, what was found and what to do. The form follows the
path: clients of OpenAI read `error.message`, those of AUTOMATIC1111 read `detail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from unprompt.errors import PictureError, UnpromptError
from unprompt.serve.responses import json_response

RETRY_LIMIT_S = 60
"""No longer wait is asked for: OpenAI's client sleeps as long as it is told, up to 120 s."""

TYPES: Mapping[int, str] = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "slow-upload",
    413: "too-large",
    415: "unsupported-media-type",
    421: "wrong-host",
    422: "unprocessable",
    429: "busy",
    500: "fault",
    501: "not-installed",
    503: "loading",
    504: "timeout",
}
"""The word for each status, if a refusal has none of its own."""

_OPENAI_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "unavailable_error",
    504: "timeout_error",
}


class Refusal(UnpromptError):  # noqa: N818 - an answer, and no fault
    """A request that is refused.

    `kind` is a fixed word (default: that of the status in `TYPES`), `param` the part of the request at fault,
    `retry_after_s` the seconds after which it may succeed, and `allow` the methods that the path has.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "",
        param: str | None = None,
        retry_after_s: float | None = None,
        allow: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind or TYPES.get(status, "bad-request")
        self.param = param
        self.retry_after_s = retry_after_s
        self.allow = allow

    @property
    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        headers = {"Cache-Control": "no-store"}
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(retry_after(self.retry_after_s))
        if self.allow:
            headers["Allow"] = self.allow
        return headers


def retry_after(seconds: float) -> int:
    """Whole seconds from 1 to `RETRY_LIMIT_S`."""
    return min(max(int(-(-seconds // 1)), 1), RETRY_LIMIT_S)


def refusal_of(error: Exception) -> Refusal:
    """The refusal that an exception of this project stands for; a fault without details for any other."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, PictureError):
        return Refusal(422, str(error), kind=error.kind)
    if isinstance(error, UnpromptError):
        return Refusal(error.http_status, str(error))
    return Refusal(500, "expected to answer, found a fault of unprompt; please report it with what its log says")


def refused(refusal: Refusal, path: str) -> Response:
    """The response to a request for this path, in the dialect's form."""
    headers = refusal.headers
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Basic realm="unprompt"' if path.startswith("/sdapi/") else "Bearer"
    return json_response(error_body(refusal, path), refusal.status, headers)


def error_body(refusal: Refusal, path: str) -> Mapping[str, Any]:
    """The body that says no, in the form that clients of this path read."""
    if path.startswith("/sdapi/"):
        return _a1111(refusal)
    if path.startswith("/interrogator/"):
        return {"detail": str(refusal)}
    if path.startswith(("/knn-service", "/indices-list", "/metadata")):
        return {"message": str(refusal)}
    if path.endswith(("/chat/completions", "/embeddings", "/models")) or path.startswith(("/v1/models/", "/models/")):
        return _openai(refusal)
    return _native(refusal)


def _native(refusal: Refusal) -> Mapping[str, Any]:
    return {
        "error": {
            "code": refusal.status,
            "type": refusal.kind,
            "message": str(refusal),
            "param": refusal.param,
        }
    }


def _openai(refusal: Refusal) -> Mapping[str, Any]:
    return {
        "error": {
            "message": str(refusal),
            "type": _OPENAI_TYPES.get(refusal.status, "invalid_request_error"),
            "param": refusal.param,
            "code": refusal.kind.replace("-", "_"),
        }
    }


def _a1111(refusal: Refusal) -> Mapping[str, Any]:
    if refusal.status == HTTPStatus.UNAUTHORIZED:
        return {"detail": "Incorrect username or password"}
    return {"error": "HTTPException", "detail": str(refusal), "body": "", "errors": ""}
