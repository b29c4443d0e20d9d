"""What unprompt remembers of the sidecars that it wrote."""

import os
from pathlib import Path

import pytest

from unprompt.errors import DataError
from unprompt.output.own_texts import OWN_TEXTS, OwnTexts

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX has these")


@pytest.fixture
def sidecar(tmp_path: Path) -> str:
    path = str(tmp_path / "a.txt")
    OwnTexts().remember(path, "a cat, big")
    return path


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("a cat, big", ""),
        ("red, a cat, big", "red"),
        ("a cat, big, red", "red"),
        ("one, a cat, big ,two", "one, two"),
        ("a cat, big, a cat, big", "a cat, big"),
        ("not a cat, big", None),
        ("a cat, bigger", None),
        ("a cat, BIG", None),
        ("", None),
    ],
)
def test_what_was_written_is_found_between_commas(sidecar: str, text: str, rest: str | None) -> None:
    assert OwnTexts().without(sidecar, text, from_end=True) == rest
    assert OwnTexts().without(os.path.join(os.path.dirname(sidecar), "b.txt"), text, from_end=True) is None


def test_which_end_comes_first(sidecar: str) -> None:
    text = "a cat, big, x, a cat, big"
    assert OwnTexts().without(sidecar, text, from_end=True) == "a cat, big, x"
    assert OwnTexts().without(sidecar, text, from_end=False) == "x, a cat, big"


def test_the_last_texts_are_known_the_newest_first(sidecar: str) -> None:
    own = OwnTexts()
    for text in ("a dog", "an owl", "a fox"):
        own.remember(sidecar, text)
    for known in (own, OwnTexts()):
        assert known.without(sidecar, "an owl, a fox", from_end=True) == "an owl"
        assert known.without(sidecar, "a dog, x", from_end=True) == "x"
        assert known.without(sidecar, "a cat, big", from_end=True) is None


def test_the_file_grows_by_what_is_new(sidecar: str) -> None:
    place = Path(sidecar).with_name(OWN_TEXTS)
    before = place.read_bytes()
    OwnTexts().remember(sidecar, "a cat, big")
    OwnTexts().remember(sidecar, "")
    assert place.read_bytes() == before
    OwnTexts().remember(sidecar, "a dog")
    assert place.read_bytes().startswith(before)
    assert len(place.read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b"\xff\xfe",
        b"[1]",
        b'{"file": 3, "text": "1:a"}',
        b'{"file": "a.txt", "text": "999999999999999999:a"}',
        b'{"file": "a.txt", "text": "-5:a"}',
        b'{"file": "a.txt", "text": ":"}',
        b'{"file": "a.txt"' + b" " * 9000 + b"}",
    ],
)
def test_lines_that_are_none_of_ours(sidecar: str, line: bytes) -> None:
    place = Path(sidecar).with_name(OWN_TEXTS)
    place.write_bytes(line + b"\n" + place.read_bytes() + line)
    assert OwnTexts().without(sidecar, "red, a cat, big", from_end=True) == "red"


@posix
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")
    OwnTexts().remember(path, "a dog")
    assert OwnTexts().without(path, "a dog", from_end=True) == ""


@posix
@pytest.mark.parametrize("kind", ["link", "folder", "pipe"])
def test_what_is_no_plain_file_is_not_written_to(tmp_path: Path, kind: str) -> None:
    place = tmp_path / OWN_TEXTS
    (tmp_path / "theirs").write_text("theirs")
    {"link": lambda: place.symlink_to("theirs"), "folder": place.mkdir, "pipe": lambda: os.mkfifo(place)}[kind]()
    own = OwnTexts()
    assert own.without(str(tmp_path / "a.txt"), "a dog", from_end=True) is None
    with pytest.raises(DataError, match="sidecars"):
        own.remember(str(tmp_path / "a.txt"), "a dog")
    assert (tmp_path / "theirs").read_text() == "theirs"
