"""Folders and patterns: which files, in which order."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from unprompt.images.folders import matching, pictures_below

AS_ROOT = not hasattr(os, "geteuid") or os.geteuid() == 0


def files(folder: Path, *paths: str) -> None:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def below(folder: Path) -> list[str]:
    found = list(pictures_below(str(folder)))
    assert all(path == os.path.join(str(folder), below) for path, below in found if below)
    assert sorted(found) == sorted(pictures_below(str(folder), in_order=False))
    return [below for _path, below in found]


def matched(folder: Path, pattern: str) -> list[str]:
    found = list(matching(f"{folder}/{pattern}"))
    assert sorted(found) == sorted(matching(f"{folder}/{pattern}", in_order=False))
    return [os.path.relpath(path, folder) for path, _below in found]


def test_folder_gives_its_pictures_below_in_natural_order(tmp_path: Path) -> None:
    files(tmp_path, "10.png", "9.JPG", "a/2.webp", "a/b/1.tiff", "B.gif", "é.AVIF", "notes.txt", "png", "b.gif")
    files(tmp_path, ".hidden.png", "._9.jpg", ".cache/1.png")
    assert below(tmp_path) == ["9.JPG", "10.png", "a/2.webp", "a/b/1.tiff", "B.gif", "b.gif", "é.AVIF"]


def test_numbers_are_ordered_by_value_however_long(tmp_path: Path) -> None:
    ordered = [
        "0.png", "000.png", "1.png", "01.png", "9.png", "10.png", "99.png", "0100.png", "1000.png", f"{10**30}.png",
        "a1b2.png", "a1b10.png", "a2b1.png", "a10b1.png", "A11b.png", "a12b.png",
    ]  # fmt: skip
    files(tmp_path, *ordered)
    found = below(tmp_path)
    assert set(found) == set(ordered)
    # The same number written twice: the plain names settle it.
    assert found == ["0.png", "000.png", "01.png", "1.png", *ordered[4:]]


def test_tars_count_as_pictures(tmp_path: Path) -> None:
    files(tmp_path, "shards/1.tar", "shards/2.TAR.GZ", "3.tgz", "4.zip", "5.gz")
    assert below(tmp_path) == ["3.tgz", "shards/1.tar", "shards/2.TAR.GZ"]


def test_a_folder_named_like_a_picture_is_still_a_folder(tmp_path: Path) -> None:
    files(tmp_path, "set.png/1.png")
    assert below(tmp_path) == ["set.png/1.png"]


def test_folder_behind_a_link_is_left_out_and_a_linked_file_is_not(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png", "out/2.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    (tmp_path / "in" / "other.png").symlink_to(tmp_path / "out", target_is_directory=True)
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "out" / "2.png")
    (tmp_path / "in" / "4.png").symlink_to(tmp_path / "in" / "4.png")  # a loop: it fails later, by its name
    assert below(tmp_path / "in") == ["1.png", "3.png", "4.png"]


def test_a_linked_folder_that_is_named_outright_is_followed(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png")
    (tmp_path / "link").symlink_to(tmp_path / "in", target_is_directory=True)
    assert below(tmp_path / "link") == ["1.png"]


@pytest.mark.skipif(AS_ROOT, reason="root may list every folder")
def test_a_closed_folder_is_given_by_its_own_name(tmp_path: Path) -> None:
    files(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a").chmod(0)
    try:
        assert below(tmp_path) == ["a", "b/2.png"]
        assert matched(tmp_path, "*/*.png") == ["a", "b/2.png"]
    finally:
        (tmp_path / "a").chmod(0o700)


def test_a_folder_that_vanishes_is_given_by_its_own_name(tmp_path: Path) -> None:
    files(tmp_path, "1.png", "a/2.png", "b/3.png")
    found = pictures_below(str(tmp_path))
    assert next(found) == (str(tmp_path / "1.png"), "1.png")
    (tmp_path / "a" / "2.png").unlink()
    (tmp_path / "a").rmdir()
    assert [below for _path, below in found] == ["a", "b/3.png"]


def test_a_folder_that_was_never_there_is_given_by_its_own_name(tmp_path: Path) -> None:
    assert list(pictures_below(str(tmp_path / "gone"))) == [(str(tmp_path / "gone"), "")]


def test_names_that_are_no_utf8_or_hold_line_ends(tmp_path: Path) -> None:
    names = [b"\xff\xfe1.png", b"\xff\xfe10.png", b"a\nb.png", b"n" * 251 + b".png", b"\xff/1.png"]
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    found = [os.fsencode(name) for name in below(tmp_path)]
    assert sorted(found) == sorted(names)
    assert found.index(names[0]) < found.index(names[1])


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A folder with "d/" 1500 times and 1.png at the end."""
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1500):  # by relative steps: the whole path is near what the system takes
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("1.png", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    yield tmp_path
    while (tmp_path / "d" / "d").exists():  # from the top: what removes trees recurses, and gives up
        (tmp_path / "d" / "d").rename(tmp_path / "next")
        (tmp_path / "d").rmdir()
        (tmp_path / "next").rename(tmp_path / "d")


def test_trees_deeper_than_the_interpreter_recurses(deep: Path) -> None:
    assert below(deep) == ["d/" * 1500 + "1.png"]
    assert matched(deep, "**/1.png") == ["d/" * 1500 + "1.png"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.png", ["1.png", "2.png", "10.png"]),
        ("*", ["1.png", "2.png", "10.png", "b.jpg"]),
        ("**", ["1.png", "2.png", "10.png", "a/3.png", "a/b/4.png", "b.jpg"]),
        ("**/*", ["1.png", "2.png", "10.png", "a/3.png", "a/b/4.png", "b.jpg"]),
        ("**/*.png", ["1.png", "2.png", "10.png", "a/3.png", "a/b/4.png"]),
        ("a/**/*.png", ["a/3.png", "a/b/4.png"]),
        ("**/b/**/*.png", ["a/b/4.png"]),
        ("**/**/b/*", ["a/b/4.png"]),
        ("*/*.png", ["a/3.png"]),
        ("*/b/4.png", ["a/b/4.png"]),
        ("*/b/raw", ["a/b/raw"]),
        ("[12].png", ["1.png", "2.png"]),
        ("[!1]*.png", ["2.png"]),
        ("?.*", ["1.png", "2.png", "b.jpg", "n.txt"]),
        ("*.PNG", ["shout.PNG"]),
        ("*.txt", ["n.txt"]),
        (".*.png", [".h.png"]),
        (".hidden/*.png", [".hidden/5.png"]),
        (".h*/*.png", [".hidden/5.png"]),
        ("**/.hidden/*", [".hidden/5.png"]),
        ("nowhere/*.png", []),
        ("*.gif", []),
        ("n.txt/*", []),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    names = ["1.png", "10.png", "2.png", "a/3.png", "a/b/4.png", "a/b/raw", "b.jpg", "n.txt", ".h.png", ".hidden/5.png"]
    files(tmp_path, *names, *(["shout.PNG"] if "PNG" in pattern else []))
    assert matched(tmp_path, pattern) == expected


def test_pattern_is_below_its_fixed_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files(tmp_path, "a/b/c/1.png")
    assert list(matching(f"{tmp_path}/a/*/c/*.png")) == [(str(tmp_path / "a/b/c/1.png"), "b/c/1.png")]
    monkeypatch.chdir(tmp_path)
    assert list(matching("**/*.png")) == [("a/b/c/1.png", "a/b/c/1.png")]
    assert list(matching("./a/b*/**")) == [("./a/b/c/1.png", "b/c/1.png")]
    monkeypatch.chdir(tmp_path / "a")
    assert list(matching("../*/b/c/1.png")) == [("../a/b/c/1.png", "a/b/c/1.png")]


def test_two_stars_do_not_go_through_links_and_one_does(tmp_path: Path) -> None:
    files(tmp_path, "in/1.png")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in", target_is_directory=True)
    assert matched(tmp_path, "**/*.png") == ["in/1.png"]
    assert matched(tmp_path, "in/*/*.png") == ["in/again/1.png"]


def test_pattern_that_would_take_for_ever_to_backtrack(tmp_path: Path) -> None:
    files(tmp_path, "a" * 200 + ".png")
    assert matched(tmp_path, "*a" * 30 + "b.png") == []
