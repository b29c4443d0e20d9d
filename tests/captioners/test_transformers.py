"""BLIP, BLIP-2 and GIT at tiny size, against transformers' own `generate`."""

from __future__ import annotations

import functools
import json
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from unprompt.captioners.opening import REPOSITORIES, open_caption_model
from unprompt.errors import DataError, ModelError, NoRoomError
from unprompt.images.decode import Picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402
from tiny_captioners import BUILDERS, bert_tokenizer, write_captioner  # noqa: E402

from unprompt.captioners import transformers as writers  # noqa: E402
from unprompt.captioners.captioner import TorchCaptioner, WriterSource  # noqa: E402
from unprompt.captioners.hypotheses import first_sound, is_sound  # noqa: E402
from unprompt.captioners.transformers import TransformersWriter  # noqa: E402

pytestmark = pytest.mark.torch

CLASSES = {
    "blip": "BlipForConditionalGeneration",
    "git": "GitForCausalLM",
    "blip-2-opt": "Blip2ForConditionalGeneration",
    "blip-2-t5": "Blip2ForConditionalGeneration",
}
KINDS = list(CLASSES)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("captioners")
    return {kind: write_captioner(kind, root / kind) for kind in BUILDERS}


def _pictures(count: int) -> list[Picture]:
    rng = np.random.default_rng(1)
    pixels = [rng.integers(0, 256, (40 + 3 * place, 60, 3), dtype=np.uint8) for place in range(count)]
    for place, array in enumerate(pixels):
        array[: 8 * place] //= 4  # noise alone looks the same to all of them
    return [Picture(f"{place}.png", array, (60, len(array)), None, "", None) for place, array in enumerate(pixels)]


def _processor(kind: str, folder: Path) -> Any:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    pixels = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")
    if kind.startswith("blip-2"):
        return transformers.Blip2Processor(pixels, tokenizer, num_query_tokens=4)
    return {"blip": transformers.BlipProcessor, "git": transformers.GitProcessor}[kind](pixels, tokenizer)


@functools.cache
def _library(kind: str, folder: Path) -> tuple[Any, Any]:
    return getattr(transformers, CLASSES[kind]).from_pretrained(folder).eval(), _processor(kind, folder)


def _generated(kind: str, folder: Path, picture: Picture, question: str = "", **search: Any) -> list[str]:
    """Every hypothesis of the library's own for a picture."""
    network, processor = _library(kind, folder)
    image = Image.fromarray(picture.pixels)
    if question and kind != "git":
        inputs = processor(images=image, text=question, return_tensors="pt")
    elif kind == "blip-2-t5":  # the library begins by itself for OPT alone; LAVIS asks T5 with nothing but an end
        inputs = processor(images=image, text="", return_tensors="pt")
    else:
        inputs = processor(images=image, return_tensors="pt")
    if question and kind == "git":  # as transformers' page on GIT asks it
        words = processor.tokenizer(question, add_special_tokens=False).input_ids
        inputs["input_ids"] = torch.tensor([[processor.tokenizer.cls_token_id, *words]])
    with torch.inference_mode():
        tokens = network.generate(**inputs, **search)
    return [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]


def _writer(captioner: TorchCaptioner) -> TransformersWriter:
    assert isinstance(captioner._writer.held, TransformersWriter)
    return captioner._writer.held


def _hypotheses(writer: TransformersWriter, pictures: Sequence[Picture]) -> list[list[str]]:
    with torch.inference_mode():
        tokens = writer.write(torch.stack([writer.see(picture) for picture in pictures]))
    return [[writer.read(hypothesis) for hypothesis in proposed] for proposed in tokens.tolist()]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("no_repeat", "penalty"), [(0, 1.0), (2, 0.6)])
def test_hypotheses_are_those_of_the_library_in_their_order(
    folders: dict[str, Path], kind: str, no_repeat: int, penalty: float
) -> None:
    changes = {"beams": 4, "min_length": 5, "max_length": 14, "question": ""}
    changes |= {"no_repeat_ngram_size": no_repeat, "length_penalty": penalty}
    captioner = open_caption_model(f"local:{folders[kind]}", changes)
    pictures = _pictures(2)
    captions = captioner.captions(pictures)
    seen = 4 if kind == "blip-2-opt" else 0  # the library counts the places of what is seen
    for picture, caption in zip(pictures, captions, strict=True):
        expected = _generated(
            kind,
            folders[kind],
            picture,
            num_beams=4,
            num_return_sequences=4,
            min_length=5 + seen,
            max_length=14 + seen,
            no_repeat_ngram_size=no_repeat,
            length_penalty=penalty,
        )
        assert _hypotheses(_writer(captioner), [picture]) == [expected]
        assert caption == first_sound(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_get_captions_of_their_own(folders: dict[str, Path], kind: str) -> None:
    captioner = open_caption_model(f"local:{folders[kind]}", {"beams": 2, "max_length": 20, "question": ""})
    captioner.captions(_pictures(1))
    hypotheses = _hypotheses(_writer(captioner), _pictures(4))
    assert len({tuple(proposed) for proposed in hypotheses}) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_question_is_asked_as_the_library_asks_it_and_left_out_of_the_caption(
    folders: dict[str, Path], kind: str
) -> None:
    question = "a picture of"
    captioner = open_caption_model(
        f"local:{folders[kind]}", {"beams": 3, "min_length": 0, "max_length": 16, "question": question}
    )
    (picture,) = _pictures(1)
    captioner.captions([picture])
    seen = 4 if kind == "blip-2-opt" else 0
    found = _generated(
        kind, folders[kind], picture, question, num_beams=3, num_return_sequences=3, max_length=16 + seen,
        length_penalty=captioner.settings.length_penalty,
    )  # fmt: skip
    if kind != "blip-2-t5":  # which reads the question apart
        assert all(text.startswith(question) for text in found)
        found = [text.removeprefix(question).strip() for text in found]
    assert _hypotheses(_writer(captioner), [picture]) == [found]


@pytest.mark.parametrize("kind", KINDS)
def test_a_caption_does_not_depend_on_the_batch(folders: dict[str, Path], kind: str) -> None:
    captioner = open_caption_model(f"local:{folders[kind]}", {"max_length": 16})
    pictures = _pictures(4)
    alone = [captioner.captions([picture])[0] for picture in pictures]
    assert captioner.captions(pictures[::-1]) == alone[::-1]
    together = _hypotheses(_writer(captioner), pictures)
    assert [first_sound(proposed) for proposed in together] == alone


def test_a_degenerate_hypothesis_is_passed_over(folders: dict[str, Path]) -> None:
    captioner = open_caption_model(f"local:{folders['blip']}", {"beams": 8, "max_length": 20, "min_length": 0})
    pictures = _pictures(12)
    captions = captioner.captions(pictures)
    proposed = [_hypotheses(_writer(captioner), [picture])[0] for picture in pictures]
    passed_over = [
        caption
        for caption, hypotheses in zip(captions, proposed, strict=True)
        if not is_sound(hypotheses[0]) and caption in hypotheses[1:] and is_sound(caption)
    ]
    assert passed_over


def test_a_suffix_is_appended(folders: dict[str, Path]) -> None:
    name, pictures = f"local:{folders['git']}", _pictures(2)
    plain = open_caption_model(name).captions(pictures)
    suffixed = open_caption_model(name, {"suffix": ", fine details, masterpiece"}).captions(pictures)
    assert suffixed == [f"{caption}, fine details, masterpiece".lstrip(" ,") for caption in plain]


def test_where_there_are_no_words_there_is_no_suffix(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    state = load_file(folder / "model.safetensors")
    state["output.bias"][3] = 1e4  # the end comes at once
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    silent = open_caption_model(f"local:{folder}", {"beams": 1, "min_length": 0, "suffix": ", masterpiece"})
    assert silent.captions(_pictures(2)) == ["", ""]


@pytest.mark.parametrize("kind", KINDS)
def test_captions_in_half_precision_as_on_a_gpu(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name, changes, pictures = f"local:{folders[kind]}", {"max_length": 10}, _pictures(3)
    expected = open_caption_model(name, changes).captions(pictures)
    half = torch.bfloat16 if kind == "blip-2-t5" else torch.float16
    monkeypatch.setattr(writers, "_precision", lambda device, language: half)
    captioner = open_caption_model(name, changes)
    captions = captioner.captions(pictures)
    assert half in {parameter.dtype for parameter in _writer(captioner).network.parameters()}
    assert any(found == wanted for found, wanted in zip(captions, expected, strict=True))


@pytest.mark.parametrize("kind", ["git", "blip"])
def test_a_very_long_picture_is_cut_where_its_middle_is_all_that_is_seen(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    captioner = open_caption_model(f"local:{folders[kind]}")
    captioner.captions(_pictures(1))
    writer = _writer(captioner)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 60_000, 3), dtype=np.uint8)
    expected = writer._processor(images=Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    sizes: list[tuple[int, int]] = []
    resize = Image.Image.resize

    def watched(image: Image.Image, size: Any, *arguments: Any, **options: Any) -> Image.Image:
        sizes.append(tuple(size))
        return resize(image, size, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", watched)
    seen = writer.see(Picture("long.png", pixels, (60_000, 4), None, "", None))
    assert sizes
    assert max(map(max, sizes)) <= 64 * seen.shape[-1]
    assert (seen - expected).abs().max() < (0.05 if kind == "git" else 1e-6)


def test_one_beam_is_enough(folders: dict[str, Path]) -> None:
    captioner = open_caption_model(f"local:{folders['blip']}", {"beams": 1, "question": ""})
    (picture,) = _pictures(1)
    captioner.captions([picture])
    found = _generated("blip", folders["blip"], picture, min_length=5, max_length=32)
    assert _hypotheses(_writer(captioner), [picture]) == [found]


def test_weights_are_loaded_once_and_again_after_they_made_room(folders: dict[str, Path]) -> None:
    captioner = open_caption_model(f"local:{folders['git']}")
    assert captioner._writer.held is None
    captions = captioner.captions(_pictures(2))
    writer = captioner._writer.held
    assert captioner.captions(_pictures(2)) == captions
    assert captioner._writer.held is writer
    captioner.unload()
    assert captioner._writer.held is None
    assert captioner.captions(_pictures(2)) == captions


def test_without_room_the_batch_is_halved_and_that_is_said_once(
    folders: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    name, pictures = f"local:{folders['git']}", _pictures(7)
    captioner = open_caption_model(name, {"max_length": 12})
    expected = captioner.captions(pictures)
    _with_little_room(captioner, room=3, size=4)
    with caplog.at_level(logging.WARNING):
        assert captioner.captions(pictures) == expected
        assert captioner.captions(pictures) == expected
    assert [record.message for record in caplog.records] == [
        "the device has no room for 4 pictures at once: going on with fewer"
    ]
    assert captioner._batches.size == 2
    captioner.unload()  # and the others with it: there may be more room
    assert captioner._batches.size == 4


def test_without_room_for_one_picture(folders: dict[str, Path]) -> None:
    captioner = open_caption_model(f"local:{folders['git']}")
    captioner.captions(_pictures(1))
    _with_little_room(captioner, room=0, size=2)
    with pytest.raises(NoRoomError, match="the device has no room for one picture"):
        captioner.captions(_pictures(2))


def test_without_room_for_the_weights() -> None:
    def load(device: Any) -> TransformersWriter:
        raise torch.OutOfMemoryError("no room")

    settings = open_caption_model("blip-base").settings
    with pytest.raises(NoRoomError, match="the device has no room for blip-base; free its memory"):
        TorchCaptioner("blip-base", settings, WriterSource(load, str)).captions(_pictures(1))


def _with_little_room(captioner: TorchCaptioner, room: int, size: int) -> None:
    """Makes it a captioner on a GPU that takes `size` pictures at once, and has room for `room`."""
    writer = _writer(captioner)
    write = writer.write

    def crowded(pixels: Any) -> Any:
        if len(pixels) > room:
            raise torch.OutOfMemoryError("no room")
        return write(pixels)

    writer.write = crowded  # type: ignore[method-assign]
    captioner._batches.size = captioner._batches._first = size


def test_published_names_are_read_from_the_hubs_cache_without_a_network(
    folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    repository = tmp_path / f"models--{REPOSITORIES['blip-large'][1].replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("0123456789abcdef")
    shutil.copytree(folders["blip"], repository / "snapshots" / "0123456789abcdef")
    captioner = open_caption_model("blip-large")
    assert captioner.captions(_pictures(2)) == open_caption_model(f"local:{folders['blip']}").captions(_pictures(2))
    assert captioner.identities() == {"blip-large": "0123456789ab"}


def test_files_that_are_missing_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    captioner = open_caption_model("blip2-flan-t5-xl")
    for ask in (captioner.identities, lambda: captioner.captions(_pictures(1))):
        with pytest.raises(ModelError, match=r"model\.safetensors of Salesforce/blip2-flan-t5-xl in .*HF_HUB_OFFLINE"):
            ask()


def test_pickled_weights_are_read_where_there_are_no_others(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.unlink()
    expected = open_caption_model(f"local:{folders['git']}").captions(_pictures(2))
    assert open_caption_model(f"local:{folder}").captions(_pictures(2)) == expected


def test_pickled_weights_that_would_run_something(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save({"git": Path("hostile")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda state: state.pop("output.bias"), r"missing: output\.bias"),
        (lambda state: state.update(more=torch.zeros(1)), "unknown: more"),
        (lambda state: state.update({"output.bias": torch.zeros(3)}), r"of another shape: output\.bias"),
        (lambda state: state["output.bias"].fill_(torch.nan), r"not finite: output\.bias"),
        (
            lambda state: state.update({"output.weight": state["output.weight"].to(torch.int8)}),
            r"no floating-point numbers: output\.weight",
        ),
    ],
)
def test_weights_that_are_not_those_of_the_config(
    folders: dict[str, Path], tmp_path: Path, change: Any, told: str
) -> None:
    folder = _copy(folders["git"], tmp_path)
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"not those of its config: {told}"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


def test_weights_that_are_damaged(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    (folder / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


def test_old_checkpoints_may_hold_positions(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["blip"], tmp_path)
    state = load_file(folder / "model.safetensors")
    state["text_decoder.bert.embeddings.position_ids"] = torch.arange(64)[None]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    expected = open_caption_model(f"local:{folders['blip']}").captions(_pictures(1))
    assert open_caption_model(f"local:{folder}").captions(_pictures(1)) == expected


@pytest.mark.parametrize(
    ("kind", "other", "told"),
    [
        ("git", "blip-2-t5", "the token to begin is None, not 2; the token to end is None, not 3"),
        ("blip", "blip-2-opt", "the token to pad is 1, not 0; the token to end is None, not 3"),
        (
            "blip-2-opt",
            "blip-2-t5",
            r"the token to pad is 0, not 1; the token to stand for the picture is \d+, not \d+",
        ),
        ("blip-2-t5", "git", "the token to stand for the picture is"),
    ],
)
def test_a_tokenizer_of_another_model(
    folders: dict[str, Path], tmp_path: Path, kind: str, other: str, told: str
) -> None:
    folder = _copy(folders[kind], tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folders[other] / name, folder / name)
    with pytest.raises(ModelError, match=f"the tokenizer in .* does not belong to the model: {told}"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


def test_a_tokenizer_that_knows_more_than_the_model(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    tokenizer = bert_tokenizer()
    tokenizer.add_tokens(["more"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"it has \d+ tokens, not \d+"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


def test_a_tokenizer_that_is_damaged(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["git"], tmp_path)
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ModelError, match=r"config, tokenizer or processor in .* cannot be loaded"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


@pytest.mark.parametrize(
    ("kind", "changes", "found"),
    [
        ("blip", {"size": {"height": 64, "width": 64}}, r"\(3, 64, 64\)"),
        ("git", {"crop_size": {"height": 16, "width": 16}}, r"\(3, 16, 16\)"),
        ("blip-2-t5", {"do_resize": False}, r"\(3, 32, 64\)"),
        ("blip", {"image_mean": [0.5]}, "mean must have 3 elements"),
        ("blip", {"image_std": [0.0, 0.0, 0.0]}, "infinite ones"),
        ("blip", {"resample": 99}, "99"),
        ("git", {"size": {"shortest_edge": 10**9}}, "shortest_edge = 1000000000 of its size"),
        ("blip-2-opt", {"size": {"height": 0, "width": 32}}, "height = 0 of its size"),
    ],
)
def test_a_processor_that_does_not_belong_to_the_model(
    folders: dict[str, Path], tmp_path: Path, kind: str, changes: dict[str, Any], found: str
) -> None:
    folder = _copy(folders[kind], tmp_path)
    path = folder / "processor_config.json"
    config = json.loads(path.read_text())
    config["image_processor"].update(changes)
    path.write_text(json.dumps(config))
    with pytest.raises(
        ModelError, match=rf"processor in .*: expected finite pixels of the shape \(3, 32, 32\), found .*{found}.*; put"
    ):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


@pytest.mark.parametrize("side", [0, 10**9])
def test_a_size_of_pictures_that_makes_no_sense(folders: dict[str, Path], tmp_path: Path, side: int) -> None:
    folder = _copy(folders["blip"], tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["vision_config"]["image_size"] = side
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=f"expected image_size in its config from 1 to 4096, found {side}"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


def test_blip2_with_a_language_model_that_we_do_not_know(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = _copy(folders["blip-2-opt"], tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["model_type"] = "gpt2"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="expected BLIP-2 with opt or t5, found 'gpt2'"):
        open_caption_model(f"local:{folder}").captions(_pictures(1))


@pytest.mark.parametrize("kind", ["blip", "git", "blip-2-opt"])
def test_a_question_that_leaves_no_room_for_an_answer(folders: dict[str, Path], kind: str) -> None:
    captioner = open_caption_model(f"local:{folders[kind]}", {"question": " ".join(["cat"] * 60)})
    with pytest.raises(DataError, match="the question has 61 tokens, its beginning included; expected fewer than"):
        captioner.captions(_pictures(1))


@pytest.mark.parametrize(("kind", "longest"), [("blip", 64), ("git", 64), ("blip-2-opt", 60)])
def test_texts_that_are_longer_than_the_model_writes(folders: dict[str, Path], kind: str, longest: int) -> None:
    captioner = open_caption_model(f"local:{folders[kind]}", {"max_length": longest + 1})
    with pytest.raises(DataError, match=f"max_length is {longest + 1}; .* writes up to {longest} tokens"):
        captioner.captions(_pictures(1))


def _copy(folder: Path, into: Path) -> Path:
    return Path(shutil.copytree(folder, into / "captioner"))
