"""What a picture's file says of its prompt, without its pixels being decoded unless the file is damaged."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unprompt.errors import PictureError
from unprompt.images import metadata

if TYPE_CHECKING:
    from unprompt.images.files import FileView
    from unprompt.images.ref import ImageRef
    from unprompt.prediction import Failure, WrittenPrompt


def read_written(ref: ImageRef, *, read_beside: bool = True, **limits: Any) -> WrittenPrompt | Failure | None:
    """Read what is written, even if the pixels are damaged; None if nothing is, a Failure for what is no picture.

    With `read_beside` a text file beside the picture counts if the picture itself holds no prompt. `limits` are those
    of `decode`, which looks at a picture that says nothing and does not end as its format does.
    """
    from unprompt.prediction import Failure

    try:
        with ref.view() as data:
            written = metadata.inspect(data)
            if read_beside and ref.file is not None and (written is None or not written.prompt):
                from unprompt.images.metadata import beside

                written = beside.read(ref.file) or written
            return written or _damage(ref, data, limits)
    except PictureError as error:
        return Failure(ref.source, error.kind, str(error))


def _damage(ref: ImageRef, data: bytes | FileView, limits: dict[str, Any]) -> Failure | None:
    """What is wrong with a picture in which nothing is written: the text may be in the part that is missing."""
    from unprompt.images.ends import ends_well
    from unprompt.images.files import Bytes
    from unprompt.images.formats import HEAD_SIZE, format_of, is_decodable
    from unprompt.prediction import Failure

    if ends_well(data) or not is_decodable(format_of(data[:HEAD_SIZE])):
        return None
    from unprompt.images.decode import decode

    again = replace(ref, content=Bytes(data)) if isinstance(data, bytes) else ref  # standard input is read only once
    decoded = decode(again, shorter_side=1, read_metadata=False, **limits)
    return decoded if isinstance(decoded, Failure) else None
