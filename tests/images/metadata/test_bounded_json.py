"""What a stranger's JSON may hold is counted before the parser sees it."""

import json
from typing import Any

import pytest

from unprompt.images.metadata.bounded_json import parse, parse_object


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Python's parser was given from now on."""
    texts: list[str] = []
    loads = json.loads

    def noted(text: str, **options: Any) -> Any:
        texts.append(text)
        return loads(text, **options)

    monkeypatch.setattr(json, "loads", noted)
    return texts


@pytest.mark.parametrize(
    ("within", "beyond"),
    [
        ("[" * 64 + "]" * 64, "[" * 65 + "]" * 65),
        ('{"a":' * 64 + "1" + "}" * 64, '{"a":' * 65 + "1" + "}" * 65),
        ("[" + "[]," * 99_998 + "[]]", "[" + "[]," * 99_999 + "[]]"),
        ('"' + "a" * 1_999_998 + '"', '"' + "a" * 1_999_999 + '"'),
    ],
    ids=["lists", "objects", "containers", "length"],
)
def test_limits(within: str, beyond: str, parsed: list[str]) -> None:
    assert parse(beyond) is None
    assert parsed == []
    assert parse(within) is not None
    assert parsed == [within]


@pytest.mark.parametrize("text", ["]", "{]]", "{" + "]" * 1_000, "[}{]", "[1]]"])
def test_brackets_that_close_nothing_end_the_count(text: str, parsed: list[str]) -> None:
    assert parse(text) is None
    assert parsed == [] or text == "[}{]"


@pytest.mark.parametrize("text", [r'["[[[[\"]]]]"]', '["' + "[" * 100 + '"]'])
def test_brackets_in_texts_do_not_count(text: str) -> None:
    assert parse(text) == json.loads(text)


def test_numbers_that_json_has_none_for() -> None:
    assert parse("[NaN, Infinity, 1e999, 1.5]") == [None, None, None, 1.5]
    assert parse("1" * 31) == "1" * 31


@pytest.mark.parametrize("text", [None, "", "[1]", "{", "1", "a {}"])
def test_what_is_no_object(text: str | None) -> None:
    assert parse_object(text) == {}


def test_an_object_in_white_space() -> None:
    assert parse_object('\ufeff {"a": 1}\0') == {"a": 1}
