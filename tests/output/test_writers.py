"""Records to streams: whole JSON, flushed as they come."""

import io
import json
from typing import Any

import pytest

from unprompt.output.writers import to_json, writer

RECORDS: list[dict[str, Any]] = [{"source": "a.png", "n": 1}, {"source": "b.png", "error": {}}]


class Watched(io.StringIO):
    """Remembers what stood there at each flush."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed: list[str] = []

    def flush(self) -> None:
        self.flushed.append(self.getvalue())


def line(record: dict[str, Any]) -> str | None:
    return None if "error" in record else record["source"]


def written(format: Any, records: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    opened = writer(format, stream, line)
    for record in records:
        opened.write(record)
    opened.close()
    return stream.getvalue()


def test_jsonl_is_a_record_a_line() -> None:
    assert [json.loads(row) for row in written("jsonl", RECORDS).splitlines()] == RECORDS
    assert written("jsonl", []) == ""


@pytest.mark.parametrize("records", [[], RECORDS[:1], RECORDS])
def test_json_is_one_array(records: list[dict[str, Any]]) -> None:
    assert json.loads(written("json", records)) == records


def test_text_is_what_the_record_says() -> None:
    assert written("text", RECORDS) == "a.png\n"


@pytest.mark.parametrize("format", ["text", "json", "jsonl"])
def test_each_record_is_flushed(format: Any) -> None:
    stream = Watched()
    opened = writer(format, stream, line)
    opened.write(RECORDS[0])
    assert "a.png" in stream.flushed[-1]


def test_json_shows_scripts_and_hides_what_a_terminal_obeys() -> None:
    hostile = {"prompt": "猫 é \x1b \x7f \x9b \u202e \ud800 \u2028 😀"}
    text = to_json(hostile)
    assert "猫 é" in text
    assert "😀" in text
    assert all(character.isprintable() for character in text)
    assert json.loads(text) == hostile


def test_no_number_that_json_lacks() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"similarity": float("nan")})
