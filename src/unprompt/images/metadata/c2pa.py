"""C2PA manifests: who made the picture, with what, and the prompt, where a manifest holds one. Nothing is verified.

Source: the C2PA specification 2.1: claims (10), actions (18.10), ingredients (18.11), embedded data (18.9); data boxes
of 1.4 (8.4). Software agents, generators and descriptions as the services wrote them in 2023 to 2026.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from unprompt.images.metadata import bounded_json, cbor, jumbf, makers
from unprompt.images.metadata.composing import compose, compose_wordless
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import Resource, WrittenPrompt

TOOL = "C2PA"
"""The tool's name where the manifest's own maker is not known by name."""

NOTE = "C2PA manifest, read but not verified"

_MANIFEST_LIMIT = 100
_ASSERTION_LIMIT = 1_000
_ACTION_LIMIT = 100
_VALUE_LIMIT = 10_000
_DEPTH_LIMIT = 8
_PROMPT_TYPE = "c2pa.types.generator.prompt"
_MODEL_TYPE = "c2pa.types.model"
_CREATED = "c2pa.created"


@dataclass(slots=True)
class _Manifest:
    """What one manifest says: its claim, and its assertions by label."""

    claim: Mapping[str, Any] = field(default_factory=dict)
    assertions: list[tuple[str, Any]] = field(default_factory=list)

    def assertions_of(self, label: str) -> Iterator[dict[str, Any]]:
        """The assertions of this kind: later versions and repetitions add to the label."""
        for name, value in self.assertions:
            if name.startswith(label) and isinstance(value, dict):
                yield value

    def actions(self) -> Iterator[dict[str, Any]]:
        for assertion in self.assertions_of("c2pa.actions"):
            yield from islice(_dicts(assertion.get("actions")), _ACTION_LIMIT)

    def agents(self) -> Iterator[str]:
        """What made or changed the picture, the most particular name first."""
        for action in self.actions():
            yield from _names(action.get("softwareAgent"))
        for assertion in self.assertions_of("c2pa.actions"):
            for agent in _dicts(assertion.get("softwareAgents")):
                yield from _names(agent)

    def generators(self) -> Iterator[str]:
        yield from _names(self.claim.get("claim_generator_info"))
        yield from _names(self.claim.get("claim_generator"))


def read(fields: Fields) -> WrittenPrompt | None:
    """Read the manifests that C2PA keeps in a file: the prompt, if there is one, or else the maker."""
    manifests = [*_manifests(fields.c2pa)] if fields.c2pa else []
    if not manifests:
        return None
    origin, active = _origin(manifests), manifests[-1]
    resources = [Resource("model", name) for name in _titles(origin, _MODEL_TYPE)]
    tool = makers.name_of([*origin.agents(), *origin.generators(), *_descriptions(origin), *active.generators()])
    for manifest in (origin, *reversed(manifests)):
        for prompt in _prompts(manifest):
            answer = compose(tool or TOOL, prompt, None, _settings(origin, active), resources=resources, note=NOTE)
            if answer is not None:
                return answer
    note = f"no prompt is written; {NOTE}"
    return compose_wordless(tool or TOOL, _settings(origin, active), resources=resources, note=note)


def _manifests(data: bytes) -> Iterator[_Manifest]:
    for store in jumbf.parse(data):
        for box in store.inner[-_MANIFEST_LIMIT:]:
            manifest = _manifest(box)
            if manifest.claim or manifest.assertions:
                yield manifest


def _manifest(box: jumbf.Labelled) -> _Manifest:
    manifest = _Manifest()
    for part in box.inner:
        if part.label.startswith("c2pa.claim"):
            claim = _value(part)
            manifest.claim = claim if isinstance(claim, dict) else {}
        elif part.label in ("c2pa.assertions", "c2pa.databoxes"):
            manifest.assertions += [(inner.label, _value(inner)) for inner in part.inner[:_ASSERTION_LIMIT]]
    return manifest


def _value(box: jumbf.Labelled) -> Any:
    """What a box says: an object, or the bytes of an embedded file."""
    for kind, body in box.contents:
        if kind == b"cbor":
            return cbor.parse(body)
        if kind == b"json":
            return bounded_json.parse(body.decode("utf-8", "replace"))
        if kind == b"bidb":
            return body
    return None


def _origin(manifests: list[_Manifest]) -> _Manifest:
    """The manifest about how the picture came to be; those after it are about changes, the last about the file."""
    generated = (found for found in manifests if any(makers.is_generated(source) for source in _sources(found)))
    created = (found for found in manifests if _creation(found))
    return next(generated, next(created, manifests[-1]))


def _sources(manifest: _Manifest) -> Iterator[str]:
    sources = (action.get("digitalSourceType") for action in manifest.actions())
    return (source for source in sources if isinstance(source, str))


def _creation(manifest: _Manifest) -> dict[str, Any] | None:
    return next((action for action in manifest.actions() if action.get("action") == _CREATED), None)


def _settings(origin: _Manifest, active: _Manifest) -> dict[str, Any]:
    """What the manifests say beside a prompt, by the names of the specification."""
    creation = _creation(origin) or {}
    changes = [action.get("action") for action in _all_actions(origin, active)]
    settings = {
        "claim_generator": next(active.generators(), ""),
        "softwareAgent": next(origin.agents(), ""),
        "digitalSourceType": makers.last_word(next(_sources(origin), "")),
        "actions": ", ".join(dict.fromkeys(change for change in changes if isinstance(change, str))),
        "description": next(_descriptions(origin), ""),
        "when": creation.get("when"),
    }
    parameters = creation.get("parameters")
    return {**settings, **(_single(parameters) if isinstance(parameters, dict) else {})}


def _all_actions(origin: _Manifest, active: _Manifest) -> Iterator[dict[str, Any]]:
    yield from origin.actions()
    if active is not origin:
        yield from active.actions()


def _single(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that are single values, without the prompt."""
    return {
        key: value
        for key, value in parameters.items()
        if isinstance(value, (str, int, float)) and not _names_prompt(key)
    }


def _descriptions(manifest: _Manifest) -> Iterator[str]:
    texts = (action.get("description") for action in manifest.actions())
    return (text for text in texts if isinstance(text, str) and text)


def _prompts(manifest: _Manifest) -> Iterator[str]:
    """The texts that the manifest calls a prompt: embedded data of that type, or a value of that name."""
    by_label = dict(manifest.assertions)
    for name, value in manifest.assertions:
        if isinstance(value, dict) and _PROMPT_TYPE in _types(value):
            yield from _texts(value.get("data"), by_label)
        elif isinstance(value, dict) and not name.startswith("c2pa.hash"):
            yield from _named_prompts(value)


def _types(value: Mapping[str, Any]) -> list[str]:
    """The types of data of an ingredient or a data box, or of what the ingredient refers to."""
    data = value.get("data")
    listed = [value.get("dataTypes"), value.get("data_types")]
    listed += [data.get("dataTypes"), data.get("data_types")] if isinstance(data, dict) else []
    return [str(found.get("type")) for types in listed for found in _dicts(types)]


def _texts(data: Any, by_label: Mapping[str, Any]) -> Iterator[str]:
    """The text of a data box, or of what an ingredient's reference names by the last part of its address."""
    if isinstance(data, dict):
        address = data.get("url")
        data = by_label.get(address.rpartition("/")[2]) if isinstance(address, str) else None
        data = data.get("data") if isinstance(data, dict) else data
    if isinstance(data, bytes):
        data = data.decode("utf-8", "replace")
    if isinstance(data, str):
        yield data


def _named_prompts(value: Any) -> Iterator[str]:
    """Texts under the name `prompt`, or one that ends in it, at any depth."""
    waiting: list[tuple[Any, int]] = [(value, 0)]
    for _ in range(_VALUE_LIMIT):
        if not waiting:
            return
        found, depth = waiting.pop()
        if isinstance(found, dict):
            for key, inner in found.items():
                if isinstance(inner, str) and _names_prompt(key):
                    yield inner
        inside: Iterable[Any] = found.values() if isinstance(found, dict) else found
        if depth < _DEPTH_LIMIT:
            waiting += [(inner, depth + 1) for inner in inside if isinstance(inner, (dict, list))]


def _names_prompt(key: str) -> bool:
    """prompt, ai:prompt, com.example.prompt, textPrompt; not negative_prompt."""
    word = key.lower().replace("-", "_")
    return word.endswith("prompt") and "negative" not in word and len(word) <= 60


def _titles(manifest: _Manifest, kind: str) -> Iterator[str]:
    """The titles of ingredients of a type, such as models."""
    for value in manifest.assertions_of("c2pa.ingredient"):
        if any(found.startswith(kind) for found in _types(value)) and isinstance(value.get("dc:title"), str):
            yield value["dc:title"]


def _names(value: Any) -> Iterator[str]:
    """The names in a text, an object with `name`, or a list of them."""
    for found in value if isinstance(value, list) else [value]:
        name = found.get("name") if isinstance(found, dict) else found
        if isinstance(name, str) and name:
            yield name


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    return (found for found in value if isinstance(found, dict)) if isinstance(value, list) else iter(())
