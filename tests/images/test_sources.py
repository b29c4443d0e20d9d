"""What a person points at becomes what to read."""

import io
import os
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.display import printable
from unprompt.errors import PictureError
from unprompt.images.files import Bytes, LocalFile
from unprompt.images.ref import ImageRef, Input, relative_name
from unprompt.images.sources import count, image_refs
from unprompt.images.web.address import WebAddress
from unprompt.images.web.limits import WebLimits

PNG = b"\x89PNG\r\n\x1a\n"


def names(inputs: Input | Iterable[Input]) -> list[str]:
    return [ref.source for ref in image_refs(inputs)]


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(PNG)


def shard(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(PNG)
            tar.addfile(info, io.BytesIO(PNG))


def failure(ref: ImageRef) -> PictureError:
    with pytest.raises(PictureError) as caught:
        ref.read()
    return caught.value


def belows(inputs: Input | Iterable[Input]) -> list[str]:
    return [ref.below for ref in image_refs(inputs)]


def test_a_path_stands_for_itself_even_where_nothing_is() -> None:
    [ref] = image_refs(["nowhere/cat.xyz"])
    assert (ref.source, ref.file, ref.below) == ("nowhere/cat.xyz", "nowhere/cat.xyz", "cat.xyz")
    assert failure(ref).kind == "not-found"


def test_inputs_of_every_kind_keep_their_order(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "b.png")
    ready = ImageRef("mine", Bytes(b"data"))
    with Image.open(tmp_path / "b.png") as opened:
        inputs = [tmp_path / "a.png", b"data", Image.new("L", (1, 1)), np.zeros((1, 1, 3), np.uint8), opened, ready]
        refs = list(image_refs(inputs))
    assert [ref.source for ref in refs] == [
        str(tmp_path / "a.png"), "<bytes 1>", "<picture 2>", "<array 3>", str(tmp_path / "b.png"), "mine",
    ]  # fmt: skip
    assert refs[1].read() == b"data"
    assert all(ref.content is item for ref, item in zip(refs[2:5], inputs[2:5], strict=True))
    assert refs[5] is ready
    assert [ref.file for ref in refs[1:]] == [None] * 5
    assert count(inputs) == 6


@pytest.mark.parametrize(
    ("single", "name"),
    [
        ("cat.png", "cat.png"),
        (Path("cat.png"), "cat.png"),
        (b"cat", "<bytes 0>"),
        (bytearray(b"cat"), "<bytes 0>"),
        (memoryview(b"cat"), "<bytes 0>"),
        (io.BytesIO(b"cat"), "<file 0>"),
        (Image.new("1", (1, 1)), "<picture 0>"),
        (np.zeros((2, 1, 3), np.uint8), "<array 0>"),
        (ImageRef("mine", LocalFile("cat.png")), "mine"),
    ],
)
def test_one_input_needs_no_list(single: Input, name: str) -> None:
    assert names(single) == [name]
    assert count(single) == 1


@pytest.mark.parametrize("inputs", [3, [3], None, [None]])
def test_an_input_of_another_type_is_refused(inputs: Any) -> None:
    with pytest.raises(TypeError, match=r"expected a path, .* found (int|NoneType)$"):
        names(inputs)


def test_what_could_be_an_array_says_how() -> None:
    class Foreign:
        def __array__(self) -> np.ndarray:
            return np.zeros((2, 2))

    with pytest.raises(TypeError, match=r"found Foreign; numpy.asarray\(...\) makes an array of it"):
        names([Foreign()])  # type: ignore[list-item]


def test_an_open_file_is_read_from_its_start(tmp_path: Path) -> None:
    files(tmp_path, "a.png")
    written = io.BytesIO()
    written.write(PNG)  # and left at its end, as Image.save does
    with (tmp_path / "a.png").open("rb") as opened, tempfile.SpooledTemporaryFile() as spooled:
        spooled.write(PNG)
        refs = list(image_refs([opened, written, spooled]))
        assert count([opened, written, spooled]) == 3
    assert [ref.source for ref in refs] == [str(tmp_path / "a.png"), "<file 1>", "<file 2>"]
    assert [ref.below for ref in refs] == ["a.png", "", ""]
    assert [ref.read() for ref in refs] == [PNG] * 3  # when the files are closed


def test_members_of_an_archive_may_be_given_open(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", "1.png", "2.png")
    with tarfile.open(tmp_path / "a.tar") as tar:
        refs = list(image_refs(member for entry in tar if (member := tar.extractfile(entry)) is not None))
    # Their `name` is the archive's in some versions of Python.
    assert [(ref.source, ref.below, ref.read()) for ref in refs] == [("<file 0>", "", PNG), ("<file 1>", "", PNG)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("b/1.png", PNG)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("b/1.png") as file:
        [ref] = image_refs(file)
    assert (ref.source, ref.below, ref.read()) == ("b/1.png", "1.png", PNG)


def test_a_stream_is_read_from_where_it_is() -> None:
    class Stream:
        """Gives a few bytes at a time, and has no way back."""

        rest = PNG

        def read(self, size: int, /) -> bytes:
            part, self.rest = self.rest[: min(size, 10)], self.rest[min(size, 10) :]
            return part

    [ref] = image_refs(Stream())
    assert ref.read() == PNG


def test_an_open_file_is_read_up_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unprompt.images.files.FILE_LIMIT_MB", 3)
    file = io.BytesIO(bytes(9_000_000))
    [_ref] = image_refs(file)
    assert file.tell() == 3_000_001


def test_an_open_file_that_cannot_be_read_fails_in_its_place() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise EOFError("the line\nis dead")

    closed = io.BytesIO(PNG)
    closed.close()
    first, second, last = image_refs([closed, Broken(), "a.png"])
    assert "found: I/O operation on closed file" in str(failure(first))
    assert "found: the line\\nis dead; open it again" in str(failure(second))
    assert last.source == "a.png"


def test_an_open_file_that_gives_no_bytes_is_refused(tmp_path: Path) -> None:
    class Upload:
        async def read(self, size: int, /) -> bytes:
            return PNG

    with pytest.raises(TypeError, match="one that gives str; open it in binary mode"):
        names(io.StringIO("a.png\n"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"one that gives coroutine; .* give the file inside an upload \(upload.file\)"):
        names(Upload())  # type: ignore[arg-type]


def test_a_picture_in_memory_has_no_bytes() -> None:
    [ref] = image_refs(Image.new("1", (1, 1)))
    with pytest.raises(TypeError, match="has no bytes to read"):
        ref.read()


def test_folder_keeps_its_tree(tmp_path: Path) -> None:
    files(tmp_path, "2.png", "10.png", "a/1.png")
    assert names(tmp_path) == [str(tmp_path / name) for name in ("2.png", "10.png", "a/1.png")]
    assert belows(f"{tmp_path}/") == ["2.png", "10.png", "a/1.png"]
    assert [ref.file for ref in image_refs(tmp_path)] == names(tmp_path)
    assert all(ref.read() == PNG for ref in image_refs(tmp_path))


@pytest.mark.parametrize("pattern", ["", "/*", "/**/*.gif", "/empty.tar", "/@list", "/["])
def test_what_holds_no_pictures_fails_in_its_place(
    tmp_path: Path, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "no\npictures"
    (folder / "inner").mkdir(parents=True)
    (folder / "notes.txt").write_text("")
    (folder / "list").write_text("\n")
    if pattern == "/empty.tar":
        shard(folder / "empty.tar", "1.txt")
    monkeypatch.chdir(folder)
    name = pattern[1:] if pattern.startswith("/@") else f"{folder}{pattern}"
    first, ref, last = image_refs(["first.png", name, "last.png"])
    assert (first.source, last.source) == ("first.png", "last.png")
    assert ref.source == name.removeprefix("@")
    assert failure(ref).kind == "no-pictures"
    assert "expected" in str(failure(ref))
    assert "\n" not in str(failure(ref))
    assert count(["first.png", name, "last.png"]) == 3


def test_only_what_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    refs = image_refs(["first.png", tmp_path / "later"])
    assert next(refs).source == "first.png"
    files(tmp_path / "later", "1.png")
    assert next(refs).source == str(tmp_path / "later" / "1.png")


def test_what_exists_is_no_pattern_list_or_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path, "@x", "x", "a[1].png", "a1.png", "http:/host/1.png", "b[1]/2.png")
    (tmp_path / "c[1].png").symlink_to("gone")
    inputs = ["@x", "a[1].png", "http://host/1.png", "b[1]", "c[1].png"]
    assert names(inputs) == ["@x", "a[1].png", "http://host/1.png", "b[1]/2.png", "c[1].png"]
    assert [ref.file for ref in image_refs(inputs)] == names(inputs)


def test_list_means_what_its_lines_would_mean_as_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path, "pics/2.png", "pics/10.png", "a/1.png", "b/1.png", "-", "@more")
    shard(tmp_path / "s.tar", "t.png")
    lines = ["gone.png", "pics", "?/1.png", "-", "@more", "@gone", "HTTPS://host/x.png", "s.tar", "../up.png", "/*.nix"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = list(image_refs("@list.txt"))
    assert [ref.source for ref in found] == [
        "gone.png", "pics/2.png", "pics/10.png", "a/1.png", "b/1.png", "-", "@more", "@gone", "HTTPS://host/x.png",
        "s.tar/t.png", "../up.png", "/*.nix",
    ]  # fmt: skip
    assert [ref.below for ref in found] == [
        "gone.png", "2.png", "10.png", "a/1.png", "b/1.png", "-", "@more", "@gone", "x.png", "s/t.png", "up.png", "",
    ]  # fmt: skip
    assert found[5].read() == found[6].read() == PNG
    assert count("@list.txt") == len(found)


def test_files_of_one_name_in_a_list_stay_apart(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("x/1.png\ny/1.png\n/abs/1.png\n")
    assert belows(f"@{tmp_path}/list") == ["x/1.png", "y/1.png", "abs/1.png"]


def test_list_that_is_not_there_fails_by_its_name(tmp_path: Path) -> None:
    [ref] = image_refs(f"@{tmp_path}/gone")
    assert (ref.source, failure(ref).kind) == (f"{tmp_path}/gone", "not-found")
    assert count(f"@{tmp_path}/gone") == 1


@pytest.mark.parametrize(
    ("url", "below"),
    [
        ("http://host/a/b.png", "b.png"),
        ("HtTpS://host/a/b.png?x=/1#/y", "b.png"),
        ("http://host", ""),
        ("http://host/..", ""),
        ("http://host?a/b", ""),
    ],
)
def test_addresses(url: str, below: str) -> None:
    [ref] = image_refs(url)
    assert (ref.source, ref.below, ref.content) == (url, below, WebAddress(url, WebLimits()))
    limits = WebLimits(timeout_s=1)
    [ref] = image_refs(url, web=limits)
    assert ref.content == WebAddress(url, limits)
    assert count(url) == 1


def test_archives_in_folders_lists_and_patterns(tmp_path: Path) -> None:
    for name in ("2.tar", "10.TAR", "sub/a.tar"):
        shard(tmp_path / name, "x.png", "y.txt")
    shard(tmp_path / "text.tar", "y.txt")  # nothing to say about it where it was not asked for
    (tmp_path / "broken.tar").write_bytes(b"no tar")
    assert belows(tmp_path) == ["2/x.png", "10/x.png", "", "sub/a/x.png"]
    assert belows(f"{tmp_path}/*.tar") == [
        "2/x.png",
        "",
    ]
    assert belows(tmp_path / "10.TAR") == ["10/x.png"]
    assert count([tmp_path, f"{tmp_path}/*.tar", tmp_path / "10.TAR"]) == 7
    shard(tmp_path / "z.tgz", "x.png")
    assert belows(tmp_path / "z.tgz") == ["z/x.png"]
    assert count(tmp_path / "z.tgz") is None
    assert count(tmp_path) is None


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PNG + b"and so on")))
    [ref] = image_refs("-")
    assert (ref.source, ref.below, ref.read()) == ("-", "", PNG + b"and so on")


def test_dash_may_be_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "1.png", "sub/2.png")
    text = f"{tmp_path}/1.png\n{tmp_path}/sub\n".encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))
    assert names(["first.png", "-"]) == ["first.png", str(tmp_path / "1.png"), str(tmp_path / "sub/2.png")]


@pytest.mark.parametrize("path", [b"\xff.png", b"a\nb.png", b"n" * 251 + b".png"])
@pytest.mark.parametrize("way", ["outright", "folder", "pattern", "list"])
def test_odd_names_come_through_every_way(tmp_path: Path, path: bytes, way: str) -> None:
    full = os.fsencode(tmp_path / "in") + b"/" + path
    (tmp_path / "in").mkdir()
    with open(full, "wb") as file:
        file.write(PNG)
    (tmp_path / "list").write_bytes(full + b"\0")
    given = {
        "outright": os.fsdecode(full), "folder": f"{tmp_path}/in", "pattern": f"{tmp_path}/in/*",
        "list": f"@{tmp_path}/list",
    }  # fmt: skip
    [ref] = image_refs(given[way])
    assert ref.source == ref.file == os.fsdecode(full)
    assert os.path.basename(ref.below) == os.fsdecode(path)
    assert ref.read() == PNG


@pytest.mark.parametrize(
    "name", ["nul\0.png", "x" * 10_000, "a/" * 5000, "*" * 300, "[", "@", "http://", "~/x.png", "@\0"]
)
def test_hostile_arguments_fail_when_they_are_read(name: str) -> None:
    [ref] = image_refs(name)
    assert failure(ref).kind in ("not-found", "unreadable", "no-pictures", "bad-url", "offline")
    assert "\0" not in ref.below


def test_counting_agrees_with_what_is_given(tmp_path: Path) -> None:
    files(tmp_path, *(f"{n}/{m}.png" for n in range(5) for m in range(n)), "0/n.txt")
    (tmp_path / "list").write_text(f"{tmp_path}\n{tmp_path}/*/1.png\n{tmp_path}/0\n{{broken\na.png\n" + "*.gif\n")
    inputs = [tmp_path, tmp_path / "0", f"{tmp_path}/**/*", f"@{tmp_path}/list", b"", "gone.png"]
    assert count(inputs) == len(names(inputs)) == 10 + 1 + 10 + (10 + 3 + 1 + 1 + 1 + 1) + 1 + 1


def test_what_cannot_be_counted_beforehand(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert count(["a.png", "-"]) is None
    assert count(f"@{tmp_path}/pipe") is None
    assert count("@/dev/stdin") is None
    inputs = iter(["a.png", "b.png"])
    assert count(inputs) is None
    assert names(inputs) == ["a.png", "b.png"]


def test_counting_stops_when_it_is_told_to(tmp_path: Path) -> None:
    files(tmp_path, "1.png", "2.png")
    (tmp_path / "list").write_text("1.png\n2.png\n")
    stop = threading.Event()
    assert count([tmp_path, f"@{tmp_path}/list"], stop) == 4
    stop.set()
    for inputs in (tmp_path, f"@{tmp_path}/list", ["a.png", "b.png"]):
        assert count(inputs, stop) is None


@pytest.mark.parametrize(
    ("name", "relative"),
    [
        ("a/b.png", "a/b.png"),
        ("/a//b.png", "a/b.png"),
        ("../../a/../b.png", "a/b.png"),
        ("./a/.", "a"),
        ("...", "..."),
        ("..", ""),
        ("", ""),
        ("a\0b", "a_b"),
        ("line\nbreak", "line\nbreak"),
    ],
)
def test_relative_name_never_leads_out(name: str, relative: str) -> None:
    assert relative_name(name) == relative


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain name.png", "plain name.png"),
        ("猫 é.png", "猫 é.png"),
        ("\x1b[31mred\n\x07", r"\x1b[31mred\n\x07"),
        ("gnp.\u202etac", r"gnp.\u202etac"),
        ("\udcff.png", r"\udcff.png"),
    ],
)
def test_printable_escapes_what_a_terminal_would_obey(text: str, shown: str) -> None:
    assert printable(text) == shown
