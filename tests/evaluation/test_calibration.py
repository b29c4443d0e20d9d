"""Fitting a preset's confidence."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt import Unprompter, load
from unprompt.answer.codebook import Codebook
from unprompt.datasets.pairs import Pair
from unprompt.errors import DataError
from unprompt.evaluation.calibration import LEAST_PICTURES, Fitted, Signs, blank_pictures, calibrated_text
from unprompt.evaluation.scoring import Score, Scored
from unprompt.images.files import Bytes
from unprompt.images.ref import ImageRef
from unprompt.models.store.registry import find_model
from unprompt.prediction import Prediction, Vector, Vote
from unprompt.presets import read_preset


@pytest.fixture(scope="module")
def unprompter(tmp_path_factory: pytest.TempPathFactory) -> Unprompter:
    folder = tmp_path_factory.mktemp("models")
    plain = tiny_models.preset(folder / "tiny.toml", tiny_models.regressor(folder / "linear.tiny"))
    return load(tiny_models.with_codebook(plain, folder / "drawing.toml", tiny_models.codebook(folder / "book.tiny")))


def unit(raw: np.ndarray) -> Vector:  # type: ignore[type-arg]
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def collected(unprompter: Unprompter, count: int = 300, groups: int = 60) -> Signs:
    """Answers that are nearer to the true prompt the nearer they are to the codebook."""
    assert unprompter.preset.codebook is not None
    book = Codebook.read(find_model(unprompter.preset.codebook.model)).vectors
    generator = np.random.default_rng(0)
    found = Signs(unprompter)
    for number in range(count):
        far = generator.uniform(0.2, 2)
        fused = unit(book[number % len(book)] + far * unit(generator.standard_normal(384)))
        true = unit(fused + (0.5 + far) * unit(generator.standard_normal(384)))
        pair = Pair(str(number), f"prompt {number}", ImageRef(str(number), Bytes(b"")), {"group": number % groups})
        votes = (Vote("linear.tiny", 1.0, vector=fused),)
        answer = Prediction(str(number), "", "prediction", fused, None, (), votes, None, {})
        found.add(Scored(pair, answer, true, Score(pair.name, pair.prompt, 0.0, None, {}, {})))
    return found


@pytest.fixture(scope="module")
def fitted(unprompter: Unprompter) -> Fitted:
    return collected(unprompter).fit()


def test_what_goes_with_the_truth_gets_a_weight(fitted: Fitted) -> None:
    assert fitted.spec.signs["nearest"][2] > 0.02
    assert all(weight > 0 for _, _, weight in fitted.spec.signs.values())
    assert (fitted.groups, fitted.grouped_by) == (60, "the field group")
    held = fitted.held_out
    assert held.n == 300
    assert held.error < 0.6 * held.error_without
    assert held.coverage == pytest.approx(0.8, abs=0.07)
    assert held.correlation > 0.8


def test_a_picture_of_nothing_is_worth_what_any_prompt_is(fitted: Fitted, unprompter: Unprompter) -> None:
    low, estimate, high = fitted.spec.blank
    assert low < estimate < high
    assert estimate < 0.3 < fitted.spec.mean  # no blank picture has anything to do with these prompts
    assert len(blank_pictures()) == 18


def test_the_written_preset_answers_with_confidence(fitted: Fitted, unprompter: Unprompter, tmp_path: Path) -> None:
    text = calibrated_text(unprompter.preset.text, fitted, source="val\n.jsonl", date="2026-11-30")
    path = tmp_path / "calibrated.toml"
    path.write_text(text)
    assert text.startswith(unprompter.preset.text)
    model = load(path)
    assert model.preset.confidence == fitted.spec
    shape, blank = model.predict([*tiny_models.shapes(tmp_path, 1), np.full((64, 64, 3), 200, np.uint8)], text=False)
    assert isinstance(shape, Prediction)
    assert isinstance(blank, Prediction)
    assert shape.confidence is not None
    assert blank.confidence is not None
    assert shape.confidence.low <= shape.confidence.estimate <= shape.confidence.high
    assert (blank.confidence.low, blank.confidence.estimate, blank.confidence.high) == fitted.spec.blank


def test_a_calibration_takes_the_place_of_an_earlier_one(fitted: Fitted, unprompter: Unprompter) -> None:
    text = calibrated_text(unprompter.preset.text, fitted, source="a", date="2026-11-30")
    again = replace(fitted, spec=replace(fitted.spec, mean=0.25))
    other = calibrated_text(f"{text}\n# the end\n", again, source="b", date="2026-12-01")
    assert other.count("[confidence]") == 1
    assert "to a" not in other
    preset = read_preset(other, "other.toml")
    assert preset.confidence == again.spec
    inline = f"confidence = {{mean = 0.1}}\n{unprompter.preset.text}"
    rewritten = read_preset(calibrated_text(inline, fitted, source="a", date="2026-11-30"), "inline.toml")
    assert (rewritten.confidence, rewritten.members) == (fitted.spec, unprompter.preset.members)


def test_signs_that_say_nothing_get_no_weight(unprompter: Unprompter) -> None:
    signs = collected(unprompter, 100)
    generator = np.random.default_rng(1)
    signs._true = generator.uniform(0.2, 0.8, 100).tolist()
    found = signs.fit()
    assert all(weight < 0.05 for _, _, weight in found.spec.signs.values())
    assert found.held_out.error == pytest.approx(found.held_out.error_without, abs=0.02)


def test_too_little_to_calibrate_on(unprompter: Unprompter) -> None:
    with pytest.raises(DataError, match=f"expected {LEAST_PICTURES} pictures or more to calibrate on, found 39"):
        collected(unprompter, 39).fit()
    with pytest.raises(DataError, match="two groups"):
        collected(unprompter, 50, groups=1).fit()
