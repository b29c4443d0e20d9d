"""The competition's score: the mean cosine between submitted and true vectors."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

import numpy as np
import numpy.typing as npt

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.evaluation.metrics import Mean, bootstrap
from unprompt.kaggle.rows import HEADER, IMAGES_LIMIT
from unprompt.kaggle.submission import read_submission
from unprompt.prediction import Vector

if TYPE_CHECKING:
    from unprompt.text.sentence import SentenceEncoder

LINE_LIMIT = 100_000
"""Characters that a line of a file of prompts may have."""

_COLUMNS = ("imgId", "prompt")
_FEW = 5
_SHOWN = 80  # characters of a header


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Cosines (images,) float64 in the order of the truth, and their mean.

    `prompts` are the true ones; empty texts where the truth was given as vectors. `unscored` is how many images were
    submitted that the truth lacks.
    """

    images: tuple[str, ...]
    prompts: tuple[str, ...]
    cosines: npt.NDArray[np.float64]
    mean: Mean
    unscored: int


def score_submission(
    path: str | os.PathLike[str], truth: str | os.PathLike[str], encoder: SentenceEncoder | None = None
) -> Scores:
    """Score a submission against a csv file of true prompts (imgId,prompt) or of true vectors (imgId_eId,val).

    The length of a vector does not matter. `encoder` turns prompts into vectors; None is the package's own. Raises
    DataError where a file cannot be read or is not sound, and where an image of the truth was not submitted.
    """
    submission = read_submission(path)
    images, prompts, vectors = _truth(truth, encoder)
    numbers = {image: number for number, image in enumerate(submission.images)}
    if missing := [printable(image) for image in images if image not in numbers]:
        some = ", ".join(missing[:_FEW]) + (", ..." if len(missing) > _FEW else "")
        raise DataError(
            f"expected the {len(images):,} images of {_name(truth)} in {_name(path)}, "
            f"found no rows for {len(missing):,} of them: {some}"
        )
    cosines = _cosines(submission.raw_vectors[[numbers[image] for image in images]], vectors)
    mean = bootstrap(cosines)
    assert mean is not None  # no truth is empty
    return Scores(images, prompts, cosines, mean, len(numbers) - len(images))


def read_prompts(path: str | os.PathLike[str]) -> dict[str, str]:
    """The true prompts of a csv file with the columns imgId and prompt, by imgId, in its order; never empty.

    Raises DataError, with the line's number, where it cannot be read or a row lacks something or comes twice.
    """
    prompts: dict[str, str] = {}
    line = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(_lines(file), strict=True)
            header = next(rows, [])
            if not set(_COLUMNS) <= set(header):
                raise ValueError(printable(",".join(header))[:_SHOWN] or "no header")
            image_at, prompt_at = map(header.index, _COLUMNS)
            for row in filter(None, rows):
                line = rows.line_num
                image, prompt = (row[at] if at < len(row) else "" for at in (image_at, prompt_at))
                if not image or not prompt:
                    raise ValueError("an empty cell")
                if image in prompts:
                    raise ValueError(f"{printable(image)} once more")
                if len(prompts) == IMAGES_LIMIT:
                    raise ValueError(f"more than {IMAGES_LIMIT:,} images")
                prompts[image] = prompt
        if not prompts:
            raise ValueError("no row")
    except (OSError, ValueError, csv.Error) as error:
        place = f"{_name(path)}:{line}" if line else _name(path)
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"expected true prompts (csv, UTF-8, the columns imgId,prompt) or vectors ({HEADER}) at {place}, "
            f"found: {reason}"
        ) from error
    return prompts


def _truth(
    path: str | os.PathLike[str], encoder: SentenceEncoder | None
) -> tuple[tuple[str, ...], tuple[str, ...], Vector]:
    """Images, their prompts, and their vectors (images, 384)."""
    if _holds_vectors(path):
        true = read_submission(path)
        return true.images, ("",) * len(true.images), true.raw_vectors
    prompts = read_prompts(path)
    if encoder is None:
        from unprompt.text.sentence import SentenceEncoder

        encoder = SentenceEncoder.embedded()
    return tuple(prompts), tuple(prompts.values()), encoder.encode(list(prompts.values()))


def _holds_vectors(path: str | os.PathLike[str]) -> bool:
    """Whether it begins as a submission does; what cannot be read does not."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.readline(2 * len(HEADER)).strip().replace('"', "") == HEADER
    except (OSError, ValueError):
        return False


def _lines(file: TextIO) -> Iterator[str]:
    while line := file.readline(LINE_LIMIT + 1):
        if len(line) > LINE_LIMIT:
            raise ValueError(f"a line of more than {LINE_LIMIT:,} characters")
        yield line


def _cosines(a: Vector, b: Vector) -> npt.NDArray[np.float64]:
    """Of each row of (n, 384) with the same row of the other, of whatever length."""
    lengths = np.sqrt(_products(a, a) * _products(b, b))
    return _products(a, b) / lengths


def _products(a: Vector, b: Vector) -> npt.NDArray[np.float64]:
    # In double, without copies: what is submitted may be as large as float32 can be.
    return np.asarray(np.einsum("ij,ij->i", a, b, dtype=np.float64))


def _name(path: str | os.PathLike[str]) -> str:
    return printable(os.fspath(path))
