"""What describes a picture in plain words, before any term is added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from unprompt.images.decode import Picture
from unprompt.models.picture_encoder import PictureEncoder
from unprompt.models.registry import find_model
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder

EMBEDDED = "embedded"
"""Names the captioner that the package brings."""

_REGRESSOR, _DECODER = "vit_tiny_patch16_224.unprompt", "sentence_decoder.unprompt"
_BEAMS = 8


class Captioner(Protocol):
    """Pictures to sentences."""

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def identities(self) -> Mapping[str, str]:
        """The models behind it by name, each with a hash that changes with its weights."""

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """One sentence a picture, in their order; what else is in the batch changes nothing."""


class GivenCaption:
    """The same words for every picture: the user's own, or none."""

    shorter_side = 1

    def __init__(self, text: str) -> None:
        self._text = text

    def identities(self) -> Mapping[str, str]:
        """No model."""
        return {}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """See `Captioner`."""
        return [self._text] * len(pictures)


class DecodedCaption:
    """The embedded models' own sentence: of the decoder's beams for the picture's vector, the nearest to it."""

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._pictures = PictureEncoder(find_model(_REGRESSOR), threads)

    @property
    def shorter_side(self) -> int | None:
        """See `Captioner`."""
        return self._pictures.shorter_side

    def identities(self) -> Mapping[str, str]:
        """See `Captioner`."""
        return {name: find_model(name).identity() for name in (_REGRESSOR, _DECODER)}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """See `Captioner`."""
        vectors = self._pictures.encode(pictures)
        captions = []
        for vector, sentences in zip(vectors, self._decoder.sentences(vectors, _BEAMS), strict=True):
            cosines = self._sentences.encode(sentences) @ vector if sentences else []
            captions.append(max(zip(cosines, sentences, strict=True), default=(0.0, ""))[1])
        return captions

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(find_model(_DECODER), self._threads)

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.embedded(self._threads)


def open_captioner(caption: str, threads: int = 0) -> Captioner:
    """The captioner of that name; any other text is itself every picture's caption."""
    return DecodedCaption(threads) if caption == EMBEDDED else GivenCaption(caption)
