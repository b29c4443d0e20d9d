"""Which members can vote: what is missing, what cannot be, and how the others go on."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import pytest
import tiny_models

from unprompt.bank.building import build_bank
from unprompt.errors import DataError, MissingExtraError, ModelError, UnknownNameError
from unprompt.members.opening import open_members
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.models.store.registry import find_model
from unprompt.presets import Preset, load_preset
from unprompt.towers.embedded import EmbeddedPair

WORDING = '[wording]\ndecoder = "sentence_decoder.unprompt"\n'


@pytest.fixture
def regressor(tmp_path: Path) -> str:
    """A member that is here."""
    return member("regressor", f"local:{tiny_models.regressor(tmp_path / 'linear.tiny').path}", weight=3)


def member(kind: str, model: str, **options: object) -> str:
    told = "".join(f"{key} = {json.dumps(value)}\n" for key, value in options.items())
    return f'[[members]]\nkind = "{kind}"\nmodel = "{model}"\n{told}'


def written(folder: Path, *members: str) -> Preset:
    path = folder / "own.toml"
    path.write_text("".join(members) + WORDING)
    return load_preset(path)


def test_all_that_are_here_vote(tmp_path: Path, regressor: str) -> None:
    membership = open_members(written(tmp_path, regressor, member("interrogator", "embedded")).members, 1)
    assert [each.name for each in membership.members] == ["regressor", "interrogator"]
    assert membership.missing == {}


def test_a_bank_that_is_not_here(tmp_path: Path, regressor: str) -> None:
    preset = written(tmp_path, regressor, member("neighbours", "embedded", bank=str(tmp_path / "none.bank")))
    with pytest.raises(ModelError, match=r"make it with 'unprompt bank build PROMPTS --clip embedded -o .*none\.bank'"):
        open_members(preset.members)
    membership = open_members(preset.members, allow_missing=True)
    assert [each.name for each in membership.members] == ["regressor"]
    assert list(membership.missing) == ["neighbours"]


def test_a_bank_that_is_half_built(tmp_path: Path, regressor: str) -> None:
    folder = build_bank(["a fox", "a ship"], tmp_path / "half.bank", EmbeddedPair(1)).folder
    (folder / "config.json").rename(folder / "building.json")
    preset = written(tmp_path, regressor, member("neighbours", "embedded", bank=str(folder)))
    with pytest.raises(DataError, match="is half built; run the same 'unprompt bank build' again"):
        open_members(preset.members)
    assert "is half built" in open_members(preset.members, allow_missing=True).missing["neighbours"]


def test_going_on_without_some_is_offered_where_it_helps(tmp_path: Path, regressor: str) -> None:
    gone = [member("neighbours", "embedded", bank=f"{tmp_path}/{name}.bank", name=name) for name in ("one", "two")]
    with pytest.raises(ModelError, match=r"^the member one: bank .*; 'unprompt presets show' .*--allow-missing"):
        open_members(written(tmp_path, regressor, gone[0]).members)
    for allow_missing in (False, True):
        with pytest.raises(ModelError, match=r"presets show' lists every file$"):
            open_members(written(tmp_path, *gone).members, allow_missing=allow_missing)
        with pytest.raises(ModelError, match=r"^bank .*make it with 'unprompt bank build [^;]*$"):
            open_members(written(tmp_path, gone[0]).members, allow_missing=allow_missing)


def test_weights_of_the_others_keep_their_proportions(tmp_path: Path, regressor: str, examples: Path) -> None:
    other = member("interrogator", "embedded", mode="caption", caption="a cat", weight=1)
    gone = member("captioner", f"local:{tmp_path / 'nothing'}", weight=4)
    preset = written(tmp_path, regressor, other, gone)
    from unprompt.unprompter import Unprompter

    (answer,) = Unprompter(preset, allow_missing=True).predict([str(examples / "coffee.jpg")], text=False)
    assert [vote.weight for vote in answer.votes] == pytest.approx([0.75, 0.25])
    assert list(answer.model["missing"]) == ["captioner"]


def test_a_model_folder_that_nobody_has(tmp_path: Path, regressor: str) -> None:
    preset = written(tmp_path, regressor, member("regressor", "vit_tiny_patch16_224.unpromt", name="other"))
    with pytest.raises(UnknownNameError, match=r"did you mean 'vit_tiny_patch16_224\.unprompt'"):
        open_members(preset.members)
    assert "did you mean" in open_members(preset.members, allow_missing=True).missing["other"]


def test_a_published_model_that_no_hub_has(tmp_path: Path, regressor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNPROMPT_MODELS", str(tmp_path / "models"))
    preset = written(tmp_path, regressor, member("regressor", "vit_base_patch16_224.published", name="other"))
    with pytest.raises(ModelError, match="make it with 'unprompt models convert CHECKPOINT") as told:
        open_members(preset.members)
    assert str(tmp_path / "models" / "vit_base_patch16_224.published") in str(told.value)


def test_a_missing_file_of_a_folder(tmp_path: Path, regressor: str) -> None:
    folder = tiny_models.regressor(tmp_path / "other.tiny")
    (folder.path / "model.onnx").unlink()
    preset = written(tmp_path, regressor, member("regressor", f"local:{folder.path}", name="other"))
    with pytest.raises(ModelError, match=r"expected model\.onnx in .*other\.tiny"):
        open_members(preset.members)


def test_a_missing_extra(tmp_path: Path, regressor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch runs says so before any picture is looked at."""
    folder = find_model(f"local:{tiny_models.regressor(tmp_path / 'torch.tiny').path}")
    (folder.path / "model.onnx").rename(folder.path / "model.safetensors")
    write_config(folder.path, folder.config, ["model.safetensors"])
    monkeypatch.setitem(sys.modules, "torch", None)
    preset = written(tmp_path, regressor, member("regressor", f"local:{folder.path}", name="other"))
    with pytest.raises(MissingExtraError, match=r"torch\.tiny needs the extra \[torch\]"):
        open_members(preset.members)
    assert "[torch]" in open_members(preset.members, allow_missing=True).missing["other"]


def test_a_preset_that_requires_an_extra_goes_on_without_it_where_that_is_allowed(
    tmp_path: Path, regressor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from unprompt.unprompter import Unprompter

    for module in ("torch_captioner", "coca_captioner", "transformers_captioner", "ofa_captioner"):
        monkeypatch.delitem(sys.modules, f"unprompt.models.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "torch", None)
    preset = written(tmp_path, 'requires = ["torch"]\n', regressor, member("captioner", "blip-large"))
    monkeypatch.setattr("unprompt.members.opening.is_offline", lambda: False)
    with pytest.raises(MissingExtraError, match="the preset 'own' needs the extra"):
        Unprompter(preset)
    assert list(Unprompter(preset, allow_missing=True).missing) == ["captioner"]


def test_a_slip_in_the_preset_is_no_missing_member(tmp_path: Path, regressor: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'classic'"):
        written(tmp_path, regressor, member("interrogator", "embedded", mode="clasic"))
    with pytest.raises(DataError, match="min_terms to be a whole number of 0 or more"):
        written(tmp_path, regressor, member("interrogator", "embedded", min_terms=-1))
    preset = written(tmp_path, regressor, member("captioner", "blip-larg"))
    with pytest.raises(UnknownNameError, match="unknown captioner 'blip-larg'; did you mean 'blip-large'"):
        open_members(preset.members, allow_missing=True)


def test_where_nobody_is_left_all_reasons_are_said(tmp_path: Path) -> None:
    preset = written(
        tmp_path,
        member("captioner", f"local:{tmp_path / 'nothing'}"),
        member("neighbours", "embedded", bank=str(tmp_path / "none.bank")),
    )
    for allow_missing in (False, True):
        with pytest.raises(ModelError, match=r"the member captioner: .*; the member neighbours: .*none\.bank"):
            open_members(preset.members, allow_missing=allow_missing)


def test_views_of_the_preset_take_the_place_of_the_models(tmp_path: Path) -> None:
    folder = tiny_models.regressor(tmp_path / "linear.tiny")
    preset = written(tmp_path, member("regressor", f"local:{folder.path}", views=["whole", "mirrored"]))
    (given,) = open_members(preset.members).members
    (own,) = open_members(written(tmp_path, member("regressor", f"local:{_with_views(folder).path}")).members).members
    (whole,) = open_members(
        written(tmp_path, member("regressor", f"local:{folder.path}", views=["whole"])).members
    ).members
    from unprompt.images.decode import Picture, decode
    from unprompt.images.sources import image_refs

    (path,) = tiny_models.pictures(tmp_path / "pictures", 1)
    pictures = [decode(ref) for ref in image_refs([str(path)])]
    assert isinstance(pictures[0], Picture)
    first, second, third = (each.vote(pictures)[0].vector for each in (given, own, whole))
    assert (first == second).all()
    assert not (first == third).all()
    preset = written(tmp_path, member("regressor", f"local:{folder.path}", views=["whole", "whole"]))
    with pytest.raises(ModelError, match="expected views to be some of whole, mirrored, middle, found"):
        open_members(preset.members)
    with pytest.raises(UnknownNameError, match=r"unknown views in .* 'miror'; did you mean 'mirrored'"):
        written(tmp_path, member("regressor", f"local:{folder.path}", views=["miror"]))


def _with_views(folder: ModelFolder) -> ModelFolder:
    copy = tiny_models.regressor(folder.path.with_name("views.tiny"))
    config = {**copy.config, "views": ["whole", "mirrored"]}
    return dataclasses.replace(write_config(copy.path, config, ["model.onnx"]))
