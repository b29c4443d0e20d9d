"""Vectors of training texts, computed once and kept beside the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unprompt.errors import DataError
from unprompt.text.sentence import SentenceEncoder

TEXTS_AT_A_TIME = 4096


def target_vectors(texts: Sequence[str], cache: Path) -> npt.NDArray[np.float32]:
    """Unit vectors (len(texts), 384) of texts; kept in `cache` under the hash of the texts, so a killed run goes on.

    Raises DataError where there are no texts.
    """
    if not texts:
        raise DataError("there are no texts to learn from")
    key = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def encode() -> npt.NDArray[np.float32]:
        encoder = SentenceEncoder.embedded()
        parts = [encoder.encode(texts[at : at + TEXTS_AT_A_TIME]) for at in range(0, len(texts), TEXTS_AT_A_TIME)]
        return np.concatenate(parts)

    return kept(cache / f"vectors-{key}.npy", encode)


def kept(path: Path, compute: Callable[[], npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """The array in `path`; where there is none yet, what `compute` gives, written whole or not at all."""
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False))
    computed = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part.npy")
    np.save(temporary, computed)
    temporary.replace(path)
    return computed


def read_records(path: Path, *needed: str) -> Iterator[dict[str, Any]]:
    """The records of a jsonl file, each with the `needed` string fields.

    `captions`, where a record has them, are strings, and `group` is a whole number. Raises DataError, which names the
    line that lacks one.
    """
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not JSON: {error}") from error
        lacking = [key for key in needed if not isinstance(record, dict) or not isinstance(record.get(key), str)]
        if lacking:
            raise DataError(f"{path}, line {number}: expected a record with the string {' and '.join(lacking)}")
        captions = [] if record.get("captions") is None else record["captions"]
        if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
            raise DataError(f"{path}, line {number}: expected captions to be a list of strings, found {captions!r}")
        if not isinstance(record.get("group"), int | None):
            raise DataError(f"{path}, line {number}: expected group to be a whole number, found {record['group']!r}")
        yield record


def read_lines(path: Path) -> list[str]:
    """The lines of a UTF-8 text file; DataError where there is none."""
    try:
        # Not splitlines(): it would also cut a prompt at U+2028 and the like.
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"expected a text file at {path}: {error}") from error
