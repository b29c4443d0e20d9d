"""The one door to all containers: formats by content, limits in all, files that are mapped."""

import io
import mmap
from pathlib import Path

import pytest
from boxes import box, ilst, mp4, tags
from layouts import itext, jpeg, png, text, user_comment, webp_exif, xmp

from unprompt.images.files import FileView, LocalFile
from unprompt.images.metadata.fields import Fields, extract
from unprompt.images.metadata.reader import inspect

INFOTEXT = "a fox\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"

FILES = {
    "png": png(text("parameters", INFOTEXT)),
    "jpeg": jpeg((0xE1, b"Exif\0\0" + user_comment(INFOTEXT))),
    "webp": webp_exif(user_comment(INFOTEXT)),
    "tiff": user_comment(INFOTEXT),
    "mp4": mp4(box(b"udta", tags(ilst(b"\xa9cmt", INFOTEXT.encode()))), frames=bytes(10**5)),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_mapped_file_is_read_like_its_bytes(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[kind])
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert extract(data) == extract(FILES[kind])
        assert extract(data)
        written = inspect(data)
    assert written is not None
    assert written.prompt == "a fox"


@pytest.mark.parametrize("kind", FILES)
def test_a_file_on_disk_is_read_where_it_is_looked_at(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(FILES[kind])
    with LocalFile(str(path)).view() as view:
        assert extract(view) == extract(FILES[kind])


def test_of_a_large_film_little_is_read(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    frames = 3 * 2**20
    path.write_bytes(mp4(box(b"udta", tags(ilst(b"\xa9cmt", INFOTEXT.encode()))), frames=bytes(frames)))
    with path.open("rb", buffering=0) as file:
        counted = Counted(file)
        assert extract(FileView(counted, path.stat().st_size)).text == {"Comment": INFOTEXT}  # type: ignore[arg-type]
    assert counted.bytes_read < 10_000


class Counted:
    """A file that counts what is read of it."""

    def __init__(self, file: io.RawIOBase) -> None:
        self._file = file
        self.bytes_read = 0

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def read(self, count: int) -> bytes:
        found = self._file.read(count) or b""
        self.bytes_read += len(found)
        return found


@pytest.mark.parametrize("data", [b"", b"a", b"BM", bytes(40), b"GIF", b"RIFF    WAVE", b"%PDF-1.7", b"\0\0\0\x18ftyp"])
def test_a_file_without_text_or_of_another_kind(data: bytes) -> None:
    assert extract(data) == Fields()


def test_a_property_that_an_earlier_block_of_xmp_has_stays() -> None:
    first, second = (itext("XML:com.adobe.xmp", document) for document in (xmp(a="1", b="2"), xmp(b="3", c="4")))
    assert extract(png(first, second)).xmp == {"a": "1", "b": "2", "c": "4"}
