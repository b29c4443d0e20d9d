"""Untrusted CBOR: size, depth and number of items are bounded. Source: RFC 8949."""

from __future__ import annotations

import math
import struct
from typing import Any

_LENGTH_LIMIT = 4 * 2**20
_DEPTH_LIMIT = 32
_ITEM_LIMIT = 50_000
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_INDEFINITE, _BREAK = 31, object()
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}
_SIMPLES = {20: False, 21: True}


def parse(data: bytes) -> Any:
    """Parse the first item; None if it is broken or exceeds a limit.

    Tags are dropped, `null`, NaN and what has no place in JSON become None. Keys that are no texts are left out.
    """
    if len(data) > _LENGTH_LIMIT:
        return None
    try:
        value = _Reader(data).item(0)
    except _BrokenError:
        return None
    return None if value is _BREAK else value


class _BrokenError(Exception):
    """The data is not CBOR, or too much of it."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._items_left = _ITEM_LIMIT

    def item(self, depth: int) -> Any:
        """The next item; _BREAK at the end of a list whose length is not written. Raises _BrokenError."""
        self._items_left -= 1
        if self._items_left < 0 or depth > _DEPTH_LIMIT:
            raise _BrokenError
        first = self._take(1)[0]
        kind, short = first >> 5, first & 31
        if kind == _SIMPLE:
            return self._simple(short)
        length = None if short == _INDEFINITE else self._number(short)
        if kind in (_BYTES, _TEXT):
            return self._string(kind, length, depth)
        if kind == _ARRAY:
            return self._list(length, depth)
        if kind == _MAP:
            return self._map(length, depth)
        if length is None:
            raise _BrokenError
        if kind == _TAG:
            return self.item(depth + 1)
        return length if kind == _UNSIGNED else -1 - length

    def _string(self, kind: int, length: int | None, depth: int) -> Any:
        if length is None:
            parts = self._list(None, depth)
            if kind == _BYTES:
                return b"".join(part for part in parts if isinstance(part, bytes))
            return "".join(part for part in parts if isinstance(part, str))
        body = self._take(length)
        return body if kind == _BYTES else body.decode("utf-8", "replace")

    def _list(self, length: int | None, depth: int) -> list[Any]:
        items: list[Any] = []
        while length is None or len(items) < length:
            item = self.item(depth + 1)
            if item is _BREAK:
                break
            items.append(item)
        return items

    def _map(self, length: int | None, depth: int) -> dict[str, Any]:
        items = self._list(None if length is None else 2 * length, depth)
        pairs = zip(items[::2], items[1::2], strict=False)
        return {key: value for key, value in pairs if isinstance(key, str)}

    def _simple(self, short: int) -> Any:
        if short == _INDEFINITE:
            return _BREAK
        if short in _FLOATS:
            number = struct.unpack(_FLOATS[short], self._take(1 << short - 24))[0]
            return number if math.isfinite(number) else None
        if short == 24:
            self._take(1)
        return _SIMPLES.get(short)

    def _number(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:
            raise _BrokenError
        return int.from_bytes(self._take(1 << short - 24), "big")

    def _take(self, count: int) -> bytes:
        start, self._position = self._position, self._position + count
        if self._position > len(self._data):
            raise _BrokenError
        return self._data[start : self._position]
