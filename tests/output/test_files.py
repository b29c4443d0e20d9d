"""Files that are locked and continued."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import hypothesis.strategies as st
import pytest
from full_disks import largest_file

from unprompt.errors import DataError, OutputBusyError, OutputFullError
from unprompt.output.files import completed_file, open_continued

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX has these")


def holding(path: Path) -> "subprocess.Popen[str]":
    """Another process that writes the file, and has begun."""
    code = (
        "import sys; from unprompt.output.files import open_continued\n"
        "file = open_continued(sys.argv[1]); file.write('theirs\\n'); file.flush()\n"
        "print('ready', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_no_picture_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="overwrite a picture"):
        open_continued(str(tmp_path / "a.PNG"))
    assert not list(tmp_path.iterdir())


def continued(path: Path, *texts: str, fresh: bool = False) -> None:
    with open_continued(str(path), fresh=fresh) as file:
        for text in texts:
            file.write(text)
            file.flush()


def test_each_flush_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with open_continued(str(path)) as file:
        assert file.write("猫\n") == 2
        assert path.read_bytes() == b""
        file.flush()
        assert path.read_bytes() == "猫\n".encode()
        file.write("\ud800")
    assert path.read_bytes() == "猫\n\\ud800".encode()


@hypothesis.given(old=st.text("ab\n", max_size=12), new=st.lists(st.text("ab\n", max_size=4), max_size=5))
def test_whatever_lay_there_what_is_written_is_there_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "continued.txt"
    path.write_bytes(old.encode())
    written = ""
    with open_continued(str(path)) as file:
        for text in new:
            file.write(text)
            file.flush()
            written += text
            there = path.read_bytes().decode()
            assert there == (old if old.startswith(written) and old != written else written)
            assert file.replaying == (old.startswith(written) and old != written)
    assert path.read_bytes().decode() == written


def test_a_torn_line_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntw" + "猫".encode()[:1])
    continued(path, "one\n", "tw猫\n", "three\n")
    assert path.read_text(encoding="utf-8") == "one\ntw猫\nthree\n"


def test_a_replay_that_breaks_off_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\nthree\n")
    file = open_continued(str(path))
    file.write("one\n")
    file.flush()
    assert file.replaying
    with pytest.raises(KeyboardInterrupt), file:
        raise KeyboardInterrupt
    assert path.read_text() == "one\ntwo\nthree\n"
    continued(path, "one\n")
    assert path.read_text() == "one\n"


def test_what_comes_next_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n")
    with open_continued(str(path)) as file:
        assert file.holds("one\n")
        assert not file.holds("two\n")
        file.write("one\n")
        file.flush()
        assert file.holds("two\n")
        assert not file.holds("two\nthree\n")
        file.write("two\n")
        file.flush()
        assert not file.holds("")
    assert path.read_text() == "one\ntwo\n"


def test_a_fresh_run_forgets_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with open_continued(str(path), fresh=True) as file:
        assert path.read_text() == ""
        assert not file.replaying


def test_a_full_disk_ends_the_file_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    file = open_continued(str(path))
    file.write("x" * 2000)
    with largest_file(1000), pytest.raises(OutputFullError, match="free some space"):
        file.flush()
    file.write("end")
    file.close()
    assert path.read_text() == "x" * 1000
    continued(path, "x" * 2000, "end")
    assert path.read_text() == "x" * 2000 + "end"


def test_two_writers_notice_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with holding(path) as other:
        with pytest.raises(OutputBusyError, match=r"another unprompt is writing .*a\.txt; wait for it or choose"):
            open_continued(str(path), fresh=True)
        assert path.read_text() == "theirs\n"
        other.send_signal(signal.SIGKILL if os.name == "posix" else signal.SIGTERM)
        other.wait()
    continued(path, "theirs\n", "ours\n")
    assert path.read_text() == "theirs\nours\n"


def test_two_outputs_of_one_run_notice_each_other(tmp_path: Path) -> None:
    with open_continued(str(tmp_path / "a.txt")), pytest.raises(OutputBusyError):
        open_continued(str(tmp_path / "." / "a.txt"))


@posix
def test_devices_and_pipes_are_written_plainly(tmp_path: Path) -> None:
    continued(Path("/dev/null"), "one\n")
    with open_continued("/dev/null"), open_continued("/dev/null", fresh=True) as second:
        second.write("no lock\n")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as cat:
        continued(pipe, "one\n", "two\n", fresh=True)
        assert cat.communicate(timeout=10)[0] == "one\ntwo\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
def test_a_full_device_is_an_error_and_a_broken_pipe_stays_one(tmp_path: Path) -> None:
    with pytest.raises(OutputFullError, match="/dev/full: No space left on device"):
        continued(Path("/dev/full"), "one\n")
    read, write = os.pipe()
    file = open_continued(f"/dev/fd/{write}")
    os.close(write)
    os.close(read)
    file.write("one\n")
    with pytest.raises(BrokenPipeError):
        file.flush()
    file.close()


# Files that are complete or not there


def write_completed(path: Path, *lines: str, resume: bool = False, then: BaseException | None = None) -> None:
    with completed_file(str(path), resume=resume) as file:
        for line in lines:
            file.write_bytes(f"{line}\n".encode())
        if then is not None:
            raise then


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OutputFullError("full")], ids=repr)
def test_what_an_interruption_leaves_is_continued(tmp_path: Path, end: BaseException) -> None:
    path, part = tmp_path / "a.txt", tmp_path / ".a.txt.part"
    path.write_text("old")
    path.chmod(0o640)
    with pytest.raises(type(end)):
        write_completed(path, "one", "two", then=end)
    assert (path.read_text(), part.read_text()) == ("old", "one\ntwo\n")
    begun = part.stat().st_ino
    write_completed(path, "one", "two", "three", resume=True)
    assert path.read_text() == "one\ntwo\nthree\n"
    assert (path.stat().st_ino, path.stat().st_mode & 0o777) == (begun, 0o640)
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("lines", [("one",), ("one", "other", "three"), ()], ids=len)
def test_what_does_not_fit_is_cut_off(tmp_path: Path, lines: tuple[str, ...], resume: bool) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_completed(tmp_path / "a.txt", "one", "two", then=KeyboardInterrupt())
    write_completed(tmp_path / "a.txt", *lines, resume=resume)
    assert (tmp_path / "a.txt").read_text().splitlines() == list(lines)


def test_another_error_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        write_completed(tmp_path / "a.txt", "one", then=ZeroDivisionError())
    assert os.listdir(tmp_path) == []


def test_two_cannot_complete_one_file(tmp_path: Path) -> None:
    with completed_file(str(tmp_path / "a.txt"), resume=False) as file:
        file.write_bytes(b"first")
        with pytest.raises(OutputBusyError, match=r"another unprompt is writing .*/a\.txt"):
            write_completed(tmp_path / "a.txt", "second", resume=True)
    assert (tmp_path / "a.txt").read_text() == "first"
