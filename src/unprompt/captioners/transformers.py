"""BLIP, BLIP-2 and GIT as captioners, by the library transformers (torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from unprompt.captioners.captioner import TorchCaptioner, WriterSource
from unprompt.captioners.folder import CaptionFolder, CaptionSource
from unprompt.captioners.loading import load_network, silent
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import within_aspect
from unprompt.models.networks.torchvision_cure import cure_torchvision

_CLASSES = {"blip": "BlipForConditionalGeneration", "blip-2": "Blip2ForConditionalGeneration", "git": "GitForCausalLM"}
_LANGUAGE_MODELS = ("opt", "t5")
"""The language models that a BLIP-2 may contain."""

_SPARE_TOKENS = 256
"""The vocabulary of a model may exceed its tokenizer's by this much: it is padded for speed."""

_LARGEST_SIDE = 4096
"""Maximum input size in pixels; published models use 224 or 384."""

_IMAGE = "<image>"
"""BLIP-2's placeholder token for image features."""


def open_transformers(name: str, source: CaptionSource, settings: CaptionSettings) -> TorchCaptioner:
    """Open the captioner in a folder; nothing is loaded before its first picture.

    The first picture raises ModelError if the folder is incomplete or its weights or tokenizer do not match its config,
    and DataError for a question or lengths that the model does not support.
    """
    return TorchCaptioner(
        name,
        settings,
        WriterSource(
            load=lambda device: TransformersWriter(source.folder, settings, device),
            identify=lambda: source.folder.identity(),
        ),
    )


class TransformersWriter:
    """A network of transformers as a `Writer`."""

    join = staticmethod(torch.stack)

    def __init__(self, folder: CaptionFolder, settings: CaptionSettings, device: torch.device) -> None:
        cure_torchvision()
        language = _language(folder)
        config, self._tokenizer, self._processor = _load_processors(folder)
        _check_tokenizer(folder, self._tokenizer, config)
        self._crops = config.model_type == "git"  # the others squash the whole picture
        self._question = _ask(self._tokenizer, config, language, settings.question)
        _check_lengths(settings, self._question.counted, _longest(config, language))
        self._written = settings.max_length - self._question.counted
        self._check_processor(folder, _side(folder, config))
        self._search = _search(settings, self._question.counted)
        self.network = load_network(_network_class(folder), folder, _precision(device, language))

    def see(self, picture: Picture) -> Tensor:
        image = Image.fromarray(picture.pixels)
        if self._crops:
            image = within_aspect(image)
        seen = self._processor(images=image, return_tensors="pt")
        return cast(Tensor, seen["pixel_values"][0])

    def write(self, pixels: Tensor) -> Tensor:
        asked = torch.tensor([self._question.tokens], device=pixels.device).repeat(len(pixels), 1)
        network: Any = self.network
        found: Tensor = network.generate(
            pixel_values=pixels.to(network.dtype),
            input_ids=asked,
            attention_mask=torch.ones_like(asked),
            **self._search,
        )
        found = found[:, self._question.repeated :]
        found = F.pad(found, (0, self._written - found.shape[1]), value=self._tokenizer.pad_token_id)
        return found.reshape(len(pixels), -1, self._written).cpu()

    def read(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    def _check_processor(self, folder: CaptionFolder, side: int) -> None:
        """Process a blank picture that is not square; raise ModelError if the result does not fit the model."""
        blank = Picture("", np.zeros((side, 2 * side, 3), np.uint8), (2 * side, side), None, "", None)
        expected = f"expected finite pixels of the shape {(3, side, side)}"
        try:
            _check_sizes(self._processor)
            with np.errstate(all="ignore"):  # bad numbers in a config may overflow
                seen = self.see(blank)
        except Exception as error:  # anything that the library may raise for bad numbers
            found = str(error) or type(error).__name__
        else:
            found = "" if seen.isfinite().all() else "infinite ones"
            found = found if seen.shape == (3, side, side) else str(tuple(seen.shape))
        if found:
            raise ModelError(
                f"the processor in {folder.path} does not belong to the model: {expected}, found {found}; put both "
                "there again, from one place"
            )


@dataclass(frozen=True, slots=True)
class _Question:
    """The input tokens; how many of them count towards a text's length, and how many the output repeats."""

    tokens: Sequence[int]
    counted: int
    repeated: int


def _ask(tokenizer: Any, config: Any, language: str | None, text: str) -> _Question:
    if config.model_type == "git":
        tokens = [tokenizer.cls_token_id, *tokenizer(text, add_special_tokens=False).input_ids]
        return _Question(tokens, counted=len(tokens), repeated=len(tokens))
    tokens = tokenizer(text).input_ids
    if config.model_type == "blip":  # its generate replaces the first token and drops the last
        return _Question(tokens, counted=len(tokens) - 1, repeated=len(tokens) - 1)
    given = [config.image_token_id] * config.num_query_tokens + tokens
    if language == "t5":  # its encoder reads the question; its output begins with one token of its own
        return _Question(given, counted=1, repeated=1)
    return _Question(given, counted=len(tokens), repeated=len(given))


def _check_lengths(settings: CaptionSettings, counted: int, longest: int) -> None:
    if settings.max_length > longest:
        raise DataError(f"max_length is {settings.max_length}; this captioner writes up to {longest} tokens")
    if counted >= settings.max_length:
        raise DataError(
            f"the question has {counted} tokens, its beginning included; expected fewer than max_length, which is "
            f"{settings.max_length}"
        )


def _search(settings: CaptionSettings, counted: int) -> dict[str, Any]:
    """The options for `generate`, including all that a repository's own config might set otherwise."""
    search: dict[str, Any] = {
        "num_beams": settings.beams,
        "num_return_sequences": settings.beams,
        "min_new_tokens": max(0, settings.min_length - counted),
        "max_new_tokens": settings.max_length - counted,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "do_sample": False,
        "repetition_penalty": 1.0,
    }
    if settings.beams > 1:
        search |= {"length_penalty": settings.length_penalty, "early_stopping": False}
    return search


def _longest(config: Any, language: str | None) -> int:
    """Maximum length of a text in tokens: the number of positions, except for T5, whose positions are relative."""
    if config.model_type == "git":
        return int(config.max_position_embeddings)
    if config.model_type == "blip":
        return int(config.text_config.max_position_embeddings)
    if language == "t5":
        return 512
    return int(config.text_config.max_position_embeddings) - int(config.num_query_tokens)


def _precision(device: torch.device, language: str | None) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    if language == "t5":  # trained in bfloat16; overflows float16
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.float16


def _language(folder: CaptionFolder) -> str | None:
    """The language model inside a BLIP-2; None for other models."""
    if folder.config["model_type"] != "blip-2":
        return None
    text = folder.config.get("text_config")
    language = text.get("model_type") if isinstance(text, Mapping) else None
    if language not in _LANGUAGE_MODELS:
        raise ModelError(f"{folder.path}: expected BLIP-2 with {' or '.join(_LANGUAGE_MODELS)}, found {language!r}")
    return str(language)


def _network_class(folder: CaptionFolder) -> Any:
    import transformers

    return getattr(transformers, _CLASSES[str(folder.config["model_type"])])


def _load_processors(folder: CaptionFolder) -> tuple[Any, Any, Any]:
    """Config, tokenizer and image processor; the latter by Pillow, as these models were trained."""
    from transformers import AutoImageProcessor, AutoTokenizer

    known = {"local_files_only": True, "trust_remote_code": False}
    try:
        with silent():
            return (
                _network_class(folder).config_class.from_pretrained(folder.path, local_files_only=True),
                AutoTokenizer.from_pretrained(folder.path, **known),
                AutoImageProcessor.from_pretrained(folder.path, backend="pil", **known),
            )
    except Exception as error:  # anything that the library may raise for damaged files
        raise ModelError(f"config, tokenizer or processor in {folder.path} cannot be loaded: {error}") from error


def _side(folder: CaptionFolder, config: Any) -> int:
    """The input size of the model in pixels; its input is square."""
    side = config.vision_config.image_size
    if isinstance(side, int) and 0 < side <= _LARGEST_SIDE:
        return side
    raise ModelError(f"{folder.path}: expected image_size in its config from 1 to {_LARGEST_SIDE}, found {side!r}")


def _check_sizes(processor: Any) -> None:
    """Raise ValueError for a processor whose output would exhaust the memory."""
    for kind in ("size", "crop_size", "pad_size"):
        for name, edge in dict(getattr(processor, kind, None) or {}).items():
            if edge is not None and not 0 < edge <= _LARGEST_SIDE:
                raise ValueError(f"{name} = {edge} of its {kind}")


def _check_tokenizer(folder: CaptionFolder, tokenizer: Any, config: Any) -> None:
    """Raise ModelError for a tokenizer that the model cannot have been trained with."""
    text = config if config.model_type == "git" else config.text_config
    pairs = {"pad": (tokenizer.pad_token_id, text.pad_token_id)}
    if config.model_type == "blip":
        pairs["end"] = (tokenizer.sep_token_id, text.sep_token_id)
    elif config.model_type == "git":
        pairs |= {
            "begin": (tokenizer.cls_token_id, text.bos_token_id),
            "end": (tokenizer.sep_token_id, text.eos_token_id),
        }
    else:
        pairs["stand for the picture"] = (tokenizer.convert_tokens_to_ids(_IMAGE), config.image_token_id)
    faults = [f"the token to {use} is {has}, not {wants}" for use, (has, wants) in pairs.items() if has != wants]
    if not text.vocab_size - _SPARE_TOKENS <= len(tokenizer) <= text.vocab_size:
        faults.append(f"it has {len(tokenizer):,} tokens, not {text.vocab_size:,}")
    if faults:
        raise ModelError(
            f"the tokenizer in {folder.path} does not belong to the model: {'; '.join(faults)}; put both there again, "
            "from one place"
        )
