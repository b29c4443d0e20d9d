"""The models that a prompt's own tags name, such as `<lora:name:0.8>`; and one entry for each model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from unprompt.prediction import Resource

_TAG = re.compile(
    r"<(lora|lyco|locon|loha|wlr|hypernet|hypernetwork|embed|embedding|ti):([^<>]{1,600})>", re.IGNORECASE
)
_EMBEDDING = re.compile(r"\bembedding:((?:\\[()\[\]]|[^\s,:()\[\]{}]){1,300})", re.IGNORECASE)
_KINDS = {
    "hypernet": "hypernetwork", "hypernetwork": "hypernetwork", "embed": "embedding", "embedding": "embedding",
    "ti": "embedding",
}  # fmt: skip
_SUFFIX = re.compile(r"\.(?:safetensors|ckpt|pth?|bin|gguf|sft)$", re.IGNORECASE)


def tagged(prompt: str) -> Iterator[Resource]:
    """Yield the models of the tags in a prompt, with the weights that the tags give."""
    for kind, data in _TAG.findall(prompt) if "<" in prompt else ():
        name, *weights = data.split(":")
        yield Resource(_KINDS.get(kind.lower(), "lora"), name.strip(), decimal(weights[0]) if weights else None)
    for name in _EMBEDDING.findall(_TAG.sub(" ", prompt)):
        yield Resource("embedding", name.replace("\\", "") if "\\(" in name else name)


def decimal(value: object) -> float | None:
    """The number that a value is or shows, or None."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and abs(number) < 1e6 else None  # NaN is not


def merged(resources: Iterable[Resource]) -> list[Resource]:
    """One entry for each model, with what any of its entries says; the first one's name counts."""
    found: dict[tuple[str, str], Resource] = {}
    for resource in resources:
        key = (resource.kind, _stem(resource.name) or str(resource.hash))
        known = found.get(key, resource)
        weight = resource.weight if known.weight is None else known.weight
        found[key] = replace(known, weight=weight, hash=known.hash or resource.hash)
    return list(found.values())


def _stem(name: str) -> str:
    """A model file's name without folders and suffix, as some tools write it."""
    return _SUFFIX.sub("", name.replace("\\", "/").rpartition("/")[2]).casefold()
