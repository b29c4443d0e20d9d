"""Models that bring pictures and texts into one space: what every one of them can be asked."""

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
"""What stands between a text and the term that goes on from it."""


@dataclass(frozen=True, slots=True, eq=False)
class Continuations:
    """One picture and many texts that begin alike: f"{prefix}, {term}" for each of `terms`.

    `image` (size,) is the picture's unit vector. Texts of more than `limit` tokens, start and end not counted, get no
    score.
    """

    image: Vector
    prefix: str
    terms: Sequence[str]
    limit: int

    def cosines(self, fitting: Sequence[int], vectors: Vector) -> Vector:
        """The cosines (terms,), given the vectors (fitting, size) of those texts that fit; NaN for the others."""
        cosines = np.full(len(self.terms), np.nan, np.float32)
        if fitting:
            cosines[list(fitting)] = vectors @ self.image
        return cosines

    def cosines_of_whole(self, encode: EncodeTexts, count_tokens: Callable[[str], int], longest: int) -> Vector:
        """The cosines (terms,) by a tower that reads each text anew, and no more than `longest` tokens of it."""
        texts = [self.prefix + JOINT + term for term in self.terms]
        limit = min(self.limit, longest)
        fitting = [number for number, text in enumerate(texts) if count_tokens(text) <= limit]
        return self.cosines(fitting, encode([texts[number] for number in fitting]))


def encode_in_parts(encode: EncodeTexts, texts: Sequence[str], count: int, size: int, advance: Advance) -> Vector:
    """Unit vectors (texts, size), `count` texts at a time; `advance` is called after each part."""
    if not texts:
        return np.empty((0, size), np.float32)
    parts = []
    for at in range(0, len(texts), count):
        parts.append(encode(texts[at : at + count]))
        advance(len(parts[-1]))
    return np.concatenate(parts)


class TwoTower(Protocol):
    """Unit vectors of pictures and of texts, whose cosine says how well they go together.

    Made quickly; weights are loaded when they are first needed, the two towers apart. An answer does not depend on what
    else is asked in the same call, but for rounding.
    """

    @property
    def name(self) -> str:
        """As presets and the command line name it."""

    @property
    def size(self) -> int:
        """Numbers in a vector."""

    @property
    def longest(self) -> int:
        """Tokens of a text that are read, start and end not counted; 75 for CLIP."""

    @property
    def shortlist(self) -> int | None:
        """How many continuations are worth scoring in full at each step, of those that an estimate puts first.

        None: all of them, because they cost little.
        """

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def identities(self) -> Mapping[str, str]:
        """The models behind it by name, each with a hash that changes with its vectors, if by rounding alone."""

    def weights_identities(self) -> Mapping[str, str]:
        """The same with hashes of their weights, which do not change with the precision that a device computes in."""

    def count_tokens(self, text: str) -> int:
        """Tokens of a text as this model counts them, start and end not counted."""

    def encode_images(self, pictures: Sequence[Picture]) -> Vector:
        """Unit vectors (pictures, size) float32."""

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        """Unit vectors (texts, size) float32; a text is cut where the model stops reading.

        `advance` hears how many more are done.
        """

    def score_continuations(self, asked: Sequence[Continuations]) -> list[npt.NDArray[np.float32]]:
        """For each, the cosine (terms,) of its picture with each of its texts; NaN where the text is too long."""

    def unload(self) -> None:
        """Makes what room it can on the device; the next question takes it again. Not while one is answered."""
