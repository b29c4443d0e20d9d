"""A script of clip-interrogator's runs on ours when one import is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # the original's autocast
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
pytest.importorskip("torch")

from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402

cure_torchvision()

import open_clip  # noqa: E402

original = pytest.importorskip("clip_interrogator", exc_type=ImportError)

import tiny_open_clip  # noqa: E402

import unprompt.clip_interrogator as ours  # noqa: E402
from unprompt.errors import DataError, UnknownNameError  # noqa: E402

COUNTS = {"artists": 6, "flavors": 40, "mediums": 8, "movements": 8, "negative": 6}


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lists")
    data = Path(original.__file__).parent / "data"
    for name, count in COUNTS.items():
        lines = (data / f"{name}.txt").read_text(encoding="utf-8").splitlines()
        (folder / f"{name}.txt").write_text("\n".join(lines[:: len(lines) // count][:count]), encoding="utf-8")
    return folder


def script(module: object, model: object, lists: Path, cache: Path | None, image: Image.Image) -> list[object]:
    """What scripts do, by the names of either module."""
    config = module.Config(clip_model_name="ViT-B-32/openai")  # type: ignore[attr-defined]
    config.caption_model_name = None
    config.clip_model = model
    config.clip_preprocess = open_clip.image_transform(model.visual.image_size, is_train=False)  # type: ignore[attr-defined]
    config.data_path, config.cache_path = str(lists), None if cache is None else str(cache)
    config.device, config.quiet, config.flavor_intermediate_count = "cpu", True, 30
    ci = module.Interrogator(config)  # type: ignore[attr-defined]
    features = ci.image_to_features(image)
    return [
        ci.interrogate_classic(image, caption="a cup"),
        ci.interrogate_classic(image, max_flavors=5, caption="a cup"),
        ci.interrogate_fast(image, max_flavors=7, caption="a cup"),
        ci.interrogate(image, min_flavors=2, max_flavors=4, caption="a cup"),
        ci.mediums.rank(features, 3),
        ci.flavors.rank(features, 4, reverse=True),
        ci.trendings.labels[:3],
        ci.rank_top(features, ["a cat", "a cup of coffee", "night"]),
        ci.rank_top(features, ["a cat", "a cup of coffee", "night"], reverse=True),
        ci.chain(features, ["moody", "dark", "bright"], "a cup", ci.similarity(features, "a cup"), 2, 2),
        np.round(ci.similarities(features, ["a cat", "a cup"]), 4).tolist(),
    ]


def test_a_script_gives_the_same(lists: Path, tmp_path: Path, examples: Path) -> None:
    model = tiny_open_clip.build()
    image = Image.open(examples / "coffee.jpg").convert("RGB")
    assert script(ours, model, lists, tmp_path, image) == script(original, model, lists, None, image)


def test_the_embedded_models_need_no_torch_to_answer(tmp_path: Path, examples: Path) -> None:
    config = ours.Config(clip_model_name="embedded", caption_model_name="embedded", cache_path=str(tmp_path))
    config.apply_low_vram_defaults()
    config.caption_model_name, config.flavor_intermediate_count = "embedded", 16
    config.data_path = None
    ci = ours.Interrogator(config)
    image = Image.open(examples / "chelsea.jpg")
    assert "cat" in ci.generate_caption(image)
    assert ci.image_to_features(image).shape == (1, 384)


def test_an_own_list_is_ranked_as_the_originals_readme_does(lists: Path, tmp_path: Path, examples: Path) -> None:
    model = tiny_open_clip.build()
    image = Image.open(examples / "coffee.jpg").convert("RGB")
    (tmp_path / "terms.txt").write_text("a cat\na cup\nnight\na red car\n")

    def ranked(module: object) -> list[str]:
        config = module.Config(clip_model_name="ViT-B-32/openai")  # type: ignore[attr-defined]
        config.caption_model_name, config.clip_model, config.device = None, model, "cpu"
        config.clip_preprocess = open_clip.image_transform(model.visual.image_size, is_train=False)
        config.data_path, config.quiet, config.cache_path = str(lists), True, str(tmp_path / "cache")
        config.download_cache = False
        ci = module.Interrogator(config)  # type: ignore[attr-defined]
        table = module.LabelTable(module.load_list(str(tmp_path / "terms.txt")), "terms", ci)  # type: ignore[attr-defined]
        best: list[str] = table.rank(ci.image_to_features(image), top_count=3)
        return best

    assert ranked(ours) == ranked(original)


def test_what_the_original_took_and_ours_does_not_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="caption_model_name"):
        ours.Interrogator(ours.Config(caption_model=object()))
    with pytest.raises(DataError, match="clip_model_path"):
        ours.Interrogator(ours.Config(clip_model_path=str(tmp_path)))


def test_names_are_listed() -> None:
    assert "ViT-L-14/openai" in ours.list_clip_models()
    assert set(original.list_caption_models()) <= set(ours.list_caption_models())
    assert set(original.list_clip_models()) <= set(ours.list_clip_models())


def test_without_a_captioner_a_caption_is_asked_for(lists: Path, tmp_path: Path, examples: Path) -> None:
    config = ours.Config(
        clip_model_name="embedded", caption_model_name=None, data_path=str(lists), cache_path=str(tmp_path)
    )
    with pytest.raises(DataError, match="caption_model_name"):
        ours.Interrogator(config).interrogate_fast(str(examples / "coffee.jpg"))
    config.caption_model_name = "blip-larg"
    with pytest.raises(UnknownNameError, match="blip-large"):
        ours.Interrogator(config).generate_caption(str(examples / "coffee.jpg"))
