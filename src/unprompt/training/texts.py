"""Training texts, read from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from unprompt.datasets.prompts import PromptSource
from unprompt.errors import DataError


def read_texts(paths: Sequence[Path]) -> list[str]:
    """The distinct, normalised texts in files: the lines of .txt files, the prompts and captions of other data sets.

    Raises DataError if there are no texts, or if a record cannot be used.
    """
    found = dict.fromkeys(normalise(text) for path in paths for text in _texts(path))
    found.pop("", None)
    if not found:
        raise DataError(f"expected texts to learn from in {', '.join(map(str, paths))}, found none; check the files")
    return list(found)


def normalise(text: str) -> str:
    """The text in lower case (MiniLM is uncased), with single spaces and without lone surrogates."""
    return " ".join(text.lower().split()).encode("utf-8", "replace").decode("utf-8")


def _texts(path: Path) -> Iterator[str]:
    for entry in PromptSource(str(path), pictures=False).entries():
        yield entry.prompt
        yield from entry.fields.get("captions") or ()
