"""Downloads one picture by a plain GET: httpx parses the addresses, httpcore transfers the bytes.

Proxies from the environment are not used: a proxy would look up the names and connect itself, beyond the checks of
`connections`. There are no cookies, no credentials and no compression. Certificates are checked against the system's
store (or SSL_CERT_FILE, SSL_CERT_DIR) and certifi's.
"""

from __future__ import annotations

import functools
import io
import re
import threading
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import TypeVar

import httpcore
import httpx

from unprompt.errors import PictureError
from unprompt.images.web.addresses import IPAddress, is_public
from unprompt.images.web.connections import Deadline, GuardedNetwork, LookUp, look_up
from unprompt.images.web.limits import WebLimits

URL_LIMIT = 8192
"""The longest address that is requested, in ASCII characters."""

PAGE_LIMIT = 32_000_000
"""Bytes of a web page that lists a folder: about two hundred thousand names."""

Taken = TypeVar("Taken")

_OK = 200
_PARTIAL = 206
_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18})")
_GONE = frozenset({404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BARE_BYTES = frozenset({"", "application/octet-stream", "binary/octet-stream"})


class _Tls(threading.local):
    """The loaded certificates, kept because loading takes 30 ms; one set per thread, since httpcore writes to it."""

    def __init__(self) -> None:
        self.context = httpcore.default_ssl_context()


_tls = _Tls()


def download(
    url: str, limits: WebLimits, *, look_up: LookUp = look_up, is_public: Callable[[IPAddress], bool] = is_public
) -> bytes:
    """Return the body of a response with status 200 and a picture's content type.

    `look_up` resolves a host and `is_public` judges each of its addresses, again after every redirect. Raises
    PictureError, of the kinds that `WebAddress.read` lists.
    """

    def take(response: httpcore.Response, limit: int) -> bytes:
        _check_status(response.status)
        _check_content(response)
        return _body(response, limit)

    return _asked(url, limits, take, look_up, is_public)


def download_page(
    url: str, limits: WebLimits, *, look_up: LookUp = look_up, is_public: Callable[[IPAddress], bool] = is_public
) -> tuple[str, bytes]:
    """Return the body of a picture or a web page, after its content type, which is "text/html" for a page.

    A page is at most `PAGE_LIMIT` bytes long. The arguments and errors are those of `download`.
    """

    def take(response: httpcore.Response, limit: int) -> tuple[str, bytes]:
        _check_status(response.status)
        kind = _content_type(response)
        if kind == "text/html":
            return kind, _body(response, PAGE_LIMIT)
        _check_content(response)
        return kind, _body(response, limit)

    return _asked(url, limits, take, look_up, is_public)


def download_range(
    url: str,
    start: int,
    end: int,
    limits: WebLimits,
    *,
    look_up: LookUp = look_up,
    is_public: Callable[[IPAddress], bool] = is_public,
) -> tuple[bytes, int]:
    """Return the bytes from `start` to before `end`, fewer at the end of the file, and the size of the whole file.

    Raises PictureError as `download` does, and unreadable if the server gives whole files only.
    """

    def take(response: httpcore.Response, _limit: int) -> tuple[bytes, int]:
        found = _RANGE.fullmatch(_header(response, b"content-range"))
        if response.status != _PARTIAL:
            _check_status(response.status)
        if response.status != _PARTIAL or found is None or int(found[1]) != start:
            raise PictureError(
                "unreadable",
                "expected a server that gives parts of a file, found one that does not; download the file yourself",
            )
        return _body(response, end - start), int(found[2])

    return _asked(url, limits, take, look_up, is_public, ((b"Range", f"bytes={start}-{end - 1}".encode()),))


def _asked(
    url: str,
    limits: WebLimits,
    take: Callable[[httpcore.Response, int], Taken],
    look_up: LookUp,
    is_public: Callable[[IPAddress], bool],
    headers: Sequence[tuple[bytes, bytes]] = (),
) -> Taken:
    """What `take` makes of the response, and of the limit in bytes, after all redirects. Raises PictureError."""
    deadline = Deadline(limits.timeout_s)
    network = GuardedNetwork(deadline, look_up, (lambda _address: True) if limits.allow_private else is_public)
    target = _checked(url)
    try:
        with httpcore.ConnectionPool(ssl_context=_tls.context, network_backend=network) as pool:
            for _ in range(limits.redirects + 1):
                with pool.stream("GET", _core_url(target), headers=[*_request_headers(target), *headers]) as response:
                    location = _header(response, b"location")
                    if response.status not in _REDIRECTS or not location:
                        return take(response, int(limits.limit_mb * 1_000_000))
                target = _redirected(target, location)
    except httpcore.TimeoutException as error:
        raise PictureError(
            "timeout",
            f"expected a picture within {limits.timeout_s:g} s, found a server or a network that is slower; "
            "try again later or download it yourself",
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        # h11's own message would quote the server.
        raise PictureError(
            "unreachable",
            "expected an HTTP response, found a server that hangs up, does not speak HTTP or sends 100 kB of headers; "
            "check the address",
        ) from error
    raise PictureError(
        "too-many-redirects",
        f"expected at most {limits.redirects} redirects, found more; give the address that they lead to",
    )


def _checked(text: str, base: httpx.URL | None = None) -> httpx.URL:
    """Parse and check an address; that of a redirect is relative to its `base`. Raises PictureError (bad-url)."""
    what = "an address" if base is None else "a redirect to one"
    try:
        url = httpx.URL(text) if base is None else base.join(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise _bad_url(f"{what} that is malformed") from error
    if len(str(url)) > URL_LIMIT:
        raise _bad_url(f"{what} of {len(str(url)):,} characters")
    if url.scheme not in ("http", "https"):
        raise _bad_url(f"{what} of another scheme")
    if not _is_host(url.raw_host.decode("ascii")):
        raise _bad_url(f"{what} without a valid host")
    if url.port is not None and not 0 < url.port < 65536:
        raise _bad_url(f"{what} with the port {url.port}")
    if url.userinfo:
        raise _bad_url(f"{what} with a user name or password")
    return url


def _bad_url(found: str) -> PictureError:
    return PictureError(
        "bad-url",
        f"expected http(s)://HOST/PATH, without credentials and of at most {URL_LIMIT:,} characters, "
        f"found {found}; check the address",
    )


def _is_host(host: str) -> bool:
    """Whether the host keeps DNS's limits on lengths; past them, socket and ssl raise errors of other types."""
    return len(host) <= 253 and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    target = _checked(location, base=url)
    if url.scheme == "https" and target.scheme == "http":
        raise PictureError(
            "bad-url",
            "expected a picture by https, found a redirect to http, which anyone on the way can change; "
            "if that is fine, give the http address itself",
        )
    return target


def _core_url(url: httpx.URL) -> httpcore.URL:
    """Convert an address for httpcore, without the fragment, which is never sent."""
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _request_headers(url: httpx.URL) -> list[tuple[bytes, bytes]]:
    return [
        (b"Host", url.netloc),  # httpcore's own lacks the brackets around an IPv6 address
        (b"User-Agent", _user_agent()),
        (b"Accept", b"image/*, */*;q=0.1"),
        (b"Accept-Encoding", b"identity"),
    ]


@functools.cache
def _user_agent() -> bytes:
    try:
        return f"unprompt/{metadata.version('unprompt')}".encode()
    except metadata.PackageNotFoundError:  # run from a checkout that is not installed
        return b"unprompt"


def _header(response: httpcore.Response, name: bytes) -> str:
    """A header's value; several of one name are joined by ", ", and a missing one is ""."""
    values = [value for key, value in response.headers if key.lower() == name]
    return b", ".join(values).decode("utf-8", errors="replace").strip()


def _body(response: httpcore.Response, limit: int) -> bytes:
    """Read the body; `limit` is in bytes. Messages repeat no text of the server."""
    if int(_header(response, b"content-length") or 0) > limit:
        raise _too_large(limit)
    body = io.BytesIO()  # a list of tiny chunks would take many times their size
    try:
        for chunk in response.iter_stream():
            if body.tell() + len(chunk) > limit:
                raise _too_large(limit)
            body.write(chunk)
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise PictureError(
            "truncated",
            f"expected a whole file, found a transfer that broke off after {body.tell():,} bytes; try again",
        ) from error
    return body.getvalue()


def _check_status(status: int) -> None:
    if status == _OK:
        return
    kind = "not-found" if status in _GONE else "unreachable"
    advice = "try again later" if status == 429 or status >= 500 else "check the address"
    raise PictureError(kind, f"expected a picture (status {_OK}), found status {status}; {advice}")


def _content_type(response: httpcore.Response) -> str:
    return _header(response, b"content-type").partition(";")[0].strip().lower()


def _check_content(response: httpcore.Response) -> None:
    kind = _content_type(response)
    if not kind.startswith("image/") and kind not in _BARE_BYTES:
        found = kind if re.fullmatch(r"[a-z]{1,20}/[a-z0-9.+-]{1,80}", kind) else "a malformed content type"
        raise PictureError("not-a-picture", f"expected image/*, found {found}; give the address of the picture itself")
    if _header(response, b"content-encoding").lower() not in ("", "identity"):
        raise PictureError(
            "not-a-picture",
            "expected a picture as it is, found one that the server compressed unasked; download it yourself",
        )


def _too_large(limit: int) -> PictureError:
    return PictureError(
        "too-large",
        f"expected at most {limit / 1_000_000:g} MB, found more; give a smaller version or download it yourself",
    )
