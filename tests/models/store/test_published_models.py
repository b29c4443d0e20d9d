"""The table of published models beside the code that opens them."""

from __future__ import annotations

import pytest

from unprompt.captioners.families import MODELS
from unprompt.captioners.ofa.files import NEEDED
from unprompt.captioners.opening import CAPTIONERS, OFA_NAMES, REPOSITORIES
from unprompt.models.store.published_models import published_models
from unprompt.presets import load_preset, preset_names
from unprompt.taggers.files import wanted_files
from unprompt.taggers.opening import tagger_names, tagger_place


def test_every_captioner_is_in_it_with_its_own_repository() -> None:
    models = published_models()
    assert set(CAPTIONERS) <= set(models)
    for name, (_, repository) in REPOSITORIES.items():
        assert models[name].repository == repository
    for name, model in MODELS.items():
        assert models[name].repository == model.repository
    for name in OFA_NAMES:
        assert models[name].repository == f"OFA-Sys/{name}"


def test_every_model_that_presets_name_is_in_it() -> None:
    for preset in map(load_preset, preset_names()):
        for member in preset.members:
            if member.kind in ("captioner", "interrogator", "neighbours", "tagger"):
                assert member.model in published_models()


def test_the_files_of_taggers_are_those_of_their_family() -> None:
    for name in tagger_names():
        place = tagger_place(name)
        files = [file.names[0] for file in published_models()[name].files]
        assert files == [names[0] for names in wanted_files(place.family)]


def test_each_says_where_it_comes_from_and_how_large_it_is() -> None:
    for model in published_models().values():
        assert bool(model.repository) != bool(model.made_by)
        assert model.licence
        assert model.files
        assert all(file.names and file.about_mb > 0 for file in model.files)


def test_files_of_ofa_are_sought_in_the_order_of_what_reads_them() -> None:
    for name in OFA_NAMES:
        assert tuple(file.names for file in published_models()[name].files) == NEEDED


@pytest.mark.torch
def test_models_of_open_clip_are_where_it_says() -> None:
    pytest.importorskip("torch")
    from unprompt.models.networks.open_clip_backbone import HUB_FILES, tag_config
    from unprompt.towers.open_clip_model import split_name

    checked = 0
    for name, model in published_models().items():
        if name.startswith(("ViT-", "coca_", "PE-Core", "MobileCLIP2")):
            assert tag_config(*split_name(name))["hf_hub"] == f"{model.repository}/"
            assert model.files[0].names == HUB_FILES
            checked += 1
    assert checked > 9


@pytest.mark.torch
@pytest.mark.parametrize("name", ["vit_small_patch16_dinov3.lvd1689m", "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m"])
def test_models_of_timm_are_where_it_says(name: str) -> None:
    pytest.importorskip("torch")
    from unprompt.models.networks.timm_backbone import HUB_FILES
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    from timm.models import get_pretrained_cfg

    assert get_pretrained_cfg(name).hf_hub_id == published_models()[name].repository
    assert published_models()[name].files[0].names == HUB_FILES
