"""A hub of the tests' own on loopback: what huggingface_hub asks of the real one, with faults at will."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Repositories with their files, and what goes wrong with some.

    `large` files are promised by their sha256, others by git's hash. `cut` says how many bytes of a file come before
    the connection breaks off, as often as it says; `other` is what comes in place of a file's content; `whole` files
    come from their beginning, whatever was asked; `barred` ones are answered with 403; `sizes` are promised in place of
    the true ones. `asked` is each GET of a file with where it was to begin. `commits` are those of which the answers
    about files are, one after the other.
    """

    files: dict[str, dict[str, bytes]]
    large: set[str] = field(default_factory=set)
    cut: dict[str, list[int]] = field(default_factory=dict)
    other: dict[str, bytes] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)
    barred: set[str] = field(default_factory=set)
    sizes: dict[str, int] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    commits: Iterator[str] = field(default_factory=lambda: itertools.repeat(COMMIT))

    def digest(self, repository: str, name: str) -> str:
        content = self.files[repository][name]
        if name in self.large:
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        if found := re.fullmatch(r"/api/models/(\w[\w.-]*/\w[\w.-]*)(/revision/\w+)?(\?.*)?", self.path):
            self._list(found[1])
        elif found := re.fullmatch(rf"/(\w[\w.-]*/\w[\w.-]*)/resolve/(?:main|{COMMIT})/([^?]+)", self.path):
            self._resolve(found[1], found[2], with_body=with_body)
        else:
            self._refuse()

    def _list(self, repository: str) -> None:
        names = [{"rfilename": name} for name in self.hub.files.get(repository, {})]
        body = json.dumps({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": names}).encode()
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def _resolve(self, repository: str, name: str, *, with_body: bool) -> None:
        content = self.hub.files.get(repository, {}).get(name)
        if name in self.hub.barred:
            self._head(403, {"Content-Length": "0"})
            return
        if content is None:
            self._refuse("EntryNotFound")
            return
        told = {
            "ETag": f'"{self.hub.digest(repository, name)}"',
            "X-Repo-Commit": next(self.hub.commits),
            "Accept-Ranges": "bytes",
        }
        if not with_body:
            self._head(200, {**told, "Content-Length": str(self.hub.sizes.get(name, len(content)))})
            return
        content = self.hub.other.get(name, content)
        begin = int(found[1]) if (found := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))) else 0
        self.hub.asked.append((name, begin))
        begin = 0 if name in self.hub.whole else begin
        rest = content[begin:]
        if begin >= len(content):
            self._head(416, {"Content-Length": "0"})
            return
        if begin:
            told["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self._head(206 if begin else 200, {**told, "Content-Length": str(len(rest))})
        if cuts := self.hub.cut.get(name):
            rest = rest[: cuts.pop(0)]
            self.close_connection = True
        self.wfile.write(rest)

    def _refuse(self, code: str = "RepoNotFound") -> None:
        self._head(404, {"X-Error-Code": code, "Content-Length": "0"})

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


@contextlib.contextmanager
def serving(hub: Hub) -> Iterator[str]:
    """Its address while it serves."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def dead_address() -> Iterator[str]:
    """One at which nobody listens: it refuses every connection."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"


def ask_hub_at(address: str, home: Path, patch: pytest.MonkeyPatch, *, offline: bool = False) -> None:
    """Let this process ask that hub and keep what comes below `home`.

    The hub's library takes all of it from HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE, but once, as it is imported.
    """
    from huggingface_hub import constants

    from unprompt.locations import hub_reach
    from unprompt.models.store import hub_download

    patch.setenv("HF_HUB_OFFLINE", str(int(offline)))
    for name, value in {
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HOME": str(home),
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_XET": True,
    }.items():
        patch.setattr(constants, name, value)
    patch.setattr(hub_download, "_PAUSE_S", 0.0)
    patch.setattr(hub_reach, "_answers", {})  # another hub may have had the same port
