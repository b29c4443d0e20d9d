"""Florence-2, SmolVLM, Qwen-VL and LLaVA as captioners, by one class over transformers' AutoModelForImageTextToText.

What differs between them is in `families`; the words around the question come from the model's own chat template.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unprompt.captioners import florence
from unprompt.captioners.captioner import TorchCaptioner, WriterSource
from unprompt.captioners.families import FAMILIES, TASKS, Family
from unprompt.captioners.folder import CaptionFolder, CaptionSource
from unprompt.captioners.loading import load_network, silent
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture
from unprompt.images.preprocess import within_aspect
from unprompt.models.networks.torchvision_cure import cure_torchvision

_KEPT = (
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "pad_token_id",
)
"""What is kept of a repository's own generation config; the rest, such as sampling, is for the settings to say."""

_WHOLE = (r"(?:.*\.)?(?:vision_tower|visual|vision_model|multi_modal_projector|connector)", "lm_head")
"""What keeps all its bits: what sees, a small part of large models, and the last layer, as by default. Patterns are
matched from the beginning of a name, so "vision_tower" alone would match nothing."""

_LARGEST_SIDE = 4096
_MOST_TILES = 64
"""SmolVLM's processor cuts a picture into at most so many; the published ones make up to 17."""

_BLANK_SIDE = 64
_LISTED = "{'type'"
"""What a chat template prints of parts when it expects a text."""


def open_vision_language(name: str, source: CaptionSource, settings: CaptionSettings) -> TorchCaptioner:
    """Open the captioner in a folder; nothing is loaded before its first picture.

    The first picture raises ModelError if the folder is incomplete or its parts do not belong together, and DataError
    for a question, lengths or bits that the model does not support.
    """
    return TorchCaptioner(
        name,
        settings,
        WriterSource(
            load=lambda device: VisionLanguageWriter(source.folder, settings, device),
            identify=lambda: source.folder.identity(),
        ),
    )


class VisionLanguageWriter:
    """A model of `families` as a `Writer`."""

    def __init__(self, folder: CaptionFolder, settings: CaptionSettings, device: torch.device) -> None:
        cure_torchvision()
        self._folder = folder
        self._family = FAMILIES[str(folder.config["model_type"])]
        config, self._processor = _load_processor(folder, self._family)
        self._tokenizer = self._processor.tokenizer
        self._prompt = _prompt(self._processor, self._family, settings, folder)
        self._written = settings.max_length - (self._family.asked == "task")  # lengths count the token that begins
        self._check(config)
        self.network = _load(folder, config, device, settings.bits)
        network: Any = self.network
        network.generation_config = _tokens_alone(network.generation_config, self._tokenizer)
        self._search = _search(settings, self._written)

    def see(self, picture: Picture) -> Image.Image:
        image = Image.fromarray(picture.pixels)
        return within_aspect(image) if self._family.most_pixels else image  # Qwen refuses an aspect of 200

    def join(self, seen: Sequence[Image.Image], /) -> Any:
        """The library's batch: tokens, mask and pixels of as many prompts as pictures."""
        images = [[image] for image in seen] if self._family.nested else list(seen)
        with _as_model_error(self._folder):
            return self._processor(
                images=images,
                text=[self._prompt] * len(seen),
                padding=True,
                return_tensors="pt",
                add_special_tokens=self._adds_tokens,
            )

    def write(self, pixels: Any) -> Tensor:
        network: Any = self.network
        with _as_model_error(self._folder), silent():
            found: Tensor = network.generate(**pixels.to(network.dtype), **self._search)
        found = found[:, pixels["input_ids"].shape[1] if self._family.asked == "chat" else 1 :]
        found = F.pad(found, (0, self._written - found.shape[1]), value=self._pad)
        return found.reshape(len(pixels["input_ids"]), -1, self._written).cpu()

    def read(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    @property
    def _pad(self) -> int:
        network: Any = self.network
        return int(network.generation_config.pad_token_id)

    @property
    def _adds_tokens(self) -> bool:
        """Whether the tokenizer begins the text: not if a template has done so, nor where the processor does."""
        begins = self._tokenizer.bos_token
        return self._family.asked == "chat" and not (begins and self._prompt.startswith(begins))

    def _check(self, config: Any) -> None:
        """Process a blank picture; raise an error if the result does not fit the model or leaves no room for a text."""
        _check_sizes(self._processor.image_processor, self._family, self._folder)
        blank = Picture(
            "", np.zeros((_BLANK_SIDE, _BLANK_SIDE, 3), np.uint8), (_BLANK_SIDE, _BLANK_SIDE), None, "", None
        )
        with np.errstate(all="ignore"):  # bad numbers in a config may overflow
            inputs = self.join([self.see(blank)])
        text = config.get_text_config()
        asked, largest = inputs["input_ids"].shape[1], int(inputs["input_ids"].max())
        if largest >= text.vocab_size:
            raise _foreign(self._folder, f"its tokenizer has a token {largest}, the model {text.vocab_size} of them")
        if not all(value.isfinite().all() for value in inputs.values()):
            raise _foreign(self._folder, "its processor makes pixels that are not finite")
        if not (inputs["input_ids"] == self._processor.image_token_id).any():
            raise _foreign(self._folder, "its processor leaves no place for the picture")
        longest = text.max_position_embeddings
        needed = self._written if self._family.asked == "task" else asked + self._written
        if max(asked, needed) > longest:
            raise DataError(
                f"picture and question have {asked} tokens, and the text up to {self._written}; this captioner reads "
                f"and writes {longest}: lower max_length or shorten the question"
            )


def _load(folder: CaptionFolder, config: Any, device: torch.device, bits: int) -> nn.Module:
    precision = _precision(device)
    if folder.config.get("quantization_config") is not None:
        raise ModelError(
            f"{folder.path} holds weights of fewer bits already; take the original, and ask for bits = 4 or 8"
        )
    if florence.is_published_form(folder.config):
        if bits:
            raise DataError("a Florence-2 in its publisher's form is small and is not made smaller; leave bits out")
        return florence.load_published(folder, config, precision)
    from transformers import AutoModelForImageTextToText

    options = _quantised(bits, device, precision) if bits else {}
    return load_network(AutoModelForImageTextToText, folder, precision, trust_remote_code=False, **options)


def _quantised(bits: int, device: torch.device, precision: torch.dtype) -> dict[str, Any]:
    """The options with which transformers loads weights of 4 or 8 bits, by bitsandbytes."""
    import importlib.util

    if device.type != "cuda" or importlib.util.find_spec("bitsandbytes") is None:
        raise DataError(
            f"{bits} bits need a GPU and the package bitsandbytes (pip install bitsandbytes); leave bits out, or take "
            "a smaller model"
        )
    return {"quantization_config": bits_config(bits, precision), "device_map": {"": device}}


def bits_config(bits: int, precision: torch.dtype) -> Any:
    """transformers' config for weights of 4 or 8 bits, those of the language model alone."""
    from transformers import BitsAndBytesConfig

    four = {"bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": precision} if bits == 4 else {}
    return BitsAndBytesConfig(
        load_in_4bit=bits == 4, load_in_8bit=bits == 8, llm_int8_skip_modules=list(_WHOLE), **four
    )


def _precision(device: torch.device) -> torch.dtype:
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


def _load_processor(folder: CaptionFolder, family: Family) -> tuple[Any, Any]:
    """Config and processor. Pictures are processed by Pillow, as the other captioners' are."""
    import transformers

    known = {"local_files_only": True, "trust_remote_code": False}
    published = florence.is_published_form(folder.config)
    kind: Any = getattr(transformers, family.processor)
    try:
        with silent():
            if published:
                config = florence.own_config(folder)
                tokenizer = florence.published_tokenizer(folder.path)
            else:
                config = transformers.AutoConfig.from_pretrained(folder.path, **known)
                tokenizer = transformers.AutoTokenizer.from_pretrained(folder.path, **known)
            pixels = transformers.AutoImageProcessor.from_pretrained(folder.path, backend="pil", **known)
            held, _ = kind.get_processor_dict(folder.path, local_files_only=True)
            template = held.pop("chat_template", None) or tokenizer.chat_template
            videos = [getattr(transformers, family.video)()] if family.video else []
            processor = kind.from_args_and_dict([pixels, tokenizer, *videos], held, chat_template=template)
    except ModelError:
        raise
    except Exception as error:  # anything that the library may raise for damaged files
        raise ModelError(f"config, tokenizer or processor in {folder.path} cannot be loaded: {error}") from error
    processor.tokenizer.padding_side = family.padding_side
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return config, processor


def _check_sizes(pixels: Any, family: Family, folder: CaptionFolder) -> None:
    """Bound what a processor makes of a picture; raise ModelError for sizes that would exhaust the memory."""
    sizes = {kind: _edges(pixels, kind) for kind in ("size", "crop_size", "max_image_size")}
    limit = _LARGEST_SIDE**2 if family.most_pixels else _LARGEST_SIDE
    for kind, edges in sizes.items():
        for name, edge in edges.items():
            if not 0 < edge <= limit:
                raise _foreign(folder, f"its processor has {name} = {edge} of its {kind}")
    if family.most_pixels:  # in this family, "edges" are numbers of pixels
        least = sizes["size"].get("shortest_edge", 1)
        most = max(least, min(sizes["size"].get("longest_edge", family.most_pixels), family.most_pixels))
        pixels.size = {"shortest_edge": least, "longest_edge": most}
    if tile := max(sizes["max_image_size"].values(), default=0):
        whole = max(sizes["size"].values(), default=_LARGEST_SIDE)
        if (-(-whole // tile)) ** 2 > _MOST_TILES:
            raise _foreign(folder, f"its processor cuts pictures of {whole} pixels into tiles of {tile}")


def _edges(pixels: Any, kind: str) -> dict[str, int]:
    return {name: edge for name, edge in dict(getattr(pixels, kind, None) or {}).items() if edge is not None}


def _prompt(processor: Any, family: Family, settings: CaptionSettings, folder: CaptionFolder) -> str:
    """What the processor reads beside a picture: a task, or the question as the model's own chat template puts it."""
    if processor.image_token in f"{settings.system}{settings.question}":
        raise DataError(f"the question holds {processor.image_token}, this model's sign for a picture; leave it out")
    if family.asked == "task":
        return _task(settings)
    if not processor.chat_template:
        raise _foreign(
            folder, "it has no chat template: expected chat_template.jinja, or one in its tokenizer_config.json"
        )
    tried = [_rendered(processor, messages) for messages in _messages(processor, settings)]
    for prompt in tried:
        if isinstance(prompt, str) and _is_sound(prompt, processor, settings):
            return prompt
    told = next((str(prompt) for prompt in tried if isinstance(prompt, Exception)), "it leaves one of them out")
    raise _foreign(folder, f"its chat template puts no picture beside a question: {told}")


def _task(settings: CaptionSettings) -> str:
    """A task of Florence-2, or a question in words. The library would take an unknown task for words."""
    asked = settings.question
    if settings.system:
        raise DataError("Florence-2 is asked for a task and reads no system text; leave system out")
    if asked.startswith("<") and asked not in TASKS:
        raise DataError(f"expected a task that answers with a text, {', '.join(TASKS)}; found {asked!r}")
    return asked


def _messages(processor: Any, settings: CaptionSettings) -> Iterator[list[dict[str, Any]]]:
    """The ways in which templates want a picture and a question: as parts, or as a text, with its sign or without."""
    parts = [{"type": "image"}, {"type": "text", "text": settings.question}]
    for content in (parts, settings.question, f"{processor.image_token}\n{settings.question}"):
        system: Any = settings.system if isinstance(content, str) else [{"type": "text", "text": settings.system}]
        before = [{"role": "system", "content": system}] if settings.system else []
        yield [*before, {"role": "user", "content": content}]


def _rendered(processor: Any, messages: list[dict[str, Any]]) -> str | Exception:
    try:
        return str(processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # a template may raise anything
        return error


def _is_sound(prompt: str, processor: Any, settings: CaptionSettings) -> bool:
    """Whether there is one picture and the question, and no list of parts that was printed as a text."""
    said = all(text.strip() in prompt for text in (settings.question, settings.system))
    return said and prompt.count(processor.image_token) == 1 and _LISTED not in prompt


def _tokens_alone(given: Any, tokenizer: Any) -> Any:
    from transformers import GenerationConfig

    kept = {name: value for name in _KEPT if (value := getattr(given, name, None)) is not None}
    kept.setdefault("eos_token_id", tokenizer.eos_token_id)
    kept.setdefault("pad_token_id", tokenizer.pad_token_id)
    return GenerationConfig(**kept)


def _search(settings: CaptionSettings, written: int) -> Mapping[str, Any]:
    """The options for `generate`. Without max_new_tokens it would stop after 20 tokens."""
    search: dict[str, Any] = {
        "num_beams": settings.beams,
        "num_return_sequences": settings.beams,
        "min_new_tokens": min(settings.min_length, written),
        "max_new_tokens": written,
        "no_repeat_ngram_size": settings.no_repeat_ngram_size,
        "do_sample": False,
    }
    if settings.beams > 1:
        search |= {"length_penalty": settings.length_penalty, "early_stopping": True}
    return search


def _foreign(folder: CaptionFolder, found: str) -> ModelError:
    return ModelError(
        f"the files in {folder.path} do not belong together: {found}; put the model there again, from one place"
    )


@contextlib.contextmanager
def _as_model_error(folder: CaptionFolder) -> Iterator[None]:
    """Turn what the library raises where numbers of placeholders, features or heads do not fit into ModelError."""
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "CUDA" in str(error):  # a fault of the device
            raise
        raise _foreign(folder, f"{type(error).__name__}: {error}") from error
