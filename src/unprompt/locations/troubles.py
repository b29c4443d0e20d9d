"""Turns what the clients of stores raise into one error with a kind.

Each client has errors of its own, and fsspec hides some of them behind an OSError. Their texts are not repeated: they
may quote a signed address or what a stranger's server said.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import Any

from unprompt.errors import LocationError, Trouble

_LINKS_LIMIT = 8  # of errors that were raised from errors

# What the clients of S3 (botocore, aiohttp), Google, Azure and Hugging Face raise, by the class's name: importing them
# to compare classes would cost a second.
_BY_CLASS: dict[str, Trouble] = {
    **dict.fromkeys(
        (
            "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
            "SSOTokenLoadError", "UnauthorizedSSOTokenError", "ProfileNotFound", "NoAuthTokenError",
            "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError", "CredentialUnavailableError",
            "LocalTokenNotFoundError",
        ),
        "no-credentials",
    ),
    **dict.fromkeys(
        ("ConnectTimeoutError", "ReadTimeoutError", "FSTimeoutError", "TimeoutError", "ServerTimeoutError",
         "ConnectTimeout", "ReadTimeout", "TimeoutException"),
        "timeout",
    ),
    **dict.fromkeys(
        ("EndpointConnectionError", "ConnectionClosedError", "HTTPClientError", "ProxyError", "SSLError",
         "ClientConnectionError", "ClientPayloadError", "IncompleteRead", "IncompleteReadError",
         "ResponseParserError", "ServiceRequestError", "ServiceResponseError", "ConnectionError", "NetworkError",
         "TransportError", "ProtocolError"),
        "unreachable",
    ),
    **dict.fromkeys(("FileNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError", "EntryNotFoundError"),
                    "not-found"),
    "PermissionError": "unreadable",
}  # fmt: skip

_BY_CODE: dict[str, Trouble] = dict.fromkeys(
    (
        "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "TokenRefreshRequired",
        "RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "InvalidClientTokenId", "AuthenticationFailed",
        "NoAuthenticationInformation",
    ),
    "no-credentials",
)  # fmt: skip

_BY_STATUS: dict[int, Trouble] = {
    401: "no-credentials", 403: "unreadable", 404: "not-found", 410: "not-found", 408: "timeout", 504: "timeout",
    429: "unreachable", 500: "unreachable", 502: "unreachable", 503: "unreachable", 409: "unreachable",
}  # fmt: skip
"""409: S3 answers so if two conditional writes of one object meet, and asks to try again."""

_EXISTS = 412
_PAST_END = 416

_FOUND: dict[Trouble, str] = {
    "not-found": "none by this name",
    "unreadable": "that it may not be accessed with these credentials",
    "unreachable": "a store that does not answer, breaks off or asks to slow down, however often it was asked",
    "timeout": "a store or a network that is too slow",
    "no-credentials": "none that the store takes",
}
_ADVICE: dict[Trouble, str] = {
    "not-found": "check the address",
    "unreadable": "check the permissions",
    "unreachable": "check the network and the store's address, or try again later",
    "timeout": "try again later",
}


def trouble(error: Exception, what: str, advice: str) -> LocationError:
    """The error to raise in place of a client's own; `what` names what was expected, `advice` says how to log in."""
    kind = kind_of(error)
    if kind is None:
        found = type(error).__name__
        return LocationError("unreadable", f"expected {what}, found a store that fails ({found}); check the address")
    if kind == "no-credentials":
        return LocationError(kind, f"expected credentials for {what}, found {_FOUND[kind]}; {advice}")
    return LocationError(kind, f"expected {what}, found {_FOUND[kind]}; {_ADVICE[kind]}")


def is_passing(error: Exception) -> bool:
    """Whether the same request may well succeed a moment later."""
    return kind_of(error) in ("unreachable", "timeout")


def exists_already(error: Exception) -> bool:
    """Whether a conditional write found that the object is there."""
    return isinstance(error, FileExistsError) or any(_status(link) == _EXISTS for link in _links(error))


def is_past_end(error: Exception) -> bool:
    """Whether a range begins past the end, as every range of an empty object does."""
    return any(_status(link) == _PAST_END for link in _links(error))


def kind_of(error: Exception) -> Trouble | None:
    """What is wrong; None for anything else."""
    links = list(_links(error))
    for link in links:  # what the server said is more exact than the class that a library made of it
        kind = _BY_CODE.get(_code(link)) or _BY_STATUS.get(_status(link))
        if kind is not None:
            return kind
    for link in links:
        for parent in type(link).__mro__:
            if parent.__name__ in _BY_CLASS:
                return _BY_CLASS[parent.__name__]
        if isinstance(link, OSError) and link.errno == errno.EBUSY:
            return "unreachable"
        if isinstance(link, OSError) and str(link).startswith("Forbidden"):  # gcsfs has no other sign of a 403
            return "unreadable"
    return None


def _links(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_LINKS_LIMIT):
        if link is None:
            return
        yield link
        link = link.__cause__


def _code(error: BaseException) -> str:
    """The store's own word for an error."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else getattr(error, "error_code", None)
    return code if isinstance(code, str) else ""


def _status(error: BaseException) -> int:
    """The status of the HTTP response behind an error; 0 if there is none."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        code = getattr(response, "status_code", None) or next(
            (found for name in ("status_code", "status", "code") if (found := getattr(error, name, None))), 0
        )
    return int(code) if isinstance(code, int) or (isinstance(code, str) and code.isdigit()) else 0
