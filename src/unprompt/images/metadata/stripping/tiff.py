"""TIFF: directories with the tags of pixels alone, in place; the values of all others become zeros.

Source: TIFF 6.0 with its supplements; tags of other makers from the list of libtiff's tiff.h. BigTIFF has wider fields.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from unprompt.images.metadata.stripping.damage import damaged, fragmented
from unprompt.images.metadata.stripping.ranges import Range, blank

_OF_PIXELS = frozenset(
    {
        254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 286, 287, 290,
        291, 292, 293, 296, 297, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336, 338, 339, 340,
        341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 32995, 32996, 32997, 34675,
        37439, 50674,
    }
)  # fmt: skip
"""Tags that are kept: sizes, samples, compression, places of the pixels, orientation, resolution, colours."""

_DIRECTORIES = frozenset({330, 34665, 34853, 40965})  # SubIFDs, EXIF, GPS, interoperability
_PLACES = {273: 279, 324: 325, 513: 514}  # where pixels are, by strips, tiles, old JPEG; and the tags with their sizes
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_CODES = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_DIRECTORY_LIMIT = 10_000
_ENTRY_LIMIT = 200_000  # of all directories
_NUMBER_LIMIT = 10_000_000  # places and sizes of strips and tiles, of all directories


@dataclass(frozen=True, slots=True)
class _Layout:
    """The byte order and the widths of a TIFF's fields, as codes of `struct`."""

    order: str
    count: str
    word: str

    @property
    def entry_size(self) -> int:
        return 4 + 2 * self.word_size

    @property
    def word_size(self) -> int:
        return struct.calcsize(self.word)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A tag, where its entry is, and where its value is: in the entry itself if it is short."""

    tag: int
    kind: int
    count: int
    place: int
    start: int
    size: int
    is_inside: bool

    @property
    def end(self) -> int:
        return self.start + self.size


def strip(data: bytes) -> bytes:
    """Copy a TIFF of the same size. Raises PictureError (truncated, too-large)."""
    try:
        return _Copy(data).stripped()
    except (struct.error, OverflowError):  # a place past the end, or past what a number can hold
        raise damaged("TIFF") from None


class _Copy:
    """A TIFF whose directories are rewritten one by one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._copy = bytearray(data)
        big = 43 in data[2:4]
        self._layout = _Layout("<" if data[:1] == b"I" else ">", "Q" if big else "H", "Q" if big else "I")
        self._first = self._number(8 if big else 4)
        self._entries_left, self._numbers_left = _ENTRY_LIMIT, _NUMBER_LIMIT
        self._gone: list[Range] = []
        self._kept: list[Range] = []

    def stripped(self) -> bytes:
        """The copy. Raises PictureError and struct.error."""
        seen: set[int] = set()
        waiting = [(self._first, True)]
        while waiting:
            place, is_kept = waiting.pop()
            if place in seen or not place:
                continue
            seen.add(place)
            if len(seen) > _DIRECTORY_LIMIT:
                raise fragmented("TIFF", _DIRECTORY_LIMIT)
            waiting += self._kept_directory(place) if is_kept else self._gone_directory(place)
        if not blank(self._copy, self._gone, self._kept):
            raise damaged("TIFF")
        return bytes(self._copy)

    def _kept_directory(self, place: int) -> list[tuple[int, bool]]:
        """Rewrite a directory; return the places of the next ones, and whether they are kept."""
        entries, end = self._directory(place)
        kept = [entry for entry in entries if entry.tag in _OF_PIXELS]
        gone = [entry for entry in entries if entry.tag not in _OF_PIXELS]
        layout = self._layout
        head = struct.pack(layout.order + layout.count, len(kept))
        rows = (self._data[entry.place : entry.place + layout.entry_size] for entry in kept)
        directory = b"".join((head, *rows, self._data[end : end + layout.word_size]))
        self._copy[place : place + len(directory)] = directory
        self._kept.append((place, place + len(directory)))
        self._gone.append((place + len(directory), end + layout.word_size))
        self._kept += [(entry.start, entry.end) for entry in kept if not entry.is_inside]
        self._gone += [(entry.start, entry.end) for entry in gone if not entry.is_inside]
        self._kept += self._parts(kept)
        return [(self._number(end), True), *self._directories(kept, True), *self._directories(gone, False)]

    def _gone_directory(self, place: int) -> list[tuple[int, bool]]:
        """Blank a directory; return the places of those that it names."""
        entries, end = self._directory(place)
        self._gone += [(entry.start, entry.end) for entry in entries]
        self._gone.append((place, end))
        return [*self._directories(entries, False)]

    def _directory(self, place: int) -> tuple[list[_Entry], int]:
        """The entries of a directory, and where they end."""
        layout = self._layout
        (count,) = struct.unpack_from(layout.order + layout.count, self._data, place)
        self._entries_left -= count
        if self._entries_left < 0:
            raise fragmented("TIFF", _ENTRY_LIMIT)
        first = place + struct.calcsize(layout.count)
        places = range(first, first + count * layout.entry_size, layout.entry_size)
        return [self._entry(place) for place in places], first + count * layout.entry_size

    def _entry(self, place: int) -> _Entry:
        layout = self._layout
        tag, kind, count = struct.unpack_from(f"{layout.order}HH{layout.word}", self._data, place)
        start, size = place + 4 + layout.word_size, count * _SIZES.get(kind, 1)
        is_inside = size <= layout.word_size
        return _Entry(tag, kind, count, place, start if is_inside else self._number(start), size, is_inside)

    def _directories(self, entries: list[_Entry], is_kept: bool) -> Iterator[tuple[int, bool]]:
        for entry in entries:
            if entry.tag in _DIRECTORIES:
                yield from ((number, is_kept) for number in self._numbers(entry))

    def _number(self, place: int) -> int:
        return int(struct.unpack_from(self._layout.order + self._layout.word, self._data, place)[0])

    def _numbers(self, entry: _Entry) -> tuple[int, ...]:
        code = _CODES.get(entry.kind)
        if code is None or entry.end > len(self._data):
            raise damaged("TIFF")
        self._numbers_left -= entry.count
        if self._numbers_left < 0:
            raise fragmented("TIFF", _NUMBER_LIMIT)
        return struct.unpack_from(f"{self._layout.order}{entry.count}{code}", self._data, entry.start)

    def _parts(self, entries: list[_Entry]) -> Iterator[Range]:
        """Start and end of each strip or tile."""
        by_tag = {entry.tag: entry for entry in entries}
        for places, sizes in _PLACES.items():
            if places in by_tag and sizes in by_tag:
                starts, lengths = self._numbers(by_tag[places]), self._numbers(by_tag[sizes])
                yield from ((start, start + length) for start, length in zip(starts, lengths, strict=False))
