"""Submissions: written atomically, checked, and read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from unprompt.display import printable
from unprompt.durable import replacing_file
from unprompt.errors import DataError
from unprompt.kaggle.rows import HEADER, Finding, read_rows
from unprompt.output.files import plain_place
from unprompt.prediction import EMBEDDING_SIZE, Vector


@dataclass(frozen=True, slots=True)
class Check:
    """The size of a submission file and what is wrong with it; it is sound if there are no findings.

    `rows` counts all lines except the header and blank ones; `images` counts the wanted images or, without a sample,
    those in the file.
    """

    rows: int
    images: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Submission:
    """A sound submission: vectors (images, 384) float32 of any length, in order of the images' first appearance."""

    images: tuple[str, ...]
    raw_vectors: Vector


def check_submission(path: str | os.PathLike[str], like: str | os.PathLike[str] | None = None) -> Check:
    """Find everything that is wrong with a file in one pass, see `unprompt.kaggle.rows.KINDS`.

    The file must hold the images of the sample `like` (default: the images it names). Raises DataError if a file cannot
    be read or holds more than `IMAGES_LIMIT` images, or if the sample is broken.
    """
    rows = read_rows(path, None if like is None else read_images(like))
    return Check(rows.count, len(rows.images), rows.findings)


def read_images(like: str | os.PathLike[str]) -> tuple[str, ...]:
    """The images of a sample in order of first appearance; its values are ignored.

    Raises DataError if the file cannot be read or its rows are broken, missing or repeated.
    """
    rows = read_rows(like)
    _expect_none(like, [found for found in rows.findings if found.kind not in ("non-finite", "zero-length")])
    return rows.images


def read_submission(path: str | os.PathLike[str]) -> Submission:
    """The vectors of a submission. Raises DataError if it cannot be read or is not sound."""
    rows = read_rows(path)
    _expect_none(path, rows.findings)
    return Submission(rows.images, rows.values)


def write_submission(path: str | os.PathLike[str], rows: Iterable[tuple[str, Vector]]) -> int:
    """Write images and their vectors (384,) as they come; returns how many there were.

    Each number is the shortest text that parses to the same float32. The file is written as .NAME.part beside `path`
    and renamed when complete; until then, and after any error, an existing file stays. A path that cannot be written to
    is found out before the first row is taken.

    Raises OutputBusyError if another process writes the file, DataError if it cannot be written, ValueError for a
    vector that is not finite or not (384,), and whatever `rows` raises.
    """
    count = 0
    with replacing_file(plain_place(os.fspath(path), "the submission"), alone=True) as file:
        file.write(f"{HEADER}\n".encode())
        for image, vector in rows:
            file.write(_lines(image, vector))
            file.flush()  # a full disk is noticed at once, and the size shows how far it is
            count += 1
    return count


def mean_in_gaps(answers: Iterable[tuple[str, Vector | None]]) -> Iterator[tuple[str, Vector]]:
    """Replace missing vectors (384,) by the mean of all others, scaled to unit length, keeping the order.

    From the first gap on, all answers are held until the last has arrived. Raises DataError if every vector is missing.
    """
    total = np.zeros(EMBEDDING_SIZE)
    held: list[tuple[str, Vector | None]] = []
    for image, vector in answers:
        if vector is not None:
            total += vector
        if held or vector is None:
            held.append((image, vector))
        else:
            yield image, vector
    if held and not total.any():
        raise DataError("expected pictures to take the mean vector of, found none that could be read")
    for image, vector in held:
        yield image, (total / np.linalg.norm(total)).astype(np.float32) if vector is None else vector


def _lines(image: str, vector: Vector) -> bytes:
    if vector.shape != (EMBEDDING_SIZE,) or not np.isfinite(vector).all():
        raise ValueError(f"expected a finite vector ({EMBEDDING_SIZE},) for {image!r}, found {vector}")
    # The shortest text of a float32; that of a float64 would have twice as many digits.
    texts = map(str, vector.astype(np.float32, copy=False))
    return "".join([f"{image}_{place},{text}\n" for place, text in enumerate(texts)]).encode()


def _expect_none(path: str | os.PathLike[str], findings: Sequence[Finding]) -> None:
    if findings:
        raise DataError(
            f"expected a sound submission at {printable(os.fspath(path))}, found {'; '.join(map(str, findings))}"
        )
