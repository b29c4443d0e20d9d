"""The phrases that wording may add to a text, with their vectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.stored_vectors import read_vectors, write_vectors
from unprompt.prediction import Vector
from unprompt.text.content_words import content_stems

PHRASES, VECTORS = "phrases.txt", "phrases.npy"


@dataclass(frozen=True, eq=False)
class Phrases:
    """Phrases with their unit vectors (phrases, 384), which were encoded when the decoder was exported."""

    texts: tuple[str, ...]
    vectors: Vector

    @classmethod
    def read(cls, folder: ModelFolder) -> Phrases | None:
        """The phrases of a decoder's folder, if it has any. Raises ModelError if its two files do not match."""
        if PHRASES not in folder.config["files"]:
            return None
        texts = tuple(folder.file(PHRASES).read_text(encoding="utf-8").splitlines())
        vectors = read_vectors(folder, VECTORS)
        if len(vectors) != len(texts):
            raise ModelError(f"model {folder.name}: {len(texts)} phrases, but vectors of the shape {vectors.shape}")
        return cls(texts, vectors)

    def write(self, folder: Path) -> list[str]:
        """Writes the two files, with vectors in 8 bits; returns their names."""
        (folder / PHRASES).write_text("".join(f"{text}\n" for text in self.texts), encoding="utf-8")
        write_vectors(folder / VECTORS, self.vectors)
        return [PHRASES, VECTORS]

    @cached_property
    def stems(self) -> list[frozenset[str]]:
        """The stems of each one's content words."""
        return [content_stems(text) for text in self.texts]
