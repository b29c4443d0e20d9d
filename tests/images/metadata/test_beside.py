import json
import os
from pathlib import Path

import pytest
from graphs import painting
from layouts import png, text

from unprompt.images.decode import Picture, decode
from unprompt.images.metadata import beside
from unprompt.images.sources import image_refs

INFOTEXT = "a fox, <lora:snow:0.8>\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 8x8\n"
EASY = {"prompt": "a fox", "negative_prompt": "blurry", "seed": 1, "num_inference_steps": 20}
EASY_TEXT = (
    "Prompt: a fox\nin snow\nNegative Prompt: blurry\nSeed: 5\nStable Diffusion model: m\nSteps: 25\n"
    "Guidance Scale: 7.5\nLoRA model: x, y\nLoRA Strength: 0.5, 1\n"
)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "00001-1.png"
    path.write_bytes(png())
    return path


@pytest.mark.parametrize(
    ("suffix", "content", "tool", "prompt"),
    [
        (".txt", INFOTEXT, "AUTOMATIC1111", "a fox"),
        (".txt", "\ufeff" + INFOTEXT.replace("\n", "\r\n"), "AUTOMATIC1111", "a fox"),
        (".txt", EASY_TEXT, "Easy Diffusion", "a fox in snow"),
        (".json", json.dumps(EASY), "Easy Diffusion", "a fox"),
        (".json", json.dumps({"prompt": "a fox", "steps": 5, "seed": 5}), "unknown", "a fox"),
        (".json", json.dumps(painting()), "ComfyUI", "a fox"),
        (".json", json.dumps({"prompt": painting(), "workflow": {}}), "ComfyUI", "a fox"),
        (".json", json.dumps({"sui_image_params": {"prompt": "a fox", "seed": 5}}), "SwarmUI", "a fox"),
        (".swarm.json", json.dumps({"sui_image_params": {"prompt": "a fox", "seed": 5}}), "SwarmUI", "a fox"),
        (".json", json.dumps({"prompt": "a fox", "base_model": "m", "performance": "Speed"}), "Fooocus", "a fox"),
        (".json", json.dumps({"url": "x", "meta": {"prompt": "a fox", "steps": 5, "cfgScale": 7}}), "unknown", "a fox"),
    ],
)
def test_what_a_generator_writes_beside_a_picture_is_read(picture, suffix, content, tool, prompt):
    picture.with_suffix(suffix).write_text(content, encoding="utf-8", newline="")
    found = beside.read(picture)
    assert (found.tool, found.prompt) == (tool, prompt)
    assert found.note == f"read from 00001-1{suffix} beside the picture"


def test_a_text_in_utf16_as_windows_saves_it(picture):
    picture.with_suffix(".txt").write_text(INFOTEXT, encoding="utf-16")
    assert beside.read(picture).prompt == "a fox"


def test_easy_diffusions_text_has_its_settings_and_models(picture):
    picture.with_suffix(".txt").write_text(EASY_TEXT)
    found = beside.read(picture)
    assert (found.negative_prompt, found.settings["Steps"], found.settings["Guidance Scale"]) == ("blurry", 25, 7.5)
    assert [(item.kind, item.name, item.weight) for item in found.resources] == [
        ("checkpoint", "m", None),
        ("lora", "x", 0.5),
        ("lora", "y", 1.0),
    ]


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".txt", "a fox in snow, a photo"),
        (".txt", "a fox\nNegative prompt: blurry"),
        (".txt", "Prompt: a fox\nNegative Prompt: blurry"),
        (".txt", "the sign says: Steps: 20 to the river"),
        (".txt", "Title: a fox, Style: ink, Mood: calm, Light: low"),
        (".txt", ""),
        (".txt", INFOTEXT + "x" * beside.LIMIT_BYTES),
        (".json", json.dumps({"prompt": "a fox", "caption": "a fox"})),
        (".json", json.dumps([EASY])),
        (".json", json.dumps({"width": 8, "height": 8, "file_name": "a.png", "text": "a fox"})),
        (".json", json.dumps(EASY)[:-1]),
        (".json", json.dumps(EASY | {"prompt": ["a fox"]})),
    ],
)
def test_captions_records_and_broken_files_are_no_written_prompts(picture, suffix, content):
    picture.with_suffix(suffix).write_text(content)
    assert beside.read(picture) is None


def test_only_plain_files_are_read(picture):
    assert beside.read(picture) is None
    if hasattr(os, "mkfifo"):  # not on Windows
        os.mkfifo(picture.with_suffix(".txt"))
    picture.with_suffix(".json").mkdir()
    assert beside.read(picture) is None
    assert beside.read("a\0b.png") is None


def decoded(path: Path, **options) -> Picture:
    (ref,) = image_refs(path)
    return decode(ref, **options)


def test_a_text_beside_counts_only_if_the_picture_says_nothing(picture):
    picture.with_suffix(".txt").write_text(INFOTEXT)
    assert decoded(picture).written.prompt == "a fox"
    assert decoded(picture, read_beside=False).written is None
    assert decoded(picture, read_metadata=False).written is None
    picture.write_bytes(png(text("parameters", "a hare\nSteps: 5, Seed: 2")))
    assert decoded(picture).written.prompt == "a hare"


def test_an_answer_is_not_found_again_where_another_text_stands_beside_the_same_picture(picture):
    alone = decoded(picture).sha256
    picture.with_suffix(".txt").write_text(INFOTEXT)
    beside_one = decoded(picture).sha256
    picture.with_suffix(".txt").write_text(INFOTEXT.replace("blurry", "sharp"))
    assert len({alone, beside_one, decoded(picture).sha256}) == 3
    assert decoded(picture, read_beside=False).sha256 == alone
    picture.with_suffix(".txt").write_text("a caption")
    assert decoded(picture).sha256 == alone
