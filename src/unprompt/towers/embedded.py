"""The embedded models as two towers: the regressor for pictures, MiniLM for texts."""

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
_HEARD = 1024  # texts that are encoded before it is told


class EmbeddedPair:
    """Pictures and texts in the metric space, offline and without torch; tokens are counted as CLIP does."""

    name = NAME
    size = EMBEDDING_SIZE
    longest = CLIP_CONTENT_TOKENS
    shortlist: int | None = 32  # MiniLM reads in both directions, so every text costs as much as it is long

    def __init__(self, threads: int = 0) -> None:
        self._threads = threads
        self._pictures = PictureEncoder(find_model(_REGRESSOR), threads)

    @property
    def shorter_side(self) -> int | None:
        """See `TwoTower`."""
        return self._pictures.shorter_side

    def identities(self) -> Mapping[str, str]:
        """See `TwoTower`."""
        folders = (self._pictures.folder, self._sentences.folder)
        return {folder.name: folder.identity() for folder in folders}

    def weights_identities(self) -> Mapping[str, str]:
        """See `TwoTower`."""
        return self.identities()

    def count_tokens(self, text: str) -> int:
        """See `TwoTower`."""
        return count_clip_tokens(text)

    def encode_images(self, pictures: Sequence[Picture]) -> Vector:
        """See `TwoTower`."""
        return self._pictures.encode(pictures)

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        """See `TwoTower`."""
        return encode_in_parts(self._sentences.encode, texts, _HEARD, EMBEDDING_SIZE, advance)

    def score_continuations(self, asked: Sequence[Continuations]) -> list[npt.NDArray[np.float32]]:
        """See `TwoTower`."""
        encode = self._sentences.encode
        return [one.cosines_of_whole(encode, count_clip_tokens, CLIP_CONTENT_TOKENS) for one in asked]

    def unload(self) -> None:
        """See `TwoTower`. It is on no device."""

    @cached_property
    def _sentences(self) -> SentenceEncoder:
        return SentenceEncoder.embedded(self._threads)
