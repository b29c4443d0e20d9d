"""PromptGen's form of Florence-2, read into transformers' network: against timm's DaViT, BART, and what joins them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.captioners.opening import open_caption_model
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_vlms import FLORENCE_VISION, florence_pixels, florence_text, florence_tokenizer, leave_out_places  # noqa: E402

from unprompt.captioners.vision_language import VisionLanguageWriter  # noqa: E402
from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402

pytestmark = pytest.mark.torch

TO_PUBLISHED = (
    (r"^stem\.", "convs.0."),
    (r"^stages\.(\d+)\.downsample\.", r"convs.\1."),
    (r"^stages\.(\d+)\.blocks\.", r"blocks.\1."),
    (r"^(convs\.\d+)\.conv\.", r"\1.proj."),
    (r"\b(spatial|channel)_block\.norm1\.", r"\1_block.@_attn.norm."),
    (r"\b(spatial|channel)_block\.attn\.", r"\1_block.@_attn.fn."),
    (r"\bnorm2\.", "ffn.norm."),
    (r"\bmlp\.", "ffn.fn.net."),
    (r"\bcpe([12])\.proj\.", r"conv\1.fn.dw."),
    (r"spatial_block\.@", "spatial_block.window"),
    (r"channel_block\.@", "channel_block.channel"),
)
"""timm's names, back to the publisher's."""


def _published_name(name: str) -> str:
    for pattern, published in TO_PUBLISHED:
        name = re.sub(pattern, published, name)
    return f"vision_tower.{name}"


class Reference:
    """Florence-2 by its paper: timm's tower, positions, a projection, and BART over both."""

    def __init__(self) -> None:
        cure_torchvision()
        import timm

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.tower = timm.create_model(
                "davit_base_fl", pretrained=False, num_classes=0, depths=(1, 1), embed_dims=(16, 32), num_heads=(2, 4),
                window_size=4,
            ).eval()  # fmt: skip
            for value in self.tower.parameters():
                torch.nn.init.normal_(value, std=0.3)
            self.bart = transformers.BartForConditionalGeneration(
                transformers.BartConfig(**florence_text(len(florence_tokenizer())))
            ).eval()
            leave_out_places(self.bart.model.shared)
            self.projection = 0.3 * torch.randn(32, 32)
            self.norm = torch.nn.LayerNorm(32)
            self.rows, self.columns = torch.randn(50, 16), torch.randn(50, 16)
            self.times = torch.randn(100, 32)

    def state(self) -> dict[str, Any]:
        """The weights under the publisher's names."""
        tower = {name: value for name, value in self.tower.state_dict().items() if not name.startswith("head.")}
        language = {f"language_model.{name}": value for name, value in self.bart.state_dict().items()}
        return {
            **{_published_name(name): value for name, value in tower.items()},
            **{name: value.clone() for name, value in language.items()},
            "image_projection": self.projection,
            **{f"image_proj_norm.{name}": value for name, value in self.norm.state_dict().items()},
            "image_pos_embed.row_embeddings.weight": self.rows,
            "image_pos_embed.column_embeddings.weight": self.columns,
            "visual_temporal_embed.pos_idx_to_embed": self.times,
        }

    def seen(self, pixels: Any) -> Any:
        """Features (batch, 1 + patches, 32) of pixels (batch, 3, side, side)."""
        maps = self.tower.forward_features(pixels)  # (batch, 32, height, width)
        height, width = maps.shape[-2:]
        where = [torch.cat([self.columns[x], self.rows[y]]) for y in range(height) for x in range(width)]
        patches = maps.flatten(2).transpose(1, 2) + torch.stack(where) + self.times[0]
        return self.norm(torch.cat([patches.mean(dim=1, keepdim=True), patches], dim=1) @ self.projection)

    def texts(self, picture: Picture, question: str, **search: Any) -> list[str]:
        tokenizer = florence_tokenizer()
        pixels = florence_pixels()(images=Image.fromarray(picture.pixels), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            words = self.bart.get_input_embeddings()(torch.tensor([tokenizer(question).input_ids]))
            given = torch.cat([self.seen(pixels), words], dim=1)
            found = self.bart.generate(
                inputs_embeds=given, attention_mask=torch.ones(given.shape[:2], dtype=torch.long), do_sample=False,
                decoder_start_token_id=2, forced_bos_token_id=0, forced_eos_token_id=2, **search,
            )  # fmt: skip
        return [text.strip() for text in tokenizer.batch_decode(found, skip_special_tokens=True)]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def folder(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the publisher and PromptGen have it, code included."""
    folder = tmp_path_factory.mktemp("captioners") / "promptgen"
    folder.mkdir()
    config = {
        "architectures": ["Florence2ForConditionalGeneration"],
        "auto_map": {
            "AutoConfig": "configuration_florence2.Florence2Config",
            "AutoModelForCausalLM": "modeling_florence2.Florence2ForConditionalGeneration",
        },
        "model_type": "florence2",
        "projection_dim": 32,
        "text_config": {**florence_text(len(florence_tokenizer())), "model_type": "florence2_language"},
        "vision_config": {
            **FLORENCE_VISION,
            "model_type": "davit",
            "dim_embed": [16, 32],
            "enable_checkpoint": False,
            "image_feature_source": ["spatial_avg_pool", "temporal_avg_pool"],
            "image_pos_embed": {"type": "learned_abs_2d", "max_pos_embeddings": 50},
            "visual_temporal_embedding": {"type": "COSINE", "max_temporal_embeddings": 100},
        },
    }
    florence_tokenizer().save_pretrained(folder)
    florence_pixels().save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("configuration", "modeling", "processing"):
        (folder / f"{name}_florence2.py").write_text("raise SystemExit('code of the model was run')\n")
    pixels = json.loads((folder / "preprocessor_config.json").read_text())
    pixels |= {"auto_map": {"AutoProcessor": "processing_florence2.Florence2Processor"}}
    (folder / "preprocessor_config.json").write_text(json.dumps(pixels))
    save_file(reference.state(), folder / "model.safetensors", {"format": "pt"})
    return folder


def _pictures() -> list[Picture]:
    rng = np.random.default_rng(3)
    pixels = [rng.integers(0, 256, (50 + 20 * place, 70, 3), dtype=np.uint8) for place in range(3)]
    for place, array in enumerate(pixels):
        array[: 20 * place] //= 4
    return [Picture(f"{place}.png", array, (70, len(array)), None, "", None) for place, array in enumerate(pixels)]


def _opened(folder: Path, **changes: Any) -> tuple[list[str], VisionLanguageWriter]:
    captioner = open_caption_model(f"local:{folder}", {"max_length": 14, "beams": 1, **changes})
    captions = captioner.captions(_pictures()[:1])
    assert isinstance(captioner._writer.held, VisionLanguageWriter)
    return captions, captioner._writer.held


def test_names_are_those_that_timm_knows(reference: Reference) -> None:
    from timm.models.davit import checkpoint_filter_fn

    found = checkpoint_filter_fn(dict(reference.state()), reference.tower)
    assert {name for name in reference.tower.state_dict() if not name.startswith("head.")} == found.keys()


@pytest.mark.parametrize(
    ("task", "question", "beams"),
    [
        ("<CAPTION>", "What does the image describe?", 1),
        ("<GENERATE_TAGS>", "<GENERATE_TAGS>", 3),
        ("<MIXED_CAPTION_PLUS>", "<MIXED_CAPTION_PLUS>", 3),
    ],
)
def test_texts_are_those_of_the_reference(
    reference: Reference, folder: Path, task: str, question: str, beams: int
) -> None:
    _, writer = _opened(folder, question=task, beams=beams)
    for picture in _pictures()[1:2]:
        with torch.inference_mode():
            (tokens,) = writer.write(writer.join([writer.see(picture)])).tolist()
        expected = reference.texts(
            picture, question, num_beams=beams, num_return_sequences=beams, max_new_tokens=13, min_new_tokens=1,
            no_repeat_ngram_size=3, early_stopping=beams > 1,
        )  # fmt: skip
        assert [writer.read(hypothesis) for hypothesis in tokens] == expected
        assert any(expected)


def test_features_are_those_of_the_reference(reference: Reference, folder: Path) -> None:
    _, writer = _opened(folder)
    inputs = writer.join([writer.see(picture) for picture in _pictures()])
    network: Any = writer.network
    with torch.inference_mode():
        ours = network.model.get_image_features(inputs["pixel_values"])
        ours = getattr(ours, "pooler_output", ours)
        theirs = reference.seen(inputs["pixel_values"])
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_texts_do_not_depend_on_the_batch(folder: Path) -> None:
    _, writer = _opened(folder, beams=2)
    with torch.inference_mode():
        together = writer.write(writer.join([writer.see(picture) for picture in _pictures()]))
        alone = [writer.write(writer.join([writer.see(picture)])) for picture in _pictures()]
    assert torch.equal(together, torch.cat(alone))


def test_a_tokenizer_without_the_publishers_tokens_gets_them(folder: Path, tmp_path: Path) -> None:
    plain = _copy(folder, tmp_path)
    florence_tokenizer(added=()).save_pretrained(plain)
    assert _opened(plain)[0] == _opened(folder)[0]


def test_words_may_be_stored_once(folder: Path, tmp_path: Path) -> None:
    once = _copy(folder, tmp_path)
    again = re.compile(r"language_model\.(lm_head|model\.(en|de)coder\.embed_tokens|final_logits_bias).*")
    _change_weights(once, lambda state: [state.pop(name) for name in list(state) if again.fullmatch(name)])
    assert _opened(once)[0] == _opened(folder)[0]


def test_pickled_weights_are_read_where_there_are_no_others(folder: Path, tmp_path: Path) -> None:
    pickled = _copy(folder, tmp_path)
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    assert _opened(pickled)[0] == _opened(folder)[0]


SHARED = "language_model.model.shared.weight"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("image_projection"), r"missing: .*\.image_projection\.weight"),
        (lambda state: state.update(more=torch.zeros(1)), "unknown: more"),
        (lambda state: state.update({"image_proj_norm.bias": torch.zeros(3)}), "another shape: .*image_proj_norm.bias"),
        (lambda state: state["image_proj_norm.bias"].fill_(torch.nan), "not finite: .*image_proj_norm.bias"),
        (lambda state: state[SHARED].add_(1), f"expected one embedding of words; found .* unlike {SHARED}"),
        (lambda state: state["language_model.final_logits_bias"].fill_(1), "expected no offset of the logits"),
    ],
)  # fmt: skip
def test_weights_that_are_not_those_of_the_config(
    folder: Path, tmp_path: Path, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    damaged = _copy(folder, tmp_path)
    _change_weights(damaged, change)
    with pytest.raises(ModelError, match=told):
        _opened(damaged)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dim_embed": None}, "expected the config of a Florence-2, found one that lacks or mistakes 'dim_embed'"),
        ({"depths": "many"}, "expected the config of a Florence-2"),
        (
            {"image_feature_source": ["last_frame"]},
            r"expected Florence-2's features of a picture, found \['last_frame'\]",
        ),
        ({"num_heads": [3, 5]}, "do not belong together: RuntimeError"),
    ],
)
def test_a_config_that_is_no_florence(folder: Path, tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    damaged = _copy(folder, tmp_path)
    config = json.loads((damaged / "config.json").read_text())
    config["vision_config"].update(changes)
    config["vision_config"] = {key: value for key, value in config["vision_config"].items() if value is not None}
    (damaged / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=told):
        _opened(damaged)


def test_it_is_not_made_smaller(folder: Path) -> None:
    with pytest.raises(DataError, match="leave bits out"):
        _opened(folder, bits=4)


def _copy(folder: Path, into: Path) -> Path:
    return Path(shutil.copytree(folder, into / "captioner"))


def _change_weights(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
