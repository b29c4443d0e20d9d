"""Labelled pictures as training sees them: targets, faults, and how often each is drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.errors import DataError
from unprompt.text.sentence import SentenceEncoder
from unprompt.training.pairs import Draw, Pairs
from unprompt.training.recipe import Data


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def _read(pairs: Path, cache: Path, *, all_captions: bool = True, **options: Any) -> Pairs:
    return Pairs.read(str(pairs / "train.jsonl"), Data(**options), cache, all_captions=all_captions)


def _weights(read: Pairs, **options: Any) -> list[float]:
    return Draw(read, Data(**options)).weights.tolist()


def test_targets_are_the_prompts_vectors(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache, all_captions=False)
    records = [json.loads(line) for line in (pairs / "train.jsonl").read_text().splitlines()]
    expected = SentenceEncoder.embedded().encode([record["prompt"] for record in records])
    assert np.allclose(read.targets, expected, atol=1e-5)
    assert [ref.file for ref in read.pictures] == [str(pairs / record["file_name"]) for record in records]
    assert read.photo.tolist() == [False] * 8 + [True] * 4


def test_the_target_of_a_photo_is_the_mean_of_its_captions(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    captions = json.loads((pairs / "train.jsonl").read_text().splitlines()[-1])["captions"]
    mean = SentenceEncoder.embedded().encode(captions).mean(axis=0)
    assert np.allclose(read.targets[-1], mean / np.linalg.norm(mean), atol=1e-5)
    assert np.allclose(np.linalg.norm(read.targets, axis=1), 1, atol=1e-5)


def test_a_group_is_drawn_as_often_as_a_picture_alone(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    draw = Draw(read, Data(group_balance=1.0))
    assert draw.weights.tolist() == [0.25] * 4 + [1.0] * 8  # four pictures of one group; photos are alone
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([draw.epoch(rng) for _ in range(1500)]), minlength=12)
    assert counts[:4].sum() == pytest.approx(2000, rel=0.1)
    assert counts[4:] == pytest.approx([2000] * 8, rel=0.1)


def test_photos_have_a_weight_of_their_own(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    assert _weights(read, photo_weight=0.5) == [1.0] * 8 + [0.5] * 4
    assert _weights(read, group_balance=0.5) == [0.5] * 4 + [1.0] * 8


def test_where_all_weigh_the_same_an_epoch_shows_each_once(pairs: Path, cache: Path) -> None:
    draw = Draw(_read(pairs, cache), Data())
    one, other = (draw.epoch(np.random.default_rng(seed)).tolist() for seed in (0, 1))
    assert sorted(one) == sorted(other) == list(range(12))
    assert one != other


def test_one_picture_of_each_prompt_an_epoch(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    draw = Draw(read, Data(draw="prompts"))
    distinct = set(read.prompts)
    assert len(draw) == len(distinct) < 12
    seen: set[int] = set()
    for seed in range(40):
        shown = draw.epoch(np.random.default_rng(seed))
        assert {read.prompts[place] for place in shown} == distinct
        assert len(shown) == len(distinct)
        seen |= set(shown.tolist())
    assert seen == set(range(12))  # another picture of the same prompt in another epoch


def test_a_data_set_that_is_never_drawn(pairs: Path, cache: Path, tmp_path: Path) -> None:
    photos = [line for line in (pairs / "train.jsonl").read_text().splitlines() if '"photo"' in line]
    path = tmp_path / "photos.jsonl"
    path.write_text("\n".join(photos))
    for name in (json.loads(line)["file_name"] for line in photos):
        (tmp_path / name).write_bytes((pairs / name).read_bytes())
    with pytest.raises(DataError, match="expected pictures to draw"):
        Draw(Pairs.read(str(path), Data(), cache, all_captions=True), Data(photo_weight=0.0))


def test_a_group_and_captions_may_be_missing_or_null(cache: Path, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    lines = [{"file_name": f"{name}.png", "prompt": "a cat", "captions": None} for name in ("a", "b")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(map(json.dumps, [*lines, {"file_name": "c.png", "prompt": "a dog", "group": None}])))
    read = Pairs.read(str(path), Data(), cache, all_captions=True)
    assert _weights(read, group_balance=1.0) == [1.0] * 3


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Two good pictures; a missing one, a broken one, an empty prompt and a name that stands twice."""
    for name in ("a", "b", "e"):
        Image.new("RGB", (16, 16), "red").save(tmp_path / f"{name}.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "a.png").read_bytes()[:45])
    records = [("a", "a cat"), ("b", "a dog"), ("c", "a fish"), ("d", "a bird"), ("e", " "), ("a", "a cat")]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({"file_name": f"{name}.png", "prompt": text}) for name, text in records))
    return path


def test_faults_end_it_before_anything_is_learnt(broken: Path, cache: Path) -> None:
    with pytest.raises(DataError) as caught:
        Pairs.read(str(broken), Data(), cache, all_captions=True)
    message = str(caught.value)
    assert all(kind in message for kind in ("missing-file", "empty-prompt", "duplicate-name"))


def test_training_goes_on_without_them_if_asked(broken: Path, tmp_path: Path) -> None:
    said: list[str] = []
    for expected in (["c"], []):  # the second time, a note spares the decoding
        said.clear()
        read = Pairs.read(str(broken), Data(skip_bad=True), tmp_path / "cache", all_captions=True, report=said.append)
        assert read.prompts == ["a cat", "a dog"]
        assert [line for line in said if "1 broken-picture" in line] == said if expected else said == []


def test_broken_pictures_may_be_left_to_training(broken: Path, cache: Path) -> None:
    read = Pairs.read(str(broken), Data(skip_bad=True, decode_first=False), cache, all_captions=True)
    assert read.prompts == ["a cat", "a dog", "a fish"]


def test_what_a_constant_answer_scores(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    mean = read.targets.mean(axis=0)
    cosines = read.targets @ (mean / np.linalg.norm(mean))
    scores = read.mean_vector_scores(read)
    assert scores["photo"] == pytest.approx(cosines[8:].mean(), abs=1e-5)
    assert scores["balanced"] == pytest.approx((cosines[8:].mean() + cosines[:8].mean()) / 2, abs=1e-5)


def test_the_score_weighs_the_kinds_alike(pairs: Path, cache: Path) -> None:
    read = _read(pairs, cache)
    predicted = read.targets.copy()
    predicted[8:] *= 0.5
    assert read.score(predicted) == pytest.approx({"balanced": 0.75, "generated": 1.0, "photo": 0.5}, abs=1e-5)
