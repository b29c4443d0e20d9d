"""The embedded models as a two-tower model: the regressor for pictures, MiniLM for texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
import numpy.typing as npt

from unprompt.images.decode import Picture
from unprompt.models.regressors.picture_encoder import PictureEncoder
from unprompt.models.store.registry import SENTENCE_ENCODER, find_model
from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.progress import Advance, no_advance
from unprompt.text.sentence import SentenceEncoder
from unprompt.text.tokenizers import CLIP_CONTENT_TOKENS, count_clip_tokens
from unprompt.towers.two_tower import Continuations, encode_in_parts

NAME = "embedded"

_REGRESSOR = "vit_tiny_patch16_224.unprompt"
MODELS = (_REGRESSOR, SENTENCE_ENCODER)
_HEARD = 1024  # texts encoded between two reports of progress


class EmbeddedPair:
    """Pictures and texts in the metric space, offline and without torch. Tokens are counted as in CLIP."""

    name = NAME
    size = EMBEDDING_SIZE
    longest = CLIP_CONTENT_TOKENS
    shortlist: int | None = 32  # MiniLM is bidirectional, so every text has to be encoded as a whole

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._pictures = PictureEncoder(find_model(_REGRESSOR), threads)

    @property
    def shorter_side(self) -> int | None:
        return self._pictures.shorter_side

    def identities(self) -> Mapping[str, str]:
        folders = (self._pictures.folder, find_model(SENTENCE_ENCODER))  # without loading its weights
        return {folder.name: folder.identity() for folder in folders}

    def weights_identities(self) -> Mapping[str, str]:
        return self.identities()

    def count_tokens(self, text: str) -> int:
        return count_clip_tokens(text)

    def encode_images(self, pictures: Sequence[Picture]) -> Vector:
        return self._pictures.encode(pictures)

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        return encode_in_parts(self._sentences.encode, texts, _HEARD, EMBEDDING_SIZE, advance)

    def score_continuations(self, asked: Sequence[Continuations]) -> list[npt.NDArray[np.float32]]:
        encode = self._sentences.encode
        return [one.score_texts(encode, count_clip_tokens, CLIP_CONTENT_TOKENS) for one in asked]

    def unload(self) -> None:
        """Do nothing: it runs on the CPU."""

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.embedded(self._threads)
