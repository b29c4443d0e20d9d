"""Labelled pictures for training: their paths, target vectors and sampling weights."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unprompt.datasets.pairs import Pair, checked_pairs
from unprompt.durable import replace_file
from unprompt.errors import DataError
from unprompt.images.ref import ImageRef
from unprompt.prediction import Vector
from unprompt.progress import SILENT, Advance, Report, Step, no_advance, no_report
from unprompt.training.recipe import Data
from unprompt.training.targets import target_vectors

PHOTO = "photo"


@dataclass(frozen=True)
class Pairs:
    """Labelled pictures: the reference, prompt, target vector (n, 384) and group of each, and whether it is a photo.

    `texts` are the prompt or the captions that the target stands for.
    """

    pictures: list[ImageRef]
    prompts: list[str]
    texts: list[list[str]]
    targets: Vector
    photo: npt.NDArray[np.bool_]
    groups: list[int]

    @classmethod
    def read(
        cls,
        source: str,
        options: Data,
        cache: Path,
        *,
        all_captions: bool,
        report: Report = no_report,
        step: Step = SILENT,
    ) -> Pairs:
        """The pairs of a data set. `all_captions`: a photo's target is the mean of its captions' vectors.

        By default every picture is decoded once before training starts; the result is stored in `cache`, so a resumed
        run does not repeat it. Raises DataError if a record cannot be used, unless the recipe skips such records.
        """
        pairs = _checked(source, options, cache, report, step)
        texts = [_captions(pair) if all_captions else [pair.prompt] for pair in pairs]
        flat = sorted({text for several in texts for text in several})
        vectors = dict(zip(flat, target_vectors(flat, cache), strict=True))
        targets = np.stack([np.mean([vectors[text] for text in several], axis=0) for several in texts])
        return cls(
            pictures=[pair.picture for pair in pairs],
            prompts=[pair.prompt for pair in pairs],
            texts=texts,
            targets=(targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float32),
            photo=np.array([pair.fields.get("kind") == PHOTO for pair in pairs]),
            groups=[_group(pair.fields, index) for index, pair in enumerate(pairs)],
        )

    def described(self) -> str:
        """A description of the data for people."""
        photos = int(self.photo.sum())
        return (
            f"{len(self.pictures) - photos:,} generated pictures and {photos:,} photos, "
            f"{len(set(self.prompts)):,} distinct prompts"
        )

    def mean_vector_scores(self, others: Pairs) -> dict[str, float]:
        """The score of always predicting this set's mean vector on another set: the baseline to beat."""
        mean = self.targets.mean(axis=0)
        predicted = np.broadcast_to(mean / np.linalg.norm(mean), others.targets.shape)
        return others.score(predicted)

    def score(self, predicted: Vector) -> dict[str, float]:
        """Mean cosines for generated pictures and for photos, and their mean, "balanced", which selects weights."""
        cosines = (predicted * self.targets).sum(axis=1)
        kinds = {"generated": cosines[~self.photo], "photo": cosines[self.photo]}
        means = {kind: float(values.mean()) for kind, values in kinds.items() if len(values)}
        return {"balanced": float(np.mean(list(means.values()))), **means}


class Draw:
    """Which pictures an epoch shows, and in which order."""

    def __init__(self, pairs: Pairs, options: Data) -> None:
        sizes = Counter(pairs.groups)
        weights = np.array([sizes[group] for group in pairs.groups], np.float64) ** -options.group_balance
        self.weights = weights * np.where(pairs.photo, options.photo_weight, 1.0)
        if not self.weights.any():
            raise DataError("data: expected pictures to draw, found only photos with photo_weight = 0; raise that")
        numbers: dict[str, int] = {}
        of_prompt = [numbers.setdefault(prompt, len(numbers)) for prompt in pairs.prompts]
        self._of_prompt = np.array(of_prompt) if options.draw == "prompts" else None
        self._length = len(pairs.prompts) if self._of_prompt is None else len(numbers)

    def __len__(self) -> int:
        """Number of pictures in an epoch."""
        return self._length

    def epoch(self, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """Indices (len,): each once if all weights are equal, otherwise drawn by weight with replacement."""
        shown = np.arange(len(self.weights)) if self._of_prompt is None else self._one_of_each(self._of_prompt, rng)
        weights = self.weights[shown]
        if (weights == weights[0]).all():
            return rng.permutation(shown)
        return rng.choice(shown, size=len(shown), p=weights / weights.sum())

    def _one_of_each(self, of_prompt: npt.NDArray[np.intp], rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """A picture of each prompt, drawn by weight: the one with the shortest exponential waiting time."""
        with np.errstate(divide="ignore"):
            waiting = rng.exponential(size=len(of_prompt)) / self.weights
        order = np.lexsort((waiting, of_prompt))
        return order[np.searchsorted(of_prompt[order], np.arange(self._length))]


def _captions(pair: Pair) -> list[str]:
    return list(pair.fields.get("captions") or [pair.prompt])


def _group(fields: Mapping[str, Any], index: int) -> int:
    """A group below 0 means "none": such a picture is a group of its own."""
    group = fields.get("group")
    return group if isinstance(group, int) and group >= 0 else -1 - index


def _checked(source: str, options: Data, cache: Path, report: Report, step: Step) -> list[Pair]:
    pairs = _read(source, options, decode=False, advance=no_advance)[0]
    note = cache / f"checked-{_fingerprint(source, pairs)}.json"
    if options.decode_first and not note.exists():
        with step(f"looking for broken pictures in {Path(source).name}", len(pairs), "samples") as advance:
            pairs, faults = _read(source, options, decode=True, advance=advance)
        note.parent.mkdir(parents=True, exist_ok=True)
        replace_file(note, json.dumps(sorted(pair.name for pair in pairs)).encode())
        if faults:
            counts = ", ".join(f"{count} {kind}" for kind, count in sorted(faults.items()))
            report(f"{source}: goes on without {counts}")
    elif note.exists():
        sound = set(json.loads(note.read_text(encoding="utf-8")))
        pairs = [pair for pair in pairs if pair.name in sound]
    if not pairs:
        raise DataError(f"{source} holds no picture with a prompt")
    return pairs


def _read(source: str, options: Data, *, decode: bool, advance: Advance) -> tuple[list[Pair], Counter[str]]:
    return checked_pairs(
        source,
        root=options.root or None,
        skip_bad=options.skip_bad,
        decode=decode,
        threads=options.workers,
        advance=advance,
    )


def _fingerprint(source: str, pairs: Sequence[Pair]) -> str:
    """A hash of the pictures' names and sizes but not their content: reading it all would take as long as checking."""
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass"))
    for pair in pairs:
        digest.update(f"{pair.name}\0{pair.picture.size_mb}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
