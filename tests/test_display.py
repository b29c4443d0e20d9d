"""Text for a terminal: its width, cut and broken into lines."""

import pytest

from unprompt.display import cut, width, wrapped


@pytest.mark.parametrize(
    ("text", "columns"), [("", 0), ("abc", 3), ("猫と犬", 6), ("e\u0301té", 3), ("😀", 2), ("ﾈｺ", 2)]
)
def test_width(text: str, columns: int) -> None:
    assert width(text) == columns


@pytest.mark.parametrize(
    ("text", "columns", "expected", "from_the_left"),
    [
        ("a red boat", 10, "a red boat", "a red boat"),
        ("a red boat", 8, "a red...", "... boat"),
        ("猫と犬と鳥", 8, "猫と...", "...と鳥"),
    ],
)
def test_cut(text: str, columns: int, expected: str, from_the_left: str) -> None:
    assert cut(text, columns) == expected
    assert cut(text, columns, keep_end=True) == from_the_left


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [""]),
        ("a red boat", ["a red", "boat"]),
        ("abcdefghijklmnop", ["abcdefg", "hijklmn", "op"]),
        ("on 猫と犬と鳥", ["on", "猫と犬", "と鳥"]),
        ("a  b", ["a  b"]),
    ],
)
def test_wrapped(text: str, expected: list[str]) -> None:
    lines = wrapped(text, 7)
    assert lines == expected
    assert max(map(width, lines)) <= 7


def test_nothing_is_lost_in_a_long_text() -> None:
    text = "猫" * 50_000 + " " + "x" * 50_000
    assert "".join(wrapped(text, 47)).replace(" ", "") == text.replace(" ", "")
