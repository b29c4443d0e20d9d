"""Takes the pictures and fields out of a request's body, within limits, and keeps nothing on disk.

A body is a form (multipart/form-data), JSON, or one picture as it is. What it is, is decided by its content type; where
that says nothing (`curl -T`, `curl --data-binary`), by its first bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from unprompt.display import one_line
from unprompt.errors import PictureError
from unprompt.images.formats import HEAD_SIZE, format_of
from unprompt.serve.errors import Refusal
from unprompt.serve.settings import Settings

FILE_NAMES = frozenset({"file", "files", "image", "images"})
"""The names of parts that hold a picture's file."""

_FIELD_LIMIT = 1_000_000
"""Bytes of all fields of a form that are no files."""

_FIELDS_LIMIT = 1024
"""Fields of a form that are no files."""

_NAME_LIMIT = 255
_JSON_TYPES = ("application/json", "text/json")
_UNTOLD = ("", "application/octet-stream", "binary/octet-stream", "application/x-www-form-urlencoded", "text/plain")
"""Types that say nothing about a body: curl's and browsers' own, where nobody named one."""


@dataclass(frozen=True, slots=True, eq=False)
class Upload:
    """A picture's file as it was sent, and the name that its record shows."""

    source: str
    data: bytes


@dataclass(slots=True)
class Body:
    """What a request said: pictures, fields of a form by name, or a JSON value (None if it is no JSON)."""

    uploads: list[Upload] = field(default_factory=list)
    fields: dict[str, list[str]] = field(default_factory=dict)
    json: Any = None


class Held:
    """The bytes that all requests together hold in memory, and their limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes held now."""
        return self._held

    @contextlib.contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """What one request holds, given back at the end of the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.add(-reservation.held)

    def add(self, count: int) -> None:
        """Count bytes as held. Raises Refusal (429) if they do not fit."""
        with self._lock:
            if count > 0 and self._held + count > self._limit:
                raise Refusal(
                    429,
                    f"expected room for this body beside those of other requests, found {self._held / 1e6:,.0f} MB of "
                    f"{self._limit / 1e6:,.0f} MB taken; ask again after the seconds that Retry-After says",
                    retry_after_s=2,
                )
            self._held += count


@dataclass
class Reservation:
    """The bytes that one request holds."""

    of: Held
    held: int = 0

    def add(self, count: int) -> None:
        """Hold more. Raises Refusal (429)."""
        self.of.add(count)
        self.held += count


async def read_body(
    request: Request, settings: Settings, reservation: Reservation, *, fields: Collection[str] = ()
) -> Body:
    """Read a request's body. `fields` are the names that a form may have besides its files.

    Raises Refusal: 400 (broken JSON or form), 408 (too slow), 413, 415, 429; ClientDisconnect if the client goes away.
    """
    _check_encoding(request)
    _check_length(request, settings)
    kind, options = parse_options_header(request.headers.get("content-type"))
    try:
        async with _limited(settings.upload_timeout_s):
            if kind == b"multipart/form-data":
                return await _read_form(request, settings, reservation, options.get(b"boundary", b""), fields)
            data = await _read_whole(request, settings, reservation)
    except TimeoutError:
        raise Refusal(
            408,
            f"expected the whole body within {settings.upload_timeout_s:g} s, found one that comes more slowly; "
            "send fewer pictures at a time",
        ) from None
    return _unwrapped(data, kind.decode("latin-1"), settings)


async def read_json(request: Request, settings: Settings, reservation: Reservation) -> Mapping[str, Any]:
    """Read a body that has to be a JSON object, whatever its content type says. Raises Refusal as `read_body` does."""
    body = await read_body(request, settings, reservation)
    if not isinstance(body.json, Mapping):
        raise Refusal(400, f"expected a JSON object, found {_found(body)}; send Content-Type: application/json")
    return body.json


@contextlib.asynccontextmanager
async def _limited(seconds: float) -> Any:
    """Cancel the block after some time. `asyncio.timeout` needs Python 3.11."""
    task = asyncio.current_task()
    is_over = False

    def end() -> None:
        nonlocal is_over
        is_over = True
        if task is not None:
            task.cancel()

    timer = asyncio.get_running_loop().call_later(seconds, end)
    try:
        yield
    except asyncio.CancelledError:
        if not is_over:
            raise
        if task is not None and hasattr(task, "uncancel"):
            task.uncancel()
        raise TimeoutError from None
    finally:
        timer.cancel()


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Refusal(
            415,
            "expected a body as it is, found one with a Content-Encoding; send it uncompressed",
            param="Content-Encoding",
        )


def _check_length(request: Request, settings: Settings) -> None:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > settings.body_limit:
        raise _too_long(settings, f"{int(length) / 1e6:,.1f} MB")


def _too_long(settings: Settings, found: str) -> Refusal:
    return Refusal(
        413,
        f"expected a body of at most {settings.body_limit_mb:g} MB, found {found}; send fewer pictures at a time",
    )


def too_large_file(settings: Settings, param: str) -> Refusal:
    """The refusal of a single file."""
    return Refusal(
        413,
        f"expected a picture's file of at most {settings.file_limit_mb:g} MB, found a larger one; save it smaller",
        param=param,
    )


def too_many(settings: Settings) -> Refusal:
    """The refusal of a request with too many pictures."""
    return Refusal(
        413,
        f"expected at most {settings.most_pictures:,} pictures in a request, found more; send them in several",
        kind="too-many",
    )


async def _chunks(request: Request, settings: Settings, reservation: Reservation) -> Any:
    total = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        if chunk := message.get("body", b""):
            total += len(chunk)
            if total > settings.body_limit:
                raise _too_long(settings, "more")
            reservation.add(len(chunk))
            yield chunk
        if not message.get("more_body", False):
            return


async def _read_whole(request: Request, settings: Settings, reservation: Reservation) -> bytes:
    return b"".join([chunk async for chunk in _chunks(request, settings, reservation)])


def _unwrapped(data: bytes, kind: str, settings: Settings) -> Body:
    """The body that some bytes are, by their type or their first bytes."""
    if kind in _JSON_TYPES or kind.endswith("+json"):
        return Body(json=parsed_json(data))
    if kind.startswith("image/"):
        return _raw(data, settings)
    if kind not in _UNTOLD:
        raise Refusal(
            415,
            f"expected multipart/form-data, application/json or image/*, found {one_line(kind)[:80]!r}; "
            "name the type of what you send",
            param="Content-Type",
        )
    if data[:64].lstrip()[:1] in (b"{", b"["):
        return Body(json=parsed_json(data))
    if not data:
        raise Refusal(400, "expected a picture, a form or JSON, found an empty body; send one")
    if not _is_picture(data):
        raise Refusal(
            415,
            "expected a picture, a form or JSON, found none of these; name the type of what you send in Content-Type",
            param="Content-Type",
        )
    return _raw(data, settings)


def _raw(data: bytes, settings: Settings) -> Body:
    if not data:
        raise Refusal(400, "expected a picture, found an empty body; send its file")
    if len(data) > settings.file_limit:
        raise too_large_file(settings, "body")
    return Body([Upload("picture", data)])


def _is_picture(data: bytes) -> bool:
    try:
        format_of(data[:HEAD_SIZE])
    except PictureError:
        return False
    return True


def parsed_json(data: bytes) -> Any:
    """Parse untrusted JSON. Raises Refusal (400)."""
    try:
        found = json.loads(data)
    except UnicodeDecodeError:
        raise Refusal(400, "expected JSON in UTF-8, found other bytes; encode it as UTF-8") from None
    except RecursionError:
        raise Refusal(400, "expected JSON, found one that is nested too deeply; send a flat one") from None
    except ValueError as error:
        at = f" at character {error.pos:,}" if isinstance(error, json.JSONDecodeError) else ""
        raise Refusal(400, f"expected JSON, found what is none{at}; check that it is whole") from None
    return found


def _found(body: Body) -> str:
    if body.uploads or body.fields:
        return "a form or a picture"
    return {list: "a list", str: "a text", type(None): "null"}.get(type(body.json), "a number")


async def _read_form(
    request: Request, settings: Settings, reservation: Reservation, boundary: bytes, fields: Collection[str]
) -> Body:
    if not boundary:
        raise Refusal(
            400,
            "expected a boundary in the Content-Type of multipart/form-data, found none; let your client set the type",
            param="Content-Type",
        )
    form = _Form(settings, fields)
    try:
        parser = MultipartParser(boundary, form.callbacks())
        async for chunk in _chunks(request, settings, reservation):
            parser.write(chunk)
    except FormParserError:
        raise _broken_form("one that breaks its own rules") from None
    if not form.is_whole:
        raise _broken_form("one that stops before its last boundary")
    return form.body


def _broken_form(found: str) -> Refusal:
    return Refusal(400, f"expected a whole multipart/form-data, found {found}; send it again", kind="broken-form")


class _Form:
    """Collects the parts of a form from the parser's callbacks."""

    def __init__(self, settings: Settings, fields: Collection[str]) -> None:
        self.body = Body()
        self.is_whole = False
        self._settings = settings
        self._fields = fields
        self._header = bytearray()
        self._value = bytearray()
        self._name = self._file_name = ""
        self._data = bytearray()
        self._text_left = _FIELD_LIMIT

    def callbacks(self) -> Any:
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._check_name,
            "on_part_data": self._add,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name = self._file_name = ""
        self._data = bytearray()

    def _end_header(self) -> None:
        if bytes(self._header).lower() == b"content-disposition":
            _kind, options = parse_options_header(bytes(self._value).decode("latin-1"))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
            self._file_name = options.get(b"filename", b"").decode("utf-8", "replace")
        self._header.clear()
        self._value.clear()

    def _check_name(self) -> None:
        if self._name in FILE_NAMES:
            if len(self.body.uploads) >= self._settings.most_pictures:
                raise too_many(self._settings)
        elif self._name not in self._fields:
            names = ", ".join(sorted({"file", *self._fields}))
            raise Refusal(
                400,
                f"expected parts named {names}, found {one_line(self._name)[:40]!r}; name it so",
                param=one_line(self._name)[:40],
            )
        elif sum(map(len, self.body.fields.values())) >= _FIELDS_LIMIT:
            raise Refusal(413, f"expected at most {_FIELDS_LIMIT:,} fields, found more; send fewer", kind="too-many")

    def _add(self, data: bytes, start: int, end: int) -> None:
        if self._name in FILE_NAMES:
            if len(self._data) + end - start > self._settings.file_limit:
                raise too_large_file(self._settings, self._name)
        else:
            self._text_left -= end - start
            if self._text_left < 0:
                raise Refusal(
                    413,
                    f"expected fields of at most {_FIELD_LIMIT / 1e6:g} MB together, found more; send files as files",
                    param=self._name,
                )
        self._data += memoryview(data)[start:end]

    def _end_part(self) -> None:
        if self._name in FILE_NAMES:
            source = one_line(self._file_name)[-_NAME_LIMIT:] or f"picture {len(self.body.uploads)}"
            self.body.uploads.append(Upload(source, bytes(self._data)))
        else:
            self.body.fields.setdefault(self._name, []).append(self._data.decode("utf-8", "replace"))
        self._data = bytearray()

    def _end(self) -> None:
        self.is_whole = True
