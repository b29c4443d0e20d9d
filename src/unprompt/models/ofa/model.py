"""OFA as one uses it: pictures and a question in, captions out (torch)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from unprompt.errors import DataError, ModelError
from unprompt.images.preprocess import Preprocessing
from unprompt.models.ofa.beam_search import PUBLISHED, SearchSettings, search
from unprompt.models.ofa.checkpoint import find_files, load
from unprompt.models.ofa.network import Captioning, Network
from unprompt.models.ofa.resnet import STRIDE
from unprompt.models.ofa.tokenizer import OfaTokenizer

QUESTION = " what does the image describe?"
"""What the published ensemble asks; the leading blank is part of it."""

PREPROCESSING = Preprocessing(
    input_size=480,
    resize="squash",
    interpolation="bicubic",
    crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
"""How the published ensemble shows it pictures; other sizes are seen too."""

_GPU_BATCH, _CPU_BATCH = 16, 4
"""Pictures; their beams go through the decoder together."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caption:
    """A text, and the mean log probability of its tokens."""

    text: str
    score: float


class Ofa:
    """A published OFA with its weights.

    On a GPU it computes in half precision, scores apart. A caption does not depend on the other pictures of a call, but
    for rounding.
    """

    def __init__(self, network: Network, tokenizer: OfaTokenizer, device: torch.device) -> None:
        self._tokenizer = tokenizer
        self._network = network
        self.move(device)
        self._batch = _CPU_BATCH if device.type == "cpu" else _GPU_BATCH
        self._told = False

    @classmethod
    def load(cls, source: Path | str, device: torch.device | None = None) -> Ofa:
        """From a folder (a path) or the hub ("OFA-Sys/ofa-large-caption"); on a GPU where there is one.

        Config, vocabulary, merges and weights (safetensors, or pytorch_model.bin) have their published names. Raises
        ModelError where any is missing, damaged or does not belong to the others.
        """
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network, tokenizer = load(find_files(source), _precision(device))
        return cls(network, tokenizer, device)

    def move(self, device: torch.device) -> None:
        """The weights to another device, such as off a GPU that others need; their precision stays."""
        self._network.to(device)
        self._device = device

    def caption(
        self, pixels: npt.NDArray[np.float32], question: str = QUESTION, settings: SearchSettings = PUBLISHED
    ) -> list[list[Caption]]:
        """pixels (pictures, 3, side, side), preprocessed; returns captions of each, best first.

        Raises DataError for pixels, a question or settings that the model does not take, ModelError where the device
        has no room for one picture.
        """
        tokens = self._checked(pixels, question, settings)
        captions: list[list[Caption]] = []
        while (at := len(captions)) < len(pixels):
            try:
                captions += self._caption(pixels[at : at + self._batch], tokens, settings)
            except torch.OutOfMemoryError as error:
                self._shrink(error)
        return captions

    @torch.inference_mode()
    def _caption(
        self, pixels: npt.NDArray[np.float32], question: list[int], settings: SearchSettings
    ) -> list[list[Caption]]:
        precision = self._network.embed_tokens.weight.dtype
        seen = torch.from_numpy(pixels.copy()).to(self._device, precision)  # torch knows no negative strides
        asked = torch.tensor([question], device=self._device).expand(len(pixels), -1)
        captioning = Captioning(self._network, self._network.encode(seen, asked), settings.max_length + 1)
        found = search(captioning, len(pixels), settings, self._device)
        return [
            [Caption(self._tokenizer.decode(hypothesis.tokens), hypothesis.score) for hypothesis in hypotheses]
            for hypotheses in found
        ]

    def _checked(self, pixels: npt.NDArray[np.float32], question: str, settings: SearchSettings) -> list[int]:
        """The question's tokens."""
        config = self._network.config
        longest, largest = config.max_position_embeddings, config.image_bucket_size * STRIDE
        if pixels.ndim != 4 or pixels.shape[1] != 3 or not all(0 < side <= largest for side in pixels.shape[2:]):
            raise DataError(f"expected pixels (pictures, 3, side, side), sides up to {largest}; found {pixels.shape}")
        tokens = self._tokenizer.encode(question)
        if len(tokens) > longest:
            raise DataError(f"the question has {len(tokens)} tokens; this OFA reads {longest}: ask a shorter one")
        if settings.max_length >= longest:
            raise DataError(f"max_length is {settings.max_length}; this OFA writes up to {longest - 1} tokens")
        return tokens

    def _shrink(self, error: torch.OutOfMemoryError) -> None:
        """Halves the batch, from then on."""
        if self._batch == 1:
            raise ModelError(
                "the device has no room for one picture; free its memory or hide it (CUDA_VISIBLE_DEVICES=)"
            ) from error
        if not self._told:
            _log.warning("no room on the device for %d pictures at once: OFA takes fewer", self._batch)
            self._told = True
        self._batch = (self._batch + 1) // 2


def _precision(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
