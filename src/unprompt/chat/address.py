"""The address of a chat server, as a preset names it, and which of them count as local.

Addresses of pictures never lead into the own network; a server's may, because the user names it. The key and the
picture go to this address alone: redirects are not followed, and proxies not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

import httpcore
import httpx

from unprompt.errors import DataError
from unprompt.images.web.addresses import IPAddress, is_public

_LOCAL_NAME = "localhost"
_PATH = "/chat/completions"
_PORTS = {"http": 80, "https": 443}
_LIMIT = 1000


@dataclass(frozen=True, slots=True)
class ChatAddress:
    """A server's address: what a preset calls `base_url`, without a slash at the end."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def url(self) -> httpx.URL:
        """The address that questions are sent to."""
        return httpx.URL(self.text + _PATH)

    @property
    def host(self) -> str:
        """The host's name or number, in ASCII."""
        return self.url.raw_host.decode("ascii")

    @property
    def port(self) -> int:
        """The port, that of the scheme if none is named."""
        return self.url.port or _PORTS[self.url.scheme]

    @property
    def is_secure(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.url.scheme == "https"

    @property
    def is_local(self) -> bool:
        """Whether it is a number of this machine or of a private network, or `localhost`: known without a lookup."""
        number = _number(self.host)
        return not is_public(number) if number is not None else self.host.removesuffix(".") == _LOCAL_NAME

    def target(self) -> httpcore.URL:
        """The same for httpcore."""
        url = self.url
        return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def read_address(base_url: str) -> ChatAddress:
    """Check the address of a server. Raises DataError, whose message repeats no user name, password or key in it."""
    text = base_url.rstrip("/").removesuffix(_PATH)
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise _bad("one that is malformed") from error
    if not base_url:
        raise _bad("none")
    if len(text) > _LIMIT or not text.isascii() or not text.isprintable() or " " in text:
        raise _bad("one that is too long or has characters that no address has")
    if url.userinfo:
        raise _bad("a user name or password in it; a key is named by api_key_env")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise _bad("a part behind ? or # in it")
    if url.scheme not in _PORTS or not _is_host(url.raw_host.decode("ascii")):
        raise _bad("one without http(s) or a host")
    if url.port is not None and not 0 < url.port < 65536:
        raise _bad(f"the port {url.port}")
    return ChatAddress(text)


def _number(host: str) -> IPAddress | None:
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_host(host: str) -> bool:
    """Whether the host keeps DNS's limits on lengths; past them, socket and ssl raise errors of other types."""
    return len(host) <= 253 and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))


def _bad(found: str) -> DataError:
    return DataError(f"expected base_url to be like http://127.0.0.1:8080/v1, found {found}")
