"""Labelled pictures as training sees them: where they lie, what they should become, how often they are drawn."""

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
    """Labelled pictures: where each lies, its prompt, its target vector (n, 384), whether it is a photo."""

    pictures: list[ImageRef]
    prompts: list[str]
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
        """The pairs of a data set. `all_captions`: the target of a photo is the mean of its captions' vectors.

        Every picture is decoded once, by default, before anything is learnt; a note in `cache` spares a run that goes
        on from doing it again. Raises DataError where a record is of no use, unless the recipe skips these.
        """
        pairs = _checked(source, options, cache, report, step)
        texts = [_captions(pair) if all_captions else [pair.prompt] for pair in pairs]
        flat = sorted({text for several in texts for text in several})
        vectors = dict(zip(flat, target_vectors(flat, cache), strict=True))
        targets = np.stack([np.mean([vectors[text] for text in several], axis=0) for several in texts])
        return cls(
            pictures=[pair.picture for pair in pairs],
            prompts=[pair.prompt for pair in pairs],
            targets=(targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float32),
            photo=np.array([pair.fields.get("kind") == PHOTO for pair in pairs]),
            groups=[_group(pair.fields, index) for index, pair in enumerate(pairs)],
        )

    def described(self) -> str:
        """How many of what."""
        photos = int(self.photo.sum())
        return (
            f"{len(self.pictures) - photos:,} generated pictures and {photos:,} photos, "
            f"{len(set(self.prompts)):,} distinct prompts"
        )

    def mean_vector_scores(self, others: Pairs) -> dict[str, float]:
        """What always answering with this set's mean vector scores on another one: the least that is to be beaten."""
        mean = self.targets.mean(axis=0)
        predicted = np.broadcast_to(mean / np.linalg.norm(mean), others.targets.shape)
        return others.score(predicted)

    def score(self, predicted: Vector) -> dict[str, float]:
        """Mean cosine for generated pictures, for photos, and the mean of the two, which decides."""
        cosines = (predicted * self.targets).sum(axis=1)
        kinds = {"generated": cosines[~self.photo], "photo": cosines[self.photo]}
        means = {kind: float(values.mean()) for kind, values in kinds.items() if len(values)}
        return {"balanced": float(np.mean(list(means.values()))), **means}


class Draw:
    """Which pictures an epoch shows, in which order."""

    def __init__(self, pairs: Pairs, options: Data) -> None:
        sizes = Counter(pairs.groups)
        weights = np.array([sizes[group] for group in pairs.groups], np.float64) ** -options.group_balance
        self.weights = weights * np.where(pairs.photo, options.photo_weight, 1.0)
        if not self.weights.any():
            raise DataError("data: no picture is ever drawn: photo_weight is 0 and there are photos alone")
        numbers: dict[str, int] = {}
        of_prompt = [numbers.setdefault(prompt, len(numbers)) for prompt in pairs.prompts]
        self._of_prompt = np.array(of_prompt) if options.draw == "prompts" else None
        self._length = len(pairs.prompts) if self._of_prompt is None else len(numbers)

    def __len__(self) -> int:
        """How many pictures an epoch shows."""
        return self._length

    def epoch(self, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """Places (len,): each once where all weigh the same, otherwise by weight and with replacement."""
        shown = np.arange(len(self.weights)) if self._of_prompt is None else self._one_of_each(self._of_prompt, rng)
        weights = self.weights[shown]
        if (weights == weights[0]).all():
            return rng.permutation(shown)
        return rng.choice(shown, size=len(shown), p=weights / weights.sum())

    def _one_of_each(self, of_prompt: npt.NDArray[np.intp], rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """A picture of each prompt, by weight: the one whose waiting time ends first, at rates that are the weights."""
        with np.errstate(divide="ignore"):
            waiting = rng.exponential(size=len(of_prompt)) / self.weights
        order = np.lexsort((waiting, of_prompt))
        return order[np.searchsorted(of_prompt[order], np.arange(self._length))]


def _captions(pair: Pair) -> list[str]:
    return list(pair.fields.get("captions") or [pair.prompt])


def _group(fields: Mapping[str, Any], index: int) -> int:
    """A group below 0 stands for "none": such a picture is a group of its own."""
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
    return checked_pairs(source, skip_bad=options.skip_bad, decode=decode, threads=options.workers, advance=advance)


def _fingerprint(source: str, pairs: Sequence[Pair]) -> str:
    """Changes with the names and sizes of the pictures, not with their content: a note spares hours of decoding."""
    digest = hashlib.sha256(source.encode("utf-8", "surrogatepass"))
    for pair in pairs:
        digest.update(f"{pair.name}\0{pair.picture.size_mb}\0".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
