"""Pictures from the web, read from servers of our own on loopback: kind, slow, broken and hostile ones."""

import gzip
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_servers import (
    GUARDED,
    OPEN,
    PICTURE,
    PRIVATE,
    PUBLIC,
    Answer,
    failure,
    guarded_failure,
    is_public_here,
    keeps_silent,
    names,
    never_accepting,
    redirect,
    resets,
    response,
    sends,
    serving,
    trickles,
)

from unprompt.images.web.address import WebAddress
from unprompt.images.web.addresses import IPAddress
from unprompt.images.web.connections import LOOKUPS_AT_ONCE
from unprompt.images.web.download import URL_LIMIT, download
from unprompt.images.web.limits import WebLimits

HASTY = WebLimits(timeout_s=0.2, allow_private=True)


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # nothing below leaves this machine


# What works


def test_the_bytes_arrive_as_they_are() -> None:
    body = bytes(range(256)) * 1000
    with serving(response(body)) as server:
        assert WebAddress(server.url(), OPEN).read() == body


def test_the_request_says_who_asks_and_little_else() -> None:
    with serving(response()) as server:
        WebAddress(server.url("/a%20b/ü.png?q=1&r=2#fragment"), OPEN).read()
        line, *headers = server.requests[0].strip().split("\r\n")
    assert line == "GET /a%20b/%C3%BC.png?q=1&r=2 HTTP/1.1"
    named = dict(header.split(": ", 1) for header in headers)
    assert named.pop("User-Agent").startswith("unprompt/")
    assert named == {"Host": server.at, "Accept": "image/*, */*;q=0.1", "Accept-Encoding": "identity"}


@pytest.mark.parametrize(
    "answer",
    [
        response(Content_Length=""),
        response(b"%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE), Content_Length="", Transfer_Encoding="chunked"),
        b"HTTP/1.0 200 OK\r\n\r\n" + PICTURE,
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + response(),
        response() + b"more than was announced",
        response(Content_Encoding="identity"),
        response(Set_Cookie="a=b"),
    ],
    ids=["until the end", "chunked", "HTTP/1.0", "early hints", "more", "identity", "cookie"],
)
def test_ways_to_send_a_body(answer: bytes) -> None:
    with serving(answer) as server:
        assert WebAddress(server.url(), OPEN).read() == PICTURE


@pytest.mark.parametrize(
    "kind",
    ["", "image/png", "IMAGE/JPEG; charset=x", "image/x-unheard-of", "application/octet-stream", "binary/octet-stream"],
)
def test_content_types_that_may_be_pictures(kind: str) -> None:
    with serving(response(Content_Type=kind)) as server:
        assert WebAddress(server.url(), OPEN).read() == PICTURE


def test_an_ipv6_address() -> None:
    with serving(response(), "::1") as server:
        assert WebAddress(server.url(), OPEN).read() == PICTURE
        assert f"Host: [::1]:{server.port}\r\n" in server.requests[0]


def test_a_name_outside_ascii() -> None:
    with serving(response(), PUBLIC) as server:
        url = f"http://Exämple.test:{server.port}/"
        assert download(url, GUARDED, look_up=names(**{"xn--exmple-cua_test": PUBLIC}), is_public=is_public_here)
        assert f"Host: xn--exmple-cua.test:{server.port}\r\n" in server.requests[0]


def test_many_threads_read_at_once() -> None:
    with serving(lambda connection, path: connection.sendall(response(path.encode()))) as server:
        paths = [f"/{number}" for number in range(40)]
        with ThreadPoolExecutor(8) as threads:
            bodies = list(threads.map(lambda path: WebAddress(server.url(path), OPEN).read(), paths))
    assert bodies == [path.encode() for path in paths]


def test_the_next_address_of_a_host_is_tried() -> None:
    with serving(response(), PUBLIC) as server:
        both = names(twin_test=["127.0.0.3", PUBLIC])
        url = f"http://twin.test:{server.port}/"
        assert download(url, GUARDED, look_up=both, is_public=lambda _: True) == PICTURE


def test_nothing_is_imported_before_a_picture_is_read() -> None:
    code = "import sys, unprompt.images.web.address; assert not {'httpx', 'httpcore', 'ssl'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# Redirects


@pytest.mark.parametrize("status", ["301 M", "302 F", "303 S", "307 T", "308 P"])
@pytest.mark.parametrize("location", ["/there", "there", "?there", "//{at}/there", "http://{at}/there#fragment"])
def test_a_redirect_is_followed(status: str, location: str) -> None:
    def answer(connection: socket.socket, path: str) -> None:
        connection.sendall(response() if "there" in path else redirect(location.format(at=server.at), status))

    with serving(answer) as server:
        assert WebAddress(server.url("/here"), OPEN).read() == PICTURE


def test_the_number_of_redirects_is_limited() -> None:
    def answer(connection: socket.socket, path: str) -> None:
        left = int(path[1:])
        connection.sendall(redirect(f"/{left - 1}") if left else response())

    with serving(answer) as server:
        assert WebAddress(server.url("/5"), OPEN).read() == PICTURE
        assert failure(server.url("/6")).kind == "too-many-redirects"
        assert failure(server.url("/1"), WebLimits(redirects=0, allow_private=True)).kind == "too-many-redirects"
        assert server.connections_seen() == 6 + 6 + 1


def test_a_redirect_loop_ends() -> None:
    with serving(redirect("/cat.png")) as server:
        assert failure(server.url()).kind == "too-many-redirects"


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "data:image/png;base64,AAAA",
        "http://user:word@127.0.0.1/",
        "http://[::1/",
        "http://a:b:c/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://\x80\xff\u202e/",
        "/" + "x" * URL_LIMIT,
    ],
)
def test_a_redirect_to_what_is_no_web_address(location: str) -> None:
    with serving(redirect(location)) as server:
        assert failure(server.url()).kind == "bad-url"


def test_a_redirect_to_nowhere_is_a_status() -> None:
    with serving(redirect("")) as server:
        error = failure(server.url())
    assert error.kind == "unreachable"
    assert "status 302" in str(error)


# Names


def test_a_name_that_does_not_exist() -> None:
    def unknown(host: str) -> list[IPAddress]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    error = guarded_failure("http://nowhere.test/", unknown)
    assert (error.kind, "'nowhere.test'" in str(error)) == ("not-found", True)
    assert guarded_failure("http://nowhere.test/", names(nowhere_test=[])).kind == "not-found"


@pytest.mark.parametrize("error", [socket.gaierror(socket.EAI_AGAIN, "again"), OSError(24, "Too many open files")])
def test_a_name_service_that_does_not_answer(error: OSError) -> None:
    def down(host: str) -> list[IPAddress]:
        raise error

    assert guarded_failure("http://somewhere.test/", down).kind == "unreachable"


def test_slow_lookups_end_in_time_and_do_not_pile_up() -> None:
    release = threading.Event()
    started: list[str] = []

    def slow(host: str) -> list[IPAddress]:
        started.append(host)
        release.wait()
        return []

    limits = WebLimits(timeout_s=0.01)
    try:
        kinds = {guarded_failure("http://slow.test/", slow, limits).kind for _ in range(2 * LOOKUPS_AT_ONCE)}
    finally:
        release.set()
    assert kinds == {"timeout"}
    assert len(started) <= LOOKUPS_AT_ONCE
    assert guarded_failure("http://slow.test/", slow).kind == "not-found"


# Addresses that are none


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "http:///cat.png",
        "http:cat.png",
        "cat.png",
        "//127.0.0.1/cat.png",
        "ftp://127.0.0.1/cat.png",
        "http://user:word@127.0.0.1/",
        "http://user@127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:x/",
        "http://[::1/",
        "http://a\r\nHost: b/",
        "http://a\0b/",
        "http://a..b/",
        "http://.a/",
        f"http://{'a' * 64}.test/",
        f"http://{'a.' * 127}test/",
        "http://a/\x1b[31m",
        "http://a/\udcff",
        "http://\udcff/",
        f"http://a/{'x' * URL_LIMIT}",
        f"http://a/{'ü' * (URL_LIMIT // 6)}",
        f"http://a/{'x' * 100_000}",
    ],
)
def test_what_is_no_web_address(url: str) -> None:
    assert failure(url).kind == "bad-url"


@given(st.text())
def test_any_text_as_an_address_is_refused_in_words(text: str) -> None:
    for url in (f"http://{text}", f"https://{text}/", f"http://a.test/{text}", text):
        guarded_failure(url, lambda host: [])


def test_any_bytes_as_a_redirect_are_refused_in_words() -> None:
    location = b""
    with serving(
        lambda connection, _: connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http:" + location + b"\r\n\r\n")
    ) as server:

        @given(st.binary())
        def refused(data: bytes) -> None:
            nonlocal location
            location = data.translate(None, b"\r\n\0")  # these end the header
            failure(server.url(), WebLimits(timeout_s=10, allow_private=True, redirects=0))

        refused()


@pytest.mark.parametrize("word", ["1", "true", "YES", "on"])
def test_offline_by_the_environment(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", word)
    with serving(response()) as server:
        assert failure(server.url()).kind == "offline"
        assert server.connections_seen() == 0


def test_offline_by_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with serving(response()) as server:
        assert WebAddress(server.url(), OPEN).read() == PICTURE
        assert failure(server.url(), WebLimits(allow_private=True, offline=True)).kind == "offline"


# Servers that are slow: each of these would go on for ever


@pytest.mark.parametrize(
    "answer",
    [
        keeps_silent,
        trickles(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
        trickles(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        trickles(response(Content_Length=str(10**6)), b"x"),
        trickles(response(b"", Content_Length="", Transfer_Encoding="chunked"), b"1\r\nx\r\n"),
    ],
    ids=["silent", "header", "interim answers", "body", "chunks"],
)
def test_a_slow_server_is_left(answer: Answer) -> None:
    with serving(answer) as server:
        assert failure(server.url(), HASTY).kind == "timeout"


def test_the_body_of_a_redirect_is_not_waited_for() -> None:
    endless = trickles(redirect("/there"), b"x")

    def answer(connection: socket.socket, path: str) -> None:
        if path == "/there":
            connection.sendall(response())
        else:
            endless(connection, path)

    with serving(answer) as server:
        assert WebAddress(server.url(), OPEN).read() == PICTURE


def test_slow_redirects_share_one_deadline() -> None:
    def answer(connection: socket.socket, path: str) -> None:
        time.sleep(0.02)
        connection.sendall(redirect("/again"))

    with serving(answer) as server:
        limits = WebLimits(timeout_s=0.3, redirects=10**9, allow_private=True)
        assert failure(server.url(), limits).kind == "timeout"


def test_a_server_that_never_accepts_is_left() -> None:
    with never_accepting(PRIVATE) as port:
        assert failure(f"http://{PRIVATE}:{port}/", HASTY).kind == "timeout"


def test_an_address_that_never_accepts_leaves_time_for_the_next() -> None:
    limits = WebLimits(timeout_s=1, allow_private=True)
    with serving(response(), PUBLIC) as server, never_accepting("127.0.0.3", server.port):
        url = f"http://twin.test:{server.port}/"
        assert download(url, limits, look_up=names(twin_test=["127.0.0.3", PUBLIC])) == PICTURE


def test_no_time_at_all() -> None:
    with serving(response()) as server:
        assert failure(server.url(), WebLimits(timeout_s=0, allow_private=True)).kind == "timeout"


# Servers that send too much


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    limits = WebLimits(limit_mb=0.001, allow_private=True)
    for headers in ({}, {"Content_Length": ""}):
        with serving(response(b"x" * 1000, **headers)) as server:
            assert len(WebAddress(server.url(), limits).read()) == 1000
        with serving(response(b"x" * 1001, **headers)) as server:
            error = failure(server.url(), limits)
            assert (error.kind, "0.001 MB" in str(error)) == ("too-large", True)


def test_a_body_without_end() -> None:
    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(response(b"", Content_Length=""))
        while True:
            connection.sendall(b"x" * 65536)

    with serving(answer) as server:
        assert failure(server.url(), WebLimits(limit_mb=1, allow_private=True)).kind == "too-large"


def test_a_length_beyond_the_limit_is_refused_before_the_body() -> None:
    def answer(connection: socket.socket, _: str) -> None:
        connection.sendall(response(b"", Content_Length=str(10**15)))
        keeps_silent(connection, _)

    with serving(answer) as server:
        assert failure(server.url()).kind == "too-large"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000,
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200_000,
        b"x" * 1_000_000,
    ],
    ids=["one header", "many headers", "no line end"],
)
def test_a_megabyte_of_headers(head: bytes) -> None:
    with serving(head) as server:
        assert failure(server.url()).kind == "unreachable"


# Servers that send something else


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("404 Not Found", "not-found"),
        ("410 Gone", "not-found"),
        ("204 No Content", "unreachable"),
        ("206 Partial Content", "unreachable"),
        ("304 Not Modified", "unreachable"),
        ("403 Forbidden", "unreachable"),
        ("407 Proxy Authentication Required", "unreachable"),
        ("429 Too Many Requests", "unreachable"),
        ("500 \x1b[31mInternal", "unreachable"),
        ("503 Service Unavailable", "unreachable"),
        ("999 What", "unreachable"),
    ],
)
def test_a_status_other_than_200(status: str, kind: str) -> None:
    with serving(response(status=status)) as server:
        error = failure(server.url())
    assert error.kind == kind
    assert status[:3] in str(error)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("text/html; charset=utf-8", "text/html"),
        ("application/json", "application/json"),
        ("video/mp4", "video/mp4"),
        ("imagepng", "malformed"),
        ("x" * 500, "malformed"),
        ("text/<script>", "malformed"),
        ("text/\xe4\u202e", "malformed"),
    ],
)
def test_a_content_type_that_is_no_picture(kind: str, found: str) -> None:
    with serving(response(Content_Type=kind)) as server:
        error = failure(server.url())
    assert error.kind == "not-a-picture"
    assert found in str(error)


def test_a_compressed_body_is_not_unpacked() -> None:
    with serving(response(gzip.compress(bytes(10**6)), Content_Encoding="gzip")) as server:
        assert failure(server.url()).kind == "not-a-picture"


@pytest.mark.parametrize(
    "answer",
    [
        response(Content_Length="1000"),
        response(b"400\r\nx", Content_Length="", Transfer_Encoding="chunked"),
        response(b"no number\r\n", Content_Length="", Transfer_Encoding="chunked"),
    ],
    ids=["shorter than announced", "within a chunk", "broken chunk"],
)
def test_a_truncated_body(answer: bytes) -> None:
    with serving(answer) as server:
        assert failure(server.url()).kind == "truncated"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (resets(b""), "unreachable"),
        (resets(b"HTTP/1.1 200 OK\r\n"), "unreachable"),
        (resets(response(Content_Length="1000")), "truncated"),
        (sends(b""), "unreachable"),
        (sends(b"SSH-2.0-OpenSSH_9.6\r\n"), "unreachable"),
        (sends(b"\x1b[2J\0\xff" * 1000), "unreachable"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "unreachable"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"), "unreachable"),
        (sends(b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n"), "unreachable"),
        (sends(response(Transfer_Encoding="gzip, chunked")), "unreachable"),
        (sends(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "unreachable"),
    ],
)
def test_a_broken_conversation(answer: Answer, kind: str) -> None:
    with serving(answer) as server:
        assert failure(server.url()).kind == kind


def test_nobody_listens() -> None:
    with socket.create_server((PRIVATE, 0)) as closed:
        port = closed.getsockname()[1]
    error = failure(f"http://{PRIVATE}:{port}/")
    assert error.kind == "unreachable"
    assert "refused" in str(error)
