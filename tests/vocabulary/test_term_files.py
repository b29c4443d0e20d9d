"""Lists come from strangers: what is in them is used, dropped with a reason, or refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unprompt.errors import DataError
from unprompt.vocabulary.term_files import TOLD, read_terms, term_files
from unprompt.vocabulary.terms import LONGEST_TERM

Write = Callable[[str, "str | bytes"], Path]


def test_a_file_is_a_category_of_its_lines(write: Write) -> None:
    file = read_terms(write("lighting.txt", "# light\n\ngolden hour\n  \nneon lights,\n#\nblue hour"))
    category = file.category
    assert (category.name, category.count, category.limit, category.weights) == ("lighting", 1, None, {})
    assert category.terms == ("golden hour", "neon lights", "blue hour")
    assert (file.dropped, file.dropped_count) == ((), 0)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("styles.top3.txt", ("styles", 3, 3)),
        ("my.styles.top12.TXT", ("my.styles", 12, 12)),
        ("flavors.txt", ("flavors", 3, None)),
        ("flavors.top2.txt", ("flavors", 2, 2)),
        ("styles.topmost.txt", ("styles.topmost", 1, None)),
        ("styles.top3.old.txt", ("styles.top3.old", 1, None)),
        (".top3.txt", (".top3", 1, None)),
        ("styles", ("styles", 1, None)),
    ],
)
def test_the_name_says_the_category_and_the_limit(
    write: Write, name: str, expected: tuple[str, int, int | None]
) -> None:
    category = read_terms(write(name, "neon\n")).category
    assert (category.name, category.count, category.limit) == expected


def test_a_limit_of_nothing_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match=r"styles\.top0\.txt: expected a number from 1 .* --without"):
        read_terms(write("styles.top0.txt", "neon\n"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_a_byte_order_mark_are_no_part_of_terms(write: Write, end: str, mark: bytes) -> None:
    text = end.join(["# café", "café", "naïve art", ""])
    file = read_terms(write("a.txt", mark + text.encode()))
    assert file.category.terms == ("café", "naïve art")


def test_weights_are_those_of_automatic1111(write: Write) -> None:
    text = "(golden hour:1.3)\n(dusk:1)\n(smile)\n(see: below)\n(dawn : 0.25),\n# (noon:99)\n"
    category = read_terms(write("a.txt", text)).category
    assert category.terms == ("golden hour", "dusk", "(smile)", "(see: below)", "dawn")
    assert category.weights == {"golden hour": 1.3, "dawn": 0.25}


@pytest.mark.parametrize("weight", ["0", "0.0", "-1", "10.1", "1" + 400 * "0"])
def test_a_weight_out_of_bounds_is_refused_with_its_line(write: Write, weight: str) -> None:
    with pytest.raises(
        DataError, match=r"a\.txt: line 3: expected a weight above 0 and up to 10, .* --exclude"
    ) as error:
        read_terms(write("a.txt", f"# a\nb\n(night:{weight})\n"))
    assert len(str(error.value)) < 400


def test_dropped_lines_are_told_with_their_numbers(write: Write) -> None:
    long = "x" * (LONGEST_TERM + 1)
    file = read_terms(write("a.txt", f"Neon\n{'y' * LONGEST_TERM}\n{long}\nneon,\n(NEON:1.2)\n(:2)\nstraße\nSTRASSE\n"))
    assert file.category.terms == ("Neon", "y" * LONGEST_TERM, "straße")
    assert file.category.weights == {}
    assert [(drop.line, drop.reason) for drop in file.dropped] == [
        (3, "longer than 200 characters"),
        (4, "repeats an earlier term"),
        (5, "repeats an earlier term"),
        (6, "a weight without a term"),
        (8, "repeats an earlier term"),
    ]
    assert [drop.text for drop in file.dropped][:2] == [long[:60], "neon"]
    assert file.dropped_count == 5


def test_a_million_repeats_are_counted_and_few_are_told(write: Write) -> None:
    file = read_terms(write("a.txt", "neon lights\n" * 1_000_000))
    assert file.category.terms == ("neon lights",)
    assert file.dropped_count == 999_999
    assert [drop.line for drop in file.dropped] == list(range(2, TOLD + 2))


@pytest.mark.parametrize(
    "line",
    [
        "x" * 10_000,
        "word " * 2_000,
        " " * 10_000 + "neon",  # short once it is clean, but nobody reads lines like that
        "(" * 5_000 + ":" * 5_000,
        "(a:" + "1" * 10_000 + ")",
        "x" * 5_000_000,
    ],
)
def test_a_line_of_any_length_is_dropped_and_the_next_one_read(write: Write, line: str) -> None:
    file = read_terms(write("a.txt", f"first\n{line}\nlast"))
    assert file.category.terms == ("first", "last")
    assert [(drop.line, drop.reason) for drop in file.dropped] == [(2, "longer than 200 characters")]
    assert read_terms(write("b.txt", f"first\n# {line}\nlast")).dropped_count == 0


def test_lines_do_not_depend_on_where_blocks_end(write: Write) -> None:
    lines = [f"{number} {'é' * (number % 90)}" for number in range(40_000)]  # several blocks
    assert len("\n".join(lines)) > 2**20
    assert read_terms(write("a.txt", "\r\n".join(lines))).category.terms == tuple(line.strip() for line in lines)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the peak of memory is told in other units, if at all")
def test_a_long_line_costs_no_more_memory_than_its_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.write(b"first\n")
        for _ in range(96):
            file.write(b"x" * 2**20)
        file.write(b"\nlast\n")
    code = f"""
import resource
from pathlib import Path
from unprompt.vocabulary.term_files import read_terms
start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert read_terms(Path({str(path)!r})).category.terms == ("first", "last")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) / 1024)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"caf\xc3\xa9\nna\xefve\n", r"line 2 is not UTF-8 text; save the file as UTF-8"),
        (b"\xff\xfen\x00e\x00o\x00n\x00\n\x00", r"line 1 is not UTF-8 text; save"),
        (b"first\n\xed\xa0\x80\n", r"line 2 is not UTF-8"),  # a lone surrogate
        (os.fsencode("first\nx\udcff\n"), r"line 2 is not UTF-8"),
        (b"a\n" * 700_000 + b"\xc3", r"line 700001 is not UTF-8"),
        (b"\n" * (2**20 - 1) + b"\xc3\x28", r"line 1048576 is not UTF-8"),  # over the border of two blocks
        (b"n\x00e\x00o\x00n\x00\n\x00", r"NUL bytes; if it is text, save it as UTF-8"),
        (b"neon\n" + b"\x00" * 100, r"NUL bytes"),
        (b"", r"expected one term a line, found none; add some, or remove the file"),
        (b"# nothing yet\n \n,\n", r"expected one term a line, found none; "),
        (b"x" * 300, r"found none \(dropped: 1\)"),
    ],
)
def test_what_is_no_list_is_refused_with_what_to_do(write: Write, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"words\.txt: .*{message}"):
        read_terms(write("words.txt", content))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as file:
        file.truncate(513 * 10**6)  # takes no room on the disk
    with pytest.raises(DataError, match=r"at most 512 MB, found a larger file; split it"):
        read_terms(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"missing\.txt: cannot be read: No such file .*check the path"):
        read_terms(tmp_path / "missing.txt")
    with pytest.raises(DataError, match=r"cannot be read: .*null"):
        read_terms(tmp_path / "nul\0.txt")
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(DataError, match=r"pipe\.txt: expected a plain file of terms"):
        read_terms(tmp_path / "pipe.txt")


def test_a_closed_file_is_refused(write: Write) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = write("a.txt", "neon\n")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_terms(path)


def test_a_message_holds_nothing_that_a_terminal_obeys(write: Write) -> None:
    with pytest.raises(DataError) as error:
        read_terms(write("a\x1b[31m\u202e.txt", "(x\x1b[2J\u202e:99)\n"))
    assert str(error.value).isprintable()


def test_the_lists_of_a_folder_are_its_text_files(write: Write, tmp_path: Path) -> None:
    for name in ("b.txt", "a.TXT", "._b.txt", "readme.md", "inner/c.txt", "d.txt/e"):
        write(name, "neon\n")
    assert term_files(tmp_path) == [tmp_path / "a.TXT", tmp_path / "b.txt"]
    assert term_files(tmp_path / "readme.md") == [tmp_path / "readme.md"]


def test_a_folder_without_lists_is_refused(write: Write, tmp_path: Path) -> None:
    write("readme.md", "neon\n")
    with pytest.raises(
        DataError, match=r"expected a folder with term lists, files that end in \.txt, found none; write"
    ):
        term_files(tmp_path)


@given(st.binary(max_size=300))
def test_any_bytes_give_clean_distinct_terms_or_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.txt"
    path.write_bytes(data)
    try:
        category = read_terms(path).category
    except DataError:
        return
    assert category.terms
    assert len({term.casefold() for term in category.terms}) == len(category.terms)
    assert all(0 < len(term) <= LONGEST_TERM and "\n" not in term for term in category.terms)
    assert category.weights.keys() <= set(category.terms)
