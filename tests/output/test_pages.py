"""Pages and tables of what files say."""

import io
from typing import Any

import pytest

from unprompt.display import width
from unprompt.output.pages import MetadataTable, metadata_page, metadata_part
from unprompt.output.records import failure_record, metadata_record
from unprompt.prediction import Failure, Resource, WrittenPrompt, WrittenText

WRITTEN = WrittenPrompt(
    "ComfyUI",
    "a red boat on a lake",
    negative_prompt="fog",
    settings={"seed": 42, "sampler_name": "euler"},
    certainty="ambiguous",
    texts=(
        WrittenText("a red boat on a lake", "positive", "6 CLIPTextEncode"),
        WrittenText("a green boat", "positive", "8 CLIPTextEncode"),
        WrittenText("oil", "style", "7 CLIPTextEncode", 0.5),
    ),
    resources=(Resource("checkpoint", "harbour", hash="a1b2"), Resource("lora", "waves", 0.8)),
    candidates=("a red boat on a lake", "a green boat"),
    note="the switch does not say which branch it took",
)
FAILED = failure_record(Failure("b.png", "truncated", "it ends early"))


def page(written: WrittenPrompt | None, columns: int = 100) -> list[str]:
    return str(metadata_page(metadata_record("a.png", written), columns)).splitlines()


def table(records: list[dict[str, Any]], columns: int = 100) -> list[str]:
    stream = io.StringIO()
    writer = MetadataTable(stream, columns)
    for record in records:
        writer.write(record)
    writer.close()
    return stream.getvalue().splitlines()


def test_a_page_shows_all_that_the_file_says() -> None:
    assert page(WRITTEN) == [
        "a.png",
        "tool         ComfyUI",
        "certainty    ambiguous: the file does not say for sure what the prompt was",
        "prompt       a red boat on a lake",
        "or           a green boat",
        "negative     fog",
        "settings     seed          42",
        "             sampler_name  euler",
        "resources    checkpoint  harbour, hash a1b2",
        "             lora        waves, weight 0.8",
        "other texts  style  oil (7 CLIPTextEncode, weight 0.5)",
        "note         the switch does not say which branch it took",
    ]


def test_a_page_without_a_prompt() -> None:
    assert page(None) == ["a.png", "prompt       no prompt is written"]
    assert page(WrittenPrompt("Firefly", "", note="read, not verified")) == [
        "a.png",
        "tool         Firefly",
        "prompt       no prompt is written",
        "note         read, not verified",
    ]
    assert metadata_page(FAILED) is None
    assert metadata_part(FAILED) is None


@pytest.mark.parametrize("columns", [1, 40, 60, 100, 200])
def test_a_page_is_as_wide_as_it_may_be(columns: int) -> None:
    long = WrittenPrompt(
        "A" * 300,
        "猫と犬" * 200 + " " + "boat " * 200,
        settings={"S" * 300: "x" * 5000, "Größe": "1x1"},
        resources=(Resource("k" * 300, "n" * 300),),
        texts=(WrittenText("t" * 300, "region", "n" * 300),),
        note="note " * 100,
    )
    lines = page(long, columns)
    assert max(map(width, lines)) <= max(columns, 40)
    assert sum(line.count("boat") for line in lines) == 200


def test_nothing_reaches_a_terminal_unescaped() -> None:
    bad = "\x1b]0;title\x07\x9b2J\u202e\ud800\n"
    hostile = WrittenPrompt(
        bad,
        bad,
        negative_prompt=bad,
        settings={bad: bad},
        texts=(WrittenText(bad, "region", bad),),
        resources=(Resource(bad, bad, hash=bad),),
        candidates=(bad, bad + "x"),
        note=bad,
    )
    record = metadata_record(bad, hostile)
    for shown in (str(metadata_page(record)), "\n".join(table([record, record]))):
        assert shown.replace("\n", "").isprintable()


def test_a_table_has_a_row_for_each_picture() -> None:
    plain = metadata_record("folder/plain.png", None)
    assert table([metadata_record("a.png", WRITTEN), FAILED, plain]) == [
        "picture           tool     prompt",
        "a.png             ComfyUI  (ambiguous) a red boat on a lake",
        "folder/plain.png  -        no prompt is written",
    ]
    assert table([FAILED, FAILED]) == []
    assert table([]) == []


def test_one_alone_is_a_page_and_one_of_two_is_not() -> None:
    record = metadata_record("a.png", WRITTEN)
    assert table([record]) == page(WRITTEN)
    assert table([FAILED, record])[0].startswith("picture ")


@pytest.mark.parametrize("columns", [1, 40, 60, 100, 200])
def test_a_table_is_no_wider_than_the_terminal(columns: int) -> None:
    written = WrittenPrompt("stable-diffusion.cpp", "猫と犬 " * 100)
    names = [*(f"a/{number}.png" for number in range(30)), "deep/" * 50 + "last.png"]
    rows = table([metadata_record(name, written) for name in names], columns)
    assert len(rows) == 32
    assert max(map(width, rows)) <= max(columns, 40)
    assert "last.png " in rows[-1]


def test_a_long_table_does_not_wait_for_its_end() -> None:
    stream = io.StringIO()
    writer = MetadataTable(stream)
    for number in range(1000):
        writer.write(metadata_record(f"{number}.png", WRITTEN))
    assert "\n999.png" in stream.getvalue()
