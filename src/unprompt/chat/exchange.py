"""One request to a chat server and its whole reply, within a time limit.

By httpcore, as addresses of pictures are read: time is limited as a whole and not step by step, so that a server which
sends a byte now and then holds nobody; the address that a name leads to is checked before anything is sent; nothing is
redirected; each request has a connection of its own, because servers close them after an error without a word.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpcore

from unprompt.chat.address import ChatAddress
from unprompt.errors import ModelError, PictureError
from unprompt.images.web.addresses import IPAddress, is_public
from unprompt.images.web.connections import Deadline, GuardedNetwork, look_up
from unprompt.models.store.hub_cache import is_offline

CONNECT_S = 5.0
"""The time for the name's lookup and the connection: who is there answers at once."""

_BODY_LIMIT = 4_000_000
_SECRET = 8
"""The least characters of a key that is hidden in replies; shorter ones are dummies, which occur in plain words."""


class UnreachedError(ModelError):
    """No connection to the server."""


class BrokenError(ModelError):
    """The connection broke off, or the reply is no HTTP."""


class SlowError(ModelError):
    """The time is over."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; the key is not in it, whatever the server repeats."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """A secret: it is shown nowhere, and goes into the header of requests alone."""

    value: str

    def __repr__(self) -> str:
        return "Key(...)"

    def hidden(self, body: bytes) -> bytes:
        """The bytes with a word in place of the key."""
        return body if len(self.value) < _SECRET else body.replace(self.value.encode(), b"(key)")


NO_KEY = Key("")


class _Tls(threading.local):
    """The loaded certificates, kept because loading takes 30 ms; one set per thread, since httpcore writes to it."""

    def __init__(self) -> None:
        self.context = httpcore.default_ssl_context()


_tls = _Tls()


def post(address: ChatAddress, question: Mapping[str, Any], key: Key, deadline: Deadline) -> Reply:
    """Send a question as JSON and return the reply, whatever its status.

    Raises UnreachedError, BrokenError and SlowError, all of which name the address.
    """
    check_allowed(address)
    network = GuardedNetwork(deadline, look_up, _guard(address, key), CONNECT_S)
    body = json.dumps(question, ensure_ascii=True).encode("ascii")
    tls = _tls.context if address.is_secure else None
    try:
        with (
            httpcore.ConnectionPool(ssl_context=tls, network_backend=network) as pool,
            pool.stream("POST", address.target(), headers=_headers(address, key, len(body)), content=body) as reply,
        ):
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reply.headers}
            return Reply(reply.status, headers, key.hidden(_body(reply, address)))
    except PictureError as error:
        raise UnreachedError(f"{_expected(address)}, {_found(error, address)}") from error
    except httpcore.ConnectTimeout as error:
        raise UnreachedError(
            f"{_expected(address)}, found no connection within {CONNECT_S:g} s; start it or check base_url"
        ) from error
    except httpcore.TimeoutException as error:
        raise SlowError(
            f"{_expected(address)}, found one that is slower; raise timeout_s or lower concurrency"
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise BrokenError(
            f"{_expected(address)}, found one that hangs up or does not speak HTTP; look into its log"
        ) from error


def check_connection(address: ChatAddress, key: Key = NO_KEY) -> None:
    """Connect, send nothing and hang up. Raises UnreachedError."""
    check_allowed(address)
    network = GuardedNetwork(Deadline(CONNECT_S), look_up, _guard(address, key), CONNECT_S)
    try:
        network.connect_tcp(address.host, address.port).close()
    except PictureError as error:
        raise UnreachedError(f"{_expected(address)}, {_found(error, address)}") from error
    except (httpcore.TimeoutException, httpcore.NetworkError) as error:
        raise UnreachedError(
            f"{_expected(address)}, found no connection within {CONNECT_S:g} s; start it or check base_url"
        ) from error


def check_allowed(address: ChatAddress) -> None:
    """Raise UnreachedError if the network is off and the address not local."""
    if is_offline() and not address.is_local:
        raise UnreachedError(
            f"{_expected(address)}, found that the network is off (HF_HUB_OFFLINE or --offline); allow it, or name a "
            "server by a number of this machine or your own network"
        )


def _guard(address: ChatAddress, key: Key) -> Any:
    """Which numbers may be connected to: offline, and where a key would be readable on the way, only private ones."""
    is_private_only = is_offline() or (key.value and not address.is_secure)

    def is_allowed(number: IPAddress) -> bool:
        return not (is_private_only and is_public(number))

    return is_allowed


def _headers(address: ChatAddress, key: Key, length: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"Host", address.url.netloc),
        (b"User-Agent", b"unprompt"),
        (b"Accept", b"application/json"),
        (b"Accept-Encoding", b"identity"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", str(length).encode()),
        (b"Connection", b"close"),
    ]
    return [*headers, (b"Authorization", b"Bearer " + key.value.encode("ascii"))] if key.value else headers


def _body(reply: httpcore.Response, address: ChatAddress) -> bytes:
    body = io.BytesIO()
    for chunk in reply.iter_stream():
        if body.tell() + len(chunk) > _BODY_LIMIT:
            raise BrokenError(f"{_expected(address)}, found more than {_BODY_LIMIT / 1e6:g} MB; is this a chat server?")
        body.write(chunk)
    return body.getvalue()


def _expected(address: ChatAddress) -> str:
    return f"expected an answer of the chat server at {address}"


def _found(error: PictureError, address: ChatAddress) -> str:
    """What was found in place of a connection, for the guard speaks of pictures."""
    if error.kind == "forbidden-address":
        return f"found that {address.host} is on the public internet, where a key needs https; change base_url"
    if error.kind == "not-found":
        return "found no host of that name; check base_url"
    return f"{str(error).partition(', ')[2].partition(';')[0]}; start it or check base_url"
