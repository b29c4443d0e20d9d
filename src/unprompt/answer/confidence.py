"""How near an answer's vector should be to the true prompt's, estimated from signs that cost nothing.

The signs are numbers that answering knows anyway, each higher where the answer is surer. A preset's `[confidence]` says
what they are worth: `unprompt.evaluation.calibration` fits it to pictures whose prompts are known.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from unprompt.answer.codebook import Codebook, check_codebook
from unprompt.errors import UnknownNameError
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import Confidence, Vector, Vote
from unprompt.presets import ConfidenceSpec, Preset
from unprompt.text.products import products

SIGNS = ("focus", "nearest", "nearest_ten", "unity", "concept", "concepts")
"""The names of the signs: see `signs`."""

CODEBOOK = "prompt_codebook.unprompt"
"""The codebook by which presets without one of their own are calibrated."""

_SHARPNESS = 10
"""At 10 the focus goes with the truth in photos and in generated pictures; at 3 and 30 in one of them alone."""
_FURTHEST = 4.0
"""A sign counts as at most so many standard deviations from its mean: what was never seen is not extrapolated."""


class Calibration:
    """A preset's `[confidence]`, with the codebook that it looks at. Raises as `find_model`, and UnknownNameError."""

    def __init__(self, spec: ConfidenceSpec) -> None:
        for name in spec.signs:
            if name not in SIGNS:
                raise UnknownNameError("sign in [confidence.signs]", name, SIGNS)
        self.spec = spec
        self.folder = find_model(spec.codebook)
        check_codebook(self.folder)
        self._codebook: Codebook | None = None

    @property
    def codebook(self) -> Codebook:
        """The codebook, read when it is first needed."""
        if self._codebook is None:
            self._codebook = Codebook.read(self.folder)
        return self._codebook

    def confidence(self, fused: Vector, votes: Sequence[Vote], *, blank: bool) -> Confidence:
        """The confidence of a picture's fused vector (384,); `blank` says that the picture shows nothing."""
        if blank:
            low, estimate, high = self.spec.blank
            return Confidence(estimate, low, high)
        found = signs(fused, votes, self.codebook.vectors)
        estimate = estimated(self.spec.mean, self.spec.signs, found)
        return Confidence(_cosine(estimate), _cosine(estimate + self.spec.low), _cosine(estimate + self.spec.high))


def signs(fused: Vector, votes: Sequence[Vote], codebook: Vector) -> dict[str, float]:
    """The signs of a picture by name, those that its votes have; `codebook` are unit vectors (n, 384).

    - `focus`: the length of the mean of the codebook, each vector weighted by exp(10 * its cosine with the fused
      vector): near 1 if all prompts that the picture could have say the same. If the true prompt is one of them, drawn
      with that weight, it is the expected cosine of the best guess.
    - `nearest`, `nearest_ten`: the largest cosine with the codebook, and the mean of the ten largest.
    - `unity`: the weighted mean cosine of the votes with the fused vector, of two votes or more.
    - `concept`, `concepts`: the probability of the first concept, and the mean of the first five, over all votes.
    """
    cosines = products(fused[None], codebook)[0].astype(np.float64)  # (n,)
    weights = np.exp(_SHARPNESS * (cosines - cosines.max()))
    centre = products((weights / weights.sum()).astype(np.float32)[None], codebook.T)[0]
    highest = np.sort(cosines)[::-1][:10]
    found = {
        "focus": float(np.linalg.norm(centre)),
        "nearest": float(highest[0]),
        "nearest_ten": float(highest.mean()),
    }
    cast = [(vote.weight, float(vote.vector @ fused)) for vote in votes if vote.vector is not None]
    if len(cast) > 1:
        found["unity"] = sum(weight * cosine for weight, cosine in cast) / sum(weight for weight, _ in cast)
    probabilities = sorted((concept.probability for vote in votes for concept in vote.concepts), reverse=True)
    if probabilities:
        found["concept"] = probabilities[0]
        found["concepts"] = sum(probabilities[:5]) / 5
    return found


def estimated(mean: float, weights: Mapping[str, tuple[float, float, float]], found: Mapping[str, float]) -> float:
    """The estimated cosine: `mean` plus the weight of each sign times its distance from its own mean.

    `weights` holds (mean, standard deviation, weight) of each sign. One that a picture lacks counts as its mean.
    """
    total = mean
    for name, (middle, deviation, weight) in weights.items():
        if name in found:
            distance = (found[name] - middle) / max(deviation, 1e-9)
            total += weight * min(max(distance, -_FURTHEST), _FURTHEST)
    return total


def fitted_to(preset: Preset, identities: Mapping[str, str], reference: ModelFolder) -> str:
    """A short hash of all that a calibration depends on: members and weights, models, drawing, the codebook looked at.

    Neither how answers are worded nor how the sentence encoder is stored changes it: its vectors stay what they are.
    """
    models = {name: known for name, known in identities.items() if name != SENTENCE_ENCODER}
    members = [asdict(member) for member in preset.members]
    drawing = None if preset.codebook is None else asdict(preset.codebook)
    known: dict[str, Any] = {"members": members, "drawing": drawing, "models": models}
    known["reference"] = {reference.name: reference.identity()}
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _cosine(number: float) -> float:
    return min(max(number, -1.0), 1.0)
