"""What a C2PA manifest says of a picture."""

from __future__ import annotations

import random
from typing import Any

import pytest
from manifests import as_json, assertion, box, created, labelled, manifest, store

from unprompt.images.metadata import c2pa
from unprompt.images.metadata.fields import Fields
from unprompt.prediction import WrittenPrompt

WORDS = "a fuzzy bunny on a meadow"
EDITED = {"actions": [{"action": "c2pa.opened"}, {"action": "c2pa.edited", "softwareAgent": "Adobe Photoshop 26.1"}]}
IN_CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


def read(data: bytes) -> WrittenPrompt | None:
    return c2pa.read(Fields(c2pa=data))


def written(data: bytes) -> WrittenPrompt:
    found = read(data)
    assert found is not None
    return found


MAKERS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ChatGPT": (
        {"claim_generator_info": {"name": "ChatGPT", "org.contentauth.c2pa_rs": "0.0.0"}},
        {"c2pa.actions.v2": created({"name": "GPT-4o"})},
    ),
    "DALL-E": ({"claim_generator": "OpenAI-API c2pa-rs/0.31.3"}, {"c2pa.actions": created("DALL·E")}),
    "OpenAI": ({"claim_generator": "OpenAI-API c2pa-rs/0.31.3"}, {"c2pa.actions": created()}),
    "Adobe Firefly": ({"claim_generator": "Adobe_Firefly"}, {"c2pa.actions": created("Adobe Firefly")}),
    "Google AI": (
        {"claim_generator_info": [{"name": "Google C2PA Core Generator Library", "version": "1"}]},
        {"c2pa.actions.v2": created(description="Created by Google Generative AI.")},
    ),
    "Bing Image Creator": (
        {"claim_generator": "Microsoft_Responsible_AI/1.0"},
        {"c2pa.actions": created("Bing Image Creator")},
    ),
    "Microsoft Designer": ({"claim_generator": "Microsoft_Designer"}, {"c2pa.actions": created()}),
    "Amazon Titan": ({"claim_generator": "Amazon_Bedrock"}, {"c2pa.actions": created("AWS Titan Image Generator")}),
    "C2PA": ({"claim_generator": "somebody_new/1.0"}, {"c2pa.actions": created("Some New Generator")}),
}


@pytest.mark.parametrize("tool", MAKERS)
def test_the_maker_is_named_where_no_prompt_is(tool: str) -> None:
    found = written(store(manifest(*MAKERS[tool])))
    assert (found.tool, found.prompt) == (tool, "")
    assert found.note == "no prompt is written; C2PA manifest, read but not verified"
    assert found.settings["digitalSourceType"] == "trainedAlgorithmicMedia"
    assert found.settings["actions"] == "c2pa.created"


def test_settings_are_what_the_manifest_says() -> None:
    claim = {"claim_generator": "maker/1.0", "claim_generator_info": [{"name": "The Maker", "version": "1.0"}]}
    actions = created("An Agent", when="2026-05-01T10:00:00Z", parameters={"seed": 7, "model": "m2", "list": [1]})
    assert written(store(manifest(claim, {"c2pa.actions": actions}))).settings == {
        "claim_generator": "The Maker",
        "softwareAgent": "An Agent",
        "digitalSourceType": "trainedAlgorithmicMedia",
        "actions": "c2pa.created",
        "when": "2026-05-01T10:00:00Z",
        "seed": 7,
        "model": "m2",
    }


def test_the_manifest_of_the_generated_picture_counts_and_not_that_of_the_editor() -> None:
    camera = manifest({"claim_generator": "camera"}, {"c2pa.actions": created("Camera", IN_CAMERA)})
    made = manifest({"claim_generator": "Adobe_Firefly"}, {"c2pa.actions": created("Adobe Firefly")})
    edited = manifest({"claim_generator": "Adobe_Photoshop"}, {"c2pa.actions": EDITED})
    found = written(store(camera, made, edited))
    assert found.tool == "Adobe Firefly"
    assert found.settings["claim_generator"] == "Adobe_Photoshop"
    assert found.settings["actions"] == "c2pa.created, c2pa.opened, c2pa.edited"


INGREDIENT = {
    "dc:title": "prompt",
    "relationship": "inputTo",
    "data": {"url": "self#jumbf=c2pa.assertions/c2pa.embedded-data"},
    "dataTypes": [{"type": "c2pa.types.generator.prompt"}],
}
PROMPTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "embedded data of an ingredient": ({"c2pa.ingredient.v3": INGREDIENT, "c2pa.embedded-data": WORDS.encode()}, {}),
    "a data box": (
        {},
        {"c2pa.data": {"data": WORDS.encode(), "data_types": [{"type": "c2pa.types.generator.prompt"}]}},
    ),
    "an ingredient's reference to a data box": (
        {
            "c2pa.ingredient.v2": {
                "dc:title": "prompt",
                "data": {
                    "url": "self#jumbf=c2pa.databoxes/c2pa.data__1",
                    "data_types": [{"type": "c2pa.types.generator.prompt"}],
                },
            }
        },
        {"c2pa.data__1": {"dc:format": "text/plain", "data": WORDS.encode()}},
    ),
    "a parameter of the action": ({"c2pa.actions.v2": created("X", parameters={"com.example.prompt": WORDS})}, {}),
    "an assertion of the maker's own": ({"com.example.generation": {"inputs": [{"prompt": WORDS, "n": 1}]}}, {}),
    "the same as JSON": ({"com.example.generation": as_json({"textPrompt": WORDS, "negative_prompt": "no"})}, {}),
}


@pytest.mark.parametrize("place", PROMPTS)
def test_a_prompt_is_answered(place: str) -> None:
    found = written(store(manifest({"claim_generator": "Adobe_Firefly"}, *PROMPTS[place])))
    assert (found.tool, found.prompt, found.certainty) == ("Adobe Firefly", WORDS, "written")
    assert found.note == "C2PA manifest, read but not verified"
    assert not [value for value in found.settings.values() if WORDS in str(value)]


def test_models_are_resources() -> None:
    model = {"dc:title": "Model 3", "dataTypes": [{"type": "c2pa.types.model"}]}
    found = written(store(manifest({"claim_generator": "x"}, {"c2pa.ingredient.v3": model})))
    assert [(resource.kind, resource.name) for resource in found.resources] == [("model", "Model 3")]


def test_boxes_may_follow_another_header() -> None:
    data = store(manifest(*MAKERS["ChatGPT"]))
    assert written(bytes(4) + b"manifest\0" + bytes(8) + data).tool == "ChatGPT"


def test_what_is_no_manifest_is_nothing() -> None:
    whole = store(manifest(*MAKERS["ChatGPT"]))
    for data in (b"", b"jumb", b"\0\0\0\x08jumb", box(b"free", bytes(20)), labelled("c2pa"), whole[:40]):
        assert read(data) is None


def test_depth_and_number_are_bounded() -> None:
    deep = assertion("x", {"a": 1})
    for _ in range(500):
        deep = labelled("c2pa.assertions", deep)
    read(store(labelled("urn", deep)))
    many = labelled("c2pa.assertions", *[assertion("c2pa.actions", created("DALL·E"))] * 3_000)
    found = written(store(labelled("urn", many)))
    assert found.tool == "DALL-E"


def test_damage_raises_nothing() -> None:
    data = store(*(manifest({"claim_generator": "x"}, *parts) for parts in PROMPTS.values()))
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        read(bytes(damaged))
        read(bytes(damaged[: chance.randrange(len(damaged))]))
