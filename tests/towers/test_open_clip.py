"""open_clip's models as two towers, against their own `encode_image` and `encode_text`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.errors import ModelError, UnknownNameError
from unprompt.images.decode import Picture

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from tiny_open_clip import OPTIONS, VISION, build, open_clip, shaken  # noqa: E402

from unprompt.models.networks.open_clip_backbone import preprocessing_of, quiet, tag_config  # noqa: E402
from unprompt.towers.causal import CPU_PASS  # noqa: E402
from unprompt.towers.open_clip import SHORTLIST, OpenClipTowers  # noqa: E402
from unprompt.towers.two_tower import Continuations, TwoTower  # noqa: E402

TERMS = ["oil painting", "by Zdzisław Beksiński", "", "tom & jerry", "4k", "trending on artstation", "Ünïcode ½"]
PREFIX = "a Red cat on the roof"
KINDS: dict[str, dict[str, Any]] = {
    "clip": {},
    "openai": {"quick_gelu": True},
    "custom text": {"custom": True},
    "sees all": {"custom": True, "no_causal_mask": True, "pool_type": "last"},
    "coca": {"architecture": "coca_ViT-B-32"},
}


def _towers(kind: str) -> tuple[torch.nn.Module, OpenClipTowers]:
    changes = KINDS[kind]
    model = build(**changes)
    return model, OpenClipTowers.of(model, changes.get("architecture", "ViT-B-32"))


def _pictures() -> list[Picture]:
    generator = np.random.default_rng(0)
    found = []
    for number, (width, height) in enumerate([(100, 70), (64, 64), (31, 400), (65, 66)]):
        noise = Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)).resize((width, height))
        found.append(Picture(str(number), np.asarray(noise), (width, height), None, "", None))
    return found


def _own_texts(model: torch.nn.Module, texts: list[str]) -> np.ndarray[Any, Any]:
    tokens = open_clip.get_tokenizer("ViT-B-32")(texts, context_length=model.context_length)
    with torch.inference_mode():
        return torch.nn.functional.normalize(model.encode_text(tokens), dim=1).numpy()


def _asked(image: Any, prefix: str = PREFIX, terms: list[str] = TERMS, limit: int = 75) -> Continuations:
    return Continuations(image, prefix, terms, limit)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_pictures_and_continuations_are_the_models_own(kind: str) -> None:
    model, towers = _towers(kind)
    assert (towers.size, towers.longest) == (40, 74 if kind == "coca" else 75)
    assert towers.shorter_side is None
    assert towers.shortlist == (SHORTLIST if kind in ("sees all", "coca") else None)
    transform = open_clip.transform.image_transform_v2(
        open_clip.transform.PreprocessCfg(**model.visual.preprocess_cfg), is_train=False
    )
    pictures = _pictures()
    with torch.inference_mode():
        pixels = torch.stack([transform(Image.fromarray(picture.pixels)) for picture in pictures])
        expected = torch.nn.functional.normalize(model.encode_image(pixels), dim=1).numpy()
    images = towers.encode_images(pictures)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    texts = [*TERMS, "moon " * 100]
    np.testing.assert_allclose(towers.encode_texts(texts), _own_texts(model, texts), atol=1e-5)
    (scores,) = towers.score_continuations([_asked(images[0])])
    whole = _own_texts(model, [f"{PREFIX}, {term}" for term in TERMS])
    np.testing.assert_allclose(scores, whole @ images[0], atol=1e-5)
    assert np.ptp(scores) > 0.05
    assert images.dtype == scores.dtype == np.float32


@pytest.mark.parametrize("kind", ["clip", "sees all"])
def test_texts_that_are_too_long_get_no_score(kind: str) -> None:
    _, towers = _towers(kind)
    image = np.full(40, 40**-0.5, np.float32)
    prefix = "moon " * 70  # with the comma 71 tokens
    terms = ["sun " * 4, "sun " * 5, "sun " * 300, ""]
    assert [towers.count_tokens(f"{prefix}, {term}") for term in terms] == [75, 76, 371, 71]
    (scores,) = towers.score_continuations([_asked(image, prefix, terms)])
    assert np.isnan(scores).tolist() == [False, True, True, False]
    (fewer,) = towers.score_continuations([_asked(image, prefix, terms, 74)])
    assert np.isnan(fewer).tolist() == [True, True, True, False]
    (more,) = towers.score_continuations([_asked(image, prefix, terms, 1000)])
    assert np.isnan(more).tolist() == [False, True, True, False]
    (none,) = towers.score_continuations([_asked(image, "moon " * 100, terms)])
    assert np.isnan(none).all()


@pytest.mark.parametrize("kind", ["clip", "sees all"])
def test_what_else_is_asked_changes_no_bit(kind: str) -> None:
    _, towers = _towers(kind)
    pictures = _pictures()
    images = towers.encode_images(pictures)
    for picture, image in zip(pictures, images, strict=True):
        assert (towers.encode_images([picture])[0] == image).all()
    asked = [
        _asked(image, prefix, [f"{term} {number}" for number in range(20 * place + 1) for term in TERMS])
        for place, (image, prefix) in enumerate(zip(images, [PREFIX, "", "a dog", "ein Bär"], strict=True))
    ]
    together = towers.score_continuations(asked)
    for one, scores in zip(asked, together, strict=True):
        assert (towers.score_continuations([one])[0] == scores).all()


def test_nothing_asked_is_nothing_answered() -> None:
    _, towers = _towers("clip")
    assert towers.encode_images([]).shape == (0, 40)
    assert towers.encode_texts([]).shape == (0, 40)
    assert towers.score_continuations([]) == []
    (scores,) = towers.score_continuations([_asked(np.zeros(40, np.float32), "", [])])
    assert scores.shape == (0,)


@pytest.mark.parametrize("kind", ["clip", "sees all"])
def test_progress_is_told(kind: str) -> None:
    _, towers = _towers(kind)
    heard: list[int] = []
    texts = [f"moon {number % 50}" for number in range(2100)]
    assert len(towers.encode_texts(texts, heard.append)) == 2100
    assert sum(heard) == 2100
    assert len(heard) > 1


@pytest.mark.parametrize(
    "name", ["ViT-B-32.openai", "ViT-B-16-SigLIP-384.webli", "MobileCLIP-S1.datacompdr", "EVA02-B-16"]
)
def test_preprocessing_is_open_clips_to_the_last_bit(name: str) -> None:
    from unprompt.images.preprocess import preprocess

    config = tag_config(*name.partition(".")[::2])
    rules = open_clip.transform.merge_preprocess_dict(open_clip.transform.PreprocessCfg(size=64), config)
    rules["size"] = 64
    transform = open_clip.transform.image_transform_v2(open_clip.transform.PreprocessCfg(**rules), is_train=False)
    for picture in _pictures():
        expected = transform(Image.fromarray(picture.pixels)).numpy()
        assert (preprocess(picture.pixels, preprocessing_of(config, 64)) == expected).all()


def test_towers_of_a_file_answer_as_those_of_its_model(tmp_path: Path) -> None:
    model = build()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    towers = OpenClipTowers("ViT-B-32.laion2b_s34b_b79k", weights=str(tmp_path), options=OPTIONS)
    given = OpenClipTowers.of(model, "ViT-B-32")
    assert (towers.size, towers.longest, towers.shortlist) == (40, 75, None)
    pictures = _pictures()
    assert (towers.encode_images(pictures) == given.encode_images(pictures)).all()
    assert (towers.encode_texts(TERMS) == given.encode_texts(TERMS)).all()
    digest = hashlib.sha256((tmp_path / "clip.safetensors").read_bytes()).hexdigest()
    assert towers.identities() == {"ViT-B-32.laion2b_s34b_b79k": digest[:12]}


def test_identities_of_random_and_of_given_weights() -> None:
    towers = [OpenClipTowers("ViT-B-32", weights="random", options=OPTIONS) for _ in range(2)]
    found = {one.identities()["ViT-B-32"] for one in towers}
    assert len(found) == 2
    first = towers[0]
    assert first.identities() == first.identities()
    assert first.encode_texts(["a"]).shape == first.encode_images(_pictures()[:1]).shape == (1, 40)
    model = build()
    one, same = (OpenClipTowers.of(model, "ViT-B-32").identities() for _ in range(2))
    assert one == same
    assert one != OpenClipTowers.of(build(seed=1), "ViT-B-32").identities()


def test_towers_are_the_protocols() -> None:
    towers: TwoTower = OpenClipTowers("ViT-L-14/openai", options=OPTIONS)
    assert towers.name == "ViT-L-14/openai"
    assert towers.count_tokens("a cat, by \ud800") == 5
    with pytest.raises(ModelError, match=r"open_clip_model\.safetensors"):
        towers.encode_texts(["a"])
    with pytest.raises(ModelError, match=r"open_clip_model\.safetensors"):
        towers.identities()


def test_an_unknown_name_is_refused_at_once() -> None:
    with pytest.raises(UnknownNameError, match=re.escape("unknown CLIP model 'ViT-H-15'; did you mean 'ViT-H-1")):
        OpenClipTowers("ViT-H-15.laion2b_s32b_b79k")


def test_a_tokenizer_of_the_hub_that_is_not_at_hand() -> None:
    towers = OpenClipTowers("ViT-B-16-SigLIP.webli")
    with pytest.raises(ModelError, match="the tokenizer of ViT-B-16-SigLIP cannot be had"):
        towers.count_tokens("a cat")


def test_a_tower_of_transformers_does_not_look_at_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-32", _of_transformers(tmp_path))
    with quiet():
        model = shaken(open_clip.create_model("ViT-B-32", load_weights=False, pretrained_text=False))
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    towers = OpenClipTowers("ViT-B-32", weights=str(tmp_path / "clip.safetensors"))
    assert (towers.longest, towers.shortlist, towers.count_tokens("red cat")) == (30, SHORTLIST, 2)
    texts = ["red", "red cat moon", "", "moon " * 40, "moon cat"]
    tokens = open_clip.get_tokenizer("ViT-B-32")(texts)
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.encode_text(tokens), dim=1).numpy()
    np.testing.assert_allclose(towers.encode_texts(texts), expected, atol=1e-5)


def test_towers_that_were_unloaded_answer_the_same(tmp_path: Path) -> None:
    model = build()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    towers = OpenClipTowers("ViT-B-32", weights=str(tmp_path), options=OPTIONS)
    towers.unload()
    assert towers._model.held is None  # what was never asked is not read for this
    images, texts = towers.encode_images(_pictures()), towers.encode_texts(TERMS)
    scores = towers.score_continuations([_asked(images[0])])
    towers._batches.size = towers._texts.batches.size = 0
    towers.unload()
    assert (towers._batches.size, towers._texts.batches.size) == (1, CPU_PASS)
    assert (towers.encode_images(_pictures()) == images).all()
    towers.unload()
    assert (towers.encode_texts(TERMS) == texts).all()
    towers.unload()
    assert (towers.score_continuations([_asked(images[0])])[0] == scores[0]).all()


def _of_transformers(folder: Path) -> dict[str, Any]:
    """The config of a model whose text tower is a tiny BERT, written with its tokenizer to a folder."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "cat", "moon", ","]
    (folder / "vocab.txt").write_text("\n".join(words))
    from transformers import BertConfig, BertTokenizerFast

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertConfig(vocab_size=len(words), max_position_embeddings=32, **sizes).save_pretrained(folder)
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "bert"
    text = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_proj_type": "linear"}
    return {"embed_dim": 40, "vision_cfg": VISION, "text_cfg": {**text, "context_length": 32}}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_nearly_as_the_cpu_does(tmp_path: Path) -> None:
    model = build()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    cpu, gpu = (
        OpenClipTowers("ViT-B-32", weights=str(tmp_path), options=OPTIONS, device=device) for device in ("cpu", "cuda")
    )
    images = cpu.encode_images(_pictures())
    assert ((images * gpu.encode_images(_pictures())).sum(axis=1) > 0.999).all()
    asked = [_asked(image, prefix) for image, prefix in zip(images, [PREFIX, "", "a", "b c"], strict=True)]
    for one, other in zip(cpu.score_continuations(asked), gpu.score_continuations(asked), strict=True):
        np.testing.assert_allclose(one, other, atol=0.01)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_towers_leave_and_come_back(tmp_path: Path) -> None:
    model = build()
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, tmp_path / "clip.safetensors")
    towers = OpenClipTowers("ViT-B-32", weights=str(tmp_path), options=OPTIONS, device="cuda")
    images, texts = towers.encode_images(_pictures()), towers.encode_texts(TERMS)
    (scores,) = towers.score_continuations([_asked(images[0])])
    for ask, expected in (
        (lambda: towers.encode_images(_pictures()), images),
        (lambda: towers.encode_texts(TERMS), texts),
        (lambda: towers.score_continuations([_asked(images[0])])[0], scores),
    ):
        towers.unload()
        waiting = towers._model.load()
        assert {value.device.type for value in (*waiting.parameters(), *waiting.buffers())} == {"cpu"}
        assert (ask() == expected).all()
    given = OpenClipTowers.of(model.cuda(), "ViT-B-32")
    given.unload()
    assert next(model.parameters()).device.type == "cuda"
