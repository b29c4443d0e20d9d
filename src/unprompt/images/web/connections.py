"""Connections to allowed addresses only, with a deadline.

A name may resolve to another address a moment after it was checked (DNS rebinding). So the check is part of making the
connection: the name is looked up once, every answer is checked, and the connection goes to a checked IP address without
a further lookup. TLS and the Host header still use the name.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any, TypeAlias

import httpcore

from unprompt.errors import PictureError
from unprompt.images.web.addresses import IPAddress

LookUp: TypeAlias = Callable[[str], Sequence[IPAddress]]

LOOKUPS_AT_ONCE = 32
"""How many threads may wait for a name lookup; one cannot be stopped, so a slow one outlives its download."""

_lookup_slots = threading.BoundedSemaphore(LOOKUPS_AT_ONCE)


def look_up(host: str) -> list[IPAddress]:
    """Resolve a host name to all of its addresses, best first; an IP address resolves to itself."""
    answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [ip_address(socket_address[0]) for *_, socket_address in answers]


class Deadline:
    """A point in time, `timeout_s` from now, at which the work must be done."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def left_s(self) -> float:
        """The seconds left, more than 0. Raises httpcore.TimeoutException after the deadline."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise httpcore.TimeoutException("the deadline is over")
        return left


class GuardedNetwork(httpcore.NetworkBackend):
    """A network backend for one download: it connects to allowed addresses only, until the deadline.

    Raises PictureError (forbidden-address, not-found, unreachable) while connecting, httpcore.TimeoutException at the
    deadline. With `connect_s` a connection must be there after so many seconds, or httpcore.ConnectTimeout is raised.
    The `timeout` arguments of httpcore are ignored, here and in the streams: they limit a single step.
    """

    def __init__(
        self,
        deadline: Deadline,
        look_up: LookUp,
        is_allowed: Callable[[IPAddress], bool],
        connect_s: float | None = None,
    ) -> None:
        self._deadline = deadline
        self._look_up = look_up
        self._is_allowed = is_allowed
        self._connect_s = connect_s
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of the host that answers."""
        left_s = self._deadline.left_s()
        deadline = self._deadline if self._connect_s is None else Deadline(min(self._connect_s, left_s))
        untried = self._allowed_addresses(host, deadline)
        while True:
            # Each address gets an equal share of the time, so that one that never answers leaves some for the next.
            share_s = deadline.left_s() / len(untried)
            try:
                stream = self._sockets.connect_tcp(str(untried.pop(0)), port, share_s, local_address, socket_options)
            except httpcore.ConnectTimeout:
                if not untried:
                    raise
            except httpcore.ConnectError as error:
                if not untried:
                    raise _unreachable(host, error) from error
            else:
                return _TimedStream(stream, self._deadline)

    def _allowed_addresses(self, host: str, deadline: Deadline) -> list[IPAddress]:
        """The addresses of a host. A single forbidden one refuses the host: mixing them suggests an attack."""
        try:
            addresses = list(dict.fromkeys(self._look_up_in_time(host, deadline)))
        except OSError as error:
            if not isinstance(error, socket.gaierror) or error.errno == socket.EAI_AGAIN:
                raise PictureError(
                    "unreachable",
                    f"expected an address for the host {host!r}, found no name server that answers; "
                    "check the network or try again later",
                ) from error
            addresses = []
        if not addresses:
            raise PictureError("not-found", f"expected a host, found none by the name {host!r}; check the address")
        if not all(map(self._is_allowed, addresses)):
            # The IP address is not shown: users of a service should not learn how its network resolves names.
            raise PictureError(
                "forbidden-address",
                f"expected a public host, found {host!r}, which is at a private, local or reserved address; "
                "if you trust it, add --allow-private-urls",
            )
        return addresses

    def _look_up_in_time(self, host: str, deadline: Deadline) -> Sequence[IPAddress]:
        if not _lookup_slots.acquire(timeout=deadline.left_s()):
            raise httpcore.ConnectTimeout("too many names are being looked up")
        answer: Future[Sequence[IPAddress]] = Future()

        def work() -> None:
            try:
                answer.set_result(self._look_up(host))
            except BaseException as error:
                answer.set_exception(error)
            finally:
                _lookup_slots.release()

        thread = threading.Thread(target=work, name=f"look up {host}", daemon=True)
        thread.start()
        thread.join(deadline.left_s())
        if not answer.done():
            raise httpcore.ConnectTimeout("the lookup takes too long")
        return answer.result()


class _TimedStream(httpcore.NetworkStream):
    """A connection on which every step ends by the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left_s())
        except httpcore.ConnectError as error:
            raise _unreachable(str(server_hostname), error) from error
        except httpcore.TimeoutException:
            self.close()  # if the time was over before it began, nobody else closes it
            raise
        return _TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _unreachable(host: str, error: httpcore.ConnectError) -> PictureError:
    """The error for a failed connection, with the reason from the system or OpenSSL."""
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        found = f"a certificate that cannot be trusted ({cause.verify_message})"
    elif isinstance(cause, ssl.SSLError):
        found = "one that does not speak TLS as we do"
    else:
        found = f"no connection ({getattr(cause, 'strerror', None) or type(cause).__name__})"
    return PictureError("unreachable", f"expected the server {host!r}, found {found}; check the address")
