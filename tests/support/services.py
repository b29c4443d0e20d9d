"""Services of the tests' own: the real server in a thread, on a free port of loopback."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from unprompt.prediction import Failure, Prediction
from unprompt.presets import load_preset
from unprompt.serve.app import App
from unprompt.serve.server import Server, config_of
from unprompt.serve.service import Service
from unprompt.serve.settings import Settings
from unprompt.unprompter import Unprompter

PATIENCE_S = 180.0


@dataclass
class Running:
    """A service that listens, and a client that speaks to it."""

    service: Service
    server: Server
    port: int
    client: httpx.Client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.client.post(path, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.client.get(path, **more)

    def raw(self, data: bytes, *, end: bool = False) -> bytes:
        """What comes back for some bytes, until the connection is closed or a whole response is there."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S) as connection:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            found = b""
            while chunk := connection.recv(65536):
                found += chunk
                if is_whole(found):
                    break
        return found

    def assert_nothing_is_left(self) -> None:
        """Nothing of a request is held, waits, or is in work."""
        wait_for(lambda: self.service.active == 0)
        wait_for(lambda: self.service.pictures.waiting == self.service.pictures.in_work == 0)
        assert self.service.held.held == 0


class Gated(Unprompter):
    """Answers once its gate is open, and knows how many pictures each batch had."""

    def __init__(self, preset: Path) -> None:
        super().__init__(load_preset(preset), threads=1)
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[int] = []

    def predict(self, inputs: Any, **more: Any) -> Generator[Prediction | Failure, None, None]:
        inputs = list(inputs)
        self.batches.append(len(inputs))
        assert self.gate.wait(PATIENCE_S)
        yield from super().predict(inputs, **more)


@contextlib.contextmanager
def running(settings: Settings, unprompter: Unprompter | None = None, *, ready: bool = True) -> Iterator[Running]:
    settings = replace(settings, threads=1)
    service = Service(settings, unprompter)
    server = Server(config_of(settings, App(service)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S, trust_env=False) as client:
                wait_for(lambda: server.started)
                if ready:
                    wait_for(lambda: service.state == "ready")
                yield Running(service, server, port, client)
        finally:
            server.should_exit = True
            thread.join(PATIENCE_S)


def wait_for(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.01)


def is_whole(response: bytes) -> bool:
    """Whether a response with a Content-Length is there."""
    head, found, body = response.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return bool(found and lengths) and len(body) >= lengths[0]


def form(*parts: tuple[str, str | None, bytes], boundary: str = "frontier", end: bool = True) -> bytes:
    """A multipart body; with `end` False it stops before its last boundary."""
    body = b""
    for name, file_name, data in parts:
        named = f'; filename="{file_name}"' if file_name is not None else ""
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode() if end else body


def png(seed: int = 0, size: tuple[int, int] = (64, 48), **text: str) -> bytes:
    """A picture of noise, with texts in it."""
    import io

    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG", pnginfo=info)
    return file.getvalue()


INFOTEXT = "a cat on the moon\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 64x48"


def lines_of(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]
