"""Finds one value of what a file says, by the name that people use for it, whatever its tool calls it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from unprompt.display import printable
from unprompt.errors import DataError
from unprompt.output.jsonl import to_json

if TYPE_CHECKING:
    from unprompt.output.records import Record

_Find: TypeAlias = "Callable[[Record, Mapping[str, Any]], object]"
"""Finds a value in a record, and in its settings by their folded names; None if there is none."""

_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "seed": ("seed", "noiseseed", "randseed", "randomseed"),
    "steps": ("steps", "numinferencesteps", "samplingsteps", "numsteps"),
    "cfg": ("cfgscale", "cfg", "guidancescale", "guidance", "scale", "distilledcfgscale"),
    "sampler": ("sampler", "samplername", "samplerid", "scheduler"),  # InvokeAI and diffusers call it scheduler
    "scheduler": ("scheduler", "scheduletype", "schedule", "noiseschedule"),
    "denoise": ("denoise", "denoisingstrength", "strength"),
    "clip_skip": ("clipskip",),
}
"""The names of settings in the files of all tools, folded, the likeliest first."""

_MODELS = ("model", "ckptname", "unetname", "modelname", "basemodel", "basemodelname", "usestablediffusionmodel")
_OTHER_MODELS = ("stablediffusionmodel", "sdmodelname", "checkpoint", "modelweights")
_SIZES = ("size", "resolution", "dimensions")
_PAIR = re.compile(r"\D{0,9}(\d{1,6})\D{1,9}(\d{1,6})\D{0,9}")


def _setting(names: Iterable[str]) -> _Find:
    return lambda record, settings: next((settings[name] for name in names if name in settings), None)


def _of_record(key: str) -> _Find:
    return lambda record, settings: record.get(key)


def _resource(record: Record, kinds: Iterable[str], key: str = "name") -> object:
    return next((each.get(key) for each in record.get("resources", ()) if each["kind"] in kinds), None)


def _model(record: Record, settings: Mapping[str, Any]) -> object:
    named = _setting((*_MODELS, *_OTHER_MODELS))(record, settings)
    return _resource(record, ("checkpoint", "model")) if named is None else named


def _model_hash(record: Record, settings: Mapping[str, Any]) -> object:
    return settings.get("modelhash") or _resource(record, ("checkpoint", "model"), "hash")


def _vae(record: Record, settings: Mapping[str, Any]) -> object:
    return settings.get("vae") or settings.get("vaename") or _resource(record, ("vae",))


def _loras(record: Record, settings: Mapping[str, Any]) -> object:
    found = (each for each in record.get("resources", ()) if each["kind"] == "lora")
    return ", ".join(f"{each['name']}:{each['weight']}" if "weight" in each else each["name"] for each in found)


def _sides(record: Record, settings: Mapping[str, Any]) -> tuple[object, object]:
    """Width and height, from whichever setting has them."""
    written = _setting(_SIZES)(record, settings)
    if isinstance(written, str) and (pair := _PAIR.fullmatch(written)):
        return pair[1], pair[2]
    return settings.get("width"), settings.get("height")


def _size(record: Record, settings: Mapping[str, Any]) -> object:
    width, height = _sides(record, settings)
    return None if width is None or height is None else f"{width}x{height}"


_FIND: Mapping[str, _Find] = {
    "prompt": _of_record("prompt"),
    "negative": _of_record("negative_prompt"),
    "raw": _of_record("raw"),
    "tool": _of_record("tool"),
    "certainty": _of_record("certainty"),
    "note": _of_record("note"),
    **{name: _setting(names) for name, names in _SETTINGS.items()},
    "size": _size,
    "width": lambda record, settings: _sides(record, settings)[0],
    "height": lambda record, settings: _sides(record, settings)[1],
    "model": _model,
    "model_hash": _model_hash,
    "vae": _vae,
    "loras": _loras,
    "settings": _of_record("settings"),
    "resources": _of_record("resources"),
    "texts": _of_record("texts"),
    "candidates": _of_record("candidates"),
}

FIELDS = tuple(_FIND)
"""The names of all values."""


def check_field(name: str) -> str:
    """Return the name of a field. Raises DataError if there is none of this name."""
    if name.casefold() in _FIND:
        return name.casefold()
    near = difflib.get_close_matches(name.casefold(), FIELDS, n=1)
    hint = f"did you mean {near[0]}?" if near else "name one of these."
    raise DataError(f"expected a field, found {printable(name)}; {hint} There are: {', '.join(FIELDS)}")


def value_of(record: Record, field: str) -> str:
    """The value of a field on one line, lists and objects as JSON; "" if there is none, as of a failure."""
    if "error" in record:
        return ""
    settings = {_folded(name): value for name, value in reversed(record.get("settings", {}).items())}
    value = _FIND[field](record, settings)
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) else to_json(value)


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
