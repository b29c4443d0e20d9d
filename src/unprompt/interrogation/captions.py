"""Captioners: they describe a picture in plain words, before any term is added."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Protocol

from unprompt.captioners.families import refusal
from unprompt.captioners.opening import CAPTIONERS, open_caption_model
from unprompt.errors import DataError, UnknownNameError
from unprompt.images.decode import Picture
from unprompt.models.regressors.picture_encoder import PictureEncoder, View
from unprompt.models.store.registry import LOCAL, find_model
from unprompt.text.decoder import Decoder
from unprompt.text.sentence import SentenceEncoder

EMBEDDED = "embedded"
"""The name of the captioner that is part of the package."""

_REGRESSOR, _DECODER = "vit_tiny_patch16_224.unprompt", "sentence_decoder.unprompt"
MODELS = (_REGRESSOR, _DECODER)
"""The models of the embedded captioner; it also needs the sentence encoder."""

_BEAMS = 8

_NAME_LIKE = re.compile(r"(?=.*[\d_-])\S+")
_NEAR = 0.75
"""Similarity from which one word with a digit or hyphen is taken for a misspelt captioner's name."""


class Captioner(Protocol):
    """Describes pictures in sentences."""

    @property
    def shorter_side(self) -> int | None:
        """The resolution it needs, as pixels of the shorter side; None for the full resolution."""

    def identities(self) -> Mapping[str, str]:
        """The models it uses, by name, each with a hash that changes with its weights."""

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        """One sentence per picture, in order, independent of the other pictures in the batch."""

    def unload(self) -> None:
        """Free memory on the device; the model moves back when the next picture comes."""


class GivenCaption:
    """A captioner that returns the same given text for every picture; the text may be empty."""

    shorter_side = 1

    def __init__(self, text: str) -> None:
        self._text = text

    def identities(self) -> Mapping[str, str]:
        """An empty mapping: no model is involved."""
        return {}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        return [self._text] * len(pictures)

    def unload(self) -> None:
        """Do nothing: there is no model to unload."""


class DecodedCaption:
    """The embedded captioner: decodes a picture's vector by beam search and takes the sentence nearest to it."""

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._pictures = PictureEncoder(find_model(_REGRESSOR), threads)

    @property
    def shorter_side(self) -> int | None:
        return self._pictures.shorter_side

    def identities(self) -> Mapping[str, str]:
        """The hashes of the embedded regressor and decoder, by name."""
        return {name: find_model(name).identity() for name in MODELS}

    def captions(self, pictures: Sequence[Picture]) -> list[str]:
        return [self._caption(view) for view in self._pictures.see(pictures)]

    def _caption(self, view: View) -> str:
        seen = {concept.name: concept.probability for concept in view.concepts}
        texts = [found.text for found in self._decoder.sentences(view.vector, _BEAMS, concepts=seen, style="sentence")]
        cosines = self._sentences.encode(texts) @ view.vector
        return max(zip(cosines.tolist(), texts, strict=True), default=(0.0, ""))[1]

    def unload(self) -> None:
        """Do nothing: the models run on the CPU."""

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(find_model(_DECODER))

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.embedded(self._threads)


def open_captioner(caption: str, threads: int = 0) -> Captioner:
    """Open a captioner by name or as `local:FOLDER`; any other text becomes the caption of every picture.

    Raises UnknownNameError for a word that looks like a misspelt name, DataError for the name of a captioner's
    repository, and whatever `open_caption_model` raises.
    """
    if caption == EMBEDDED:
        return DecodedCaption(threads)
    if is_model(caption):
        return open_caption_model(caption)
    if _NAME_LIKE.fullmatch(caption) and difflib.get_close_matches(caption, CAPTIONERS, n=1, cutoff=_NEAR):
        raise UnknownNameError("captioner", caption, CAPTIONERS)
    if told := refusal(caption):
        raise DataError(told)
    return GivenCaption(caption)


def is_model(caption: str) -> bool:
    """Whether the text names a captioner with weights of its own, as opposed to the package's."""
    return caption in CAPTIONERS or caption.startswith(LOCAL)
