"""GIF: frames, their timing and the loop, without comments and other programs' blocks. Source: GIF89a, 17 to 27."""

from __future__ import annotations

from collections.abc import Iterator

from unprompt.images.metadata.stripping.damage import damaged, fragmented

_BLOCK_LIMIT = 1_000_000
_IMAGE, _EXTENSION, _TRAILER, _CONTROL, _APPLICATION = 0x2C, 0x21, 0x3B, 0xF9, 0xFF
_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_PROFILE = b"ICCRGBG1012"
_LONGEST_OF_LOOP = 5  # bytes; anything longer there is neither a count of loops nor a size of a buffer


def strip(data: bytes) -> bytes:
    """Copy a GIF up to its trailer. Raises PictureError (truncated, too-large)."""
    return b"".join((*_kept(data), bytes([_TRAILER])))


def _kept(data: bytes) -> Iterator[bytes]:
    position = 13 + _table_size(data, 10)
    yield data[:position]
    left = [_BLOCK_LIMIT]
    while position < len(data) and data[position] != _TRAILER:
        start = position
        if data[position] == _IMAGE:
            position += 11 + _table_size(data, position + 9)
            position, _pieces = _pieces_from(data, position, left)
            yield data[start:position]
        elif data[position] == _EXTENSION:
            position, pieces = _pieces_from(data, position + 2, left)
            yield from _extension(data[start : start + 2], pieces)
        elif data[position] == 0:  # decoders skip an empty block
            position += 1
        else:
            raise damaged("GIF")


def _table_size(data: bytes, position: int) -> int:
    """Bytes of the colour table that the flags at `position` announce."""
    if position >= len(data):
        raise damaged("GIF")
    return 3 << (data[position] & 7) + 1 if data[position] & 0x80 else 0


def _pieces_from(data: bytes, position: int, left: list[int]) -> tuple[int, list[bytes]]:
    """The end of a chain of pieces, each after its length, and the pieces."""
    pieces: list[bytes] = []
    while True:
        left[0] -= 1
        if left[0] < 0:
            raise fragmented("GIF", _BLOCK_LIMIT)
        if position >= len(data):
            raise damaged("GIF")
        start, position = position + 1, position + 1 + data[position]
        if position == start:
            return position, pieces
        if position > len(data):
            raise damaged("GIF")
        pieces.append(data[start:position])


def _extension(head: bytes, pieces: list[bytes]) -> Iterator[bytes]:
    """The extension, if a frame depends on it."""
    if head[1] == _CONTROL:
        kept = pieces[:1]
    elif head[1] == _APPLICATION and pieces and pieces[0] in _LOOPS:
        kept = [pieces[0], *(piece for piece in pieces[1:] if len(piece) <= _LONGEST_OF_LOOP)]
    elif head[1] == _APPLICATION and pieces and pieces[0] == _PROFILE:
        kept = pieces
    else:
        return
    yield head
    yield from (bytes([len(piece)]) + piece for piece in kept)
    yield b"\x00"
