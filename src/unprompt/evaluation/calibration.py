"""The calibration of a preset's confidence, fitted on labelled pictures and judged on others."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unprompt.answer.codebook import Codebook
from unprompt.answer.confidence import CODEBOOK, SIGNS, estimated, fitted_to, signs
from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.evaluation.reliability import Judged, Reliability, reliability, reliability_record
from unprompt.evaluation.scoring import Scored, prompt_group
from unprompt.evaluation.weights import assign_folds, group_pictures
from unprompt.images.ref import Pixels
from unprompt.models.store.registry import find_model
from unprompt.prediction import Confidence, Failure, Vector
from unprompt.presets import ConfidenceSpec, to_toml
from unprompt.unprompter import Unprompter
from unprompt.version import __version__

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LEAST_PICTURES = 40
RIDGE = 0.1
"""The penalty on a squared weight, as a share of the variance of its sign."""
_DECIMALS = 4
_SIDE = 256

_Numbers = npt.NDArray[np.float64]
_Weights = Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A calibration fitted on all pictures, and how reliable one is on pictures that it was not fitted on.

    For `held_out` the pictures are halved by groups of similar prompts, and each half is judged by a fit on the other.
    """

    spec: ConfidenceSpec
    held_out: Reliability
    groups: int
    grouped_by: str


class Signs:
    """Collects the signs and the true cosine of each answer, then fits. Raises as `find_model` does."""

    def __init__(self, unprompter: Unprompter) -> None:
        drawing = unprompter.preset.codebook
        self._unprompter = unprompter
        self._reference = CODEBOOK if drawing is None else drawing.model
        self._folder = find_model(self._reference)
        self._codebook = Codebook.read(self._folder).vectors
        self._signs: list[dict[str, float]] = []
        self._true: list[float] = []
        self._prompts: list[str] = []
        self._groups: list[int | None] = []
        self._vectors: dict[str, Vector] = {}

    def add(self, scored: Scored) -> None:
        """Add one picture; one that no member has a vector for is ignored, for it gets no confidence."""
        votes = scored.answer.votes
        if all(vote.vector is None for vote in votes):
            return
        self._signs.append(signs(self._unprompter.fused(scored.answer), votes, self._codebook))
        self._true.append(float(scored.true @ scored.answer.vector))
        self._prompts.append(scored.pair.prompt)
        self._groups.append(prompt_group(scored.pair.fields))
        self._vectors.setdefault(scored.pair.prompt, scored.true)

    def fit(self) -> Fitted:
        """Fit the worth of the signs. Raises DataError if there are too few pictures, or one group alone."""
        if len(self._true) < LEAST_PICTURES:
            raise DataError(
                f"expected {LEAST_PICTURES} pictures or more to calibrate on, found {len(self._true)}; name a larger "
                "data set"
            )
        groups, grouped_by = group_pictures(self._prompts, self._groups, self._vectors)
        halves = assign_folds(groups, 2)
        if len(set(halves)) < 2:
            raise DataError(
                "expected pictures of two groups of similar prompts or more, found one; without others to judge it by, "
                "a calibration cannot be trusted"
            )
        true = np.array(self._true)
        judged: list[Judged] = []
        for half in (0, 1):
            judged += self._judged(true, halves != half, halves == half)
        errors = np.array([each.true - each.confidence.estimate for each in judged])
        mean, weights = _fit(self._signs, true)
        spec = ConfidenceSpec(
            codebook=self._reference,
            fitted_to=fitted_to(self._unprompter.preset, self._unprompter.identity(text=False)["models"], self._folder),
            mean=_rounded(mean),
            low=min(0.0, _rounded(np.quantile(errors, 0.1))),
            high=max(0.0, _rounded(np.quantile(errors, 0.9))),
            blank=self._blank(),
            signs=weights,
        )
        return Fitted(spec, reliability(judged), len(set(groups)), grouped_by)

    def _judged(self, true: _Numbers, known: npt.NDArray[np.bool_], asked: npt.NDArray[np.bool_]) -> list[Judged]:
        """The pictures `asked`, judged by a fit on those `known`."""
        mean, weights = _fit([self._signs[place] for place in np.flatnonzero(known)], true[known])
        estimates = np.array([estimated(mean, weights, found) for found in self._signs])
        low, high = np.quantile((true - estimates)[known], [0.1, 0.9])
        return [
            Judged(Confidence(estimate, estimate + low, estimate + high), float(true[place]))
            for place in np.flatnonzero(asked)
            for estimate in (float(estimates[place]),)
        ]

    def _blank(self) -> tuple[float, float, float]:
        """(low, estimate, high) for pictures of nothing, whose prompt may be any of these."""
        answers = self._unprompter.predict(blank_pictures(), ignore_metadata=True, text=False)
        vectors = np.stack([answer.vector for answer in answers if not isinstance(answer, Failure)])
        cosines = vectors @ np.stack(list(self._vectors.values())).T  # (pictures, prompts)
        low, high = np.quantile(cosines, [0.1, 0.9])
        return _rounded(low), _rounded(cosines.mean()), _rounded(high)


def blank_pictures() -> list[Pixels]:
    """Pictures of nothing: black, white, grey, the colours between, and noise of four kinds. Always the same."""
    levels = (0, 128, 255)
    colours = [(red, green, blue) for red in levels for green in levels for blue in levels]
    flat = [np.full((_SIDE, _SIDE, 3), colour, np.uint8) for colour in colours[::2]]
    generator = np.random.default_rng(0)
    noise = [generator.integers(0, 256, (_SIDE, _SIDE, channels), np.uint8) for channels in (3, 1)]
    grains = [np.kron(each[::4, ::4], np.ones((4, 4, 1), np.uint8)) for each in noise]
    return [*flat, *(np.broadcast_to(each, (_SIDE, _SIDE, 3)).copy() for each in (*noise, *grains))]


def calibrated_text(text: str, fitted: Fitted, *, source: str, date: str) -> str:
    """A preset's TOML with the calibration as its last table, in place of an earlier one; all else stays as it is."""
    table = tomllib.loads(text)
    table.pop("confidence", None)
    rest = _without_confidence(text)
    try:
        kept = tomllib.loads(rest) == table
    except tomllib.TOMLDecodeError:
        kept = False
    if not kept:  # it was written in another way, such as confidence.mean = 0.5
        rest = to_toml(table)
    return rest.rstrip("\n") + "\n\n" + _section(fitted, source, date)


def calibration_record(fitted: Fitted) -> dict[str, Any]:
    """A calibration as JSON, with its reliability on held-out pictures as a report has it."""
    return {
        "held_out": reliability_record(fitted.held_out),
        "groups": fitted.groups,
        "grouped_by": fitted.grouped_by,
        "confidence": asdict(fitted.spec),
    }


def _section(fitted: Fitted, source: str, date: str) -> str:
    held, spec = fitted.held_out, fitted.spec
    told = [
        f"Fitted by `unprompt presets calibrate`, unprompt {__version__}, {date}.",
        f"Data: {source}, {held.n:,} pictures in {fitted.groups:,} groups of similar prompts (by {fitted.grouped_by}).",
        "Each half judged by a fit on the other:",
        f"  mean error {held.error:.3f} (of the mean cosine alone {held.error_without:.3f}), correlation "
        f"{held.correlation:.2f},",
        f"  {100 * held.coverage:.1f} % of true cosines in the range, which is meant to hold 80 %.",
    ]
    values = {
        "codebook": spec.codebook,
        "fitted_to": spec.fitted_to,
        "mean": spec.mean,
        "low": spec.low,
        "high": spec.high,
        "blank": list(spec.blank),
    }
    lines = [
        "[confidence]",
        *(f"# {printable(line)}" for line in told),
        to_toml(values).strip(),
        "",
        "[confidence.signs]  # mean, standard deviation, weight",
        to_toml({name: list(numbers) for name, numbers in spec.signs.items()}).strip(),
    ]
    return "\n".join(line for line in lines) + "\n"


def _without_confidence(text: str) -> str:
    """The text without the lines of its tables [confidence] and [confidence.signs]."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines(keepends=True):
        if re.match(r"\s*\[", line):
            inside = re.match(r"\s*\[\s*confidence\s*[\].]", line) is not None
        if not inside:
            kept.append(line)
    return "".join(kept)


def _fit(found: Sequence[Mapping[str, float]], true: _Numbers) -> tuple[float, _Weights]:
    """The mean cosine, and (mean, standard deviation, weight) of each sign: ridge regression without negative weights.

    All signs are higher where an answer is surer; one that says the opposite beside the others is left out, for that is
    a chance of these pictures.
    """
    names = [name for name in SIGNS if any(name in each for each in found)]
    table = np.array([[each.get(name, np.nan) for name in names] for each in found])  # (n, signs)
    middle, deviation = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    standard = np.nan_to_num((table - middle) / np.maximum(deviation, 1e-9))
    weights = _ridge(standard, true - true.mean())
    numbers = zip(names, middle, deviation, weights, strict=True)
    return float(true.mean()), {
        name: (_rounded(mean), _rounded(spread), _rounded(weight))
        for name, mean, spread, weight in numbers
        if _rounded(weight) > 0
    }


def _ridge(standard: _Numbers, target: _Numbers) -> _Numbers:
    """The weights (signs,), none negative: the most negative one is left out until there is none."""
    weights = np.zeros(standard.shape[1])
    used = np.flatnonzero(standard.any(axis=0))
    while len(used):
        kept = standard[:, used]
        found = np.linalg.solve(kept.T @ kept + RIDGE * len(target) * np.eye(len(used)), kept.T @ target)
        if found.min() >= 0:
            weights[used] = found
            break
        used = np.delete(used, found.argmin())
    return weights


def _rounded(number: float | np.floating) -> float:
    return round(float(number), _DECIMALS)
