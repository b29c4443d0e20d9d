"""Chat servers of the tests' own on loopback: kind ones, and ones that misbehave in every way that was seen."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from PIL import Image

from unprompt.chat.address import read_address
from unprompt.chat.exchange import Key
from unprompt.chat.server import Asking, ChatServer
from unprompt.images.decode import Picture
from unprompt.images.ref import Pixels
from unprompt.presets import to_toml

PROBE = "What is in this picture?"


@dataclass(frozen=True)
class Question:
    """A request as it came."""

    body: dict[str, Any]
    headers: dict[str, str]
    path: str

    @property
    def text(self) -> str:
        return str(next(part["text"] for part in self.body["messages"][0]["content"] if part["type"] == "text"))

    @property
    def is_probe(self) -> bool:
        return self.text == PROBE

    @property
    def image(self) -> Image.Image:
        parts = self.body["messages"][0]["content"]
        uri = next(part["image_url"]["url"] for part in parts if part["type"] == "image_url")
        return Image.open(io.BytesIO(base64.b64decode(uri.partition("base64,")[2])))


@dataclass(frozen=True)
class Reply:
    """What is sent; `claims` is a Content-Length that is not true, after which the connection is closed."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    claims: int | None = None


HANGS_UP = None
"""A reply that never comes: the connection is closed."""

Answer: TypeAlias = "Callable[[Question], Reply | None]"


def said(text: Any, reason: str = "stop", **message: Any) -> Reply:
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}
    return Reply(json.dumps({"object": "chat.completion", "choices": [choice]}).encode())


def refused(status: int, message: str = "no", **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": {"message": message, "code": status}}).encode(), status, named)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """Clients that hang up are part of the tests."""


@dataclass
class Talk:
    """What a server was asked, and how many questions it had at the same time at most."""

    url: str = ""
    questions: list[Question] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def texts(self) -> list[str]:
        """The texts of the questions, without the first one of each client."""
        return [question.text for question in self.questions if not question.is_probe]

    @contextlib.contextmanager
    def asked(self, question: Question) -> Iterator[None]:
        with self.lock:
            self.questions.append(question)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            with self.lock:
                self.in_flight -= 1


@contextlib.contextmanager
def talking(answer: Answer, *, probed: Reply | None = None) -> Iterator[Talk]:
    """A server that answers each question by a function, and the first one of each client with `probed`."""
    talk = Talk()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            question = Question(json.loads(body), dict(self.headers), self.path)
            with talk.asked(question):
                reply = probed or said("a square") if question.is_probe and probed is not ASK else answer(question)
            self.close_connection = True
            if reply is None:
                return
            self.send_response(reply.status)
            length = len(reply.body) if reply.claims is None else reply.claims
            told = {"Content-Type": "application/json", "Content-Length": str(length), **reply.headers}
            for name, value in told.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    talk.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield talk
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ASK = Reply(b"")
"""As `probed`: the first question is answered by the function, too."""


def client(url: str, model: str = "tiny-vlm", *, key: str = "", **asking: Any) -> ChatServer:
    """A client that does not pause between its tries."""
    told = {"timeout_s": 20.0, **asking}
    return ChatServer(Asking(read_address(url), model, Key(key), **told), pause_s=0.0)


def pixels(seed: int = 0, height: int = 40, width: int = 60) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pictures(*names: str) -> list[Picture]:
    return [
        Picture(f"folder/{name}.png", pixels(at), (60, 40), "PNG", f"{at:064}", None) for at, name in enumerate(names)
    ]


def write_preset(path: Path, url: str, head: str = "", **options: object) -> Path:
    """A preset whose last member asks the server at this address."""
    member = {"kind": "server", "model": "tiny-vlm", "base_url": url, **options}
    path.write_text(head + to_toml({"members": [member]}))
    return path
