"""Models of open_clip as two-tower models: CLIP, SigLIP, CoCa and others (torch)."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from unprompt.images.decode import Picture
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.models.networks.device import GPU_BATCH, OnDevice, ShrinkingBatches
from unprompt.models.networks.open_clip_backbone import native_side, preprocessing_of, tag_config
from unprompt.models.store.weights import HUB, RANDOM
from unprompt.prediction import Vector
from unprompt.progress import Advance, no_advance
from unprompt.towers.causal import is_causal
from unprompt.towers.open_clip_model import (
    NO_OPTIONS,
    Precision,
    build_model,
    split_name,
    weights_file,
    weights_identity,
)
from unprompt.towers.texts import (
    CHUNK,
    CausalTexts,
    WholeTexts,
    is_causal_config,
    open_text_tower,
    read_length,
    read_size,
)
from unprompt.towers.tokens import TextTokens, open_tokens
from unprompt.towers.two_tower import Continuations, encode_in_parts

FP16: Precision = "fp16"

SHORTLIST = 64
"""For towers that encode whole texts: 64 of 77 tokens cost as much as 1,500 continuations in a causal one."""


class OpenClipTowers:
    """A model of open_clip, `architecture.tag`, as a `TwoTower`.

    `weights`: "hub", "random", or the path of a safetensors file of the whole model or of a folder with one. `options`
    override sizes of the architecture. `device`: torch's name of it (default: a GPU if available). On a GPU it computes
    in half precision, as CLIP Interrogator does. On the CPU each picture, with its continuations, is computed alone, so
    that an answer is the same to the bit whatever else is in the call.

    Raises UnknownNameError for an unknown name or option. Weights and tokenizer are loaded for the first picture or
    text; that raises ModelError or DataError if they are not available or belong to another model.
    """

    shorter_side: int | None = None

    def __init__(
        self,
        name: str,
        *,
        weights: str = HUB,
        options: Mapping[str, Any] = NO_OPTIONS,
        device: str | torch.device | None = None,
    ) -> None:
        self.name = name
        self._architecture, self._tag = split_name(name)
        self._weights, self._options = weights, options
        self._model = OnDevice(name, self._build, device=device)
        self._batches = ShrinkingBatches(1 if self._model.device.type == "cpu" else GPU_BATCH)
        self._loading = threading.RLock()
        self._is_given = False
        self._length = read_length(self._architecture, options)
        self.size = read_size(self._architecture, options)
        self.shortlist = None if is_causal_config(self._architecture) else SHORTLIST

    @classmethod
    def of(cls, model: nn.Module, name: str) -> OpenClipTowers:
        """Wrap a model that the caller made with open_clip, on its device and in its precision.

        `name` determines the tokenizer. The model is put into evaluation mode.
        """
        towers = cls(name, device=next(model.parameters()).device)
        towers._is_given, towers._model.held = True, model.eval()
        towers._length = int(cast(Any, model).context_length)
        towers.shortlist = None if is_causal(model) else SHORTLIST
        towers.size = getattr(model.visual, "output_dim", None) or towers.encode_texts([""]).shape[1]
        return towers

    @property
    def longest(self) -> int:
        """Maximum number of tokens read of a text. Raises ModelError if its tokenizer on the hub is not available."""
        return self._tokens.longest

    def identities(self) -> Mapping[str, str]:
        """The model's name and hash. Raises ModelError or DataError if its weights are not available."""
        is_halved = self._precision == FP16 and not self._is_given
        return {
            name: f"{weights}-{FP16}" if is_halved else weights for name, weights in self.weights_identities().items()
        }

    def weights_identities(self) -> Mapping[str, str]:
        """Like `identities`, without the precision, except for a model made by the caller, whose weights have it."""
        with self._loading:
            return {self.name: self._weights_identity}

    def count_tokens(self, text: str) -> int:
        return self._tokens.count(text)

    def encode_images(self, pictures: Sequence[Picture]) -> Vector:
        self._bring()
        if not pictures:
            return np.empty((0, self.size), np.float32)
        return np.concatenate(list(self._batches(pictures, self._see)))

    def encode_texts(self, texts: Sequence[str], advance: Advance = no_advance) -> Vector:
        return encode_in_parts(self._text_tower().encode, texts, CHUNK, self.size, advance)

    def score_continuations(self, asked: Sequence[Continuations]) -> list[npt.NDArray[np.float32]]:
        return self._text_tower().score(asked)

    def unload(self) -> None:
        """Free memory on the device. A model made by the caller stays where it is."""
        with self._loading:
            if not self._is_given:
                self._model.unload()
            self._batches.reset()
            if "_texts" in vars(self):
                self._texts.batches.reset()

    def _bring(self) -> nn.Module:
        """The model, on its device."""
        return self._model.load() if self._is_given else self._model.bring()

    def _text_tower(self) -> CausalTexts | WholeTexts:
        with self._loading:
            self._bring()
            return self._texts

    @property
    def _precision(self) -> Precision:
        return FP16 if self._model.device.type == "cuda" else "fp32"

    @cached_property
    def _tokens(self) -> TextTokens:
        return open_tokens(self._architecture, self._length)

    @cached_property
    def _weights_identity(self) -> str:
        if self._is_given or self._weights == RANDOM:
            return weights_identity(self._model.load())
        return weights_identity(weights_file(self.name, self._weights))

    @cached_property
    def _texts(self) -> CausalTexts | WholeTexts:
        return open_text_tower(self._model.load(), self._tokens)

    @cached_property
    def _visual(self) -> nn.Module:
        visual = self._model.load().visual
        assert isinstance(visual, nn.Module)
        return visual

    @cached_property
    def _preprocessing(self) -> Preprocessing:
        config = tag_config(self._architecture, self._tag)
        if self._is_given:  # as open_clip recorded it in the model
            config = getattr(self._visual, "preprocess_cfg", config)
        return preprocessing_of(config, native_side(self._visual))

    @cached_property
    def _pixel_type(self) -> torch.dtype:
        # In half precision norms and embeddings stay float32; the first layer that pixels enter is a convolution.
        kernels = (value.dtype for value in self._visual.parameters() if value.ndim == 4)
        return next(kernels, torch.float32)

    def _see(self, pictures: Sequence[Picture]) -> Vector:
        pixels = np.stack([preprocess(picture.pixels, self._preprocessing) for picture in pictures])
        with torch.inference_mode():
            vectors = self._visual(torch.from_numpy(pixels).to(self._model.device, self._pixel_type))
            if isinstance(vectors, tuple):  # CoCa's tower returns its tokens too
                vectors = vectors[0]
            return np.asarray(F.normalize(vectors.float(), dim=1).cpu().numpy(), np.float32)

    def _build(self, device: torch.device) -> nn.Module:
        return build_model(self.name, weights=self._weights, options=self._options, precision=self._precision)
