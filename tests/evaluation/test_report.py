"""Scores on labelled pictures."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models

from unprompt import Prediction, Unprompter, embed, load
from unprompt.datasets.pairs import Pair, checked_pairs
from unprompt.errors import DataError, UnknownNameError
from unprompt.evaluation.report import evaluate
from unprompt.evaluation.scoring import NO_GROUP


@pytest.fixture(scope="module")
def unprompter(tmp_path_factory: pytest.TempPathFactory) -> Unprompter:
    folder = tmp_path_factory.mktemp("models")
    models = [tiny_models.regressor(folder / f"linear.{seed}", seed=seed) for seed in (1, 2)]
    return load(tiny_models.preset(folder / "tiny.toml", *models))


def labelled(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def pairs_of(file: Path) -> list[Pair]:
    return checked_pairs(file, skip_bad=True)[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    paths = tiny_models.pictures(tmp_path / "pictures", 5)
    records: list[dict[str, Any]] = [
        {
            "file_name": f"pictures/{path.name}",
            "prompt": f"picture {number}",
            "kind": ("photo", "generated")[number % 2],
        }
        for number, path in enumerate(paths)
    ]
    del records[4]["kind"]
    records.append({"file_name": "pictures/none.png", "prompt": "none", "kind": "photo"})
    return labelled(tmp_path / "labelled.jsonl", records)


def test_the_report(unprompter: Unprompter, file: Path) -> None:
    report = evaluate(unprompter, file, by="kind", text=False)
    records = pairs_of(file)
    answers = list(unprompter.predict([record.picture for record in records], text=False))
    vectors = np.stack([answer.vector for answer in answers if isinstance(answer, Prediction)])
    scores = (embed([record.prompt for record in records]) * vectors).sum(axis=1)

    scored = ["n", "vector", "text", "words", "confidence"]
    assert list(report) == [*scored, "members", "groups", "failures", "intervals", "model"]
    assert report["confidence"] is None  # this preset is not calibrated
    assert report["n"] == 5
    assert report["vector"]["mean"] == pytest.approx(scores.mean(), abs=1e-5)
    assert report["vector"]["low"] < report["vector"]["mean"] < report["vector"]["high"]
    assert report["text"] is None
    assert set(report["members"]) == {"linear.1", "linear.2"}
    assert {name: group["n"] for name, group in report["groups"].items()} == {NO_GROUP: 1, "generated": 2, "photo": 2}
    assert report["groups"]["generated"]["vector"]["mean"] == pytest.approx(scores[[1, 3]].mean(), abs=1e-5)
    assert [failure["error"]["kind"] for failure in report["failures"]] == ["not-found"]


def test_no_groups_unless_asked_for(unprompter: Unprompter, file: Path) -> None:
    assert evaluate(unprompter, file, text=False)["groups"] == {}


def test_the_sentences_own_score(unprompter: Unprompter, file: Path) -> None:
    report = evaluate(unprompter, file, by="kind", limit=3)
    records = pairs_of(file)[:3]
    answers = list(unprompter.predict([record.picture for record in records]))
    sentences = embed([answer.prompt for answer in answers if isinstance(answer, Prediction)])
    true = embed([record.prompt for record in records])
    assert report["text"]["mean"] == pytest.approx((true * sentences).sum(axis=1).mean(), abs=1e-5)
    assert report["groups"]["photo"]["text"] is not None
    assert set(report["words"]) == {"precision", "recall", "f1", "subject"}


def test_limit(unprompter: Unprompter, file: Path) -> None:
    heard: list[int] = []
    assert evaluate(unprompter, file, text=False, limit=2, heard=lambda outcome, total: heard.append(total))["n"] == 2
    assert heard == [2, 2]


def test_all_failed(unprompter: Unprompter, tmp_path: Path) -> None:
    file = labelled(tmp_path / "none.jsonl", [{"file_name": "none.png", "prompt": "none"}])
    with pytest.raises(DataError, match=r"found none of 1, the first at .*none\.png; .* --root FOLDER"):
        evaluate(unprompter, file)
    (tmp_path / "none.png").write_text("no picture")
    report = evaluate(unprompter, file)
    assert (report["n"], report["vector"], report["text"], report["members"]) == (0, None, None, {})


def test_what_the_file_says_is_not_looked_at(unprompter: Unprompter, tmp_path: Path, examples: Path) -> None:
    shutil.copy(examples / "written.png", tmp_path)
    record = {"file_name": "written.png", "prompt": "a full moon"}
    report = evaluate(unprompter, labelled(tmp_path / "one.jsonl", [record]), text=False)
    assert set(report["members"]) == {"linear.1", "linear.2"}


def test_unknown_field(unprompter: Unprompter, file: Path) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kind'"):
        evaluate(unprompter, file, by="knd")


def test_the_first_fault_is_an_error(unprompter: Unprompter, file: Path) -> None:
    file.write_text(file.read_text() + '{"file_name": "a.png"}\n')
    with pytest.raises(DataError, match=r"labelled\.jsonl:7: expected a prompt in 'prompt'"):
        evaluate(unprompter, file, text=False)
    assert evaluate(unprompter, file, text=False, limit=6)["n"] == 5


def test_no_pairs_are_an_error(unprompter: Unprompter, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(DataError, match=r"expected pictures with prompts in .*empty\.jsonl, found none"):
        evaluate(unprompter, tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match=r"expected a data set at .*none\.jsonl"):
        evaluate(unprompter, tmp_path / "none.jsonl")
