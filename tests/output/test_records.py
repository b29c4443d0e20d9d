"""Answers as JSON objects."""

import json
from typing import Any

import numpy as np
import pytest

from unprompt.output.jsonl import to_json
from unprompt.output.records import CONCEPTS_WRITTEN, metadata_record, to_record
from unprompt.output.tables import table_columns, table_row
from unprompt.output.text import prompt_line, score_lines
from unprompt.prediction import (
    Candidate,
    Concept,
    Confidence,
    Failure,
    Prediction,
    Resource,
    Term,
    Vote,
    WrittenPrompt,
    WrittenText,
)

VECTOR = np.eye(384, dtype=np.float32)[0]
MODEL = {"unprompt": "1", "preset": "p", "preset_hash": "h", "models": {"m": "i"}}
AMBIGUOUS = WrittenPrompt(
    "ComfyUI",
    "a cat",
    negative_prompt="a dog",
    certainty="ambiguous",
    texts=(
        WrittenText("a cat", "positive", "6 CLIPTextEncode"),
        WrittenText("a dog", "negative"),
        WrittenText("on a roof", "region", "7 CLIPTextEncode", 0.5),
    ),
    resources=(Resource("lora", "cats", 0.123456789, "a1b2"), Resource("checkpoint", "m")),
    candidates=("a cat", "a cow"),
    note="the file does not say which branch was taken",
)
WRITTEN = WrittenPrompt("AUTOMATIC1111", "a cat", negative_prompt="a dog", settings={"Steps": 20}, raw="a (cat:1.2)")


def prediction(**changes: object) -> Prediction:
    values = {
        "source": "a.png",
        "prompt": "a cat",
        "origin": "prediction",
        "vector": VECTOR,
        "self_similarity": 0.123456789,
        "candidates": (Candidate("a cat", 0.123456789, "decoder"), Candidate("a dog", 0.1, "clip")),
        "votes": (Vote("regressor", 2 / 3, vector=VECTOR), Vote("clip", 1 / 3, texts=("a dog", "a cow"))),
        "written": None,
        "model": MODEL,
    }
    return Prediction(**(values | changes))  # type: ignore[arg-type]


def test_a_prediction() -> None:
    assert to_record(prediction()) == {
        "source": "a.png",
        "prompt": "a cat",
        "origin": "prediction",
        "self_similarity": 0.123457,
        "similarity": 0.123457,
        "candidates": [
            {"text": "a cat", "similarity": 0.123457, "from": "decoder"},
            {"text": "a dog", "similarity": 0.1, "from": "clip"},
        ],
        "votes": [
            {"member": "regressor", "weight": 0.666667, "similarity": 1.0},
            {"member": "clip", "weight": 0.333333, "text": "a dog"},
        ],
        "model": MODEL,
    }


def test_terms_and_what_a_picture_is_not_come_along() -> None:
    vote = Vote(
        "interrogator",
        1.0,
        texts=("a cat, oil",),
        terms=(Term("oil", "mediums", 0.123456789, 0.05), Term("old", "flavors", 0.1)),
        text_similarity=0.25,
        negative_prompt="blurry",
    )
    record = to_record(prediction(votes=(vote,)))
    assert record["negative_prompt"] == "blurry"
    assert record["votes"] == [
        {
            "member": "interrogator",
            "weight": 1.0,
            "text": "a cat, oil",
            "text_similarity": 0.25,
            "terms": [
                {"text": "oil", "list": "mediums", "similarity": 0.123457, "gain": 0.05},
                {"text": "old", "list": "flavors", "similarity": 0.1},
            ],
        }
    ]


def test_the_embedding_comes_when_asked_for() -> None:
    record = to_record(prediction(), embedding=True)
    assert record["embedding"] == VECTOR.tolist()
    assert json.loads(to_json(record)) == record


def test_what_the_file_says_comes_along() -> None:
    record = to_record(prediction(origin="metadata", written=WRITTEN))
    assert (record["tool"], record["negative_prompt"], record["settings"]) == ("AUTOMATIC1111", "a dog", {"Steps": 20})
    assert record["certainty"] == "written"
    assert not {"texts", "resources", "note"} & record.keys()
    assert list(record)[-1] == "model"


@pytest.mark.parametrize("record", [to_record(prediction(written=AMBIGUOUS)), metadata_record("a.png", AMBIGUOUS)])
def test_an_ambiguous_prompt_says_so_and_offers_every_text(record: dict[str, Any]) -> None:
    assert (record["certainty"], record["note"]) == ("ambiguous", "the file does not say which branch was taken")
    assert record["resources"] == [
        {"kind": "lora", "name": "cats", "weight": 0.123457, "hash": "a1b2"},
        {"kind": "checkpoint", "name": "m"},
    ]
    assert record["texts"] == [
        {"role": "positive", "text": "a cat", "node": "6 CLIPTextEncode"},
        {"role": "negative", "text": "a dog"},
        {"role": "region", "text": "on a roof", "node": "7 CLIPTextEncode", "weight": 0.5},
    ]
    assert record["candidates"][0]["text"] == "a cat"


def test_texts_that_are_the_prompt_once_more_are_left_out() -> None:
    texts = (WrittenText("a cat", "positive", "6"), WrittenText("a dog", "negative", "7"))
    assert "texts" not in metadata_record("a", WrittenPrompt("A", "a cat", negative_prompt="a dog", texts=texts))
    assert "texts" in metadata_record("a", WrittenPrompt("A", "a cat", texts=texts))


def test_a_maker_without_a_prompt() -> None:
    record = metadata_record("a.png", WrittenPrompt("Firefly", "", note="read, not verified"))
    assert record == {"source": "a.png", "tool": "Firefly", "prompt": None, "note": "read, not verified"}


def test_a_row_of_a_table_holds_what_the_file_says() -> None:
    row = table_row(metadata_record("a.png", AMBIGUOUS))
    of_parquet = {"self_similarity", "texts", "candidates", "votes"}
    assert set(table_columns(text=True, embedding=True)) | of_parquet == set(row)
    assert (row["certainty"], json.loads(row["resources"])[1]) == ("ambiguous", {"kind": "checkpoint", "name": "m"})
    assert json.loads(row["candidates"]) == [{"text": "a cat"}, {"text": "a cow"}]


def test_without_text() -> None:
    record = to_record(prediction(prompt="", self_similarity=None, candidates=()))
    assert (record["prompt"], record["self_similarity"], record["candidates"]) == ("", None, [])


def test_how_sure_it_is_and_what_it_sees_come_along() -> None:
    concepts = tuple(Concept(f"thing {number}", 1 / (number + 1), "x" * (number == 2)) for number in range(64))
    record = to_record(prediction(confidence=Confidence(0.52, 0.3512345678, 0.66), concepts=concepts))
    assert record["confidence"] == {"estimate": 0.52, "low": 0.351235, "high": 0.66}
    assert record["concepts"][:2] == [
        {"name": "thing 0", "probability": 1.0},
        {"name": "thing 1", "probability": 0.5},
    ]
    assert len(record["concepts"]) == CONCEPTS_WRITTEN
    row = table_row(record)
    assert (row["confidence"], row["confidence_low"], row["confidence_high"]) == (0.52, 0.351235, 0.66)
    assert row["concepts"].startswith("thing 0 1.00; thing 1 0.50; thing 2 0.33; ")
    assert not {"confidence", "concepts"} & to_record(prediction()).keys()
    assert table_row(to_record(prediction()))["concepts"] is None


def test_the_old_name_of_self_similarity_still_works() -> None:
    with pytest.warns(DeprecationWarning, match="self_similarity"):
        assert prediction().similarity == prediction().self_similarity
    record = to_record(prediction())
    assert record["similarity"] == record["self_similarity"]


def test_a_terminal_shows_how_sure_it_is() -> None:
    record = to_record(prediction(confidence=Confidence(0.52, 0.35, 0.66)))
    assert prompt_line(record, named=False) == "a cat"
    assert prompt_line(record, named=False, sure=True) == "a cat\nconfidence 0.52 (0.35 to 0.66)"
    assert prompt_line(record, named=True, sure=True) == "a.png\ta cat\tconfidence 0.52 (0.35 to 0.66)"
    assert prompt_line(to_record(prediction()), named=True, sure=True) == "a.png\ta cat"


def test_a_failure() -> None:
    record = to_record(Failure("a.png", "truncated", "it ends early"), embedding=True)
    assert record == {"source": "a.png", "error": {"kind": "truncated", "message": "it ends early"}}
    assert prompt_line(record, named=True) is None


def test_prompt_lines() -> None:
    assert prompt_line(to_record(prediction()), named=False) == "a cat"
    assert prompt_line(to_record(prediction()), named=True) == "a.png\ta cat"


def test_nothing_reaches_a_terminal_unescaped() -> None:
    record = to_record(prediction(source="a\x1b[2J.png", prompt="red\x1b[31m\nline\ttab\x9b"))
    assert prompt_line(record, named=True) == "a\\x1b[2J.png\tred\\x1b[31m\\nline\\ttab\\x9b"


def test_metadata() -> None:
    assert metadata_record("a.png", None) == {"source": "a.png", "tool": None, "prompt": None}
    record = metadata_record("a.png", WRITTEN)
    assert record["raw"] == "a (cat:1.2)"


def test_scores() -> None:
    assert score_lines({"scores": [{"text": "a\ncat", "similarity": 0.5}]}) == "0.5000\ta\\ncat"
