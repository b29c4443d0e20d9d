"""Servers of the tests' own on loopback, kind, slow, broken and hostile ones, and how they are asked."""

import contextlib
import socket
import socketserver
import struct
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address

import pytest

from unprompt.errors import PictureError
from unprompt.images.web.address import WebAddress
from unprompt.images.web.addresses import IPAddress
from unprompt.images.web.connections import LookUp, look_up
from unprompt.images.web.download import download
from unprompt.images.web.limits import WebLimits

PICTURE = b"\x89PNG\r\n\x1a\n and so on"

# Linux has all of 127/8 on loopback. Where the guard is to let one of two servers pass, the first counts as public.
PUBLIC, PRIVATE = "127.0.0.2", "127.0.0.1"

OPEN = WebLimits(timeout_s=10, allow_private=True)
GUARDED = WebLimits(timeout_s=10)

Answer = Callable[[socket.socket, str], None]


class Server(socketserver.ThreadingTCPServer):
    """Answers each connection by a function of the socket and the request line's target; keeps what it was asked."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, answer: Answer, host: str, greets: bool) -> None:
        self.answer = answer
        self.host = host
        self.greets = greets  # whether a request is read first
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.connections = self.visits = 0
        self.requests: list[str] = []
        super().__init__((host, 0), None)  # type: ignore[arg-type]
        self.port = int(self.server_address[1])
        self.at = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def url(self, path: str = "/cat.png") -> str:
        return f"http://{self.at}{path}"

    def verify_request(self, *_: object) -> bool:
        self.connections += 1
        return True

    def finish_request(self, request: socket.socket, *_: object) -> None:  # type: ignore[override]
        with contextlib.suppress(ConnectionError):  # the client has seen enough
            head = b""
            while self.greets and b"\r\n\r\n" not in head:
                if not (data := request.recv(65536)):
                    return
                head += data
            self.requests.append(head.decode())
            self.answer(request, head.partition(b" ")[2].partition(b" ")[0].decode())

    def connections_seen(self) -> int:
        """How many there were up to now. They are accepted in order, so a visit of our own is counted last."""
        with socket.create_connection((self.host, self.port)) as visit:
            visit.shutdown(socket.SHUT_WR)
            visit.recv(1)
        self.visits += 1
        return self.connections - self.visits


@contextlib.contextmanager
def serving(answer: bytes | Answer, host: str = PRIVATE, *, greets: bool = True) -> Iterator[Server]:
    try:
        server = Server(sends(answer) if isinstance(answer, bytes) else answer, host, greets)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def sends(data: bytes) -> Answer:
    return lambda connection, _: connection.sendall(data)


def response(body: bytes = PICTURE, status: str = "200 OK", **headers: str) -> bytes:
    """A whole answer; `headers` with _ for -, an empty one is left out."""
    named = {"Content-Type": "image/png", "Content-Length": str(len(body)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items() if value)
    return f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return response(b"moved", status, Location=location)


def trickles(head: bytes, drop: bytes) -> Answer:
    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(head)
        while True:
            time.sleep(0.02)
            connection.sendall(drop)

    return answer


def keeps_silent(connection: socket.socket, _: str) -> None:
    while connection.recv(65536):
        pass


def resets(after: bytes) -> Answer:
    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(after)
        time.sleep(0.05)  # a reset may overtake what was sent
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return answer


@contextlib.contextmanager
def never_accepting(host: str, port: int = 0) -> Iterator[int]:
    """A port on which connecting takes for ever: more wait there than its queue holds."""
    with socket.create_server((host, port), backlog=0) as full, contextlib.ExitStack() as others:
        for _ in range(3):
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        yield full.getsockname()[1]


def failure(url: str, limits: WebLimits = OPEN) -> PictureError:
    with pytest.raises(PictureError) as caught:
        WebAddress(url, limits).read()
    return checked(caught.value)


def guarded_failure(url: str, names: LookUp, limits: WebLimits = GUARDED) -> PictureError:
    with pytest.raises(PictureError) as caught:
        download(url, limits, look_up=names, is_public=is_public_here)
    return checked(caught.value)


def checked(error: PictureError) -> PictureError:
    assert str(error).isprintable()
    assert str(error).startswith("expected ")
    assert ", found " in str(error)
    return error


def is_public_here(address: IPAddress) -> bool:
    return str(address) == PUBLIC


def names(**known: str | list[str]) -> LookUp:
    """A name service that knows these, `_` for a dot, and numbers."""
    table = {name.replace("_", "."): [value] if isinstance(value, str) else value for name, value in known.items()}

    def look_up_here(host: str) -> list[IPAddress]:
        return [ip_address(number) for number in table[host]] if host in table else look_up(host)

    return look_up_here
