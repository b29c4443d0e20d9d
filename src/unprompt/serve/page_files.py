"""The files of the page, read once from the folder `page/`: a fixed list, each with its type and a compressed copy."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from unprompt.serve.safety import PAGE_POLICY

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"

_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".webmanifest": "application/manifest+json",
}
_ALREADY_SMALL = (".png", ".webp", ".woff2")

_PLACEHOLDER = b"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>unprompt</title>
<h1>unprompt</h1>
<p>This copy has no page. The service runs: see <a href="docs">what it answers</a>.</p>
</html>
"""


@dataclass(frozen=True, slots=True)
class PageFile:
    """One file as it is served."""

    data: bytes
    compressed: bytes | None
    type: str
    tag: str

    @classmethod
    def of(cls, data: bytes, suffix: str) -> PageFile:
        """The file of some bytes; its type follows from the suffix of its name."""
        compressed = None if suffix in _ALREADY_SMALL else gzip.compress(data, 9, mtime=0)
        return cls(data, compressed, _TYPES[suffix], f'"{hashlib.sha256(data).hexdigest()[:16]}"')

    def response(self, request: Request) -> Response:
        """The file, unless the client has it already."""
        headers = {
            "ETag": self.tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": PAGE_POLICY,
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        data = self.data
        if self.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            data = self.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(data, 200, headers, media_type=self.type)


def page_files(folder: Path = FOLDER) -> Mapping[str, PageFile]:
    """The files by the path under which they are served. Nothing is read after this call."""
    files = {"/": PageFile.of(_PLACEHOLDER, ".html")}
    for path in sorted(folder.glob("*")) if folder.is_dir() else []:
        if path.suffix in _TYPES and path.is_file():
            place = "/" if path.name == INDEX else f"/static/{path.name}"
            files[place] = PageFile.of(path.read_bytes(), path.suffix)
    return files
