"""The interface of two-tower models, which map pictures and texts into one space."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from unprompt.images.decode import Picture
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance

EncodeTexts: TypeAlias = Callable[[Sequence[str]], Vector]

JOINT = ", "
"""The separator between a text and the term appended to it."""


@dataclass(frozen=True, slots=True, eq=False)
class Continuations:
    """One picture and many texts with a common prefix: f"{prefix}, {term}" for each of `terms`.

    `image` (size,) is the picture's unit vector. Texts of more than `limit` tokens, not counting start and end, get no
    score.
    """

    image: Vector
    prefix: str
    terms: Sequence[str]
    limit: int

    def cosines(self, fitting: Sequence[int], vectors: Vector) -> Vector:
        """Cosines (terms,), given the vectors (fitting, size) of the texts that fit; NaN for the others."""
        cosines = np.full(len(self.terms), np.nan, np.float32)
        if fitting:
            cosines[list(fitting)] = vectors @ self.image
        return cosines

    def score_texts(self, encode: EncodeTexts, count_tokens: Callable[[str], int], longest: int) -> Vector:
        """Cosines (terms,) from a tower that encodes each text as a whole and reads at most `longest` tokens of it."""
        texts = [self.prefix + JOINT + term for term in self.terms]
        limit = min(self.limit, longest)
        fitting = [number for number, text in enumerate(texts) if count_tokens(text) <= limit]
        return self.cosines(fitting, encode([texts[number] for number in fitting]))


def encode_in_parts(encode: EncodeTexts, texts: Sequence[str], count: int, size: int, advance: Advance) -> Vector:
    """Unit vectors (texts, size), encoded `count` texts at a time; `advance` is called after each part."""
    if not texts:
        return np.empty((0, size), np.float32)
    parts = []
    for at in range(0, len(texts), count):
        parts.append(encode(texts[at : at + count]))
        advance(len(parts[-1]))
    return np.concatenate(parts)


class TwoTower(Protocol):
    """Computes unit vectors of pictures and of texts, whose cosine says how well they match.

    An instance is created quickly; the weights of each tower are loaded when they are first needed. Up to rounding, an
    answer does not depend on what else is in the call.
    """

    @property
    def name(self) -> str:
        """The model's name in presets and on the command line."""

    @property
    def size(self) -> int:
        """Length of a vector."""

    @property
    def longest(self) -> int:
        """Maximum number of tokens read of a text, not counting start and end; 75 for CLIP."""

    @property
    def shortlist(self) -> int | None:
        """The number of continuations to score in full at each step, those with the best estimates.

        None: all of them, because scoring is cheap.
        """

    @property
    def shorter_side(self) -> int | None:
        """The resolution it needs, as pixels of the shorter side; None for the full resolution."""

    def identities(self) -> Mapping[str, str]:
        """The models it uses, by name, each with a hash that changes with its vectors, even by rounding alone."""

    def weights_identities(self) -> Mapping[str, str]:
        """Like `identities`, but with hashes of the weights, which do not depend on a device's precision."""

    def count_tokens(self, text: str) -> int:
        """Number of tokens in a text by this model's tokenizer, not counting start and end."""

    def encode_images(self, pictures: Sequence[Picture]) -> Vector:
        """Unit vectors (pictures, size) float32."""

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        """Unit vectors (texts, size) float32; longer texts are cut to what the model reads.

        `advance` is called with the number of texts done since the last call.
        """

    def score_continuations(self, asked: Sequence[Continuations]) -> list[npt.NDArray[np.float32]]:
        """For each item, the cosines (terms,) of its picture with its texts; NaN for texts that are too long."""

    def unload(self) -> None:
        """Free memory on the device until the next call. Must not be called while another call runs."""
