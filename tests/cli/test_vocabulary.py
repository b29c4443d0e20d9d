"""unprompt vocabulary: lists shown, checked, and their vectors made ahead."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from full_disks import largest_file

from unprompt.text.sentence import SentenceEncoder
from unprompt.towers.embedded import EmbeddedPair
from unprompt.vocabulary.tables import TermTables
from unprompt.vocabulary.vocabulary import load_vocabulary

Unprompt = Callable[..., Any]


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with two small lists."""
    folder = tmp_path / "my lists"
    folder.mkdir()
    (folder / "light.top2.txt").write_text("(golden hour:1.3)\nneon [bold]\ngolden hour\n")
    (folder / "zoo.txt").write_text("# animals\nlion\ntiger\na black cat\n")
    return folder


def test_list_shows_the_lists_of_the_package(unprompt: Unprompt) -> None:
    run = unprompt("vocabulary", "list")
    assert (run.code, run.err) == (0, "")
    for category in load_vocabulary().categories:
        assert f" {category.name} " in run.out
        assert category.terms[0] in run.out


def test_list_shows_numbers_and_first_terms(unprompt: Unprompt, lists: Path) -> None:
    run = unprompt("vocabulary", "list", "--vocabulary", lists)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in run.out.splitlines() if "│" in line]
    assert rows == [
        ["light", "2", "2", "2", "1", "golden hour, neon [bold]"],
        ["zoo", "3", "1", "-", "-", "lion, tiger, a black cat"],
    ]


def test_list_prints_the_terms_of_one(unprompt: Unprompt, lists: Path, tmp_path: Path) -> None:
    run = unprompt("vocabulary", "list", "light", "--vocabulary", lists)
    assert (run.code, run.out, run.err) == (0, "(golden hour:1.3)\nneon [bold]\n", "")
    copy = tmp_path / "light.top2.txt"
    copy.write_text(run.out)
    assert load_vocabulary([str(copy)]).categories == load_vocabulary([str(lists)], without=["zoo"]).categories
    run = unprompt("vocabulary", "list", "lihgt", "--vocabulary", lists)
    assert (run.code, run.out) == (2, "")
    assert "unknown list 'lihgt'; did you mean 'light'?" in run.err


def test_sources_join_and_lists_and_words_stay_out(unprompt: Unprompt, lists: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("cat\n")
    more = tmp_path / "zoo.txt"
    more.write_text("zebra\n")
    options = ("--vocabulary", lists, "--vocabulary", more, "--exclude", words)
    assert unprompt("vocabulary", "list", "zoo", *options).out == "lion\ntiger\nzebra\n"
    run = unprompt("vocabulary", "list", "--vocabulary", lists, "--without", "light, zoo")
    assert (run.code, run.out) == (2, "")
    assert "no term is left of the vocabulary" in run.err
    run = unprompt("vocabulary", "list", *options, "--without", "light")
    assert " zoo " in run.out
    assert " light " not in run.out


def test_check_tells_what_is_dropped(unprompt: Unprompt, lists: Path) -> None:
    (lists / "zoo.txt").write_text("lion\nLION\n" + 30 * "lion\n" + f"{'x' * 300}\n")
    run = unprompt("vocabulary", "check", lists)
    assert (run.code, run.err) == (0, "")
    lines = run.out.splitlines()
    assert lines[:3] == [
        f"{lists}/light.top2.txt: 2 kept, 1 dropped",
        "  line 3: repeats an earlier term: golden hour",
        f"{lists}/zoo.txt: 1 kept, 32 dropped",
    ]
    assert lines[3] == "  line 2: repeats an earlier term: LION"
    assert (len(lines), lines[-1]) == (3 + 20 + 1, "  and 12 more")


def test_check_ends_with_2_where_a_list_cannot_be_used_and_reads_the_others(unprompt: Unprompt, lists: Path) -> None:
    (lists / "latin.txt").write_bytes(b"caf\xe9\n")
    (lists / "empty.txt").write_text("# later\n")
    run = unprompt("vocabulary", "check", lists / "missing", lists)
    assert run.code == 2
    assert len(run.out.splitlines()) == 3
    messages = run.err.splitlines()
    assert len(messages) == 3
    assert "missing: cannot be read: No such file" in messages[0]
    assert "empty.txt: expected one term a line, found none" in messages[1]
    assert "latin.txt: line 1 is not UTF-8 text" in messages[2]


def test_build_keeps_the_vectors_of_all_lists(
    unprompt: Unprompt, lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    run = unprompt("vocabulary", "build", "--vocabulary", lists, "--without", "light")
    folder = tmp_path / "cache" / "unprompt" / "terms"
    assert (run.code, run.out) == (0, "")
    assert run.err == f"unprompt: the vectors of 3 terms are kept in {folder}\n"
    (file,) = folder.rglob("*.safetensors")
    before = file.stat()

    (category,) = load_vocabulary([str(lists)], without=["light"]).categories
    table = TermTables(EmbeddedPair(), folder).table(category)
    np.testing.assert_array_equal(table.vectors, SentenceEncoder.embedded().encode(category.terms).astype(np.float16))

    run = unprompt("vocabulary", "build", "--vocabulary", lists, "--quiet")
    assert (run.code, run.out, run.err) == (0, "", "")
    assert (file.stat().st_mtime_ns, file.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert len(list(folder.rglob("*.safetensors"))) == 2


def test_build_needs_a_place_to_keep_vectors_in(unprompt: Unprompt, lists: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = unprompt("vocabulary", "build", "--vocabulary", lists, "--cache", tmp_path / "file")
    assert (run.code, run.out) == (2, "")
    assert str(tmp_path / "file") in run.err


def test_build_does_not_say_that_it_keeps_what_a_full_disk_refuses(
    unprompt: Unprompt, lists: Path, tmp_path: Path
) -> None:
    with largest_file(1000):
        run = unprompt("vocabulary", "build", "--vocabulary", lists, "--cache", tmp_path / "kept")
    assert (run.code, run.out) == (2, "")
    line = run.err.splitlines()[-1]
    assert re.search(r"cannot write .*/kept/.*: File too large; free some space and run it again$", line)
    assert unprompt("vocabulary", "build", "--vocabulary", lists, "--cache", tmp_path / "kept").code == 0


def test_build_knows_its_models(unprompt: Unprompt, lists: Path, tmp_path: Path) -> None:
    run = unprompt("vocabulary", "build", "--vocabulary", lists, "--cache", tmp_path, "--clip", "embeded")
    assert (run.code, run.out) == (2, "")
    assert "embeded" in run.err
