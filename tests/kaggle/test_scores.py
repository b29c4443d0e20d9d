"""The competition's score."""

from pathlib import Path

import numpy as np
import pytest

from unprompt import embed
from unprompt.errors import DataError
from unprompt.evaluation.metrics import bootstrap
from unprompt.kaggle.scores import LINE_LIMIT, read_prompts, score_submission
from unprompt.kaggle.submission import write_submission
from unprompt.prediction import Vector

PROMPTS = {"a": "a cat, painted", "b": 'a sign that says "stop"', "c": "two\nlines"}


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    path = tmp_path / "prompts.csv"
    path.write_text('imgId,prompt\na,"a cat, painted"\nb,"a sign that says ""stop"""\nc,"two\nlines"\n', "utf-8")
    return path


def submitted(path: Path, vectors: dict[str, Vector]) -> Path:
    write_submission(path, vectors.items())
    return path


def test_prompts(truth: Path) -> None:
    assert read_prompts(truth) == PROMPTS
    data = truth.read_bytes()
    for changed in (b"\xef\xbb\xbf" + data, data.replace(b"\n", b"\r\n").replace(b"two\r\n", b"two\n"), data + b"\n\n"):
        truth.write_bytes(changed)
        assert read_prompts(truth) == PROMPTS
    truth.write_text("number,prompt,imgId\n1,a cat,a\n")
    assert read_prompts(truth) == {"a": "a cat"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "prompts.csv, found: no header"),
        (b"imgId,prompt\n", "found: no row"),
        (b"id,prompt\na,b\n", "prompts.csv, found: id,prompt"),
        (b"imgId,prompt\na,b\nc\n", "prompts.csv:3, found: an empty cell"),
        (b"imgId,prompt\na,\n", "prompts.csv:2, found: an empty cell"),
        (b"imgId,prompt\n,b\n", "prompts.csv:2, found: an empty cell"),
        (b"imgId,prompt\na,b\na,c\n", "prompts.csv:3, found: a again"),
        (b'imgId,prompt\na,"b\n', "found: unexpected end of data"),
        (b"imgId,prompt\na,\xff\n", "found: 'utf-8' codec"),
        (b"imgId,prompt\na," + b"b" * LINE_LIMIT + b"\n", "a line of more than 100,000 characters"),
        (b'imgId,prompt\na,"' + b"b\n" * LINE_LIMIT + b'"\n', "field larger than field limit"),
    ],
)
def test_prompts_that_are_none(truth: Path, content: bytes, message: str) -> None:
    truth.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        read_prompts(truth)
    assert str(error.value).startswith("expected true prompts (csv, UTF-8, the columns imgId,prompt)")


def test_missing_prompts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_prompts(tmp_path / "none.csv")


def test_scores_are_cosines_whatever_the_length(truth: Path, tmp_path: Path) -> None:
    true = dict(zip(PROMPTS, embed(list(PROMPTS.values())), strict=True))
    guess = embed(["a cat"])[0]
    given = {"x": guess, "c": true["c"] * 1e19, "b": true["b"] * np.float32(-1e-30), "a": guess * 3}
    scores = score_submission(submitted(tmp_path / "s.csv", given), truth)
    assert (scores.images, scores.prompts, scores.unscored) == (tuple(PROMPTS), tuple(PROMPTS.values()), 1)
    assert scores.cosines == pytest.approx([guess @ true["a"], -1, 1], abs=1e-6)
    assert scores.mean == bootstrap(scores.cosines)


def test_true_vectors(tmp_path: Path) -> None:
    raw = dict(zip("abc", np.random.default_rng(0).standard_normal((3, 384)).astype(np.float32), strict=True))
    path = submitted(tmp_path / "s.csv", raw)
    true = submitted(tmp_path / "true.csv", {"b": raw["b"] * 2, "a": raw["a"]})
    scores = score_submission(path, true)
    assert (scores.images, scores.prompts, scores.unscored) == (("b", "a"), ("", ""), 1)
    assert scores.cosines == pytest.approx([1, 1])


def test_what_was_not_submitted(truth: Path, tmp_path: Path) -> None:
    path = submitted(tmp_path / "s.csv", {"a": embed(["a cat"])[0]})
    with pytest.raises(DataError, match=r"the 3 images of .*prompts.csv in .*s.csv, found no rows for 2 of them: b, c"):
        score_submission(path, truth)
    path = submitted(tmp_path / "s.csv", {"a": np.zeros(384, np.float32)})
    with pytest.raises(DataError, match=r"found 1 zero-length \(a\)"):
        score_submission(path, truth)


def test_the_competitions_own_truth(shared: Path) -> None:
    scores = score_submission(
        shared / "data" / "kaggle" / "sample_submission.csv", shared / "data" / "kaggle" / "prompts.csv"
    )
    assert scores.mean.mean > 0.9998
    assert scores.cosines.min() > 0.9998
