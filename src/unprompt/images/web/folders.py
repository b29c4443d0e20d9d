"""Folders and tars at http(s) addresses, by the same guarded requests as single pictures.

A folder is the page with links that web servers make of one: what it links to directly below itself is its content.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from unprompt.errors import PictureError
from unprompt.images.archives import UNPACKED_LIMIT_MB, Plain, members
from unprompt.images.files import Bytes, Unavailable
from unprompt.images.formats import ARCHIVE_SUFFIXES
from unprompt.images.ref import ImageRef, relative_name
from unprompt.images.web.address import WebAddress, check_allowed
from unprompt.locations.address import masked
from unprompt.locations.remote import BLOCK, Pieces

if TYPE_CHECKING:
    from unprompt.images.selection import Selection
    from unprompt.images.web.limits import WebLimits

_LINK = re.compile(r"""href\s{0,9}=\s{0,9}["']([^"'<>\s]{1,4096})["']""", re.IGNORECASE)
_DEPTH_LIMIT = 32
"""Folders in folders; a server may invent them for ever."""


def web_folder(url: str, limits: WebLimits, selection: Selection) -> Iterator[ImageRef]:
    """Yield the pictures and tars below a folder, page by page, in the order of each page; folders after its files.

    An address that is a picture after all is that picture. What cannot be read is yielded as a picture that fails.
    """
    waiting = [(url, "")]
    while waiting:
        address, below = waiting.pop()
        folders: list[tuple[str, str]] = []
        try:
            kind, page = _page(address, limits)
        except PictureError as error:
            yield ImageRef(masked(address), Unavailable(error.kind, str(error)))
            continue
        if kind != "text/html":
            yield ImageRef(masked(address), Bytes(page), relative_name(below) or "picture")
            continue
        for found, name in _links(address, page):
            if found.endswith("/"):
                folders.append((found, f"{below}{name}/"))
            elif selection.takes(name):
                yield from _linked(found, f"{below}{name}", limits)
            else:
                selection.pass_over(name)
        if below.count("/") < _DEPTH_LIMIT:
            waiting += reversed(folders)


def web_archive(url: str, limits: WebLimits, below: str = "") -> Iterator[ImageRef]:
    """Yield the pictures in a tar at an address, which is read in parts; see `members`."""
    yield from members(_WebArchive(url, limits), below)


def _page(url: str, limits: WebLimits) -> tuple[str, bytes]:
    check_allowed(limits)
    from unprompt.images.web.download import download_page

    return download_page(url, limits)


def _links(url: str, page: bytes) -> Iterator[tuple[str, str]]:
    """The addresses directly below a folder, each once, with their names; those of folders end in "/"."""
    base, seen = urlsplit(url), set()
    for link in _LINK.finditer(page.decode("utf-8", "replace")):
        with contextlib.suppress(ValueError):  # a malformed address
            there = urlsplit(urljoin(url, unescape(link[1])))
            name = there.path.removeprefix(base.path)
            same = (there.scheme, there.netloc, there.query) == (base.scheme, base.netloc, "")
            if same and name != there.path and name not in seen and "/" not in name.rstrip("/") and name.strip("/."):
                seen.add(name)
                yield there._replace(fragment="").geturl(), unquote(name).rstrip("/")


def _linked(url: str, below: str, limits: WebLimits) -> Iterator[ImageRef]:
    if below.lower().endswith(ARCHIVE_SUFFIXES):
        yield from web_archive(url, limits, below.rpartition("/")[0])
    else:
        yield ImageRef(masked(url), WebAddress(url, limits), relative_name(below))


@dataclass(frozen=True, slots=True)
class _WebArchive:
    """A tar at an address."""

    url: str
    limits: WebLimits

    @property
    def path(self) -> str:
        """The address."""
        return masked(self.url)

    @contextlib.contextmanager
    def opened(self) -> Iterator[io.BufferedReader]:
        """The tar, read in parts. Raises PictureError as `WebAddress.read` does."""
        check_allowed(self.limits)
        from unprompt.images.web.download import download_range

        first, size = download_range(self.url, 0, BLOCK, self.limits)

        def fetch(start: int, end: int) -> bytes:
            return (
                first[:end]
                if start == 0 and end <= len(first)
                else download_range(self.url, start, end, self.limits)[0]
            )

        yield io.BufferedReader(Pieces(fetch, size), BLOCK)

    def plain(self, file: io.BufferedReader) -> Plain:
        """The stream of the tar; its pictures are read as they pass."""
        assert isinstance(file.raw, Pieces)
        return Plain(file, file.raw.size, _too_large, at_once_mb=UNPACKED_LIMIT_MB)


def _too_large(_offset: int, size: int) -> Unavailable:
    expected = f"expected pictures of at most {UNPACKED_LIMIT_MB} MB in a tar on the web"
    return Unavailable("too-large", f"{expected}, found one of {size / 1_000_000:,.0f} MB; download the tar yourself")
