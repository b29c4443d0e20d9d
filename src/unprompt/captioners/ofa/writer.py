"""OFA as a captioner: its published question and its reference beam search (torch)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from unprompt.captioners.captioner import TorchCaptioner, WriterSource
from unprompt.captioners.folder import CaptionFolder
from unprompt.captioners.ofa.beam_search import SearchSettings, search
from unprompt.captioners.ofa.checkpoint import load_network, read_texts
from unprompt.captioners.ofa.configuration import PAD, Configuration
from unprompt.captioners.ofa.files import CheckpointFiles, bring_files, find_files
from unprompt.captioners.ofa.network import Captioning
from unprompt.captioners.ofa.resnet import STRIDE
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import Preprocessing, preprocess

PREPROCESSING = Preprocessing(
    input_size=480,
    resize="squash",
    interpolation="bicubic",
    crop="center",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)
"""The preprocessing of the published ensemble."""


def open_ofa(name: str, place: Path | str, settings: CaptionSettings) -> TorchCaptioner:
    """Open the captioner of a checkpoint in a folder (a path) or a hub repository (OWNER/NAME); nothing is loaded yet.

    Raises DataError for a length penalty, which OFA's search does not support. The first picture raises ModelError if
    files are unavailable or do not belong together, and DataError for a question or lengths that the model does not
    support.
    """
    if settings.length_penalty != 1:
        raise DataError(f"{name} weighs texts by the mean over their tokens; expected length_penalty = 1 or none")

    def files() -> CheckpointFiles:
        return bring_files(place, name) if isinstance(place, str) else find_files(place)

    source = WriterSource(load=lambda device: OfaWriter(files(), settings, device), identify=lambda: _identity(files()))
    return TorchCaptioner(name, settings, source)


class OfaWriter:
    """An OFA network as a `Writer`."""

    join = staticmethod(torch.stack)

    def __init__(self, files: CheckpointFiles, settings: CaptionSettings, device: torch.device) -> None:
        config, self._tokenizer = read_texts(files)
        self._question = self._tokenizer.encode(settings.question)
        _check_fit(config, settings, len(self._question))
        # Settings count the token that begins a text, OFA's search does not.
        self._settings = SearchSettings(
            beams=settings.beams,
            no_repeat_ngram_size=settings.no_repeat_ngram_size,
            min_length=max(0, settings.min_length - 1),
            max_length=settings.max_length - 1,
        )
        self._ofa = load_network(files, config, _precision(device))
        self.network: nn.Module = self._ofa

    def see(self, picture: Picture) -> Tensor:
        return torch.from_numpy(preprocess(picture.pixels, PREPROCESSING))

    def write(self, pixels: Tensor) -> Tensor:
        seen = pixels.to(self._ofa.embed_tokens.weight.dtype)
        asked = torch.tensor([self._question], device=pixels.device).expand(len(pixels), -1)
        captioning = Captioning(self._ofa, self._ofa.encode(seen, asked), self._settings.max_length + 1)
        written = torch.full((len(pixels), self._settings.beams, self._settings.max_length), PAD)
        for place, hypotheses in enumerate(search(captioning, len(pixels), self._settings, pixels.device)):
            for rank, hypothesis in enumerate(hypotheses):
                written[place, rank, : len(hypothesis.tokens)] = torch.tensor(hypothesis.tokens)
        return written

    def read(self, tokens: Sequence[int]) -> str:
        return self._tokenizer.decode(tokens)


def _check_fit(config: Configuration, settings: CaptionSettings, asked: int) -> None:
    """Raise DataError for lengths that the model does not support; `asked` is the question's length in tokens."""
    longest, largest = config.max_position_embeddings, config.image_bucket_size * STRIDE
    if largest < PREPROCESSING.input_size:
        raise DataError(f"this OFA sees up to {largest} pixels; expected one for {PREPROCESSING.input_size}")
    if asked > longest:
        raise DataError(f"the question has {asked} tokens; this OFA reads {longest}: shorten it")
    if settings.max_length > longest:
        raise DataError(f"max_length is {settings.max_length}; this OFA writes up to {longest} tokens")


def _identity(files: CheckpointFiles) -> str:
    return CaptionFolder(files.weights.parent, {}, safe=files.weights.suffix == ".safetensors").identity()


def _precision(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
