"""The published ensemble at tiny size: every member is of its real class, in the folders and files that it comes in."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

from safetensors.torch import save_file  # noqa: E402
from tiny_captioners import write_captioner  # noqa: E402
from tiny_ofa import config as ofa_config  # noqa: E402
from tiny_ofa import weights as ofa_weights  # noqa: E402
from tiny_ofa import write as write_ofa  # noqa: E402
from tiny_open_clip import TEXT, VISION, shaken  # noqa: E402
from vocabularies import write as write_lists  # noqa: E402

import unprompt  # noqa: E402
from unprompt import Unprompter  # noqa: E402
from unprompt.captioners.captioner import TorchCaptioner, Writer, WriterSource  # noqa: E402
from unprompt.errors import ModelError, NoRoomError  # noqa: E402
from unprompt.images.decode import decode  # noqa: E402
from unprompt.images.preprocess import PUBLISHED_VIT, preprocess  # noqa: E402
from unprompt.images.sources import image_refs  # noqa: E402
from unprompt.members.captioner import CaptionerMember, CaptionerOptions  # noqa: E402
from unprompt.members.interrogator import InterrogatorMember, InterrogatorOptions  # noqa: E402
from unprompt.members.regressor import RegressorOptions  # noqa: E402
from unprompt.models.networks.open_clip_backbone import quiet  # noqa: E402
from unprompt.models.regressors.conversion import convert_checkpoint  # noqa: E402
from unprompt.models.regressors.torch_folder import load_network  # noqa: E402
from unprompt.models.store.registry import find_model  # noqa: E402
from unprompt.prediction import EMBEDDING_SIZE, Prediction, Vector  # noqa: E402
from unprompt.presets import load_preset, preset_path  # noqa: E402
from unprompt.text.sentence import SentenceEncoder  # noqa: E402

REGRESSOR, CLIP = "vit_base_patch16_224.published", "ViT-of-the-tests"
SUFFIX = ", fine details, masterpiece"
WEIGHTS = (0.7488, 0.2112, 0.0400)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The models folder, and beside it CLIP, BLIP and OFA."""
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNPROMPT_MODELS", str(folder / "models"))
        _write_regressor(folder)
        _write_clip(folder)
        write_captioner("blip", folder / "blip")
        sizes = ofa_config(image_bucket_size=30)  # sees 480 pixels
        write_ofa(folder / "ofa", ofa_weights(sizes), sizes)
        write_lists(folder / "lists", trendings=["trending on a wall"])
        yield folder


@pytest.fixture
def preset(models: Path, tmp_path: Path) -> Path:
    """The preset of the package, with tiny models in place of the large ones."""
    text = preset_path("published").read_text()
    for name, tiny in {
        '"ViT-H-14.laion2b_s32b_b79k"': f'"{CLIP}"\nweights = "{models / "clip.safetensors"}"\ncache = "{models}"',
        '"blip-large"': f'"local:{models / "blip"}"',
        '"ofa-large-caption"': f'"ofa-large-caption"\nweights = "{models / "ofa"}"',
        '["clip-interrogator"]': f'["{models / "lists"}"]',
    }.items():
        assert text.count(name) == 1
        text = text.replace(name, tiny)
    path = tmp_path / "published.toml"
    path.write_text(text)
    return path


def _write_regressor(folder: Path) -> None:
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("test_vit", num_classes=EMBEDDING_SIZE, img_size=224)
    torch.save(network.state_dict(), folder / "best.pth")
    place = folder / "models" / REGRESSOR
    told = {"architecture": "test_vit", "preprocessing": "published", "name": REGRESSOR, "licence": "MIT"}
    convert_checkpoint(folder / "best.pth", place, **told)


def _write_clip(folder: Path) -> None:
    """A small architecture of open_clip's, which it takes up by name, and its weights."""
    import open_clip

    config = {"embed_dim": 40, "vision_cfg": VISION, "text_cfg": TEXT}
    (folder / "architectures").mkdir()
    (folder / "architectures" / f"{CLIP}.json").write_text(json.dumps(config))
    open_clip.add_model_config(folder / "architectures")
    with quiet():
        model = open_clip.create_model(CLIP, load_weights=False)
    state = {name: value.contiguous() for name, value in shaken(model).state_dict().items()}
    save_file(state, folder / "clip.safetensors")


def _answers(preset: Path, pictures: list[str], **options: Any) -> list[Prediction]:
    answers = list(unprompt.load(preset, **options).predict(pictures, ignore_metadata=True))
    assert all(isinstance(answer, Prediction) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Prediction)]


def _regressed(picture: str) -> Vector:
    """What the regressor says, without any of the code around it: both sides of the picture, averaged."""
    (ref,) = image_refs([picture])
    pixels = decode(ref, read_metadata=False).pixels  # type: ignore[union-attr]
    sides = np.stack([preprocess(pixels, PUBLISHED_VIT), preprocess(pixels[:, ::-1].copy(), PUBLISHED_VIT)])
    with torch.inference_mode():
        vectors = load_network(find_model(REGRESSOR))(torch.from_numpy(sides)).double().numpy()
    mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
    unit: Vector = mean / np.linalg.norm(mean)
    return unit


def _fused(*parts: tuple[float, Vector]) -> Vector:
    total = sum(weight * np.asarray(vector, np.float64) for weight, vector in parts)
    unit: Vector = total / np.linalg.norm(total)
    return unit


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Runs the command line, which is to end well; returns what it said."""
    from unprompt.cli.main import main

    def command(*arguments: str) -> tuple[str, str]:
        monkeypatch.setattr(sys, "argv", ["unprompt", *arguments])
        assert main() == 0
        return capsys.readouterr()

    return command


def _minilm(text: str) -> Vector:
    return SentenceEncoder.embedded(1).encode([text])[0]


@pytest.fixture
def pictures(examples: Path) -> list[str]:
    return [str(examples / name) for name in ("coffee.jpg", "chelsea.jpg")]


def test_the_package_says_what_the_notebook_says() -> None:
    preset = load_preset("published")
    assert [member.weight for member in preset.members] == pytest.approx(WEIGHTS, abs=1e-12)
    regressor, interrogator, captioner = preset.members
    assert regressor.options == RegressorOptions(views=("whole", "mirrored"))
    assert isinstance(interrogator.options, InterrogatorOptions)
    assert interrogator.options.mode == "published"
    assert captioner.options == CaptionerOptions(suffix=SUFFIX)


def test_the_vector_is_the_weighted_sum_of_the_members(preset: Path, pictures: list[str]) -> None:
    for picture, answer in zip(pictures, _answers(preset, pictures, threads=1), strict=True):
        regressor, interrogator, captioner = answer.votes
        assert [vote.member for vote in answer.votes] == ["regressor", "interrogator", "captioner"]
        assert [vote.weight for vote in answer.votes] == pytest.approx(WEIGHTS, abs=1e-12)
        seen, told, said = _regressed(picture), _minilm(interrogator.texts[0]), _minilm(captioner.texts[0])
        assert np.abs(regressor.vector - seen).max() < 1e-6
        assert np.abs(interrogator.vector - told).max() < 1e-6
        assert np.abs(captioner.vector - said).max() < 1e-6
        expected = _fused((WEIGHTS[0], seen), (WEIGHTS[1], told), (WEIGHTS[2], said))
        assert np.abs(answer.vector - expected).max() < 1e-6
        assert captioner.texts[0].endswith(SUFFIX)
        assert [term.category for term in interrogator.terms][:2] == ["mediums", "movements"]
        assert len(interrogator.terms) == 5
        texts = {candidate.text for candidate in answer.candidates}
        assert answer.prompt in texts
        assert set(answer.model["models"]) >= {REGRESSOR, CLIP, "ofa-large-caption"}
        assert "missing" not in answer.model


def test_the_command_line_answers_as_python_does(
    preset: Path, pictures: list[str], run: Callable[..., tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # --offline sets it, and here it is to be as before in the end
    out, _ = run(*pictures, "--preset", str(preset), "--embedding", "--format", "jsonl", "--offline")
    records = [json.loads(line) for line in out.splitlines()]
    for record, answer in zip(records, _answers(preset, pictures), strict=True):
        assert record["prompt"] == answer.prompt
        assert [vote["weight"] for vote in record["votes"]] == pytest.approx(WEIGHTS, abs=1e-4)
        assert [vote.get("text") for vote in record["votes"]] == [next(iter(vote.texts), None) for vote in answer.votes]
        assert np.abs(np.array(record["embedding"]) - answer.vector).max() < 1e-5
        assert record["model"]["preset"] == "published"


def _captioners(unprompter: Unprompter) -> tuple[TorchCaptioner, TorchCaptioner]:
    _, interrogator, captioner = unprompter.members
    assert isinstance(interrogator, InterrogatorMember)
    assert isinstance(interrogator.interrogator.captioner, TorchCaptioner)
    assert isinstance(captioner, CaptionerMember)
    return interrogator.interrogator.captioner, captioner.captioner


def _say_the_same(unprompter: Unprompter, preset: Path, pictures: list[str]) -> None:
    answers = list(unprompter.predict(pictures, ignore_metadata=True, batch_size=1))
    for answer, expected in zip(answers, _answers(preset, pictures), strict=True):
        assert isinstance(answer, Prediction)
        assert np.array_equal(answer.vector, expected.vector)
        assert answer.prompt == expected.prompt


def test_members_that_take_turns_say_the_same_and_leave(preset: Path, pictures: list[str]) -> None:
    turns = preset.with_name("turns.toml")
    turns.write_text(f"take_turns = true\n{preset.read_text()}")
    together, apart = unprompt.load(preset), unprompt.load(turns)
    for unprompter in (together, apart):
        _say_the_same(unprompter, preset, pictures)
    assert None not in [captioner._writer.held for captioner in _captioners(together)]
    assert [captioner._writer.held for captioner in _captioners(apart)] == [None, None]


def test_a_captioner_leaves_when_the_next_member_needs_the_room(
    preset: Path, pictures: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    unprompter = unprompt.load(preset)
    blip, ofa = _captioners(unprompter)
    source = ofa._source
    tries = []

    def load(device: torch.device) -> Writer:
        """The device has room for one of both."""
        tries.append(blip._writer.held is None)
        if blip._writer.held is not None:
            raise torch.OutOfMemoryError("no room")
        return source.load(device)

    ofa._source = WriterSource(load, source.identify)
    _say_the_same(unprompter, preset, pictures)
    assert tries[0] is False
    assert tries[-2:] == [True, True]  # two batches, which may have tried at once before
    assert (blip._writer.held, ofa._writer.held) == (None, None)
    assert [record.getMessage() for record in caplog.records] == [
        "captioner: the device has no room for ofa-large-caption; free its memory or hide it (CUDA_VISIBLE_DEVICES=), "
        "or take a smaller captioner; the members take turns on it from now on, which is slower"
    ]


def test_a_captioner_without_room_of_its_own_is_an_error_that_names_it(preset: Path, pictures: list[str]) -> None:
    unprompter = unprompt.load(preset)
    _, ofa = _captioners(unprompter)

    def load(device: torch.device) -> Writer:
        raise torch.OutOfMemoryError("no room")

    ofa._source = WriterSource(load, ofa._source.identify)
    with pytest.raises(NoRoomError, match="captioner: the device has no room for ofa-large-caption; free its memory"):
        list(unprompter.predict(pictures, ignore_metadata=True))


def test_a_missing_member_is_an_error_before_any_picture(preset: Path, models: Path) -> None:
    lacking = preset.with_name("lacking.toml")
    lacking.write_text(preset.read_text().replace(str(models / "ofa"), str(models / "nothing")))
    with pytest.raises(ModelError, match=r"expected a captioner's folder with a config\.json at .*nothing"):
        unprompt.load(lacking)


def test_with_allow_missing_the_rest_goes_on_and_says_so(
    preset: Path, models: Path, pictures: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lacking = preset.with_name("lacking.toml")
    lacking.write_text(preset.read_text().replace(str(models / "ofa"), str(models / "nothing")))
    answers = _answers(lacking, pictures, allow_missing=True)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "unprompt goes on without the member captioner"
    ]
    for picture, answer in zip(pictures, answers, strict=True):
        regressor, interrogator = answer.votes
        assert (regressor.weight, interrogator.weight) == pytest.approx((0.7488 / 0.96, 0.2112 / 0.96), abs=1e-12)
        expected = _fused((0.7488, _regressed(picture)), (0.2112, _minilm(interrogator.texts[0])))
        assert np.abs(answer.vector - expected).max() < 1e-6
        assert list(answer.model["missing"]) == ["captioner"]
        assert "nothing" in answer.model["missing"]["captioner"]


def test_nobody_left_is_the_error_of_all(preset: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = preset.with_name("lacking.toml")
    text = preset.read_text().replace(f'"{models / "ofa"}"', f'"{models / "nothing"}"')
    lacking.write_text(text.replace("clip.safetensors", "no-clip.safetensors"))
    monkeypatch.setenv("UNPROMPT_MODELS", str(models / "nothing"))
    with pytest.raises(
        ModelError, match=r"the member regressor: .*the member interrogator: .*the member captioner: "
    ) as told:
        unprompt.load(lacking, allow_missing=True)
    assert "make it with 'unprompt models convert CHECKPOINT" in str(told.value)
    assert "no-clip.safetensors" in str(told.value)


def test_show_lists_every_file(preset: Path, run: Callable[..., tuple[str, str]]) -> None:
    out, err = run("presets", "show", str(preset))
    for part in ("regressor", "0.7488", "interrogator", "0.2112", "captioner", "0.0400", REGRESSOR, CLIP):
        assert part in out
    for file in ("clip.safetensors", "pytorch_model.bin", "vocab.json", "merges.txt", "model.safetensors"):
        assert file in out
    assert "; nothing is missing\n" in out
    assert err == ""
    lacking = preset.with_name("lacking.toml")
    lacking.write_text(preset.read_text().replace("clip.safetensors", "no-clip.safetensors"))
    out, err = run("presets", "show", str(lacking))
    assert "missing" in next(line for line in out.splitlines() if "no-clip.safetensors" in line)
    assert "no-clip.safetensors" in err
