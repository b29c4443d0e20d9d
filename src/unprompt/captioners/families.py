"""Today's captioners: how each family is asked and fed, their names here, and what to take in place of foreign code.

Seen in transformers 5.24, with real classes: which side is padded decides the text in a batch, and which class of
processor runs without packages that only videos need.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from unprompt.captioners.settings import CaptionSettings
from unprompt.display import printable

TASK = CaptionSettings(beams=3, min_length=1, max_length=200, no_repeat_ngram_size=3, question="<DETAILED_CAPTION>")
"""Florence-2's own beams and rule against repeats; the task is one of its three kinds of captions."""

CHAT = CaptionSettings(
    beams=1,
    min_length=1,
    max_length=120,
    question="Write the prompt for an image generator that would make this picture. Answer with the prompt alone.",
    batch_size=8,
)
"""Greedy search, as the models' own examples answer questions, and an instruction of ours."""

SMALL_CHAT = CaptionSettings(
    beams=1, min_length=1, max_length=80, question="Describe this image in one sentence.", batch_size=8
)

PROMPT_TASKS = (
    "<GENERATE_TAGS>",
    "<CAPTION>",
    "<DETAILED_CAPTION>",
    "<MORE_DETAILED_CAPTION>",
    "<ANALYZE>",
    "<MIXED_CAPTION>",
    "<MIXED_CAPTION_PLUS>",
)
"""PromptGen's tasks."""

TASKS = tuple(sorted({*PROMPT_TASKS, "<OCR>"}))
"""The tasks that a Florence-2 answers with a text; others answer with places in the picture."""


@dataclass(frozen=True, slots=True)
class Family:
    """How transformers runs the models of one `model_type`.

    `processor` is the class that prepares its input. A "chat" model is asked by the chat template in its folder, and
    its output begins with the whole prompt, whose length depends on the picture: so it is padded on the left. A "task"
    model has an encoder for the question. `video` is the class that prepares videos, where a processor insists on one;
    `nested`: each prompt has a list of pictures. `most_pixels`: larger pictures are scaled down, in families whose work
    grows with the picture without a limit worth the name.
    """

    processor: str
    settings: CaptionSettings
    asked: Literal["chat", "task"] = "chat"
    video: str = ""
    nested: bool = False
    most_pixels: int | None = None

    @property
    def padding_side(self) -> Literal["left", "right"]:
        """Where shorter prompts of a batch are padded; the other side would change their texts."""
        return "left" if self.asked == "chat" else "right"


_MEGAPIXEL = 1 << 20

FAMILIES: Mapping[str, Family] = {
    "florence2": Family("Florence2Processor", TASK, asked="task"),
    "idefics3": Family("Idefics3Processor", SMALL_CHAT, nested=True),
    # SmolVLM's own processor asks for num2words and torchvision, needed for videos; for pictures both are alike.
    "smolvlm": Family("Idefics3Processor", SMALL_CHAT, nested=True),
    "qwen2_5_vl": Family("Qwen2_5_VLProcessor", CHAT, video="Qwen2VLVideoProcessor", most_pixels=_MEGAPIXEL),
    "qwen3_vl": Family("Qwen3VLProcessor", CHAT, video="Qwen3VLVideoProcessor", most_pixels=_MEGAPIXEL),
    "llava": Family("LlavaProcessor", CHAT),
}
"""By the `model_type` of a config."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model's `model_type`, its repository on the hub, and what its settings have else than its family's."""

    kind: str
    repository: str
    changes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def settings(self) -> CaptionSettings:
        return FAMILIES[self.kind].settings.changed(self.changes)


_PROMPT = MappingProxyType({"question": "<CAPTION>"})
_JOY = MappingProxyType(
    {
        "question": "Output a stable diffusion prompt that is indistinguishable from a real stable diffusion prompt.",
        "system": "You are a helpful image captioner.",
        "max_length": 256,
    }
)
"""The instruction for prompts that JoyCaption was trained with, and the system text of its page."""

MODELS: Mapping[str, Model] = {
    "florence2-base": Model("florence2", "florence-community/Florence-2-base"),
    "florence2-base-ft": Model("florence2", "florence-community/Florence-2-base-ft"),
    "florence2-large": Model("florence2", "florence-community/Florence-2-large"),
    "florence2-large-ft": Model("florence2", "florence-community/Florence-2-large-ft"),
    "promptgen-base": Model("florence2", "MiaoshouAI/Florence-2-base-PromptGen-v2.0", _PROMPT),
    "promptgen-large": Model("florence2", "MiaoshouAI/Florence-2-large-PromptGen-v2.0", _PROMPT),
    "smolvlm-256m": Model("idefics3", "HuggingFaceTB/SmolVLM-256M-Instruct"),
    "smolvlm-500m": Model("idefics3", "HuggingFaceTB/SmolVLM-500M-Instruct"),
    "smolvlm2-256m": Model("smolvlm", "HuggingFaceTB/SmolVLM2-256M-Video-Instruct"),
    "smolvlm2-500m": Model("smolvlm", "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"),
    "qwen2.5-vl-3b": Model("qwen2_5_vl", "Qwen/Qwen2.5-VL-3B-Instruct"),
    "qwen2.5-vl-7b": Model("qwen2_5_vl", "Qwen/Qwen2.5-VL-7B-Instruct"),
    "qwen3-vl-2b": Model("qwen3_vl", "Qwen/Qwen3-VL-2B-Instruct"),
    "qwen3-vl-4b": Model("qwen3_vl", "Qwen/Qwen3-VL-4B-Instruct"),
    "qwen3-vl-8b": Model("qwen3_vl", "Qwen/Qwen3-VL-8B-Instruct"),
    "joycaption": Model("llava", "fancyfeast/llama-joycaption-beta-one-hf-llava", _JOY),
}
"""By our own names."""

_A_SERVER = "a server that runs it (llama.cpp, say), by a member of the kind server"

IN_PLACE_OF: Mapping[str, str] = {
    "microsoft/florence-2-base-ft": "florence2-base-ft",
    "microsoft/florence-2-base": "florence2-base",
    "microsoft/florence-2-large-ft": "florence2-large-ft",
    "microsoft/florence-2-large": "florence2-large",
    "miaoshouai/florence-2-base-promptgen": "promptgen-base",
    "miaoshouai/florence-2-large-promptgen": "promptgen-large",
    "vikhyatk/moondream": _A_SERVER,
    "moondream/": _A_SERVER,
    "openbmb/minicpm-v": f"{_A_SERVER}, or qwen3-vl-2b",
    "microsoft/phi-3": "qwen3-vl-4b",
    "opengvlab/internvl": "qwen3-vl-2b",
    "aidc-ai/ovis": "qwen3-vl-2b",
    "thudm/cog": "joycaption",
}
"""What to take for the models on the hub that run code of their own, by how their repositories' names begin."""

_IN_PLACE_OF_KINDS: Mapping[str, str] = {
    "moondream1": _A_SERVER,
    "moondream3": _A_SERVER,
    "minicpmv": f"{_A_SERVER}, or qwen3-vl-2b",
    "phi3_v": "qwen3-vl-4b",
    "internvl_chat": "qwen3-vl-2b",
    "ovis": "qwen3-vl-2b",
}


def other_than(kind: object) -> str:
    """What to take in place of a folder that asks to run code, by the `model_type` of its config."""
    return _IN_PLACE_OF_KINDS.get(str(kind), "a captioner by name")


def refusal(repository: str) -> str:
    """Why a repository of the hub is no captioner's name, and what to write instead; empty for an unknown one."""
    near = repository.casefold()
    for name, model in MODELS.items():
        if near == model.repository.casefold():
            return f"captioners have short names here: for {printable(repository)} write {name}"
    for start, other in IN_PLACE_OF.items():
        if near.startswith(start):
            shown = printable(repository)
            return f"{shown} runs code that comes with it, which is never done; take {other} in its place"
    return ""
