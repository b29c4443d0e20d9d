"""Files are read whole, or not at all."""

import os
import threading
from pathlib import Path

import pytest

from unprompt.errors import PictureError
from unprompt.images import files
from unprompt.images.files import FILE_LIMIT_MB, Bytes, LocalFile, Unavailable, opened, picture_bytes

PNG = b"\x89PNG\r\n\x1a\n"
AS_ROOT = not hasattr(os, "geteuid") or os.geteuid() == 0


def failure(path: object) -> PictureError:
    with pytest.raises(PictureError) as caught:
        LocalFile(str(path)).read()
    return caught.value


def test_read_gives_every_byte(tmp_path: Path) -> None:
    data = PNG + bytes(range(256)) * 100
    (tmp_path / "a").write_bytes(data)
    assert LocalFile(str(tmp_path / "a")).read() == data


@pytest.mark.parametrize("name", ["gone.png", "file/below.png", "nul\0.png"])
def test_missing_file_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert failure(tmp_path / name).kind == "not-found"


def test_folder_in_place_of_a_file_is_unreadable(tmp_path: Path) -> None:
    error = failure(tmp_path)
    assert error.kind == "unreadable"
    assert "a folder" in str(error)


def test_name_past_the_limit_is_unreadable(tmp_path: Path) -> None:
    assert failure(tmp_path / ("n" * 256)).kind == "unreadable"


@pytest.mark.parametrize("name", [b"\xff\xfe.png", b"line\nbreak.png", b"n" * 251 + b".png"])
def test_odd_names_are_read(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(PNG)
    assert LocalFile(os.fsdecode(path)).read() == PNG


def test_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    error = failure(tmp_path / "pipe.png")
    assert error.kind == "unreadable"
    assert "a pipe" in str(error)


def test_file_that_keeps_turning_into_a_pipe_does_not_hang(tmp_path: Path) -> None:
    path, file, pipe = tmp_path / "it.png", tmp_path / "file", tmp_path / "pipe"
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            for made in (file, pipe):
                made.write_bytes(PNG) if made is file else os.mkfifo(made)
                made.replace(path)

    path.write_bytes(PNG)
    swapper = threading.Thread(target=swap)
    swapper.start()
    kinds = set()
    try:
        for _ in range(500):
            try:
                assert LocalFile(str(path)).read() == PNG
            except PictureError as error:
                kinds.add(error.kind)
    finally:
        done.set()
        swapper.join()
    assert kinds <= {"unreadable"}


def test_device_is_unreadable() -> None:
    assert failure("/dev/zero").kind == "unreadable"


def test_link_loop_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    assert failure(tmp_path / "loop.png").kind == "unreadable"


@pytest.mark.skipif(AS_ROOT, reason="root may read every file")
def test_file_without_permission_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch(mode=0)
    assert failure(tmp_path / "a.png").kind == "unreadable"


def test_huge_file_is_refused_unread(tmp_path: Path) -> None:
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(FILE_LIMIT_MB * 1_000_000 + 1)  # a hole: it takes no room on the disk
    error = failure(tmp_path / "huge.png")
    assert error.kind == "too-large"
    assert "at most 256 MB" in str(error)


def test_what_is_no_picture_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "zip.png"
    path.write_bytes(b"PK\x03\x04" + bytes(100_000))
    with opened(str(path)) as file, pytest.raises(PictureError, match="unpack the archive"):
        picture_bytes(file, 100_004)
    assert failure(path).kind == "not-a-picture"


def test_empty_file_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert failure(tmp_path / "a.png").kind == "not-a-picture"


def test_file_that_is_written_to_meanwhile_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "growing.png"
    path.write_bytes(PNG + bytes(1_000_000))
    done = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not done.is_set():
                file.write(bytes(100))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        kinds = set()
        for _ in range(500):
            try:
                LocalFile(str(path)).read()
            except PictureError as error:
                kinds.add(error.kind)
                break
    finally:
        done.set()
        writer.join()
    assert kinds == {"changed"}


def test_bytes_are_given_as_they_are() -> None:
    assert Bytes(b"anything").read() == b"anything"


def test_huge_bytes_are_refused() -> None:
    with pytest.raises(PictureError, match="at most 256 MB"):
        Bytes(bytes(FILE_LIMIT_MB * 1_000_000 + 1)).read()


def test_what_cannot_be_had_fails_each_time_it_is_read() -> None:
    missing = Unavailable("no-pictures", "expected some")
    for _ in range(2):
        with pytest.raises(PictureError, match="expected some") as caught:
            missing.read()
        assert caught.value.kind == "no-pictures"


def test_a_view_is_the_bytes_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_SEARCHED_BYTES", 7)
    data = b"\xff\xd8\xff" + bytes(range(200)) + b"the end, the end"
    path = tmp_path / "a.jpg"
    path.write_bytes(data)
    with LocalFile(str(path)).view() as view:
        assert len(view) == len(data)
        assert [view[0], view[-1], view[50]] == [data[0], data[-1], data[50]]
        for start in (None, 0, 3, 100, -5, 500):
            for end in (None, 0, 3, 150, -1, 500):
                assert view[start:end] == data[start:end]
                for wanted in (b"the", b"end", b"\x05\x06\x07\x08\x09\x0a\x0b\x0c", b"none", b"\xff\xd8"):
                    assert view.find(wanted, start or 0, end) == data.find(wanted, start, end)
                    assert view.rfind(wanted, start or 0, end) == data.rfind(wanted, start, end)


def test_a_view_of_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture at all")
    for name, kind in (("text.png", "not-a-picture"), ("none.png", "not-found"), (".", "unreadable")):
        with pytest.raises(PictureError) as caught, LocalFile(str(tmp_path / name)).view():
            pass
        assert caught.value.kind == kind


def test_a_file_that_is_written_to_while_it_is_viewed_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff" + bytes(100))
    with pytest.raises(PictureError) as caught, LocalFile(str(path)).view():
        path.write_bytes(b"\xff\xd8\xff" + bytes(200))
    assert caught.value.kind == "changed"
