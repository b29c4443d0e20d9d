"""No address leads inside: the guard against private addresses, on every hop and by every name; and TLS."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from pathlib import Path

import httpcore
import pytest
from web_servers import (
    GUARDED,
    OPEN,
    PICTURE,
    PRIVATE,
    PUBLIC,
    Answer,
    checked,
    failure,
    guarded_failure,
    is_public_here,
    keeps_silent,
    names,
    redirect,
    response,
    serving,
    trickles,
)

from unprompt.errors import PictureError
from unprompt.images.web.address import WebAddress
from unprompt.images.web.addresses import IPAddress
from unprompt.images.web.connections import Deadline, GuardedNetwork, LookUp, look_up
from unprompt.images.web.download import download
from unprompt.images.web.limits import WebLimits

HASTY = WebLimits(timeout_s=0.2, allow_private=True)


@pytest.fixture(autouse=True)
def _online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)  # nothing below leaves this machine


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "0",
        "127.1",
        "127.0.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "127。0。0。1",
        "[::1]",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_no_spelling_of_this_machine_is_connected_to(host: str) -> None:
    with serving(response()) as server:
        error = failure(f"http://{host}:{server.port}/", GUARDED)
        assert error.kind == "forbidden-address"
        assert "--allow-private-urls" in str(error)
        assert server.connections_seen() == 0


@pytest.mark.parametrize("host", ["0177.0.0.1", "127.0.0.01", "①②⑦.0.0.1", "[::1]]", "[127.0.0.1]", "256.1.1.1"])
def test_odd_spellings_that_are_no_host_at_all(host: str) -> None:
    with serving(response()) as server:
        assert failure(f"http://{host}:{server.port}/", GUARDED).kind == "bad-url"
        assert server.connections_seen() == 0


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "[fd00::1]", "[fe80::1]"])
def test_private_networks_and_metadata_services(host: str) -> None:
    assert failure(f"http://{host}/latest/meta-data/", GUARDED).kind == "forbidden-address"


def test_a_redirect_to_a_private_address_is_not_followed() -> None:
    with serving(response(b"secret")) as inside, serving(redirect(inside.url("/secret")), PUBLIC) as outside:
        assert guarded_failure(outside.url(), look_up).kind == "forbidden-address"
        assert outside.connections_seen() == 1
        assert inside.connections_seen() == 0


def test_every_hop_is_guarded() -> None:
    with serving(response(b"secret")) as inside:

        def answer(connection: socket.socket, path: str) -> None:
            connection.sendall(redirect({"/1": "/2", "/2": f"http://c.test:{outside.port}/3"}.get(path, inside.url())))

        with serving(answer, PUBLIC) as outside:
            assert guarded_failure(outside.url("/1"), names(c_test=PUBLIC)).kind == "forbidden-address"
            assert outside.connections_seen() == 3
            assert inside.connections_seen() == 0


@pytest.mark.parametrize("addresses", [[PRIVATE], [PUBLIC, PRIVATE], [PRIVATE, PUBLIC]])
def test_a_public_name_with_a_private_address(addresses: list[str]) -> None:
    with serving(response()) as inside:
        url = f"http://evil.test:{inside.port}/"
        assert guarded_failure(url, names(evil_test=addresses)).kind == "forbidden-address"
        assert inside.connections_seen() == 0


def test_a_name_that_changes_its_address_is_asked_once() -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[IPAddress]:
        asked.append(host)
        return [ip_address(PUBLIC if len(asked) == 1 else PRIVATE)]

    with serving(response(), PUBLIC) as outside:
        url = f"http://evil.test:{outside.port}/"
        assert download(url, GUARDED, look_up=rebinding, is_public=is_public_here) == PICTURE
        assert f"Host: evil.test:{outside.port}\r\n" in outside.requests[0]
    assert asked == ["evil.test"]


def test_a_name_that_changes_its_address_between_hops_is_refused() -> None:
    asked: list[str] = []

    def rebinding(host: str) -> list[IPAddress]:
        asked.append(host)
        return [ip_address(PUBLIC if len(asked) == 1 else PRIVATE)]

    with serving(redirect("/again"), PUBLIC) as outside:
        assert guarded_failure(f"http://evil.test:{outside.port}/", rebinding).kind == "forbidden-address"
        assert outside.connections_seen() == 1


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(response(b"from the proxy")) as proxy, serving(response()) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.at}")
        assert WebAddress(server.url(), OPEN).read() == PICTURE
        assert failure(server.url(), GUARDED).kind == "forbidden-address"
        assert proxy.connections_seen() == 0


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for cat.test, and its key, in one file."""
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate, and is not installed")
    path = tmp_path_factory.mktemp("tls") / "cat.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=cat.test", "-addext", "subjectAltName=DNS:cat.test", "-keyout", path, "-out", f"{path}.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path


def secure(answer: bytes, certificate: Path, asked: list[str | None]) -> Answer:
    """The same answer over TLS; keeps the server names that are asked for. For a server that does not greet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _, name, __: asked.append(name)

    def handle(connection: socket.socket, _: str) -> None:
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as inside:
            inside.recv(65536)
            inside.sendall(answer)

    return handle


def trusting(certificate: Path, monkeypatch: pytest.MonkeyPatch, url: str, names: LookUp) -> bytes:
    """Download where the system's store holds the certificate; in a thread of its own, as each loads the store once."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(download, url, GUARDED, look_up=names, is_public=is_public_here).result()


def test_https(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    with serving(secure(response(), certificate, asked), PUBLIC, greets=False) as server:
        url = f"https://cat.test:{server.port}/"
        assert trusting(certificate, monkeypatch, url, names(cat_test=PUBLIC)) == PICTURE
    assert asked == ["cat.test"]


def test_https_under_another_name(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(secure(response(), certificate, []), PUBLIC, greets=False) as server:
        with pytest.raises(PictureError, match="certificate that cannot be trusted") as caught:
            trusting(certificate, monkeypatch, f"https://dog.test:{server.port}/", names(dog_test=PUBLIC))
        assert checked(caught.value).kind == "unreachable"


def test_https_with_a_certificate_that_nobody_vouches_for(certificate: Path) -> None:
    with serving(secure(response(), certificate, []), PUBLIC, greets=False) as server:
        error = guarded_failure(f"https://cat.test:{server.port}/", names(cat_test=PUBLIC))
    assert error.kind == "unreachable"
    assert "certificate that cannot be trusted" in str(error)


def test_https_does_not_lead_to_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(response(), PUBLIC) as plain:
        with serving(secure(redirect(plain.url()), certificate, []), PUBLIC, greets=False) as server:
            with pytest.raises(PictureError, match="redirect to http,") as caught:
                trusting(certificate, monkeypatch, f"https://cat.test:{server.port}/", names(cat_test=PUBLIC))
            assert checked(caught.value).kind == "bad-url"
        assert plain.connections_seen() == 0


def test_http_may_lead_to_https(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving(secure(response(), certificate, []), PUBLIC, greets=False) as server,
        serving(redirect(f"https://cat.test:{server.port}/"), PUBLIC) as plain,
    ):
        assert trusting(certificate, monkeypatch, plain.url(), names(cat_test=PUBLIC)) == PICTURE


def test_a_server_that_does_not_speak_tls() -> None:
    with serving(response(), greets=False) as server:
        assert failure(server.url().replace("http", "https")).kind == "unreachable"


@pytest.mark.parametrize("answer", [keeps_silent, trickles(b"\x16\x03\x03\x40\x00", b"\x02")], ids=["silent", "slow"])
def test_a_handshake_that_never_ends(answer: Answer) -> None:
    with serving(answer, greets=False) as server:
        assert failure(server.url().replace("http", "https"), HASTY).kind == "timeout"


def test_a_handshake_without_time_left_closes_its_connection() -> None:
    with serving(keeps_silent, greets=False) as server:
        network = GuardedNetwork(Deadline(0.3), look_up, lambda _: True)
        stream = network.connect_tcp(PRIVATE, server.port)
        time.sleep(0.3)
        with pytest.raises(httpcore.TimeoutException):
            stream.start_tls(ssl.create_default_context())
        assert stream.get_extra_info("socket").fileno() == -1
