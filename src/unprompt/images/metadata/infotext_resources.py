"""The models that an infotext's settings name: checkpoints, LoRAs, embeddings, VAEs and others, with their hashes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from unprompt.images.metadata import bounded_json
from unprompt.images.metadata.tags import decimal
from unprompt.prediction import Resource

_ENTRY_LIMIT = 100
_WITH_HASH = re.compile(r"(.{1,300}?) ?[\[(]([0-9a-fA-F]{6,64})[\])]")
_NO_NAMES = ("None", "Automatic", "Built in")
_METHODS = ("Latent", "Lanczos", "Nearest")  # upscalers without a model
_SINGLE = (
    ("Model", "checkpoint", "Model hash", ""),
    ("Refiner", "checkpoint", "Refiner hash", ""),
    ("VAE", "vae", "VAE hash", ""),
    ("TE", "text encoder", "", ""),
    ("UNet", "model", "", ""),
    ("Hypernet", "hypernetwork", "Hypernet hash", "Hypernet strength"),
    ("Hires upscaler", "upscaler", "", ""),
    ("Postprocess upscaler", "upscaler", "", ""),
)
"""Settings: the name, its kind, the hash, the weight."""

_HASH_LISTS = (("Lora hashes", "lora"), ("TI hashes", "embedding"), ("Hypernet hashes", "hypernetwork"))
_HASH_KINDS = {"lora": "lora", "embed": "embedding", "hypernet": "hypernetwork"}
_CIVITAI_KINDS = {
    "checkpoint": "checkpoint", "lora": "lora", "lycoris": "lora", "locon": "lora", "dora": "lora",
    "embed": "embedding", "embedding": "embedding", "textualinversion": "embedding", "vae": "vae",
    "controlnet": "controlnet", "hypernet": "hypernetwork", "hypernetwork": "hypernetwork", "upscaler": "upscaler",
}  # fmt: skip


def resources_of(settings: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the models, those that are named by their own settings first; some come twice, some without a name."""
    hashes = bounded_json.parse_object(_text(settings.get("Hashes")))
    for key, kind, hash_key, weight_key in _SINGLE:
        name, digest = _named(settings.get(key))
        digest = digest or _text(settings.get(hash_key)) or _text(hashes.get(key.lower()))
        name = "" if name in _NO_NAMES or name.startswith(_METHODS) else name
        yield Resource(kind, name, decimal(settings.get(weight_key)), digest or None)
    for key, kind in _HASH_LISTS:
        for entry in _entries(settings.get(key)):
            name, _, digest = entry.rpartition(": ")
            yield Resource(kind, name or entry, hash=digest if name else None)
    yield from _hashes(hashes)
    yield from civitai_resources(bounded_json.parse(_text(settings.get("Civitai resources"))))
    yield from _numbered(settings)
    for name in _entries(settings.get("Embeddings")):
        yield Resource("embedding", name)


def civitai_resources(entries: object) -> Iterator[Resource]:
    """Yield what Civitai lists as JSON: `{"type": "lora", "weight": 0.8, "modelVersionId": 222, "modelName": ..}`."""
    for entry in entries[:_ENTRY_LIMIT] if isinstance(entries, list) else ():
        if not isinstance(entry, dict):
            continue
        air, version = entry.get("air"), entry.get("modelVersionId")
        number = f"civitai:{version}" if isinstance(version, int) else ""
        name = " ".join(_text(entry.get(key)) for key in ("modelName", "modelVersionName", "versionName")).strip()
        kind = _CIVITAI_KINDS.get(_text(entry.get("type")).lower().replace(" ", "")) or air_kind(air)
        weight = decimal(entry.get("weight", entry.get("strength")))
        yield Resource(kind, name or _text(air) or number, weight)


def air_kind(air: object) -> str:
    """The kind of model that Civitai's identifier `urn:air:sdxl:lora:civitai:1@2` states."""
    parts = air.split(":") if isinstance(air, str) else []
    return _CIVITAI_KINDS.get(parts[3] if len(parts) > 3 else "", "model")


def _hashes(entries: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield the entries of `{"model": "aa..", "lora:name": "bb..", "embed:name": ".."}`."""
    for key, digest in islice(entries.items(), _ENTRY_LIMIT):
        kind, _, name = key.partition(":")
        if kind in _HASH_KINDS and isinstance(digest, str) and name:
            yield Resource(_HASH_KINDS[kind], name, hash=digest)


def _numbered(settings: Mapping[str, Any]) -> Iterator[Resource]:
    """Yield what is numbered: `Module 1` of Forge, `AddNet Model 1` and `ControlNet 0` of extensions."""
    for key, value in settings.items():
        word, _, number = key.rpartition(" ")
        if word == "Module" and number.isdigit():
            yield Resource("model", _text(value))
        elif word == "AddNet Model" and number.isdigit():
            name, digest = _named(value)
            yield Resource("lora", name, decimal(settings.get(f"AddNet Weight A {number}")), digest or None)
        elif word == "ControlNet" and isinstance(value, str):
            parts = dict(part.partition(": ")[::2] for part in value.split(", "))
            name, digest = _named(parts.get("Model"))
            if name not in ("", *_NO_NAMES):
                yield Resource("controlnet", name, decimal(parts.get("Weight")), digest or None)
        elif word.startswith("ADetailer model") or key == "ADetailer model":
            yield Resource("model", _text(value))


def _named(value: object) -> tuple[str, str]:
    """Name and hash of `name [0123abcd]`; the hash is empty if there is none."""
    text = _text(value)
    match = _WITH_HASH.fullmatch(text[:400])
    return (match[1], match[2]) if match else (text, "")


def _entries(value: object) -> list[str]:
    parts = (part.strip() for part in _text(value).split(",", _ENTRY_LIMIT)[:_ENTRY_LIMIT])
    return [part for part in parts if part]


def _text(value: object) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
