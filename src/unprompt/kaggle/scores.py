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
"""Maximum length in characters of a line in a file of prompts."""

_COLUMNS = ("imgId", "prompt")
_FEW = 5
_SHOWN = 80  # characters of a header


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Cosines (images,) float64 in the order of the truth, and their mean.

    `prompts` are the true ones, empty strings if the truth consists of vectors. `unscored` is the number of submitted
    images that are not in the truth.
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

    Vectors may have any length. `encoder` turns prompts into vectors (default: the package's own). Raises DataError if
    a file cannot be read or is not sound, or if the submission lacks an image of the truth.
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
    """Read the true prompts, by imgId, from a csv file with the columns imgId and prompt.

    Raises DataError, with the line number, if the file cannot be read or has no rows, an empty cell or a repeated
    imgId.
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
                    raise ValueError(f"{printable(image)} again")
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
    """The images, their prompts, and their vectors (images, 384)."""
    if _holds_vectors(path):
        true = read_submission(path)
        return true.images, ("",) * len(true.images), true.raw_vectors
    prompts = read_prompts(path)
    if encoder is None:
        from unprompt.text.sentence import SentenceEncoder

        encoder = SentenceEncoder.embedded()
    return tuple(prompts), tuple(prompts.values()), encoder.encode(list(prompts.values()))


def _holds_vectors(path: str | os.PathLike[str]) -> bool:
    """Whether the file has the header of a submission; False if it cannot be read."""
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
    """Cosines (n,) between the rows of a and b (n, 384), which may have any length."""
    lengths = np.sqrt(_products(a, a) * _products(b, b))
    return _products(a, b) / lengths


def _products(a: Vector, b: Vector) -> npt.NDArray[np.float64]:
    # In float64, since submitted numbers may be as large as float32 allows; einsum makes no copies.
    return np.asarray(np.einsum("ij,ij->i", a, b, dtype=np.float64))


def _name(path: str | os.PathLike[str]) -> str:
    return printable(os.fspath(path))
