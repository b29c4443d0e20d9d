"""Writes answers as a gallery: HTML pages that need no server and no network, with the prompt beside each picture.

A page holds its thumbnails, its style and its script, and its policy forbids everything else; all text from files is
escaped. The first page is the file itself; more than `PAGE_PICTURES` pictures go on in the folder NAME.pages beside it.
Each card reaches the disk as it is answered, and a page without its end is still a page, so a killed run keeps them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
from collections.abc import Iterator
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from unprompt.display import printable
from unprompt.durable import write_errors
from unprompt.errors import DataError
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef
from unprompt.output.files import ContinuedFile, open_continued, plain_place
from unprompt.output.formats import Format
from unprompt.output.tables import concepts_text
from unprompt.output.text import confidence_text

if TYPE_CHECKING:
    from unprompt.output.records import Record

PAGE_PICTURES = 500
"""Pictures on a page: about 8 MB, which a browser opens in a second or two."""

_SIDE = 320  # pixels of a thumbnail's longer side
_QUALITY = 78
_LONGEST = 20_000  # characters of a text
_CONCEPTS = 6  # of a card
_MARK = b"unprompt gallery 1"
_HERE = Path(__file__).parent
_NO_PICTURE = '<div class="none">no thumbnail</div>'


class GalleryWriter:
    """Writes a card for each record, page by page. Raises OutputBusyError, or DataError if it cannot be written."""

    def __init__(self, path: str, page_pictures: int = PAGE_PICTURES) -> None:
        self._path = plain_place(path, "a gallery")
        self._most = page_pictures
        self._title = os.path.splitext(os.path.basename(self._path))[0]
        self._number = self._count = self._total = self._failed = 0
        self._page: ContinuedFile = self._opened()

    def write(self, record: Record) -> None:
        """Add a card with the picture that the record names, if that is a file on disk."""
        source = record["source"]
        self.write_picture(record, ImageRef(source, LocalFile(source)))

    def write_picture(self, record: Record, picture: ImageRef) -> None:
        """Add a card; the thumbnail is left out if the picture cannot be read again."""
        if "prompt" not in record and "error" not in record:
            raise DataError("expected answers for a gallery, found other records; use --format text, json or jsonl")
        if self._count == self._most:
            self._turn()
        self._page.write(card(record, picture, os.path.dirname(self._place(self._number))))
        self._page.flush()
        self._count += 1
        self._total += 1
        self._failed += "error" in record

    def close(self) -> None:
        """End the last page, and delete later pages of an earlier gallery."""
        self._end(following=False)
        with contextlib.suppress(OSError):
            self._delete_later_pages()

    def break_off(self) -> None:
        """Leave the pages as they are; the next run with --resume writes them again."""
        self._page.release()

    def _opened(self) -> ContinuedFile:
        self._number, self._count = self._number + 1, 0
        place = self._place(self._number)
        if self._number == 2:
            with write_errors(os.path.dirname(place)):
                os.makedirs(os.path.dirname(place), exist_ok=True)
        page = open_continued(place)
        page.write(_head(self._title, self._links(following=False)))
        page.flush()
        return page

    def _turn(self) -> None:
        self._end(following=True)
        self._page = self._opened()

    def _end(self, *, following: bool) -> None:
        failed = f", {self._failed:,} of them not read" if self._failed else ""
        so_far = f"{self._total:,} pictures{failed}"
        told = f"<p>{so_far} up to here.</p>" if following or self._number > 1 else f"<p>{so_far}.</p>"
        self._page.write(f"</ul></main>\n<footer>{told}{self._links(following=following)}</footer>\n</body>\n</html>\n")
        self._page.close()

    def _place(self, number: int) -> str:
        return self._path if number == 1 else os.path.join(f"{os.path.splitext(self._path)[0]}.pages", f"{number}.html")

    def _links(self, *, following: bool) -> str:
        """Links to the first page and to those around this one."""
        here = os.path.dirname(self._place(self._number))
        wanted = [(1, "First page")] if self._number > 2 else []
        wanted += [(self._number - 1, "Previous page")] if self._number > 1 else []
        wanted += [(self._number + 1, "Next page")] if following else []
        links = [f'<a href="{_address(self._place(number), here)}">{name}</a>' for number, name in wanted]
        place = f"<span>Page {self._number}</span>" if self._number > 1 or following else ""
        return f'<nav class="pages" aria-label="Pages">{place}{"".join(links)}</nav>\n' if links else ""

    def _delete_later_pages(self) -> None:
        for number in _naturals(self._number + 1):
            place = self._place(number)
            with open(place, "rb") as file:
                if _MARK not in file.read(2000):
                    return
            os.unlink(place)


def card(record: Record, picture: ImageRef, folder: str) -> str:
    """The card of one record, as an element of the list on a page in `folder`."""
    kind = "failed" if "error" in record else "written" if record.get("tool") else "predicted"
    image = _NO_PICTURE if kind == "failed" else _thumbnail(picture)
    if kind != "failed" and picture.file is not None and os.path.exists(picture.file):
        image = f'<a class="thumb" href="{_address(picture.file, folder)}" title="Open the picture">{image}</a>'
    else:
        image = f'<div class="thumb">{image}</div>'
    words = _failure(record["error"]) if kind == "failed" else _answer(record)
    facts = f'<div class="facts"><span class="badge">{kind}</span>{_facts(record)}</div>'
    name = _text(record["source"])
    return f'<li class="card {kind}">{image}<div class="words"><h2>{name}</h2>{facts}{words}</div></li>\n'


def _head(title: str, before: str) -> str:
    read = {name: (_HERE / f"gallery.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")}
    return Template(read["html"]).substitute(
        title=_text(title),
        style=read["css"],
        style_hash=_source_hash(read["css"]),
        script=read["js"],
        script_hash=_source_hash(read["js"]),
        before=before,
    )


def _source_hash(source: str) -> str:
    """The hash by which a policy allows an inline style or script. Source: CSP Level 3, 2.3.1."""
    return "sha256-" + base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _thumbnail(picture: ImageRef) -> str:
    from PIL import Image

    from unprompt.images.decode import decode
    from unprompt.prediction import Failure

    found = decode(picture, shorter_side=_SIDE, read_metadata=False)
    if isinstance(found, Failure):
        return _NO_PICTURE
    image = Image.fromarray(found.pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    width, height = image.size
    return (
        f'<img src="data:image/jpeg;base64,{data}" alt="" width="{width}" height="{height}" loading="lazy" '
        'decoding="async">'
    )


def _answer(record: Record) -> str:
    parts = [f'<p class="prompt">{_text(record.get("text") or record.get("prompt") or "")}</p>']
    if concepts := record.get("concepts"):
        parts.append(f'<p class="concepts"><b>Sees:</b> {_text(concepts_text(concepts[:_CONCEPTS]))}</p>')
    if negative := record.get("negative_prompt"):
        parts.append(f'<p class="negative"><b>Negative:</b> {_text(negative)}</p>')
    if settings := record.get("settings"):
        items = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in settings.items())
        parts.append(f"<details><summary>Settings</summary><dl>{items}</dl></details>")
    return "".join(parts)


def _facts(record: Record) -> str:
    facts = [record.get("tool"), confidence_text(record)]
    return "".join(f"<span>{_text(fact)}</span>" for fact in facts if fact)


def _failure(error: Any) -> str:
    return f'<p class="error">{_text(error["message"])}</p><p class="soft">kind: {_text(error["kind"])}</p>'


def _text(value: object) -> str:
    """Untrusted text as HTML: escaped, its lines kept, without other control characters and direction marks."""
    text = str(value)
    shown = "\n".join(map(printable, text[:_LONGEST].splitlines()))
    return escape(shown if len(text) <= _LONGEST else f"{shown}...")


def _address(path: str, folder: str) -> str:
    """A relative address; no name becomes one with a scheme."""
    try:
        relative = os.path.relpath(path, folder or os.curdir)
    except ValueError:  # another drive
        return ""
    return escape(quote(os.fsencode(relative.replace(os.sep, "/"))))


def _naturals(first: int) -> Iterator[int]:
    while True:
        yield first
        first += 1


FORMAT = Format(file=lambda path, _options: GalleryWriter(path), resumes=True)
