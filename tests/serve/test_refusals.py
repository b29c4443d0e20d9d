"""Each refusal: its status, its body, and that nothing of the request stays behind."""

import base64
import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import services
from services import Gated, Running, form, png, wait_for

from unprompt.serve.settings import Settings

FORM = {"Content-Type": "multipart/form-data; boundary=frontier"}
JSON = {"Content-Type": "application/json"}
KEY = "0123456789abcdef0123"


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def check(answer: httpx.Response, status: int, kind: str) -> str:
    """The message of an error in the native form."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) >= {"code", "type", "message", "param"}
    assert (error["code"], error["type"]) == (status, kind)
    assert error["message"].startswith("expected ")
    assert ", found " in error["message"]
    return str(error["message"])


LARGE = bytes(250_000)
WHOLE = form(("file", "a.png", png(1)))

BODIES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "a body that is too large": (
        413,
        "too-large",
        {"content": bytes(1_100_000), "headers": {"Content-Type": "image/png"}},
    ),
    "a chunked body that is too large": (
        413,
        "too-large",
        {"content": (bytes(100_000) for _ in range(11)), "headers": {"Content-Type": "image/png"}},
    ),
    "a file that is too large": (413, "too-large", {"content": LARGE, "headers": {"Content-Type": "image/png"}}),
    "a part that is too large": (413, "too-large", {"files": {"file": ("a.png", LARGE)}}),
    "base64 that is too large": (413, "too-large", {"json": {"images": [encoded(LARGE)]}}),
    "too many parts": (413, "too-many", {"files": [("file", (f"{n}.png", b"x")) for n in range(7)]}),
    "too many pictures in JSON": (413, "too-many", {"json": {"images": ["eA=="] * 7}}),
    "broken JSON": (400, "bad-request", {"content": b'{"images": [', "headers": JSON}),
    "empty JSON": (400, "bad-request", {"content": b"", "headers": JSON}),
    "JSON in other bytes": (400, "bad-request", {"content": b'{"a": "\xff\xfe"}', "headers": JSON}),
    "deep JSON": (400, "bad-request", {"content": b"[" * 20_000, "headers": JSON}),
    "JSON that is no object": (400, "bad-request", {"content": b"[1]", "headers": JSON}),
    "JSON without pictures": (400, "bad-request", {"json": {"a": 1}}),
    "a picture that is no text": (400, "bad-request", {"json": {"images": [7]}}),
    "broken base64": (400, "bad-request", {"json": {"images": ["!!!!"]}}),
    "an empty picture": (400, "bad-request", {"json": {"images": [""]}}),
    "a data URI without base64": (400, "bad-request", {"json": {"images": ["data:image/svg+xml,<svg/>"]}}),
    "an address": (403, "addresses-forbidden", {"json": {"images": ["http://127.0.0.1/a.png"]}}),
    "an empty body": (400, "bad-request", {"content": b""}),
    "text": (415, "unsupported-media-type", {"content": b"hello", "headers": {"Content-Type": "text/plain"}}),
    "another type": (
        415,
        "unsupported-media-type",
        {"content": b"%PDF", "headers": {"Content-Type": "application/pdf"}},
    ),
    "a compressed body": (415, "unsupported-media-type", {"content": png(1), "headers": {"Content-Encoding": "gzip"}}),
    "a form without a boundary": (
        400,
        "bad-request",
        {"content": WHOLE, "headers": {"Content-Type": "multipart/form-data"}},
    ),
    "a form with another boundary": (
        400,
        "broken-form",
        {"content": WHOLE, "headers": {"Content-Type": "multipart/form-data; boundary=other"}},
    ),
    "a form that is cut": (
        400,
        "broken-form",
        {"content": form(("file", "a.png", png(1)), end=False), "headers": FORM},
    ),
    "a form that is cut in a part": (400, "broken-form", {"content": WHOLE[:150], "headers": FORM}),
    "an empty form": (400, "broken-form", {"content": b"", "headers": FORM}),
    "a form without pictures": (400, "bad-request", {"content": b"--frontier--\r\n", "headers": FORM}),
    "a part of another name": (400, "bad-request", {"files": {"picture": ("a.png", b"x")}}),
    "a part without a name": (400, "bad-request", {"content": form(("", None, b"x")), "headers": FORM}),
    "a field that is too large": (413, "too-large", {"files": {"file": ("a", b"x")}, "data": {"top": "1" * 1_000_001}}),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_is_refused(service: Running, name: str) -> None:
    status, kind, sent = BODIES[name]
    check(service.post("/v1/predict", **sent), status, kind)
    service.assert_nothing_is_left()
    assert service.post("/v1/predict", content=png(1)).status_code == 200


@pytest.mark.parametrize("query", ["top=0", "top=51", "top=x", "text=perhaps", "embedding=2"])
def test_options_are_checked(service: Running, query: str) -> None:
    assert check(service.post(f"/v1/predict?{query}", content=png(1)), 400, "bad-request")


def test_too_many_pixels_are_a_failure(preset: Path) -> None:
    with services.running(Settings(preset=str(preset), pixel_limit_mp=0.001)) as running:
        answer = running.post("/v1/predict", content=png(1))
        assert check(answer, 422, "too-large").startswith("expected at most 0.001 megapixels")
        running.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/predict", 405, "method-not-allowed"),
        ("DELETE", "/health", 405, "method-not-allowed"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/static/../app.py", 404, "not-found"),
        ("GET", "/static/%2e%2e%2fapp.py", 404, "not-found"),
    ],
)
def test_paths_and_methods(service: Running, method: str, path: str, status: int, kind: str) -> None:
    answer = service.client.request(method, path)
    check(answer, status, kind)
    if status == 405:
        assert answer.headers["Allow"]


HOSTS = [
    ("localhost:80", 200),
    ("127.0.0.1", 200),
    ("[::1]:7799", 200),
    ("LOCALHOST.", 200),
    ("192.168.1.4:7799", 200),
    ("prompts.example", 200),
    ("evil.example", 421),
    ("localhost.evil.example", 421),
    ("127.0.0.1.evil.example", 421),
    ("", 421),
    ("user@localhost", 421),
]


@pytest.fixture(scope="module")
def guarded(preset: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A service with keys, a name and a foreign origin."""
    keys = tmp_path_factory.mktemp("keys") / "keys"
    keys.write_text(f"# keys\nalice {KEY}\nbob: another-key-of-bobs\n")
    settings = Settings(
        preset=str(preset),
        api_key_file=str(keys),
        allow_hosts=("prompts.example",),
        allow_origins=("https://friend.example",),
    )
    with services.running(settings) as running:
        yield running


@pytest.mark.parametrize(("host", "status"), HOSTS)
def test_host(guarded: Running, host: str, status: int) -> None:
    answer = guarded.get("/health", headers={"Host": host})
    assert answer.status_code == status
    if status == 421:
        check(answer, 421, "wrong-host")


@pytest.mark.parametrize(
    ("origin", "host", "status"),
    [
        (None, "localhost", 200),
        ("http://localhost:7799", "localhost:7799", 200),
        ("https://prompts.example", "prompts.example", 200),
        ("https://friend.example", "localhost", 200),
        ("https://evil.example", "localhost", 403),
        ("http://localhost:8000", "localhost:7799", 403),
        ("null", "localhost", 403),
    ],
)
def test_origin(guarded: Running, origin: str | None, host: str, status: int) -> None:
    headers = {"Host": host, "X-API-Key": KEY} | ({} if origin is None else {"Origin": origin})
    answer = guarded.post("/v1/embeddings", json={"input": "a cat"}, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["error"]["code"] == "origin_forbidden"
    allowed = answer.headers.get("Access-Control-Allow-Origin")
    assert allowed == (origin if origin == "https://friend.example" else None)


@pytest.mark.parametrize(("origin", "status"), [("https://friend.example", 204), ("https://evil.example", 403)])
def test_preflight(guarded: Running, origin: str, status: int) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    answer = guarded.client.request("OPTIONS", "/v1/predict", headers=headers)
    assert answer.status_code == status
    assert ("Access-Control-Allow-Headers" in answer.headers) == (status == 204)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": f"Bearer {KEY}"}, 200),
        ({"Authorization": f"bearer {KEY}"}, 200),
        ({"X-API-Key": "another-key-of-bobs"}, 200),
        ({"Authorization": "Basic " + encoded(f"alice:{KEY}".encode())}, 200),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Bearer {KEY}x"}, 401),
        ({"Authorization": "Basic !!"}, 401),
        ({"Authorization": "Basic " + encoded(b"alice")}, 401),
        ({"X-API-Key": "alice"}, 401),
    ],
)
def test_key(guarded: Running, headers: dict[str, str], status: int) -> None:
    answer = guarded.post("/v1/predict", content=png(1), headers=headers)
    assert answer.status_code == status
    if status == 401:
        check(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    guarded.assert_nothing_is_left()


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs", "/openapi.json"])
def test_no_key_is_needed_to_see_that_it_lives(guarded: Running, path: str) -> None:
    assert guarded.get(path).status_code == 200
    assert guarded.get("/metrics").status_code == 401


def test_a_key_is_asked_for_in_the_dialect(guarded: Running) -> None:
    answer = guarded.post("/sdapi/v1/interrogate", json={})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert answer.json() == {"detail": "Incorrect username or password"}


def test_a_full_queue_refuses_at_once(gated: tuple[Running, Gated]) -> None:
    running, unprompter = gated
    unprompter.gate.clear()
    answers: list[httpx.Response] = []

    def ask(count: int) -> None:
        with httpx.Client(base_url=running.url, timeout=60, trust_env=False) as client:
            files = [("file", ("a.png", png(n))) for n in range(count)]
            answers.append(client.post("/v1/predict", files=files))

    threads = [threading.Thread(target=ask, args=(count,)) for count in (2, 2)]
    for thread in threads:  # both batches in work are full
        thread.start()
    wait_for(lambda: unprompter.batches == [2, 2])
    threads.append(threading.Thread(target=ask, args=(4,)))
    threads[-1].start()
    wait_for(lambda: running.service.pictures.waiting == 4)
    answer = running.post("/v1/predict", content=png(9))
    check(answer, 429, "busy")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    for path, body in (
        ("/sdapi/v1/interrogate", {"image": encoded(png(1))}),
        ("/v1/chat/completions", {"messages": []}),
    ):
        assert running.post(path, json=body).status_code == 429
    unprompter.gate.set()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    running.assert_nothing_is_left()


def test_more_pictures_than_the_queue_holds_are_never_accepted(gated: tuple[Running, Gated]) -> None:
    running, _unprompter = gated
    files = [("file", ("a.png", b"x")) for _ in range(5)]
    check(running.post("/v1/predict", files=files), 413, "too-many")


def test_held_bodies_are_limited(preset: Path) -> None:
    with services.running(Settings(preset=str(preset), held_mb=0.001)) as running:
        answer = running.post("/v1/predict", content=png(1))
        check(answer, 429, "busy")
        assert answer.headers["Retry-After"] == "2"
        running.assert_nothing_is_left()


def test_a_request_has_its_time(preset: Path) -> None:
    unprompter = Gated(preset)
    with services.running(Settings(preset=str(preset), request_timeout_s=0.3), unprompter) as running:
        unprompter.gate.clear()
        check(running.post("/v1/predict", content=png(1)), 504, "timeout")
        unprompter.gate.set()
        running.assert_nothing_is_left()


def test_a_slow_sender_has_its_time(preset: Path) -> None:
    with services.running(Settings(preset=str(preset), upload_timeout_s=0.3)) as running:
        head = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
        answer = running.raw(head.encode() + b"\x89PNG")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["type"] == "slow-upload"
        running.assert_nothing_is_left()


def test_while_models_load_it_is_alive_and_not_ready(preset: Path) -> None:
    unprompter = Gated(preset)
    unprompter.gate.clear()
    with services.running(Settings(preset=str(preset)), unprompter, ready=False) as running:
        assert running.get("/health").status_code == 200
        check(running.get("/ready"), 503, "loading")
        answer = running.post("/v1/predict", content=png(1))
        check(answer, 503, "loading")
        assert answer.headers["Retry-After"] == "2"
        assert running.post("/v1/metadata", content=png(1)).status_code == 200
        unprompter.gate.set()
        wait_for(lambda: running.service.state == "ready")
        assert running.get("/ready").status_code == 200


def test_a_client_that_goes_away_leaves_the_queue(gated: tuple[Running, Gated]) -> None:
    import socket

    running, unprompter = gated
    unprompter.gate.clear()
    head = f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
    with contextlib.ExitStack() as connections:
        for count, is_there in (
            (1, lambda: len(unprompter.batches) == 1),
            (1, lambda: len(unprompter.batches) == 2),  # both threads are at work
            (3, lambda: running.service.pictures.waiting == 3),
        ):
            body = form(*[("file", f"{n}.png", png(n)) for n in range(count)])
            connection = connections.enter_context(socket.create_connection(("127.0.0.1", running.port)))
            connection.sendall(head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            wait_for(is_there)
    wait_for(lambda: running.service.pictures.waiting == 0 == running.service.active)
    unprompter.gate.set()
    running.assert_nothing_is_left()
    assert unprompter.batches == [1, 1]


def test_a_client_that_breaks_off_in_its_upload_is_no_fault(service: Running) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(b"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n\x89PNG")
        wait_for(lambda: service.service.active == 1)
    service.assert_nothing_is_left()


def test_what_is_no_http_is_refused_in_json(service: Running) -> None:
    answer = service.raw(b"hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == 400


def test_addresses_are_read_only_if_allowed_and_only_public_ones(preset: Path) -> None:
    with services.running(Settings(preset=str(preset), allow_urls=True)) as running:
        asked = {"images": [f"http://127.0.0.1:{running.port}/a.png", encoded(png(1))]}
        first, second = running.post("/v1/predict", json=asked).json()["results"]
        assert first["error"]["kind"] in ("forbidden-address", "offline")
        assert second["prompt"]
        check(running.post("/v1/predict", json={"images": asked["images"][:1]}), 422, first["error"]["kind"])


def test_every_response_has_its_security_headers(service: Running) -> None:
    for answer in (service.get("/health"), service.get("/"), service.get("/nothing"), service.get("/docs")):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        policy = answer.headers["Content-Security-Policy"]
        assert "unsafe-inline" not in policy
        assert policy.startswith("default-src 'none'")
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "server" not in answer.headers
