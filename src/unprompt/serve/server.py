"""Starts and stops the server: one process, or several behind one port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from unprompt.errors import DataError
from unprompt.serve.settings import Settings
from unprompt.serve.telemetry import SHARED_FOLDER

SETTINGS = "UNPROMPT_SERVE_SETTINGS"
"""The variable by which the processes of --workers get their settings."""

_HEAD_TIMEOUT_S = 20.0
"""Seconds within which a connection has to send the head of a request."""

_UNREAD_TIMEOUT_S = 60.0
"""Seconds within which a client has to read on, if it leaves more than the system's buffers unread."""

_DISCARDED_LIMIT = 64_000_000
"""Bytes of a refused body that are read away, so that the client gets to read the refusal."""

_HEAD_LIMIT = 32_768
_CONNECTIONS = 1024
_BACKLOG = 512

_log = logging.getLogger(__name__)


class Connection(H11Protocol):
    """A connection that cannot be held by sending nothing, sending a refused body for ever, or reading no answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._discarded = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        if len(self.connections) > _CONNECTIONS:
            transport.close()
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._is_answering():
            self._stop_waiting()
        elif self.conn.their_state is h11.SEND_BODY:
            self._discarded += len(data)
            if self._discarded > _DISCARDED_LIMIT:
                self.transport.close()
        elif self._timer is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._is_read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(_UNREAD_TIMEOUT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_read()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_answering():
            self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        """Say in JSON that this is no HTTP."""
        body = b'{"error":{"code":400,"type":"bad-request","message":"expected HTTP/1.1, found something else",'
        body += b'"param":null}}'
        head = f"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(_HEAD_TIMEOUT_S, self._give_up)

    def _give_up(self) -> None:
        """Close it; if it is closing already, what is left to write will never be read."""
        if self.transport.is_closing():
            self.transport.abort()
        else:
            self.transport.close()
            self._wait_for_head()

    def _is_read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """uvicorn's server, which can be asked whether it listens, and to end because of an error."""

    error: Exception | None = None

    def fail(self, error: Exception) -> None:
        """End because of an error. Safe to call from any thread."""
        self.error = error
        self.should_exit = True


def server_of(settings: Settings) -> Server:
    """A server of one process. Raises what `Service` and `Safety` raise."""
    from unprompt.serve.app import App
    from unprompt.serve.service import Service

    servers: list[Server] = []
    app = App(Service(settings), failed=lambda error: servers[0].fail(error))
    servers.append(Server(config_of(settings, app)))
    return servers[0]


def config_of(settings: Settings, app: Any) -> uvicorn.Config:
    """uvicorn's configuration of one process."""
    return uvicorn.Config(app, **_server_options(settings))


def _server_options(settings: Settings) -> dict[str, Any]:
    """Our own log, no headers of uvicorn's own, no trust in a proxy's."""
    return {
        "host": settings.host,
        "port": settings.port,
        "http": Connection,
        "ws": "none",
        "lifespan": "on",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "backlog": _BACKLOG,
        "timeout_keep_alive": 10,
        "timeout_graceful_shutdown": max(int(settings.drain_s), 1),
        "h11_max_incomplete_event_size": _HEAD_LIMIT,
    }


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; SIGTERM finishes what is in work first, for at most `drain_s`.

    Raises DataError if the port cannot be had, and what keeps the models from loading.
    """
    prepare_log(quiet=settings.quiet)
    if settings.workers > 1:
        with _listening(settings):
            pass  # the port is free, or this says so better than uvicorn
        _log.info("listening on %s with %d processes", _address(settings, settings.port), settings.workers)
        _serve_by_several(settings)
        return
    with _listening(settings) as listener, _quiet_end():
        _log.info("listening on %s", _address(settings, listener.getsockname()[1]))
        server = server_of(settings)
        server.run([listener])
    if server.error is not None:
        raise server.error


def _address(settings: Settings, port: int) -> str:
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{shown}:{port}"


def worker_app() -> Any:
    """The application of a worker process, by the settings in its environment."""
    from unprompt.serve.app import App
    from unprompt.serve.service import Service

    settings = Settings.from_json(os.environ[SETTINGS])
    prepare_log(quiet=settings.quiet)

    def failed(_error: Exception) -> None:
        os.kill(os.getppid(), signal.SIGTERM)  # the other workers would fail alike

    return App(Service(settings), failed=failed)


def _serve_by_several(settings: Settings) -> None:
    """Leaves the processes to uvicorn: it starts each again that ends, and ends all when it is told to."""
    with tempfile.TemporaryDirectory(prefix="unprompt-metrics-") as folder, _quiet_end():
        os.environ[SETTINGS] = settings.to_json()
        os.environ[SHARED_FOLDER] = folder
        try:
            uvicorn.run(f"{__name__}:worker_app", factory=True, workers=settings.workers, **_server_options(settings))
        finally:
            del os.environ[SETTINGS], os.environ[SHARED_FOLDER]


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        listener = socket.create_server(found[0][4][:2], family=found[0][0], backlog=_BACKLOG, dualstack_ipv6=False)
    except OSError as error:
        raise DataError(
            f"expected to listen on {settings.host}:{settings.port}, found: {error.strerror}; stop what is there or "
            "choose another --port"
        ) from error
    with listener:
        yield listener


@contextlib.contextmanager
def _quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that stopped it once more: SIGTERM is then a good end and no death."""

    def ignore(_number: int, _frame: FrameType | None) -> None:
        pass

    before = signal.signal(signal.SIGTERM, ignore)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def prepare_log(*, quiet: bool = False) -> None:
    """Log to standard error: a line for each request unless `quiet`, and warnings, of uvicorn too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%S"))
    for name, level in (("unprompt", logging.WARNING if quiet else logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
