"""CoCa as a captioner: open_clip's network with the beam search of its `generate` (torch).

open_clip's own search needs a class that transformers 5 removed, so this is a reimplementation. It gives the same text
with a third of the work: open_clip's three groups of beams are always identical.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn

from unprompt.captioners.captioner import TorchCaptioner, WriterSource
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import within_aspect
from unprompt.models.networks.open_clip_backbone import HUB_FILES, quiet, tag_config
from unprompt.models.networks.start_weights import differences
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.store.checkpoint import read_checkpoint
from unprompt.models.store.folder import file_sha256
from unprompt.models.store.hub import hub_file

START, END = 49406, 49407
"""CLIP's start and end tokens."""


def open_coca(name: str, settings: CaptionSettings, weights: Path | None = None) -> TorchCaptioner:
    """Open the captioner `architecture.tag` with the hub's weights or those of a file; nothing is loaded yet.

    Raises DataError for a question, which CoCa does not support. The first picture raises ModelError if the weights
    cannot be loaded or belong to another model, and DataError for lengths that the model does not support.
    """
    if settings.question:
        raise DataError(f"{name} takes no question; ask BLIP, BLIP-2 or GIT")
    source = WriterSource(
        load=lambda device: CocaWriter(name, _find(name, weights), settings, device),
        identify=lambda: file_sha256(_find(name, weights))[:12],
    )
    return TorchCaptioner(name, settings, source)


class CocaWriter:
    """A CoCa network as a `Writer`."""

    join = staticmethod(torch.stack)

    def __init__(self, name: str, weights: Path, settings: CaptionSettings, device: torch.device) -> None:
        cure_torchvision()
        from open_clip.tokenizer import SimpleTokenizer
        from open_clip.transform import PreprocessCfg, image_transform_v2

        # "fp16" would leave CoCa's pooler in float32 while its input is float16.
        self.network = _load_network(name, weights, "pure_fp16" if device.type == "cuda" else "fp32")
        network: Any = self.network
        if settings.max_length > network.context_length:
            raise DataError(f"max_length is {settings.max_length}; {name} writes up to {network.context_length} tokens")
        self._settings = settings
        known = tag_config(*name.split(".", 1))
        rules = {key: known[key] for key in ("mean", "std", "interpolation", "resize_mode") if known.get(key)}
        self._transform = image_transform_v2(PreprocessCfg(size=network.visual.image_size, **rules), is_train=False)
        self._tokenizer = SimpleTokenizer()

    def see(self, picture: Picture) -> Tensor:
        return cast(Tensor, self._transform(within_aspect(Image.fromarray(picture.pixels))))

    def write(self, pixels: Tensor) -> Tensor:
        network: Any = self.network
        latents, seen = network._encode_image(pixels.to(network.visual.conv1.weight.dtype))
        searches = [_Search(self._settings) for _ in pixels]
        while rows := [(place, beam) for place, search in enumerate(searches) for beam in search.open_beams]:
            places = torch.tensor([place for place, _ in rows], device=pixels.device)
            tokens = torch.tensor([beam.tokens for _, beam in rows], device=pixels.device)  # all have the same length
            logits = network(None, tokens, image_latent=latents[places], image_embs=seen[places], output_labels=False)[
                "logits"
            ][:, -1]
            self._advance(searches, tokens, logits.float())
        return torch.tensor([search.hypotheses() for search in searches])

    def read(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode([token for token in tokens if token not in (START, END)])).strip()

    def _advance(self, searches: Sequence[_Search], tokens: Tensor, logits: Tensor) -> None:
        """Pass to each search the logits (rows, vocabulary) for its open beams."""
        from transformers import NoRepeatNGramLogitsProcessor

        if tokens.shape[1] < self._settings.min_length:
            logits[:, END] = -math.inf
        if repeated := self._settings.no_repeat_ngram_size:
            logits = NoRepeatNGramLogitsProcessor(repeated)(tokens, logits)
        at = 0
        for search in searches:
            if count := len(search.open_beams):
                search.advance(logits[at : at + count])
                at += count


@dataclass(frozen=True, slots=True)
class _Beam:
    """An unfinished text and the sum of its tokens' logits, which open_clip does not normalise to probabilities."""

    tokens: tuple[int, ...]
    total: float


class _Search:
    """Beam search for one picture, equivalent to transformers' BeamSearchScorer, which open_clip builds on."""

    def __init__(self, settings: CaptionSettings) -> None:
        self._settings = settings
        self.open_beams = [_Beam((START,), 0.0)]
        self._ended: list[tuple[float, tuple[int, ...]]] = []  # scores and tokens, in the order in which they ended

    def advance(self, logits: Tensor) -> None:
        """Extend the beams, given the logits (open beams, vocabulary) of the next token."""
        beams, length = self._settings.beams, len(self.open_beams[0].tokens) + 1
        totals = logits + torch.tensor([[beam.total] for beam in self.open_beams], device=logits.device)
        best = totals.flatten().topk(2 * beams)  # at most half of them can be end tokens
        going: list[_Beam] = []
        for rank, (total, at) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True)):
            row, token = divmod(at, logits.shape[1])
            tokens = self.open_beams[row].tokens
            if token != END:
                going.append(_Beam((*tokens, token), total))
            elif rank < beams:
                self._end(tokens, self._worth(total, length))
            if len(going) == beams:
                break
        self.open_beams = going
        if len(self._ended) == beams and self._worst() >= self._worth(float(best.values[0]), length):
            self.open_beams = []
        elif length == self._settings.max_length:
            for beam in going:
                self._end(beam.tokens, self._worth(beam.total, length))
            self.open_beams = []

    def hypotheses(self) -> list[list[int]]:
        """Tokens (beams, max_length), best first; of equal scores the last one to end comes first."""
        ordered = [tokens for _, tokens in sorted(self._ended, key=lambda ended: ended[0])[::-1]]
        return [[*tokens, *[END] * (self._settings.max_length - len(tokens))] for tokens in ordered]

    def _end(self, tokens: tuple[int, ...], worth: float) -> None:
        if len(self._ended) == self._settings.beams:
            if worth <= self._worst():
                return
            self._ended.remove(min(self._ended, key=lambda ended: ended[0]))
        self._ended.append((worth, tokens))

    def _worst(self) -> float:
        return min(worth for worth, _ in self._ended)

    def _worth(self, total: float, length: int) -> float:
        return total / float(length**self._settings.length_penalty)


def _find(name: str, weights: Path | None) -> Path:
    if weights is None:
        repository, _, file = str(tag_config(*name.split(".", 1))["hf_hub"]).rpartition("/")
        return hub_file(repository, [file] if file else HUB_FILES, name)
    if not weights.is_file():
        raise ModelError(f"expected the weights of {name} in a safetensors file at {weights}, found none")
    return weights


def _load_network(name: str, weights: Path, precision: str) -> nn.Module:
    import open_clip

    with quiet():
        network = open_clip.create_model(
            name.partition(".")[0], load_weights=False, pretrained_text=False, precision=precision
        )
    try:
        state = read_checkpoint(weights)
    except DataError as error:
        raise ModelError(str(error)) from error
    if faults := differences(network.state_dict(), state):
        raise ModelError(f"{weights} does not hold {name}: {faults}; put its weights there again")
    network.load_state_dict(state)
    return cast(nn.Module, network.eval())
