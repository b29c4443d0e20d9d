"""Lists in files, pipes and on standard input."""

import contextlib
import io
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from unprompt.errors import PictureError
from unprompt.images.lists import LINE_LIMIT, Entry, listed, may_be_read_twice, standard_input
from unprompt.images.ref import ImageRef

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def entries(path: Path, content: bytes | str) -> list[Entry]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(listed(str(path)))


def failure(entry: Entry) -> PictureError:
    assert isinstance(entry, ImageRef)
    with pytest.raises(PictureError) as caught:
        entry.read()
    return caught.value


def piped(content: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Entry]:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return list(standard_input())


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):  # a test may have closed it
            os.close(end)


def test_one_name_a_line(tmp_path: Path) -> None:
    text = "a.png\r\n\r\n\nsub/b c.png \n-\n@more.txt\nhttp://host/x.png\n*.jpg\n\x1b[31m.png\nlast.png"
    assert entries(tmp_path / "list.txt", text) == [
        "a.png", "sub/b c.png ", "-", "@more.txt", "http://host/x.png", "*.jpg", "\x1b[31m.png", "last.png",
    ]  # fmt: skip


def test_byte_order_mark_and_names_that_are_no_utf8(tmp_path: Path) -> None:
    found = entries(tmp_path / "list.txt", b"\xef\xbb\xbfa.png\n\xff.png\n")
    assert found == ["a.png", os.fsdecode(b"\xff.png")]


def test_names_between_nuls_may_hold_line_ends(tmp_path: Path) -> None:
    assert entries(tmp_path / "list", b"a\nb.png\0{c}.png\0\0d.png\0") == ["a\nb.png", "{c}.png", "d.png"]


def test_a_line_past_the_limit_fails_in_its_place(tmp_path: Path) -> None:
    text = b"a.png\n" + b"x" * (3 * LINE_LIMIT) + b"\nb.png\n" + b"y" * LINE_LIMIT + b"\n" + b"z" * (LINE_LIMIT + 1)
    first, long, second, full, last = entries(tmp_path / "list.txt", text)
    assert (first, second, full) == ("a.png", "b.png", "y" * LINE_LIMIT)
    for entry, line in ((long, 2), (last, 5)):
        assert isinstance(entry, ImageRef)
        assert entry.source == f"{tmp_path}/list.txt:{line}"
        assert failure(entry).kind == "unreadable"
        assert "found a longer one" in str(failure(entry))


def test_long_line_at_the_very_end_of_what_was_read(tmp_path: Path) -> None:
    assert len(entries(tmp_path / "list.txt", b"x" * (LINE_LIMIT + (1 << 16)))) == 1


def test_json_lines_name_files_beside_the_list(tmp_path: Path) -> None:
    lines = [
        {"file_name": "train/1.png", "text": "a cat", "source": "ignored.png"},
        {"source": "pics/2.png", "error": {"kind": "truncated", "message": "it ended"}},
        {"source": "caf\udce9.png"},
    ]
    one, two, three = entries(tmp_path / "metadata.jsonl", "\n".join(map(json.dumps, lines)))
    assert isinstance(one, ImageRef)
    assert (one.source, one.file, one.below) == (f"{tmp_path}/train/1.png", f"{tmp_path}/train/1.png", "train/1.png")
    assert (two, three) == ("pics/2.png", "caf\udce9.png")


@pytest.mark.parametrize(
    "line",
    ["{", '{"file_name": 3}', '{"text": "a cat"}', '{"source": ""}', '{"a":' * 100_000, "{x}.png", '{"\xff": 1}'],
)
def test_broken_json_fails_by_file_and_line(tmp_path: Path, line: str) -> None:
    one, broken, three = entries(tmp_path / "list.jsonl", f"a.png\n{line}\nc.png\n")
    assert (one, three) == ("a.png", "c.png")
    assert isinstance(broken, ImageRef)
    assert broken.source == f"{tmp_path}/list.jsonl:2"
    assert failure(broken).kind == "unreadable"


def test_file_name_never_leads_an_output_astray(tmp_path: Path) -> None:
    (entry,) = entries(tmp_path / "m.jsonl", '{"file_name": "/../../etc//./x.png"}')
    assert isinstance(entry, ImageRef)
    assert entry.below == "etc/x.png"


def test_csv_with_file_names(tmp_path: Path) -> None:
    text = '\ufefftext,file_name\r\n"a ""cat"",\r\nasleep",1.png\r\n\r\nx,"2,3.png"\r\nonly one\r\n'
    one, two, broken = entries(tmp_path / "metadata.csv", text)
    assert isinstance(one, ImageRef)
    assert isinstance(two, ImageRef)
    assert isinstance(broken, ImageRef)
    assert (one.source, one.below) == (f"{tmp_path}/1.png", "1.png")
    assert two.source == f"{tmp_path}/2,3.png"
    assert broken.source == f"{tmp_path}/metadata.csv:6"
    assert failure(broken).kind == "unreadable"


def test_csv_of_answers_names_sources(tmp_path: Path) -> None:
    assert entries(tmp_path / "answers.CSV", "source,prompt\npics/1.png,a cat\n") == ["pics/1.png"]


def test_csv_without_such_a_column_says_so(tmp_path: Path) -> None:
    (entry,) = entries(tmp_path / "x.csv", "a,b\n1,2\n")
    assert "expected a column file_name or source" in str(failure(entry))


@pytest.mark.parametrize("text", ["x" * 100, f'"{"x" * 100}"'])
def test_csv_with_a_stray_quote_goes_on_after_it(tmp_path: Path, text: str) -> None:
    rows = [f"{n}.png,{text}" for n in range(3000)]
    rows[10] = '10.png,"stray'
    found = entries(tmp_path / "m.csv", "\n".join(["file_name,text", *rows]))
    failures = [entry for entry in found if isinstance(entry, ImageRef) and entry.file is None]
    assert len(failures) == 1
    assert failure(failures[0]).kind == "unreadable"
    assert len(found) > 1500


def test_csv_that_ends_within_quotes_says_so(tmp_path: Path) -> None:
    one, broken = entries(tmp_path / "m.csv", 'file_name,text\n1.png,a\n2.png,"b')
    assert isinstance(one, ImageRef)
    assert "unexpected end of data" in str(failure(broken))


def test_csv_with_a_line_past_the_limit(tmp_path: Path) -> None:
    found = entries(tmp_path / "m.csv", b"file_name\n1.png\n" + b"x" * (LINE_LIMIT + 1) + b"\n2.png\n")
    assert [entry.source.rpartition("/")[2] for entry in found if isinstance(entry, ImageRef)] == [
        "1.png", "m.csv:3", "2.png",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["list.txt", "list.csv"])
@pytest.mark.parametrize("content", [b"", b"\n\r\n\n", b"\xef\xbb\xbf", b"\xef\xbb\xbffile_name\n", b"\0\0"])
def test_empty_lists_say_so(tmp_path: Path, name: str, content: bytes) -> None:
    found = entries(tmp_path / name, content)
    if b"file_name" in content and name == "list.txt":
        assert found == ["file_name"]
        return
    (entry,) = found
    assert isinstance(entry, ImageRef)
    assert failure(entry).kind in ("no-pictures", "unreadable")


@pytest.mark.parametrize("content", [PNG, "a.png\n".encode("utf-16")])
def test_a_picture_and_utf16_are_no_lists(tmp_path: Path, content: bytes) -> None:
    (entry,) = entries(tmp_path / "list.txt", content)
    assert "expected a list" in str(failure(entry))


@pytest.mark.parametrize(
    ("path", "kind"),
    [("gone.txt", "not-found"), ("", "unreadable"), ("a\0b", "not-found"), ("/dev/zero", "unreadable")],
)
def test_list_that_cannot_be_read_fails_by_its_name(tmp_path: Path, path: str, kind: str) -> None:
    path = str(tmp_path / path)
    (entry,) = listed(path)
    assert isinstance(entry, ImageRef)
    assert (entry.source, failure(entry).kind) == (path, kind)


def test_a_pipe_is_read_as_it_fills(tmp_path: Path) -> None:
    path, asked = tmp_path / "pipe", threading.Event()
    os.mkfifo(path)

    def write() -> None:
        with path.open("w") as file:
            file.write("first name.png\nsecond.png\n")
            file.flush()
            assert asked.wait(30)
            file.write("third.png\n")

    writer = threading.Thread(target=write)
    writer.start()
    found = listed(str(path))
    assert list(itertools.islice(found, 2)) == ["first name.png", "second.png"]
    asked.set()
    assert list(found) == ["third.png"]
    writer.join()
    assert not may_be_read_twice(str(path))


def test_only_plain_files_may_be_read_twice(tmp_path: Path) -> None:
    (tmp_path / "list").touch()
    assert may_be_read_twice(str(tmp_path / "list"))
    assert not may_be_read_twice("/dev/stdin")


def test_standard_input_may_be_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    for data in (PNG, b"BM\x36\x00\x00\x00" + bytes(40), b"II*\0" + bytes(40), PNG + bytes(200_000)):
        (entry,) = piped(data, monkeypatch)
        assert isinstance(entry, ImageRef)
        assert (entry.source, entry.read()) == ("-", data)


@pytest.mark.parametrize("content", [b"BMW.png\nb.png", b"BMW.png\r\nb.png\r\n", b"BMW.png\0b.png\0"])
def test_standard_input_may_be_a_list(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    assert piped(content, monkeypatch) == ["BMW.png", "b.png"]


def test_standard_input_may_be_answers_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert piped(b'{"source": "a.png"}\n{"source": "b.png"}\n', monkeypatch) == ["a.png", "b.png"]


def test_standard_input_that_is_neither_is_a_picture_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = piped(b"\x7fELF\x02\x01\x01" + bytes(100), monkeypatch)
    assert isinstance(entry, ImageRef)
    assert entry.read().startswith(b"\x7fELF")


def test_empty_standard_input_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    (entry,) = piped(b"", monkeypatch)
    assert failure(entry).kind == "no-pictures"
    monkeypatch.setattr(sys, "stdin", None)
    (entry,) = standard_input()
    assert failure(entry).kind == "no-pictures"


def test_names_on_standard_input_are_given_as_they_come(monkeypatch: pytest.MonkeyPatch, pipe: tuple[int, int]) -> None:
    read, write = pipe
    with os.fdopen(read, "r", closefd=False) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        found = standard_input()
        os.write(write, b"first picture.png\n")
        assert next(found) == "first picture.png"
        os.write(write, b"second.png\nthi")
        assert next(found) == "second.png"
        os.write(write, b"rd.png")
        os.close(write)
        assert list(found) == ["third.png"]
