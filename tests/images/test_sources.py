"""What a person points at becomes what to read."""

import io
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unprompt.errors import EXIT_USAGE, DataError, PictureError
from unprompt.images.sources import FILE_LIMIT_MB, ImageRef, Input, image_refs, printable


def names(inputs: Input | Iterable[Input]) -> list[str]:
    return [ref.source for ref in image_refs(inputs)]


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"")


def failure(content: str | bytes) -> PictureError:
    with pytest.raises(PictureError) as caught:
        ImageRef("it", content).read()
    return caught.value


def test_a_path_stands_for_itself_even_where_nothing_is() -> None:
    [ref] = image_refs(["nowhere/cat.xyz"])
    assert (ref.source, ref.content) == ("nowhere/cat.xyz", "nowhere/cat.xyz")


def test_inputs_of_every_kind_keep_their_order(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "b.png")
    with Image.open(tmp_path / "b.png") as opened:
        inputs = [tmp_path / "a.png", b"data", Image.new("L", (1, 1)), np.zeros((1, 1, 3), np.uint8), opened]
        refs = list(image_refs(inputs))
    assert [ref.source for ref in refs] == [
        str(tmp_path / "a.png"), "<bytes 1>", "<picture 2>", "<array 3>", str(tmp_path / "b.png"),
    ]  # fmt: skip
    assert all(ref.content is item for ref, item in zip(refs[1:], inputs[1:], strict=True))


@pytest.mark.parametrize(
    ("single", "name"),
    [
        ("cat.png", "cat.png"),
        (Path("cat.png"), "cat.png"),
        (b"cat", "<bytes 0>"),
        (Image.new("1", (1, 1)), "<picture 0>"),
        (np.zeros((2, 1, 3), np.uint8), "<array 0>"),
    ],
)
def test_one_input_needs_no_list(single: Input, name: str) -> None:
    assert names(single) == [name]


def test_an_input_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match="found int"):
        names([3])  # type: ignore[list-item]


def test_folder_gives_its_pictures_below_in_natural_order(tmp_path: Path) -> None:
    files(tmp_path, "10.png", "9.JPG", "a/2.webp", "a/b/1.tiff", "B.gif", "é.AVIF", "notes.txt", "png", "b.gif")
    files(tmp_path, ".hidden.png", "._9.jpg", ".cache/1.png")
    found = [os.path.relpath(name, tmp_path) for name in names(tmp_path)]
    assert found == ["9.JPG", "10.png", "a/2.webp", "a/b/1.tiff", "B.gif", "b.gif", "é.AVIF"]


def test_a_folder_named_like_a_picture_is_still_a_folder(tmp_path: Path) -> None:
    files(tmp_path, "set.png/1.png")
    assert names(tmp_path) == [str(tmp_path / "set.png" / "1.png")]


def test_folder_behind_a_link_is_left_out_and_a_linked_file_is_not(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "out/2.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "other").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "out" / "2.png")
    (tmp_path / "in" / "4.png").symlink_to(tmp_path / "in" / "4.png")  # a loop: it fails later, by its name
    assert [Path(name).name for name in names(tmp_path / "in")] == ["1.png", "3.png", "4.png"]


def test_a_linked_folder_that_is_named_outright_is_followed(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    assert names(tmp_path / "link") == [str(tmp_path / "link" / "1.png")]


def test_empty_folder_says_so(tmp_path: Path) -> None:
    files(tmp_path, "no\npictures/notes.txt")
    with pytest.raises(DataError, match=r"no pictures in the folder .*no\\npictures; expected files.*\.png") as caught:
        names(tmp_path / "no\npictures")
    assert caught.value.exit_code == EXIT_USAGE


def test_only_what_is_asked_for_is_looked_at(tmp_path: Path) -> None:
    refs = image_refs(["first.png", tmp_path])
    assert next(refs).source == "first.png"
    with pytest.raises(DataError):
        next(refs)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_closed_folder_fails_by_its_own_name(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a").chmod(0)
    try:
        found = names(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o700)
    assert found == [str(tmp_path / "a"), str(tmp_path / "b" / "2.png")]


def test_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x89PNG and so on")))
    [ref] = image_refs("-")
    assert (ref.source, ref.read()) == ("-", b"\x89PNG and so on")


def test_read_gives_every_byte(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(range(256)))
    assert ImageRef("a", str(tmp_path / "a")).read() == bytes(range(256))


@pytest.mark.parametrize("name", ["gone.png", "file/below.png", "nul\0.png"])
def test_missing_file_is_not_found(tmp_path: Path, name: str) -> None:
    files(tmp_path, "file")
    assert failure(str(tmp_path / name)).kind == "not-found"


def test_folder_in_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    error = failure(str(tmp_path))
    assert error.kind == "unreadable"
    assert "a folder" in str(error)


def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    error = failure(str(tmp_path / "pipe.png"))
    assert error.kind == "unreadable"
    assert "a pipe" in str(error)


def test_device_is_unreadable() -> None:
    assert failure("/dev/zero").kind == "unreadable"


def test_link_loop_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert failure(str(tmp_path / "loop.png")).kind == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    files(tmp_path, "a.png")
    (tmp_path / "a.png").chmod(0)
    assert failure(str(tmp_path / "a.png")).kind == "unreadable"


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(FILE_LIMIT_MB * 1_000_000 + 1)  # a hole: it takes no room on the disk
    error = failure(str(tmp_path / "huge.png"))
    assert error.kind == "too-large"
    assert "at most 512 MB" in str(error)


def test_huge_bytes_are_refused() -> None:
    assert failure(bytes(FILE_LIMIT_MB * 1_000_000 + 1)).kind == "too-large"


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
