"""Says whether a file ends as its format does, without decoding it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unprompt.images.files import FileView

_TAIL_BYTES = 64
"""Where the end of a picture is looked for: some programs add a few bytes of their own."""

_HEADS_AND_ENDS = ((b"\x89PNG\r\n\x1a\n", b"IEND"), (b"\xff\xd8\xff", b"\xff\xd9"), (b"GIF8", b"\x3b"))


def ends_well(data: bytes | FileView) -> bool:
    """Whether a PNG, JPEG, GIF or WebP holds its own end; False where only decoding can tell."""
    if data[:4] == b"RIFF":
        return 8 + int.from_bytes(data[4:8], "little") <= len(data)
    return any(data[: len(head)] == head and end in data[-_TAIL_BYTES:] for head, end in _HEADS_AND_ENDS)
