"""The words and terms that wording may put into a sentence, with their vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unprompt.errors import ModelError
from unprompt.models.store.folder import ModelFolder
from unprompt.models.store.stored_vectors import read_vectors, write_vectors
from unprompt.prediction import Vector

WORDS, VECTORS = "words.txt", "words.npy"

# fmt: off
FUNCTION_WORDS = frozenset(
    [
        "a", "an", "the", "this", "that", "these", "those", "there", "some", "any", "no", "not", "two", "three", "of",
        "in", "on", "at", "by", "to", "from", "for", "with", "without", "into", "onto", "over", "under", "near",
        "next", "up", "down", "out", "off", "as", "and", "or", "but", "while", "through", "between", "behind",
        "before", "after", "is", "are", "was", "were", "be", "been", "being", "has", "have", "had", "do", "does",
        "did", "can", "will", "it", "its", "he", "his", "him", "she", "her", "they", "their", "them", "we", "our",
        "you", "your", "i", "my", "me", "who", "which", "what", "where", "when", "very",
    ]
)
# fmt: on


@dataclass(frozen=True, eq=False)
class Words:
    """Words and terms with their unit vectors (words, 384), which were encoded when the decoder was exported."""

    texts: tuple[str, ...]
    vectors: Vector

    @classmethod
    def read(cls, folder: ModelFolder) -> Words:
        """The words of a decoder's folder. Raises ModelError if its two files do not match."""
        texts = tuple(folder.file(WORDS).read_text(encoding="utf-8").splitlines())
        vectors = read_vectors(folder, VECTORS)
        if len(vectors) != len(texts):
            raise ModelError(f"model {folder.name}: {len(texts)} words, but vectors of the shape {vectors.shape}")
        return cls(texts, vectors)

    def write(self, folder: Path) -> list[str]:
        """Writes the two files, with vectors in 8 bits; returns their names."""
        (folder / WORDS).write_text("".join(f"{text}\n" for text in self.texts), encoding="utf-8")
        write_vectors(folder / VECTORS, self.vectors)
        return [WORDS, VECTORS]
