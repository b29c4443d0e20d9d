"""The command as a process: it listens, drains, stops, and runs as several processes."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import services
from services import form, png, wait_for

from unprompt.serve import server
from unprompt.serve.settings import Settings


@contextlib.contextmanager
def process(*arguments: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """`unprompt serve` in a process of its own that is ready."""
    import os

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unprompt", "serve", "--port", str(port), *map(str, arguments)]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:

            def is_ready() -> bool:
                assert running.poll() is None, running.communicate()
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/ready").status_code == 200
                return False

            wait_for(is_ready)
            yield running, client
    finally:
        if running.poll() is None:
            running.kill()
        running.communicate()


@pytest.mark.slow
def test_sigterm_finishes_what_is_in_work(preset: Path) -> None:
    with process("--preset", preset, "--threads", "1") as (running, client):
        answers: list[httpx.Response] = []

        def ask() -> None:
            with httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as own:
                files = [("file", (f"{n}.png", png(n))) for n in range(12)]
                answers.append(own.post("/v1/predict", files=files))

        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: "unprompt_active_requests 2.0" in client.get("/metrics").text)
        running.send_signal(signal.SIGTERM)
        thread.join()
        assert answers[0].status_code == 200, answers[0].text
        assert len(answers[0].json()["results"]) == 12
        assert running.wait(60) == 0
        with pytest.raises(httpx.TransportError):
            client.get("/health")


@pytest.mark.slow
def test_a_stalled_upload_does_not_hold_the_end(preset: Path) -> None:
    with process("--preset", preset, UNPROMPT_DRAIN_S="1", UNPROMPT_THREADS="1") as (running, client):
        body = form(("file", "a.png", png(1)))
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as stalled:
            head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n"
            head += "Content-Type: multipart/form-data; boundary=frontier\r\n\r\n"
            stalled.sendall(head.encode() + body[:50])
            wait_for(lambda: "unprompt_active_requests 2.0" in client.get("/metrics").text)
            running.send_signal(signal.SIGTERM)
            assert running.wait(30) == 0
            stalled.settimeout(10)
            assert stalled.recv(65536).startswith(b"HTTP/1.1 503 ")


@pytest.mark.slow
def test_several_processes_count_together(preset: Path) -> None:
    with process("--preset", preset, "--workers", 2, "--threads", "1") as (running, client):
        for n in range(12):
            with httpx.Client(base_url=client.base_url, timeout=60, trust_env=False) as own:
                wait_for(lambda own=own: own.get("/ready").status_code == 200)  # type: ignore[misc]
                assert own.post("/v1/predict", content=png(n)).status_code == 200
        metrics = client.get("/metrics").text
        assert re.search(r'unprompt_requests_total\{route="predict",status="200"\} 12\.0', metrics)
        running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_in_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [sys.executable, "-m", "unprompt", "serve", "--port", str(taken.getsockname()[1])]
        run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith("unprompt: expected to listen on 127.0.0.1:")


def test_a_connection_that_sends_nothing_is_closed(preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_TIMEOUT_S", 0.2)
    with services.running(Settings(preset=str(preset))) as running:
        assert running.raw(b"") == b""
        assert running.raw(b"GET /health HTTP/1.1\r\nHo") == b""
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            received = b"".join(iter(lambda: connection.recv(65536), b""))
            assert received.endswith(b'{"status": "ok"}')


def test_a_refused_body_is_read_away_up_to_a_limit(preset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_DISCARDED_LIMIT", 200_000)
    with services.running(Settings(preset=str(preset), body_limit_mb=0.1)) as running:
        head = b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"
        with socket.create_connection(("127.0.0.1", running.port), timeout=30) as connection:
            connection.sendall(head)
            assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")
            with pytest.raises((ConnectionResetError, BrokenPipeError)):
                connection.sendall(bytes(90_000_000))


def test_an_answer_that_nobody_reads_does_not_hold_the_connection(
    preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_UNREAD_TIMEOUT_S", 0.3)
    with services.running(Settings(preset=str(preset))) as running, socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", running.port))
        body = json.dumps({"input": ["a cat"] * 512}).encode()  # some megabytes of numbers
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        wait_for(lambda: 'route="embeddings",status="200"' in running.service.telemetry.text().decode())
        wait_for(lambda: not running.server.server_state.connections)
        running.assert_nothing_is_left()
