"""The estimate of how near an answer is to the true prompt."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from unprompt.answer.confidence import Calibration, estimated, fitted_to, signs
from unprompt.errors import UnknownNameError
from unprompt.prediction import Concept, Confidence, Vector, Vote
from unprompt.presets import ConfidenceSpec, load_preset, read_preset
from unprompt.unprompter import Unprompter

SPEC = ConfidenceSpec(
    codebook="prompt_codebook.unprompt",
    fitted_to="",
    mean=0.5,
    low=-0.2,
    high=0.15,
    blank=(0.1, 0.2, 0.4),
    signs={"nearest": (0.8, 0.1, 0.05)},
)
PRESET = """
[[members]]
kind = "regressor"
model = "vit_tiny_patch16_224.unprompt"

[wording]
decoder = "sentence_decoder.unprompt"
"""


def units(*rows: dict[int, float]) -> Vector:
    vectors = np.zeros((len(rows), 384), np.float32)
    for vector, row in zip(vectors, rows, strict=True):
        for place, value in row.items():
            vector[place] = value
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_codebook_that_agrees_has_more_focus() -> None:
    target = units({0: 1.0})[0]
    agreeing = units({0: 1.0, 1: 0.1}, {0: 1.0, 2: 0.1}, {3: 1.0})
    divided = units({0: 1.0, 1: 1.0}, {0: 1.0, 1: -1.0}, {0: 1.0, 2: 1.0})
    one, other = signs(target, (), agreeing), signs(target, (), divided)
    assert one["focus"] > 0.98 > other["focus"] > 0.5
    assert one["nearest"] == pytest.approx(1 / math.sqrt(1.01))
    assert other["nearest_ten"] == pytest.approx(1 / math.sqrt(2))


def test_votes_and_concepts_are_signs_where_there_are_some() -> None:
    codebook = units({0: 1.0}, {1: 1.0})
    fused = units({0: 1.0})[0]
    alone = signs(fused, [Vote("a", 1.0, vector=fused)], codebook)
    assert set(alone) == {"focus", "nearest", "nearest_ten"}
    votes = [
        Vote("a", 0.75, vector=fused, concepts=(Concept("cat", 0.9), Concept("hat", 0.1))),
        Vote("b", 0.25, vector=units({1: 1.0})[0]),
        Vote("c", 0.5, texts=("a cat",)),
    ]
    found = signs(fused, votes, codebook)
    assert found["unity"] == pytest.approx(0.75)
    assert (found["concept"], found["concepts"]) == (0.9, pytest.approx(0.2))


def test_an_estimate_is_bounded_and_a_missing_sign_counts_as_its_mean() -> None:
    weights = {"nearest": (0.8, 0.1, 0.05), "unity": (0.5, 0.1, 0.02)}
    assert estimated(0.5, weights, {"nearest": 0.9}) == pytest.approx(0.55)
    assert estimated(0.5, weights, {"nearest": 0.9, "unity": 0.4}) == pytest.approx(0.53)
    assert estimated(0.5, weights, {"nearest": 1e9}) == pytest.approx(0.7)
    assert estimated(0.5, {"nearest": (0.8, 0.0, 0.05)}, {"nearest": 0.8}) == 0.5


def test_a_confidence_has_a_range_of_cosines_and_a_blank_picture_its_own() -> None:
    calibration = Calibration(replace(SPEC, mean=0.95))
    vector = calibration.codebook.vectors[0]
    found = calibration.confidence(vector, [Vote("a", 1.0, vector=vector)], blank=False)
    assert found.estimate == 1.0  # 0.95 + 2 deviations * 0.05, cut
    assert (found.low, found.high) == (pytest.approx(0.85, abs=0.01), 1.0)
    assert calibration.confidence(vector, (), blank=True) == Confidence(0.2, 0.1, 0.4)


def test_an_unknown_sign_is_named() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'nearest'"):
        Calibration(replace(SPEC, signs={"neerest": (0.8, 0.1, 0.05)}))


def test_a_calibration_holds_for_its_members_and_models_alone(tmp_path: Path) -> None:
    preset = read_preset(PRESET, "a.toml")
    folder = Calibration(SPEC).folder
    known = fitted_to(preset, {"vit": "a1"}, folder)
    assert known == fitted_to(read_preset(PRESET + 'style = "tags"\n', "b.toml"), {"vit": "a1"}, folder)
    assert known != fitted_to(preset, {"vit": "a2"}, folder)
    assert known == fitted_to(preset, {"vit": "a1", "all-MiniLM-L6-v2.unprompt": "stored otherwise"}, folder)
    seen_whole = read_preset(PRESET.replace("[[members]]", "[[members]]\nviews = ['whole']"), "c.toml")
    assert known != fitted_to(seen_whole, {"vit": "a1"}, folder)
    assert known != fitted_to(preset, {"vit": "a1"}, tiny_models.codebook(tmp_path / "book.tiny"))


def test_the_embedded_preset_is_calibrated_to_its_own_models() -> None:
    # It fails where a model was replaced and `unprompt presets calibrate embedded` was not run again.
    preset = load_preset("embedded")
    assert preset.confidence is not None
    identities = Unprompter(preset).identity(text=False)["models"]
    assert fitted_to(preset, identities, Calibration(preset.confidence).folder) == preset.confidence.fitted_to
