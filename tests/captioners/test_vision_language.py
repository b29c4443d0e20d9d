"""Florence-2, SmolVLM, Qwen-VL and LLaVA at tiny size, against transformers' own processors and `generate`."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.captioners.families import FAMILIES, MODELS
from unprompt.captioners.opening import open_caption_model
from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_vlms import BUILDERS, FLORENCE_SEEN, write_vlm  # noqa: E402

from unprompt.captioners import vision_language  # noqa: E402
from unprompt.captioners.captioner import TorchCaptioner  # noqa: E402
from unprompt.captioners.vision_language import VisionLanguageWriter  # noqa: E402

pytestmark = pytest.mark.torch

KINDS = list(BUILDERS)
CHATS = [kind for kind in KINDS if FAMILIES[kind].asked == "chat"]
QUESTION = "a picture of the cat"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("captioners")
    return {kind: write_vlm(kind, root / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def writers(folders: dict[str, Path]) -> dict[str, VisionLanguageWriter]:
    return {kind: _writer(folders[kind], max_length=12) for kind in KINDS}


def _picture(width: int, height: int, seed: int = 0) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height * seed // 8] //= 4  # noise alone looks the same to all of them
    return Picture(f"{seed}.png", pixels, (width, height), None, "", None)


PICTURES = [_picture(60, 40, 1), _picture(150, 90, 2), _picture(70, 200, 3)]


def _asking(kind: str, **changes: Any) -> dict[str, Any]:
    question = QUESTION if kind in CHATS else "<CAPTION>"
    return {"question": question, "beams": 1, "no_repeat_ngram_size": 0, **changes}


def _open(folder: Path, **changes: Any) -> TorchCaptioner:
    kind = json.loads((folder / "config.json").read_text())["model_type"]
    return open_caption_model(f"local:{folder}", _asking(kind, **changes))


def _writer(folder: Path, **changes: Any) -> VisionLanguageWriter:
    captioner = _open(folder, **changes)
    captioner.captions(PICTURES[:1])
    assert isinstance(captioner._writer.held, VisionLanguageWriter)
    return captioner._writer.held


def _written(writer: VisionLanguageWriter, pictures: list[Picture]) -> list[list[list[int]]]:
    with torch.inference_mode():
        tokens: list[list[list[int]]] = writer.write(
            writer.join([writer.see(picture) for picture in pictures])
        ).tolist()
    return tokens


def _library(kind: str, folder: Path) -> tuple[Any, Any]:
    """The library's own network and processor, with pictures processed by Pillow."""
    network = transformers.AutoModelForImageTextToText.from_pretrained(folder).eval()
    return network, _library_processor(kind, folder)


def _library_processor(kind: str, folder: Path) -> Any:
    if kind == "smolvlm":  # its own wants num2words
        pixels = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        held, _ = transformers.Idefics3Processor.get_processor_dict(folder)
        return transformers.Idefics3Processor(
            pixels, tokenizer, image_seq_len=held["image_seq_len"], chat_template=held["chat_template"]
        )
    processor = transformers.AutoProcessor.from_pretrained(folder)
    processor.image_processor = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    return processor


def _asked(kind: str, processor: Any, picture: Picture) -> Any:
    """The input as the library's pages prepare it."""
    image = Image.fromarray(picture.pixels)
    if kind == "florence2":
        return processor(text="<CAPTION>", images=image, return_tensors="pt")
    if kind == "llava":  # as JoyCaption's page does
        chat = processor.apply_chat_template(
            [{"role": "user", "content": QUESTION}], tokenize=False, add_generation_prompt=True
        )
        return processor(text=[chat], images=[image], return_tensors="pt", add_special_tokens=False)
    content = [{"type": "image", "image": image}, {"type": "text", "text": QUESTION}]
    return processor.apply_chat_template(
        [{"role": "user", "content": content}],
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_those_of_the_library(
    folders: dict[str, Path], writers: dict[str, VisionLanguageWriter], kind: str
) -> None:
    network, processor = _library(kind, folders[kind])
    for beams, picture in ((1, PICTURES[0]), (3, PICTURES[1])):
        writer = writers[kind] if beams == 1 else _writer(folders[kind], beams=beams, max_length=12)
        search = {"num_beams": beams, "num_return_sequences": beams, "early_stopping": beams > 1}
        inputs = _asked(kind, processor, picture)
        with torch.inference_mode():
            found = network.generate(
                **inputs, **search, max_new_tokens=12 - (kind == "florence2"), min_new_tokens=1, do_sample=False,
                repetition_penalty=1.0, no_repeat_ngram_size=0,
            )  # fmt: skip
        new = found if kind == "florence2" else found[:, inputs["input_ids"].shape[1] :]
        expected = [text.strip() for text in processor.tokenizer.batch_decode(new, skip_special_tokens=True)]
        assert [writer.read(tokens) for tokens in _written(writer, [picture])[0]] == expected
        assert any(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_texts_do_not_depend_on_the_batch(writers: dict[str, VisionLanguageWriter], kind: str) -> None:
    writer = writers[kind]
    alone = [_written(writer, [picture])[0] for picture in PICTURES]
    assert _written(writer, PICTURES) == alone
    assert len({str(tokens) for tokens in alone}) > 1


@pytest.mark.parametrize("kind", ["idefics3", "smolvlm", "qwen2_5_vl", "qwen3_vl"])
def test_prompts_of_unequal_length_are_padded_on_the_left(writers: dict[str, VisionLanguageWriter], kind: str) -> None:
    inputs = writers[kind].join([writers[kind].see(picture) for picture in PICTURES])
    lengths = inputs["attention_mask"].sum(dim=1)
    assert len(set(lengths.tolist())) > 1
    assert inputs["attention_mask"][:, -1].all()


@pytest.mark.parametrize("kind", KINDS)
def test_there_are_as_many_placeholders_as_features(writers: dict[str, VisionLanguageWriter], kind: str) -> None:
    writer = writers[kind]
    inputs = writer.join([writer.see(picture) for picture in PICTURES])
    places = (inputs["input_ids"] == writer._processor.image_token_id).sum(dim=1).tolist()
    if kind.startswith("qwen"):
        expected = (inputs["image_grid_thw"].prod(dim=1) // 4).tolist()
    elif kind in ("idefics3", "smolvlm"):
        expected = (4 * inputs["pixel_attention_mask"].any(dim=-1).any(dim=-1).sum(dim=1)).tolist()
    else:
        expected = [{"llava": 16, "florence2": FLORENCE_SEEN}[kind]] * 3
    assert places == expected


@pytest.mark.parametrize("kind", KINDS)
def test_neither_prompt_nor_special_tokens_are_echoed(writers: dict[str, VisionLanguageWriter], kind: str) -> None:
    caption = writers[kind].read(_written(writers[kind], PICTURES[:1])[0][0])
    assert "assistant" not in caption.casefold()
    assert QUESTION not in caption
    assert "<" not in caption


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_has_as_many_tokens_as_were_asked_for(folders: dict[str, Path], kind: str) -> None:
    """The library's own default is 20."""
    writer = _writer(folders[kind], max_length=30, min_length=25)
    (tokens,) = _written(writer, PICTURES[:1])[0]
    assert len(tokens) == 30 - (kind == "florence2")
    network: Any = writer.network
    ends = np.atleast_1d(network.generation_config.eos_token_id)
    assert next((place for place, token in enumerate(tokens) if token in ends), len(tokens)) >= 24


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(1, 1), (1000, 4), (3, 900)])
def test_pictures_of_odd_shapes(writers: dict[str, VisionLanguageWriter], kind: str, size: tuple[int, int]) -> None:
    assert len(_written(writers[kind], [_picture(*size)])) == 1


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_large_pictures_are_scaled_down_where_work_grows_with_them(
    folders: dict[str, Path], tmp_path: Path, kind: str
) -> None:
    folder = _copy(folders[kind], tmp_path)
    _change(folder / "preprocessor_config.json", size={"shortest_edge": 1024, "longest_edge": 16_777_216})
    writer = _writer(folder, max_length=2)
    assert FAMILIES[kind].most_pixels == writer._processor.image_processor.size["longest_edge"] == 1 << 20


@pytest.mark.parametrize("kind", ["florence2", "smolvlm", "qwen3_vl", "llava"])
def test_half_precision_as_on_a_gpu(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setattr(vision_language, "_precision", lambda device: torch.bfloat16)
    writer = _writer(folders[kind], max_length=5)
    assert torch.bfloat16 in {parameter.dtype for parameter in writer.network.parameters()}
    assert len(_written(writer, PICTURES)) == 3


@pytest.mark.parametrize(
    "name", ["florence2-base", "smolvlm-256m", "smolvlm2-256m", "qwen2.5-vl-3b", "qwen3-vl-2b", "joycaption"]
)
def test_published_names_are_read_from_the_hubs_cache_without_a_network(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / f"models--{MODELS[name].repository.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123456789abcdef")
    folder = folders[MODELS[name].kind]
    shutil.copytree(folder, repository / "snapshots" / "0123456789abcdef")
    captioner = open_caption_model(name, {"max_length": 12})
    changes = {"max_length": 12, "question": captioner.settings.question, "system": captioner.settings.system}
    assert captioner.captions(PICTURES[:1]) == open_caption_model(f"local:{folder}", changes).captions(PICTURES[:1])
    assert captioner.identities() == {name: "0123456789ab"}


@pytest.mark.parametrize("kind", ["smolvlm", "qwen3_vl", "llava"])
def test_a_system_text_comes_before_the_question(folders: dict[str, Path], kind: str) -> None:
    prompt = _writer(folders[kind], system="a man in the sea", max_length=2)._prompt
    assert prompt.index("a man in the sea") < prompt.index(QUESTION)


def test_joycaption_is_asked_as_on_its_page() -> None:
    settings = open_caption_model("joycaption").settings
    assert settings.system == "You are a helpful image captioner."
    assert settings.question.startswith("Output a stable diffusion prompt")


@pytest.mark.parametrize(
    "task", ["<OCR>", "<MORE_DETAILED_CAPTION>", "<GENERATE_TAGS>", "<MIXED_CAPTION_PLUS>", "the cat"]
)
def test_tasks_of_florence_reach_its_tokenizer_as_they_were_trained(folders: dict[str, Path], task: str) -> None:
    writer = _writer(folders["florence2"], question=task, max_length=4)
    processor = _library_processor("florence2", folders["florence2"])
    inputs = processor(text=task, images=Image.fromarray(PICTURES[0].pixels), return_tensors="pt")
    assert writer.join([writer.see(PICTURES[0])])["input_ids"].tolist() == inputs["input_ids"].tolist()


@pytest.mark.parametrize(
    ("kind", "changes", "told"),
    [
        ("florence2", {"question": "<OD>"}, r"expected a task that answers with a text, .*<CAPTION>.*; found '<OD>'"),
        ("florence2", {"question": "<CAPTIONS>"}, "found '<CAPTIONS>'"),
        ("florence2", {"system": "be brief"}, "reads no system text"),
        ("florence2", {"max_length": 200}, "reads and writes 128: lower max_length"),
        ("qwen3_vl", {"question": "<|image_pad|> what is it?"}, "this model's sign for a picture; leave it out"),
        ("llava", {"bits": 4}, "4 bits need a GPU and the package bitsandbytes"),
        ("qwen2_5_vl", {"bits": 8}, "8 bits need a GPU and the package bitsandbytes"),
        ("idefics3", {"question": "the cat " * 120, "max_length": 512}, "shorten the question"),
    ],
)
def test_settings_that_a_model_does_not_support(
    folders: dict[str, Path], kind: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(DataError, match=told):
        _open(folders[kind], **changes).captions(PICTURES[:1])


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_bits_are_those_of_the_language_model_alone(folders: dict[str, Path], kind: str) -> None:
    """On the CPU, where bitsandbytes is installed; `bits` itself wants a GPU."""
    pytest.importorskip("bitsandbytes")
    from unprompt.captioners.folder import LocalSource
    from unprompt.captioners.loading import load_network

    network = load_network(
        transformers.AutoModelForImageTextToText, LocalSource(folders[kind]).folder, torch.float32,
        quantization_config=vision_language.bits_config(8, torch.float32), device_map={"": "cpu"},
    )  # fmt: skip
    layers = {
        name: type(layer).__name__ for name, layer in network.named_modules() if isinstance(layer, torch.nn.Linear)
    }
    small = {name for name, layer in layers.items() if layer == "Linear8bitLt"}
    assert small == {
        name for name in layers if name.startswith("model.") and ("language_model" in name or "text_model" in name)
    }


def _without_template(folder: Path) -> None:
    for name in ("chat_template.jinja", "chat_template.json"):
        (folder / name).unlink(missing_ok=True)


def _template(text: str) -> Callable[[Path], None]:
    return lambda folder: _replace_template(folder, text)


def _replace_template(folder: Path, text: str) -> None:
    _without_template(folder)
    (folder / "chat_template.jinja").write_text(text)


def _json(name: str, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: _change(folder / name, **changes)


def _weights(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file(state, folder / "model.safetensors", {"format": "pt"})

    return changed


PIXELS, PROCESSOR = "preprocessor_config.json", "processor_config.json"


@pytest.mark.parametrize(
    ("kind", "damage", "told"),
    [
        ("qwen3_vl", _without_template, r"no chat template: expected chat_template\.jinja"),
        ("qwen3_vl", _template("a picture"), "puts no picture beside a question"),
        ("llava", _template("{{ raise_exception('no') }}"), "puts no picture beside a question: no"),
        ("llava", _template("<image><image>{{ messages[0].content }}"), "puts no picture beside a question"),
        ("llava", _template("{% for"), "puts no picture beside a question: "),
        ("llava", _json(PROCESSOR, patch_size=4), "do not belong together"),
        ("llava", _json(PROCESSOR, patch_size=None), "do not belong together: TypeError"),
        ("llava", _json(PIXELS, size={"height": 10**9, "width": 32}), "height = 1000000000 of its size"),
        ("idefics3", _json(PROCESSOR, image_seq_len=5), "do not belong together"),
        ("smolvlm", _json(PIXELS, size={"longest_edge": 4096}), "into tiles of 32"),
        ("qwen2_5_vl", _json(PIXELS, size={"shortest_edge": 10**9, "longest_edge": 10**9}), "edge = 1000000000"),
        ("qwen3_vl", _json(PIXELS, image_std=[0, 0, 0]), "pixels that are not finite"),
        ("florence2", _json(PIXELS, image_seq_length=7), "do not belong together: ValueError"),
        ("florence2", _json(PIXELS, image_seq_length=None), "do not belong together|cannot be loaded"),
        ("qwen3_vl", _json("config.json", quantization_config={"load_in_4bit": True}), "fewer bits already"),
        ("llava", _weights(lambda state: state.popitem()), "not those of its config: missing: "),
        ("idefics3", _weights(lambda state: state.update(more=torch.zeros(1))), "of its config: unknown: more"),
        ("llava", lambda folder: (folder / "model.safetensors").write_bytes(b"\0" * 100), "cannot be loaded"),
        ("qwen3_vl", lambda folder: (folder / "tokenizer.json").write_text("{"), "or processor in .* cannot be"),
    ],
)  # fmt: skip
def test_a_folder_that_is_damaged_or_put_together_from_several(
    folders: dict[str, Path], tmp_path: Path, kind: str, damage: Callable[[Path], Any], told: str
) -> None:
    folder = _copy(folders[kind], tmp_path)
    damage(folder)
    with pytest.raises(ModelError, match=told):
        _open(folder, max_length=12).captions(PICTURES[:1])


def test_a_tokenizer_with_more_tokens_than_the_model(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["llava"], tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders["florence2"] / name, folder / name)
    with pytest.raises(ModelError, match=r"do not belong together|cannot be loaded"):
        _open(folder, max_length=12).captions(PICTURES[:1])


def _copy(folder: Path, into: Path) -> Path:
    return Path(shutil.copytree(folder, into / "captioner"))


def _change(path: Path, **changes: Any) -> None:
    held = json.loads(path.read_text())
    held.update(changes)
    path.write_text(json.dumps({key: value for key, value in held.items() if value is not None}))
