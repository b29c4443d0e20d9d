"""A drop-in replacement for clip-interrogator 0.6.0: scripts need to change one import only.

    from unprompt.clip_interrogator import Config, Interrogator

    ci = Interrogator(Config(clip_model_name="ViT-L-14/openai"))
    print(ci.interrogate(image))

Answers are those of `unprompt.interrogation`, without the faults listed in docs/guides/interrogation.md. Image features
are numpy arrays (1, size) instead of tensors.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unprompt.captioners.opening import REPOSITORIES, open_caption_model
from unprompt.errors import DataError
from unprompt.images.decode import Picture
from unprompt.images.ref import Input
from unprompt.interrogation.captions import Captioner, GivenCaption, open_captioner
from unprompt.interrogation.chain import Candidate, Rules, grow
from unprompt.interrogation.interrogation import Settings
from unprompt.interrogation.interrogator import Interrogator as _Interrogator
from unprompt.interrogation.sentence import fitted
from unprompt.interrogation.writer import Writer
from unprompt.models.store.weights import HUB
from unprompt.prediction import Term, Vector
from unprompt.towers.opening import open_towers
from unprompt.towers.two_tower import TwoTower
from unprompt.vocabulary.category import Category
from unprompt.vocabulary.original import NAME as CLIP_INTERROGATOR
from unprompt.vocabulary.original import original_categories
from unprompt.vocabulary.tables import default_cache
from unprompt.vocabulary.term_files import read_terms
from unprompt.vocabulary.vocabulary import UNPROMPT, Vocabulary, load_vocabulary

if TYPE_CHECKING:
    from torch import nn

_log = logging.getLogger(__name__)

_GREEDY: Mapping[str, Any] = {"beams": 1, "min_length": 0, "question": "", "length_penalty": 1.0}
"""The decoding options that clip-interrogator uses."""


@dataclass
class Config:
    """The fields of clip-interrogator's Config, and what they mean here.

    `caption_model_name` is one of clip-interrogator's names, or "embedded"; None: every call must pass a caption.
    `clip_model_name` is `architecture/tag` or "embedded"; `clip_model` is an open_clip model to use instead.
    `clip_model_path` is a safetensors file with the weights of that model, not a download folder. `caption_model` and
    `caption_processor` are not supported. `cache_path` is the folder for the vectors of term lists (default: the user's
    cache); nothing is downloaded to it. `data_path` is a folder of lists in clip-interrogator's layout (default: those
    of that package if it is installed, else our own). `chunk_size`, `quiet`, `download_cache` and `*_offload` are
    accepted and ignored.
    """

    caption_model: Any = None
    caption_processor: Any = None
    caption_model_name: str | None = "blip-large"
    caption_max_length: int = 32
    caption_offload: bool = False
    clip_model_name: str = "ViT-L-14/openai"
    clip_model_path: str | None = None
    clip_model: nn.Module | None = None
    clip_preprocess: Any = None
    clip_offload: bool = False
    cache_path: str | None = None
    download_cache: bool = False
    chunk_size: int = 2048
    data_path: str | None = None
    device: Any = None
    flavor_intermediate_count: int = 2048
    quiet: bool = False

    def apply_low_vram_defaults(self) -> None:
        """Use the smaller captioner and fewer candidates, as in the original."""
        self.caption_model_name = "blip-base"
        self.flavor_intermediate_count = 1024


class Interrogator:
    """clip-interrogator's methods. Pictures are whatever `unprompt` reads: Pillow pictures, paths, bytes, arrays.

    Models are loaded when they are first needed. Raises UnknownNameError for an unknown model name, MissingExtraError
    without the extra [torch] and, on first use, ModelError if weights cannot be loaded.
    """

    def __init__(self, config: Config) -> None:
        _check(config)
        self.config = config
        vocabulary = _vocabulary(config.data_path)
        cache = Path(config.cache_path) if config.cache_path else default_cache()
        self._interrogator = _Interrogator(_towers(config), vocabulary, GivenCaption(""), cache)
        self._settings = Settings(candidates=config.flavor_intermediate_count)
        for name in ("artists", "flavors", "mediums", "movements", "trendings", "negative"):
            category = vocabulary.category(name) or Category(name, ())
            setattr(self, name, LabelTable(category.terms, name, self))

    def interrogate(self, image: Input, min_flavors: int = 8, max_flavors: int = 32, caption: str | None = None) -> str:
        """The nearest to the picture of caption, classic, fast and a chain of flavors."""
        return self._text(replace(self._settings, min_terms=min_flavors, max_terms=max_flavors), image, caption)

    def interrogate_classic(self, image: Input, max_flavors: int = 3, caption: str | None = None) -> str:
        """The caption with the best medium, artist, trend, movement and flavors."""
        picture = self._interrogator.read(image)
        towers = self._interrogator.towers
        start = fitted(self._caption(picture, caption), towers.count_tokens, towers.longest)
        writer = Writer(towers, self._interrogator.lists, [picture], [start], self._settings, towers.longest)
        return writer.classic(max_flavors)[0].text

    def interrogate_fast(self, image: Input, max_flavors: int = 32, caption: str | None = None) -> str:
        """The caption with the best terms of all lists together."""
        return self._text(replace(self._settings, mode="fast", max_terms=max_flavors), image, caption)

    def interrogate_negative(self, image: Input, max_flavors: int = 32) -> str:
        """A chain of the terms least like the picture."""
        settings = replace(self._settings, mode="negative", max_terms=max_flavors)
        return self._interrogator.interrogate_pictures([self._interrogator.read(image)], settings)[0].text

    def generate_caption(self, pil_image: Input) -> str:
        """The captioner's sentence. Raises DataError if the config names no captioner."""
        return self._captioner.captions([self._interrogator.read(pil_image)])[0]

    def image_to_features(self, image: Input) -> Vector:
        """The picture's unit vector (1, size)."""
        return self._interrogator.towers.encode_images([self._interrogator.read(image)])

    def similarity(self, image_features: Any, text: str) -> float:
        """The cosine of a text with a picture."""
        return self.similarities(image_features, [text])[0]

    def similarities(self, image_features: Any, text_array: Sequence[str]) -> list[float]:
        """The cosines of texts with a picture."""
        cosines: list[float] = (self._interrogator.towers.encode_texts(text_array) @ _vector(image_features)).tolist()
        return cosines

    def rank_top(self, image_features: Any, text_array: Sequence[str], reverse: bool = False) -> str:
        """The text most similar to a picture or, with `reverse`, least similar."""
        cosines = np.array(self.similarities(image_features, text_array))
        return text_array[int(np.argmax(-cosines if reverse else cosines))]

    def chain(
        self,
        image_features: Any,
        phrases: Sequence[str],
        best_prompt: str = "",
        best_sim: float = 0,
        min_count: int = 8,
        max_count: int = 32,
        desc: str = "Chaining",
        reverse: bool = False,
    ) -> str:
        """Grow a text by phrases, starting from `best_prompt`.

        `best_sim` is ignored and computed again; `desc` is ignored, since no progress is shown.
        """
        image, towers = _vector(image_features), self._interrogator.towers
        texts = list(dict.fromkeys(phrases))
        vectors = towers.encode_texts(texts).astype(np.float16)
        candidates = [
            Candidate(Term(text, "phrases", float(vector @ image)), 1.0, vector)
            for text, vector in zip(texts, vectors, strict=True)
        ]
        rules = Rules("chain", min_count, max_count, towers.longest, reverse, {})
        return grow(towers, image[None], [best_prompt], [candidates], rules)[0].text

    def _text(self, settings: Settings, image: Input, caption: str | None) -> str:
        picture = self._interrogator.read(image)
        captions = [self._caption(picture, caption)]
        return self._interrogator.interrogate_pictures([picture], settings, captions)[0].text

    def load_caption_model(self) -> None:
        """Do nothing: models are loaded when they are first needed."""

    def load_clip_model(self) -> None:
        """Do nothing: models are loaded when they are first needed."""

    def _caption(self, picture: Picture, caption: str | None) -> str:
        return caption or self._captioner.captions([picture])[0]

    @cached_property
    def _captioner(self) -> Captioner:
        name = self.config.caption_model_name
        if name is None:
            raise DataError("expected a caption, or a caption_model_name in Config; found neither: give one of them")
        if name not in REPOSITORIES:
            return open_captioner(name)
        return open_caption_model(name, {**_GREEDY, "max_length": self.config.caption_max_length + 1})


class LabelTable:
    """A list of terms named `desc`; their vectors are computed when it is first ranked."""

    def __init__(self, labels: Sequence[str], desc: str, ci: Interrogator) -> None:
        self.labels = list(labels)
        self._interrogator = ci._interrogator
        self._category = Category(desc or "labels", tuple(dict.fromkeys(labels)))

    def rank(self, image_features: Any, top_count: int = 1, reverse: bool = False) -> list[str]:
        """The terms most similar to a picture, best first; with `reverse`, the least similar first."""
        image = _vector(image_features)[None]
        (found,) = self._interrogator.lists.candidates([self._category], image, top_count, lowest=reverse)
        return [candidate.term.text for candidate in found]


def list_caption_models() -> list[str]:
    """The names that `Config.caption_model_name` takes."""
    return [*REPOSITORIES, "embedded"]


def list_clip_models() -> list[str]:
    """The names that `Config.clip_model_name` takes."""
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    import open_clip

    return ["embedded", *("/".join(names) for names in open_clip.list_pretrained())]


def load_list(data_path: str, filename: str | None = None) -> list[str]:
    """The terms in a file, one a line. Raises DataError if it cannot be read or is not UTF-8."""
    path = Path(data_path) if filename is None else Path(data_path, filename)
    return list(read_terms(path).category.terms)


def _check(config: Config) -> None:
    """Raise DataError for options of the original that are not supported here."""
    if config.caption_model is not None or config.caption_processor is not None:
        raise DataError(
            "expected a captioner by name, found a caption_model or caption_processor; give caption=... or a "
            "caption_model_name"
        )
    if config.clip_model_path is not None and Path(config.clip_model_path).is_dir():
        raise DataError(
            f"expected clip_model_path to be a safetensors file, found the folder {config.clip_model_path}; downloads "
            "go into the hub's cache: set HF_HOME to move it"
        )


def _towers(config: Config) -> TwoTower:
    if config.clip_model is None:
        name = config.clip_model_name.replace("/", ".", 1)
        return open_towers(name, weights=config.clip_model_path or HUB, device=config.device)
    from unprompt.towers.open_clip import OpenClipTowers

    return OpenClipTowers.of(config.clip_model, config.clip_model_name)


def _vocabulary(data_path: str | None) -> Vocabulary:
    if data_path is not None:
        return Vocabulary.of(data_path, original_categories(Path(data_path)))
    if importlib.util.find_spec("clip_interrogator") is not None:
        return load_vocabulary([CLIP_INTERROGATOR])
    _log.warning("clip-interrogator is not installed: unprompt's own lists are used; pip install clip-interrogator")
    return load_vocabulary([UNPROMPT])


def _vector(features: Any) -> Vector:
    """A picture's vector (size,), from an array or a tensor (1, size) or (size,)."""
    vector = np.asarray(features.cpu() if hasattr(features, "cpu") else features, np.float32)
    return vector.reshape(-1)
