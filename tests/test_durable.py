"""Files and folders that are replaced whole, and what errors say where they cannot be."""

import errno
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from full_disks import largest_file

from unprompt import durable
from unprompt.durable import (
    OutputBusyError,
    OutputFullError,
    PendingFile,
    create_file,
    open_locked,
    put_in_place,
    replace_file,
    replacing_file,
    replacing_folder,
    surviving_folder,
    sync_tree,
    write_errors,
)
from unprompt.errors import DataError

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX has these")


def test_the_promise_stands_where_users_read_it(root: Path) -> None:
    assert durable.__doc__ is not None
    promise = " ".join(durable.__doc__.split("\n\n")[1].split()).split(". ")
    guide = " ".join((root / "docs" / "guides" / "folders.md").read_text(encoding="utf-8").split())
    assert len(promise) == 2
    assert all(sentence in guide for sentence in promise)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the system, as it is done: "sync NAME" and "rename OLD NEW"."""
    calls: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        path = next(path for path in Path("/proc/self/fd").iterdir() if path.name == str(descriptor))
        calls.append(f"sync {path.readlink().name}")
        fsync(descriptor)

    def replaced(old: str, new: str) -> None:
        calls.append(f"rename {Path(old).name} {Path(new).name}")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    return calls


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux says which file is synced")


@linux
def test_a_file_is_on_the_disk_before_its_name_and_the_name_after_it(tmp_path: Path, calls: list[str]) -> None:
    replace_file(tmp_path / "a.txt", b"new")
    whole = ["sync .a.txt.part", "rename .a.txt.part a.txt", f"sync {tmp_path.name}"]
    assert calls == whole
    replace_file(tmp_path / "a.txt", b"newer")
    assert calls == whole * 2


@linux
def test_what_need_not_be_synced_is_synced_where_it_replaces_something(tmp_path: Path, calls: list[str]) -> None:
    replace_file(tmp_path / "a.txt", b"new", sync=False)
    assert calls == ["rename .a.txt.part a.txt"]
    calls.clear()
    replace_file(tmp_path / "a.txt", b"newer", sync=False)
    assert calls == ["sync .a.txt.part", "rename .a.txt.part a.txt"]


@linux
def test_a_folder_is_on_the_disk_before_the_old_one_goes(tmp_path: Path, calls: list[str]) -> None:
    def write() -> None:
        with replacing_folder(tmp_path / "m") as folder:
            (folder / "a").touch()
            (folder / "deep").mkdir()
            (folder / "deep" / "b").touch()

    write()
    *content, last, name = calls
    assert content == ["sync a", "sync .m.new", "sync b", "sync deep"]
    assert (last, name) == ("rename .m.new m", f"sync {tmp_path.name}")
    calls.clear()
    write()
    assert calls == [*content, "rename m .m.old", last, name]


@linux
def test_other_ways_to_a_place_sync_too(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "came").write_bytes(b"whole")
    put_in_place(tmp_path / "came", tmp_path / "a")
    assert calls == ["sync came", "rename came a", f"sync {tmp_path.name}"]
    calls.clear()
    assert create_file(tmp_path / "b", b"whole")
    assert re.fullmatch(rf"sync \.b\.\w+\.part,sync {tmp_path.name}", ",".join(calls))
    calls.clear()
    sync_tree(tmp_path)
    assert sorted(calls) == ["sync a", "sync b", f"sync {tmp_path.name}"]


def stopped_at_random(code: str, *arguments: str, times: int = 20) -> Iterator[None]:
    """Runs code that never ends, and stops it again and again: stopped is as good as killed, and costs no start."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(times):
        time.sleep(0.005)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        yield
        process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    process.stdout.close()
    yield


@posix
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    code = (
        "import sys; from unprompt.durable import replace_file\n"
        "replace_file(sys.argv[1], b'0' * 300_000); print('ready', flush=True)\n"
        "while True:\n"
        "    for digit in b'123': replace_file(sys.argv[1], bytes([digit]) * 300_000)"
    )
    path = tmp_path / "a.bin"
    for _ in stopped_at_random(code, str(path)):
        content = path.read_bytes()
        assert content == content[:1] * 300_000
    replace_file(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_kill_leaves_the_old_folder_or_the_new_one(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from unprompt.durable import replacing_folder\n"
        "def write(text):\n"
        "    with replacing_folder(Path(sys.argv[1])) as folder:\n"
        "        for name in 'abcdef': (folder / name).write_text(text * 1000)\n"
        "write('0'); print('ready', flush=True)\n"
        "while True:\n"
        "    for digit in '123': write(digit)"
    )
    path = tmp_path / "model"
    for _ in stopped_at_random(code, str(path)):
        contents = {file.read_text() for file in surviving_folder(path).iterdir()}
        assert len(contents) == 1
        assert len(list(surviving_folder(path).iterdir())) == 6
    with replacing_folder(path) as folder:
        (folder / "ours").touch()
    assert os.listdir(tmp_path) == ["model"]
    assert os.listdir(path) == ["ours"]


def test_a_folder_that_a_kill_left_beside_its_place_is_put_back(tmp_path: Path) -> None:
    (tmp_path / ".m.old").mkdir()
    (tmp_path / ".m.old" / "a").touch()
    (tmp_path / ".m.new").mkdir()
    assert surviving_folder(tmp_path / "m") == tmp_path / ".m.old"

    def broken_off() -> None:
        with replacing_folder(tmp_path / "m") as folder:
            assert list(folder.iterdir()) == []
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert os.listdir(tmp_path) == ["m"]
    assert os.listdir(tmp_path / "m") == ["a"]
    assert surviving_folder(tmp_path / "m") == tmp_path / "m"


def test_a_folder_has_one_writer_at_a_time(tmp_path: Path) -> None:
    with replacing_folder(tmp_path / "m") as first:
        (first / "first").touch()
        with (
            pytest.raises(OutputBusyError, match=r"another unprompt is writing .*/m; wait for it"),
            replacing_folder(tmp_path / "m"),
        ):
            pass
        assert os.listdir(first) == ["first"]
    assert os.listdir(tmp_path) == ["m"]
    assert os.listdir(tmp_path / "m") == ["first"]
    with replacing_folder(tmp_path / "m") as next_one:
        (next_one / "next").touch()
    assert os.listdir(tmp_path / "m") == ["next"]


def test_a_folder_where_none_can_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"cannot write .*model: (Not a directory|File exists)"),
        replacing_folder(tmp_path / "file" / "model"),
    ):
        pass


def test_a_file_is_replaced_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_file(path, b"one")
    path.chmod(0o640)
    reader = path.open("rb")
    replace_file(path, b"two")
    with reader:
        assert reader.read() == b"one"  # whoever reads has the old one to its end
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_mode_that_the_user_gives_to_new_files(tmp_path: Path) -> None:
    replace_file(tmp_path / "ours", b"")
    (tmp_path / "theirs").touch()
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


def test_replacing_in_the_folder_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file("a.txt", b"one")
    assert Path("a.txt").read_bytes() == b"one"


@posix
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / ".link.part").symlink_to("target")
    replace_file(tmp_path / "link", b"ours")
    assert not (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["link", "target"]


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)
    replace_file(path, b"one")
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_kill_left_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / ".a.txt.part").write_bytes(bytes(1000))
    replace_file(tmp_path / "a.txt", b"one")
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_nothing_is_left_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with largest_file(1000), pytest.raises(OutputFullError, match=r"/a\.txt: File too large; free some space"):
        replace_file(path, bytes(2000))

    def broken_off() -> None:
        with replacing_file(path) as file:
            file.write(b"new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert path.read_bytes() == b"old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="write somewhere else"):
        replace_file(tmp_path / "folder", b"")
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "folder"]


def test_the_last_of_two_stays_unless_one_must_be_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with replacing_file(path, alone=True) as first:
        first.write(b"first")
        with pytest.raises(OutputBusyError, match=r"another unprompt is writing .*/a\.txt; wait for it"):
            PendingFile(path, alone=True)
        for content in (b"second", b"third"):
            replace_file(path, content)
            assert path.read_bytes() == content
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_one_of_several_creates_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_file(tmp_path / "a", b"first")
    assert not create_file(tmp_path / "a", b"second")

    def no_links(*_paths: str) -> None:
        raise OSError(errno.EPERM, "no hard links")

    monkeypatch.setattr(os, "link", no_links)
    assert not create_file(tmp_path / "a", b"third")
    assert create_file(tmp_path / "b", b"fourth")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"first", "b": b"fourth"}


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free some space and run it again$"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "check the permissions"),
        (errno.EROFS, "check the permissions"),
        (errno.EIO, "write somewhere else"),
    ],
)
def test_errors_say_what_to_do(number: int, advice: str) -> None:
    with pytest.raises(DataError, match=advice) as caught, write_errors("a\n.txt"):
        raise OSError(number, os.strerror(number))
    assert os.strerror(number) in str(caught.value)
    assert "a\\n.txt" in str(caught.value)
    with pytest.raises(DataError, match=r"; the same line goes on$"), write_errors("a.txt", "the same line goes on"):
        raise OSError(number, os.strerror(number))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "a.txt"
    for write in (open_locked, PendingFile, lambda path: create_file(path, b"")):
        with pytest.raises(DataError, match=r"cannot write .*/a\.txt: .* found no .*nowhere; make it first"):
            write(path)
