"""What an actor answers for one picture: its record, and the picture's own bytes where the parts are to hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from unprompt.errors import PictureError
from unprompt.images.files import LocalFile
from unprompt.images.formats import format_of
from unprompt.images.ref import ImageRef, Readable, is_array, is_picture
from unprompt.output.records import Record, failure_record, to_record
from unprompt.prediction import Failure, Prediction

DEADLY_KIND = "deadly"
"""The kind of failure of a picture that ends the process, or raises what no picture should."""


@dataclass(frozen=True, slots=True)
class Row:
    """The record of one picture; `picture` are the bytes of its file, of the format `format`, if asked for."""

    record: Record
    picture: bytes = b""
    format: str = ""


def failed(ref: ImageRef, message: str) -> Row:
    """The row of a picture that cannot be answered, for a reason that no picture should give."""
    return Row(failure_record(Failure(ref.source, DEADLY_KIND, message)))


def row(
    ref: ImageRef,
    answer: Prediction | Failure,
    *,
    embedding: bool,
    phrasing: Callable[[Record], str] | None,
    with_picture: bool,
) -> Row:
    """The row of an answer."""
    record = to_record(answer, embedding=embedding)
    if isinstance(answer, Failure):
        return Row(record)
    if phrasing is not None:
        record["text"] = phrasing(record)
    return _with_picture(record, ref) if with_picture else Row(record)


def keeping(refs: Sequence[ImageRef]) -> list[ImageRef]:
    """The same pictures; what is read once is kept, for reading it again may be another request to a server."""
    return [ref if _reads_again(ref) else replace(ref, content=_Kept(ref.content)) for ref in refs]  # type: ignore[arg-type]


def _reads_again(ref: ImageRef) -> bool:
    return isinstance(ref.content, LocalFile) or is_picture(ref.content) or is_array(ref.content)


class _Kept:
    """A file that is read once."""

    def __init__(self, content: Readable) -> None:
        self._content = content
        self._data: bytes | None = None

    @property
    def size_mb(self) -> float:
        """What reading will add to memory."""
        return self._content.size_mb

    def read(self) -> bytes:
        """The file's bytes. Raises PictureError."""
        if self._data is None:
            self._data = self._content.read()
        return self._data


def _with_picture(record: Record, ref: ImageRef) -> Row:
    try:
        data = ref.read()
        return Row(record, data, format_of(data))
    except PictureError as error:  # it changed since it was answered
        return Row(failure_record(Failure(ref.source, error.kind, str(error))))
