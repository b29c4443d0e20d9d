"""Who may ask: the host and the origin that a request names, its key; and the headers that every response has.

A page of another site can make a browser send requests to a service on this machine. Its requests name that page as
their Origin; and where it has pointed its own name at this machine (DNS rebinding), they name that as their Host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

from unprompt.errors import DataError
from unprompt.serve.errors import Refusal
from unprompt.serve.keys import Keys
from unprompt.serve.settings import Settings

_HOST = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^:@/\[\]]+))(?::(\d{1,5}))?")
_LOCAL = ("localhost",)

SECURITY_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy of pages: everything from this service, nothing inline."""

NO_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""That of all other responses, which load nothing."""


class Safety:
    """The rules of one service. Raises DataError for a file of keys that cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.keys = Keys.read(settings.api_key_file)
        self._hosts = {settings.host.lower(), *_LOCAL, *(host.lower() for host in settings.allow_hosts)}
        self._origins = {origin.rstrip("/").lower() for origin in settings.allow_origins}

    def check(self, method: str, headers: Mapping[str, str], *, needs_key: bool) -> None:
        """Raise Refusal: 421 (host), 403 (origin), 401 (key)."""
        self._check_host(headers.get("host", ""))
        self._check_origin(method, headers)
        if needs_key and self.keys and not self.keys.let_in(headers):
            raise Refusal(
                401,
                "expected a key of this service, found none or a wrong one; send it as Authorization: Bearer KEY",
                param="Authorization",
            )

    def allowed_origin(self, origin: str) -> bool:
        """Whether a page of this origin may read responses: only those of --allow-origin."""
        return origin.rstrip("/").lower() in self._origins

    def _check_host(self, host: str) -> None:
        """Names have to be known; a number cannot be pointed at another machine, so every number may be asked."""
        match = _HOST.fullmatch(host)
        if match is not None and (_is_number(match[1] or match[2]) or match[2].lower().rstrip(".") in self._hosts):
            return
        raise Refusal(
            421,
            "expected a Host that this service is known by, found another; ask it by localhost or its number, or start "
            "it with --allow-host NAME",
            param="Host",
        )

    def _check_origin(self, method: str, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None or self.allowed_origin(origin):
            return
        is_own = _without_port(origin.partition("://")[2].lower()) == _without_port(headers.get("host", "").lower())
        if is_own and method != "OPTIONS":
            return
        raise Refusal(
            403,
            "expected a request of this service's own page, found one of another site; start the service with "
            "--allow-origin if that site may ask",
            kind="origin-forbidden",
            param="Origin",
        )


def check_exposure(settings: Settings) -> None:
    """Raise DataError if the service would be open to others without a key and without --public."""
    if settings.api_key_file is not None or settings.public or _is_loopback(settings.host):
        return
    raise DataError(
        f"expected --api-key-file or --public with --host {settings.host}, found neither: anyone who reaches this "
        "machine could ask; make a file of keys, or say --public if that is what you want"
    )


def preflight_headers(origin: str) -> dict[str, str]:
    """What a browser asks for before a request of an allowed origin."""
    return {
        **cross_origin_headers(origin),
        "Access-Control-Allow-Methods": "GET, POST, PUT",
        "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key, Accept",
        "Access-Control-Max-Age": "600",
    }


def cross_origin_headers(origin: str) -> dict[str, str]:
    """What lets a page of an allowed origin read a response."""
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": "Retry-After, X-Unprompt-Note, X-Unprompt-Model",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Vary": "Origin",
    }


def _without_port(host: str) -> str:
    """A host with its port, those of http and https left out."""
    return re.sub(r":(?:80|443)$", "", host)


def _is_number(host: str | None) -> bool:
    try:
        ipaddress.ip_address(host or "")
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host in _LOCAL or (_is_number(host) and ipaddress.ip_address(host).is_loopback)
