"""Captioners by name, and their settings."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from unprompt.captioners.families import FAMILIES, MODELS, TASKS
from unprompt.captioners.needs import captioner_need
from unprompt.captioners.opening import BLIP, CAPTIONERS, COCA_NAMES, DEFAULTS, open_caption_model
from unprompt.captioners.settings import CaptionSettings
from unprompt.errors import DataError, MissingExtraError, ModelError, UnknownNameError


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"beams": 0}, "beams to be a whole number from 1 to 64, found 0"),
        ({"beams": 2.0}, "beams to be a whole number"),
        ({"beams": True}, "beams to be a whole number"),
        ({"max_length": 513}, "max_length to be a whole number from 2 to 512"),
        ({"min_length": -1}, "min_length to be a whole number"),
        ({"min_length": 32}, "min_length to be less than max_length, found 32 and 32"),
        ({"no_repeat_ngram_size": "2"}, "no_repeat_ngram_size to be a whole number"),
        ({"batch_size": 0}, "batch_size to be a whole number"),
        ({"length_penalty": float("nan")}, "length_penalty to be a number from 0 to 10"),
        ({"length_penalty": "long"}, "length_penalty to be a number"),
        ({"bits": 5}, "expected bits to be 4 or 8, or 0 for weights as they are; found 5"),
        ({"system": "x" * 1001}, "system to be a text of up to 1,000 characters"),
        ({"question": None}, "question to be a text of up to 1,000 characters, found None"),
        ({"suffix": "x" * 1001}, "suffix to be a text of up to 1,000 characters, found 1,001 characters"),
    ],
)
def test_settings_that_make_no_sense(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(DataError, match=told):
        BLIP.changed(changes)


def test_settings_are_changed_one_by_one() -> None:
    changed = BLIP.changed({"beams": 3, "suffix": ", fine details, masterpiece"})
    assert changed == CaptionSettings(3, 5, 32, question="a picture of", suffix=", fine details, masterpiece")
    assert BLIP.beams == 8


def test_a_setting_that_there_is_not() -> None:
    with pytest.raises(UnknownNameError, match="unknown key in the caption settings 'beam'; did you mean 'beams'"):
        BLIP.changed({"beam": 3})


def test_blip_is_asked_as_in_the_published_ensemble() -> None:
    assert (BLIP.beams, BLIP.min_length, BLIP.max_length) == (8, 5, 32)


@pytest.mark.parametrize(
    ("name", "near"), [("blip-larg", "blip-large"), ("coca_ViT-L-14.laion2b", "coca_ViT-L-14.laion2b_s13b_b90k")]
)
def test_an_unknown_name_is_told_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"unknown captioner '{name}'; did you mean '{near}'"):
        open_caption_model(name)


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("microsoft/Florence-2-large-ft", "with it, which is never done; take florence2-large-ft in"),
        ("microsoft/Florence-2-base", "never done; take florence2-base in its place"),
        ("MiaoshouAI/Florence-2-large-PromptGen-v1.5", "never done; take promptgen-large in its place"),
        ("vikhyatk/moondream2", r"take a server that runs it \(llama\.cpp, say\), by a member of the kind server"),
        ("openbmb/MiniCPM-V-2_6", "or qwen3-vl-2b in its place"),
        ("Qwen/Qwen3-VL-2B-Instruct", "short names here: for Qwen/Qwen3-VL-2B-Instruct write qwen3-vl-2b"),
        ("florence-community/florence-2-base", "write florence2-base"),
    ],
)  # fmt: skip
def test_a_repository_is_told_the_name_to_write_instead(repository: str, told: str) -> None:
    for ask in (open_caption_model, captioner_need):
        with pytest.raises(DataError, match=told):
            ask(repository)


@pytest.mark.parametrize("changes", [{"system": "be brief"}, {"bits": 4}])
@pytest.mark.parametrize("name", ["blip-large", "ofa-base", COCA_NAMES[0]])
@pytest.mark.torch
def test_what_only_todays_captioners_take(name: str, changes: dict[str, Any]) -> None:
    pytest.importorskip("torch")
    with pytest.raises(DataError, match=f"{name} takes neither a system text nor bits"):
        open_caption_model(name, changes)


@pytest.mark.torch
@pytest.mark.parametrize("name", MODELS)
def test_todays_models_have_the_settings_of_their_family_or_their_own(name: str) -> None:
    pytest.importorskip("torch")
    model = MODELS[name]
    assert open_caption_model(name).settings == model.settings
    assert set(model.changes) <= {"question", "system", "max_length"}
    if FAMILIES[model.kind].asked == "task":
        assert model.settings.question in TASKS


def test_a_folder_that_is_no_captioner(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"expected a captioner's folder with a config\.json at .*, found none"):
        open_caption_model(f"local:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match=r"expected a captioner, model_type blip, blip-2, git, .*; found 'bert'"):
        open_caption_model(f"local:{tmp_path}")


def test_a_folder_that_is_another_captioner_than_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "git"}))
    with pytest.raises(ModelError, match="holds a model of the type git; blip-large is one of the type blip"):
        open_caption_model("blip-large", weights=tmp_path)


@pytest.mark.parametrize("kind", ["blip", "ofa"])
def test_a_folder_with_weights_elsewhere(tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
    with pytest.raises(DataError, match=r"found local:.* and weights = other; leave one out"):
        open_caption_model(f"local:{tmp_path}", weights=Path("other"))


@pytest.mark.parametrize("name", ["blip-large", COCA_NAMES[0]])
def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for module in ("captioner", "coca", "transformers"):
        monkeypatch.delitem(sys.modules, f"unprompt.captioners.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=rf"{name} needs the extra \[torch\]"):
        open_caption_model(name)


@pytest.mark.torch
@pytest.mark.parametrize("name", CAPTIONERS)
def test_every_name_opens_at_once_and_loads_nothing(name: str) -> None:
    pytest.importorskip("torch")
    captioner = open_caption_model(name, {"beams": 2})
    assert captioner.name == name
    assert captioner.settings.beams == 2
    assert captioner.shorter_side is None
    assert captioner.captions([]) == []


@pytest.mark.torch
def test_a_folder_gets_the_settings_of_its_kind(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    for kind, settings in DEFAULTS.items():
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        assert open_caption_model(f"local:{tmp_path}").settings == settings


@pytest.mark.torch
def test_the_names_of_coca_are_those_that_open_clip_has_weights_for() -> None:
    pytest.importorskip("torch")
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    import open_clip

    listed = {f"{architecture}.{tag}" for architecture, tag in open_clip.list_pretrained() if "coca" in architecture}
    assert listed == set(COCA_NAMES)


@pytest.mark.torch
def test_coca_takes_no_question() -> None:
    pytest.importorskip("torch")
    with pytest.raises(DataError, match="takes no question"):
        open_caption_model(COCA_NAMES[0], {"question": "a picture of"})
