"""Results files: what a run found for each picture."""

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_models

from unprompt import Unprompter, load
from unprompt.datasets.pairs import Pair
from unprompt.errors import DataError
from unprompt.evaluation.results import read_results, result_record
from unprompt.evaluation.scoring import Scored, outcomes, short_fields
from unprompt.images.files import LocalFile
from unprompt.images.ref import ImageRef

GOOD = {
    "name": "a.png",
    "true_prompt": "a cat",
    "fields": {"kind": "photo", "group": 3},
    "source": "data/a.png",
    "predicted_prompt": "cat",
    "vector": 0.5,
    "text": 0.25,
    "members": {"regressor": 0.5},
    "words": {"precision": 1.0, "recall": 0.5, "subject": True},
    "confidence": {"estimate": 0.4, "low": 0.2, "high": 0.6},
    "model": {"preset": "tiny"},
}


@pytest.fixture(scope="module")
def unprompter(tmp_path_factory: pytest.TempPathFactory) -> Unprompter:
    folder = tmp_path_factory.mktemp("models")
    return load(tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny")))


def written(path: Path, *records: Any, end: str = "\n") -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + end)
    return path


def reference(path: Path) -> ImageRef:
    return ImageRef(str(path), LocalFile(str(path)))


def test_what_was_written_is_read(unprompter: Unprompter, tmp_path: Path) -> None:
    paths = [*tiny_models.pictures(tmp_path, 3), tmp_path / "none.png"]
    fields = {"kind": "photo", "group": 2, "captions": ["a", "b"], "notes": "x" * 300}
    pairs = [
        Pair(path.name, f"picture {path.stem}", ImageRef(str(path), LocalFile(str(path))), fields) for path in paths
    ]
    found = list(outcomes(unprompter, pairs))
    results = read_results(written(tmp_path / "r.jsonl", *map(result_record, found)))
    assert results.scores == [outcome.score for outcome in found if isinstance(outcome, Scored)]
    assert results.failed == 1
    assert results.models == [dict(found[0].answer.model)]  # type: ignore[union-attr]
    assert results.scores[0].fields == {"kind": "photo", "group": 2}
    assert all(score.text is not None for score in results.scores)


def test_a_record_says_all_that_a_reader_asks_for(unprompter: Unprompter, tmp_path: Path) -> None:
    (path,) = tiny_models.pictures(tmp_path, 1)
    (outcome,) = outcomes(unprompter, [Pair("in/a.png", "a cat", reference(path), {})])
    record = result_record(outcome)
    assert set(record) == set(GOOD)
    assert (record["name"], record["source"], record["true_prompt"]) == ("in/a.png", str(path), "a cat")
    assert record["predicted_prompt"]


def test_fields_that_name_groups() -> None:
    fields = {"a": "x", "b": 1, "c": 0.5, "d": True, "e": None, "f": [1], "g": {}, "h": float("nan"), "i": "x" * 201}
    assert short_fields(fields) == {"a": "x", "b": 1, "c": 0.5, "d": True, "e": None}


def test_a_file_from_before_words_were_measured(tmp_path: Path) -> None:
    old = {key: value for key, value in GOOD.items() if key != "words"}
    assert [score.words for score in read_results(written(tmp_path / "r.jsonl", old)).scores] == [None]


def test_a_last_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", GOOD)
    path.write_text(path.read_text() + json.dumps(GOOD | {"name": "b.png"})[:40])
    assert [score.name for score in read_results(path).scores] == ["a.png"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vector": float("nan")}, r":2: expected finite numbers, found NaN"),
        ({"text": float("nan")}, r":2: expected finite numbers, found NaN"),
        ({"members": {"regressor": float("inf")}}, r":2: expected finite numbers, found Infinity"),
        ({"vector": None}, r":2: expected vector to be a cosine, -1 to 1, found null"),
        ({"vector": "0.5"}, r":2: expected vector to be a cosine"),
        ({"vector": True}, r":2: expected vector to be a cosine"),
        ({"text": 1.5}, r":2: expected text to be a cosine, -1 to 1, found 1\.5"),
        ({"members": {"x": -7}}, r":2: expected members\.x to be a cosine"),
        ({"members": [0.5]}, r":2: expected a result with true_prompt, members and fields"),
        ({"words": {"precision": 2, "recall": 0, "subject": True}}, r":2: expected words to be precision, recall and"),
        ({"words": [1]}, r":2: expected words to be precision"),
        ({"true_prompt": 3}, r":2: expected a result with true_prompt, members and fields"),
        ({"name": None}, r":2: expected a result of `unprompt evaluate --results`"),
        ({"name": "a.png"}, r":2: expected a picture once, found a\.png again"),
    ],
)
def test_what_is_no_score_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read_results(written(tmp_path / "r.jsonl", GOOD, GOOD | {"name": "b.png"} | changes))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"file_name": "a.png", "prompt": "a cat"}\n', ":1: expected a result of `unprompt evaluate --results`"),
        ("[1]\n", ":1: expected a result"),
        ("not json\n", ":1: expected a result"),
        ("[" * 100_000 + "\n", ":1: expected a result"),
        ("", "found no scores"),
        ("\n\n", "found no scores"),
        ('{"name": "a.png", "error": {}}\n', "found no scores"),
        ("x" * 1_100_000, "found a line of more than"),
    ],
)
def test_files_that_are_no_results(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_results(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"expected results of .* at .*none\.jsonl: expected a file, found none"):
        read_results(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="expected results of"):
        read_results(tmp_path)
