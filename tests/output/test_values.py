"""Single values of what files say, by the names that people use."""

import json

import pytest

from unprompt.errors import DataError
from unprompt.output.records import failure_record, metadata_record
from unprompt.output.values import FIELDS, check_field, value_of
from unprompt.prediction import Failure, Resource, WrittenPrompt, WrittenText

RESOURCES = (Resource("checkpoint", "harbour", hash="a1b2"), Resource("lora", "waves", 0.8), Resource("lora", "oil"))
TEXTS = (WrittenText("oil", "style"),)


def value(field: str, **settings: object) -> str:
    written = WrittenPrompt("A", "a boat", "fog", settings, "a (boat:1.2)\nBREAK", resources=RESOURCES, texts=TEXTS)
    return value_of(metadata_record("a.png", written), field)


@pytest.mark.parametrize(
    ("field", "settings", "expected"),
    [
        ("seed", {"Seed": 1}, "1"),
        ("seed", {"noise_seed": 1}, "1"),
        ("seed", {"noise_seed": 2, "seed": 1}, "1"),
        ("seed", {"Variation seed": 2}, ""),
        ("steps", {"num_inference_steps": 20}, "20"),
        ("cfg", {"CFG scale": 7.5}, "7.5"),
        ("cfg", {"guidance_scale": 7.5}, "7.5"),
        ("cfg", {"cfg": 1.0, "guidance": 3.5}, "1.0"),
        ("sampler", {"sampler_name": "euler", "scheduler": "karras"}, "euler"),
        ("sampler", {"scheduler": "euler_a"}, "euler_a"),
        ("scheduler", {"Schedule type": "Karras"}, "Karras"),
        ("denoise", {"Denoising strength": 0.4}, "0.4"),
        ("clip_skip", {"Clip skip": 2}, "2"),
        ("size", {"Size": "512x768"}, "512x768"),
        ("size", {"width": 512, "height": 768}, "512x768"),
        ("size", {"resolution": "(512, 768)"}, "512x768"),
        ("size", {"width": 512}, ""),
        ("height", {"Size": "512x768"}, "768"),
        ("width", {"width": 512}, "512"),
        ("model", {"ckpt_name": "m.safetensors"}, "m.safetensors"),
        ("model", {}, "harbour"),
        ("model_hash", {}, "a1b2"),
        ("vae", {"VAE": "v"}, "v"),
        ("loras", {}, "waves:0.8, oil"),
        ("settings", {"Seed": 1}, '{"Seed": 1}'),
        ("settings", {}, ""),
        ("prompt", {}, "a boat"),
        ("negative", {}, "fog"),
        ("raw", {}, "a (boat:1.2)\\nBREAK"),
        ("certainty", {}, "written"),
        ("note", {}, ""),
        ("candidates", {}, ""),
    ],
)
def test_a_value_is_found_whatever_its_tool_calls_it(field: str, settings: dict[str, object], expected: str) -> None:
    assert value(field, **settings) == expected


def test_lists_are_json() -> None:
    assert json.loads(value("texts")) == [{"role": "style", "text": "oil"}]
    assert json.loads(value("resources"))[1] == {"kind": "lora", "name": "waves", "weight": 0.8}


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_is_one_line(field: str) -> None:
    assert value_of(metadata_record("a.png", None), field) == ""
    assert value_of(failure_record(Failure("a.png", "truncated", "")), field) == ""
    names = ("Seed", "Steps", "CFG scale", "Sampler", "Scheduler", "Size", "Model", "VAE", "Clip skip", "denoise")
    assert value(field, **dict.fromkeys(names, "a\nb\x1b[2J")).isprintable()


def test_names_of_fields() -> None:
    assert check_field("Seed") == "seed"
    with pytest.raises(DataError, match=r"found sed; did you mean seed\? There are: prompt, negative"):
        check_field("sed")
    with pytest.raises(DataError, match=r"found \\x1b; name one of these\. There are: prompt"):
        check_field("\x1b")
