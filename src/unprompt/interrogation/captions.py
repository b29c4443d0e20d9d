"""What describes a picture in plain words, before any term is added."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from unprompt.captioners.opening import CAPTIONERS, open_caption_model
from unprompt.errors import UnknownNameError
from unprompt.images.decode import Picture
from unprompt.models.regressors.picture_encoder import PictureEncoder
from unprompt.models.store.registry import LOCAL, find_model
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder

EMBEDDED = "embedded"
"""Names the captioner that the package brings."""

_REGRESSOR, _DECODER = "vit_tiny_patch16_224.unprompt", "sentence_decoder.unprompt"
MODELS = (_REGRESSOR, _DECODER)
"""Those behind the embedded captioner; it also needs the sentence encoder."""

_BEAMS = 8

_NAME_LIKE = re.compile(r"(?=.*[\d_-])\S+")
_NEAR = 0.75
"""How much of one word with a digit or a hyphen has to be like a captioner's name to be a slip of the pen."""


class Captioner(Protocol):
    """Pictures to sentences."""

    @property
    def shorter_side(self) -> int | None:
        """How many pixels it needs to see; None: every one that the file has."""

    def identities(self) -> Mapping[str, str]:
        """The models behind it by name, each with a hash that changes with its weights."""

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """One sentence a picture, in their order; what else is in the batch changes nothing."""

    def unload(self) -> None:
        """Makes what room it can on the device; the next picture takes it again."""


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

    def unload(self) -> None:
        """No model."""


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
        return {name: find_model(name).identity() for name in MODELS}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """See `Captioner`."""
        vectors = self._pictures.encode(pictures)
        captions = []
        for vector, sentences in zip(vectors, self._decoder.sentences(vectors, _BEAMS), strict=True):
            cosines = self._sentences.encode(sentences) @ vector if sentences else []
            captions.append(max(zip(cosines, sentences, strict=True), default=(0.0, ""))[1])
        return captions

    def unload(self) -> None:
        """It is on no device but the CPU."""

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(find_model(_DECODER), self._threads)

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.embedded(self._threads)


def open_captioner(caption: str, threads: int = 0) -> Captioner:
    """The captioner of that name, or of the folder in `local:FOLDER`; any other text is itself every picture's caption.

    Raises UnknownNameError for a word that is nearly the name of one, and what `open_caption_model` raises.
    """
    if caption == EMBEDDED:
        return DecodedCaption(threads)
    if is_model(caption):
        return open_caption_model(caption)
    if _NAME_LIKE.fullmatch(caption) and difflib.get_close_matches(caption, CAPTIONERS, n=1, cutoff=_NEAR):
        raise UnknownNameError("captioner", caption, CAPTIONERS)
    return GivenCaption(caption)


def is_model(caption: str) -> bool:
    """Whether it names a captioner with weights of its own, and not those of the package."""
    return caption in CAPTIONERS or caption.startswith(LOCAL)
