"""Checkpoint folders: read whole and only whole."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from unprompt.errors import ModelError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
pytest.importorskip("safetensors.torch")

from tiny_ofa import config, load, vocabulary, weights, write  # noqa: E402
from torch import Tensor  # noqa: E402

from unprompt.captioners.ofa.checkpoint import fill, read_texts  # noqa: E402
from unprompt.captioners.ofa.configuration import RESNETS, Configuration  # noqa: E402
from unprompt.captioners.ofa.files import CONFIG, MERGES, VOCABULARY, bring_files, find_files  # noqa: E402
from unprompt.models.networks.torchvision_cure import cure_torchvision  # noqa: E402

State = dict[str, Tensor]


class Touch:
    """Pickled, it makes whoever reads it run a command."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


@pytest.fixture(scope="module")
def state() -> State:
    return weights(config())


@pytest.mark.parametrize("safe", [False, True])
def test_a_folder_in_either_format(tmp_path: Path, state: State, safe: bool) -> None:
    files = find_files(write(tmp_path, state, config(), safe=safe))
    network, tokenizer = load(files)
    held = network.state_dict()
    assert torch.equal(held["embed_tokens.weight"], state["encoder.embed_tokens.weight"])
    same = [name for name in held if name in state and "embed_images" not in name]
    assert len(same) > 100
    assert all(torch.equal(held[name], state[name]) for name in same)
    assert not any(value.is_meta or value.requires_grad for value in held.values())
    assert tokenizer.decode(tokenizer.encode(" the cat")) == "the cat"


def test_safetensors_come_first(tmp_path: Path, state: State) -> None:
    write(tmp_path, state, config(), safe=True)
    (tmp_path / "pytorch_model.bin").write_bytes(b"no weights")
    assert find_files(tmp_path).weights.name == "model.safetensors"


def test_what_captions_do_not_need_may_be_left_out(state: State) -> None:
    whole = fill(Configuration.from_config(config()), state).state_dict()
    needed = {
        name: value
        for name, value in state.items()
        if name not in ("decoder.embed_tokens.weight", "decoder.output_projection.weight")
        and not name.startswith(("decoder.image_", "decoder.embed_image_", "decoder.code_"))
        and not name.endswith(("_bucket", "num_batches_tracked"))
    }
    assert len(needed) < len(state) - 8
    lean = fill(Configuration.from_config(config()), needed).state_dict()
    assert all(torch.equal(lean[name], whole[name]) for name in whole)


@pytest.mark.parametrize("kind", ["resnet50", "resnet101", "resnet152"])
def test_batch_norms_are_folded_into_convolutions(kind: str) -> None:
    cure_torchvision()
    from torchvision.models import resnet

    settings = config(resnet_type=kind, encoder_layers=1, decoder_layers=1)
    state = weights(settings)
    network = fill(Configuration.from_config(settings), state)
    whole = resnet.ResNet(resnet.Bottleneck, [*RESNETS[kind], 1]).eval()
    prefix = "encoder.embed_images."
    own = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    lacking, unknown = whole.load_state_dict(own, strict=False)
    assert not unknown
    assert all(name.startswith(("layer4.", "fc.")) or "num_batches" in name for name in lacking)
    front = [whole.conv1, whole.bn1, whole.relu, whole.maxpool, whole.layer1, whole.layer2, whole.layer3]
    with torch.inference_mode():
        pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        expected = torch.nn.Sequential(*front)(pixels)
        found = network.encoder.embed_images(pixels)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


def _without(*names: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name not in names}


def _with(**more: tuple[int, ...]) -> Callable[[State], State]:
    return lambda state: {**state, **{name.replace("__", "."): torch.zeros(shape) for name, shape in more.items()}}


def _as(name: str, dtype: torch.dtype) -> Callable[[State], State]:
    return lambda state: {**state, name: state[name].to(dtype)}


def _holding(name: str, number: float) -> Callable[[State], State]:
    def change(state: State) -> State:
        value = state[name].clone()
        value.view(-1)[7] = number
        return {**state, name: value}

    return change


def _all_nan(state: State) -> State:
    return {name: value * torch.nan if value.is_floating_point() else value for name, value in state.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("encoder.layers.1.fc1.bias"), "missing: encoder.layers.1.fc1.bias$"),
        (_without("encoder.embed_images.layer2.0.bn3.running_var"), r"missing: encoder\S+layer2.0.bn3.running_var$"),
        (_without("encoder.embed_images.layer1.0.downsample.1.bias"), r"missing: encoder\S+downsample.1.bias$"),
        (_without("encoder.embed_tokens.weight"), "missing: encoder.embed_tokens.weight"),
        (_with(encoder__layers__2__fc1__bias=(64,)), "unknown: encoder.layers.2.fc1.bias$"),
        (_with(encoder__embed_images__conv1__bias=(64,)), "unknown: encoder.embed_images.conv1.bias$"),
        (_with(embed_tokens__weight=(8, 8)), "unknown: embed_tokens.weight$"),
        (_with(decoder__pos_ln__weight=(33,)), r"decoder.pos_ln.weight \(33,\) in place of \(32,\)$"),
        (
            _as("decoder.layers.1.fc1.weight", torch.int8),
            r"no floating-point numbers: decoder\.layers\.1\.fc1\.weight \(int8\)$",
        ),
        (
            _as("encoder.embed_images.conv1.weight", torch.complex64),
            r"encoder\.embed_images\.conv1\.weight \(complex64\)$",
        ),
        (_holding("encoder.layers.0.fc2.bias", torch.nan), r"not finite: encoder\.layers\.0\.fc2\.bias$"),
        (_holding("encoder.embed_tokens.weight", torch.inf), r"not finite: encoder\.embed_tokens\.weight$"),
        (_all_nan, "not finite: .* more$"),
        (_with(decoder__output_projection__weight=(9460, 32)), "decoder.output_projection.weight unlike encoder.embed"),
    ],
)
def test_weights_of_another_model_are_named(state: State, change: Callable[[State], State], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        fill(Configuration.from_config(config()), change(state))


def test_large_numbers_are_finite(state: State) -> None:
    """The sum of these is not."""
    large = {**state, "encoder.layers.0.fc2.bias": torch.full_like(state["encoder.layers.0.fc2.bias"], 3e38)}
    held = fill(Configuration.from_config(config()), large).state_dict()
    assert (held["encoder.layers.0.fc2.bias"] == 3e38).all()


def test_texts_are_read_without_the_weights(tmp_path: Path, state: State) -> None:
    files = find_files(write(tmp_path, state, config()))
    files.weights.write_bytes(b"")
    sizes, tokenizer = read_texts(files)
    assert sizes == Configuration.from_config(config())
    assert tokenizer.decode(tokenizer.encode(" the cat")) == "the cat"


def test_a_config_of_another_size(tmp_path: Path, state: State) -> None:
    files = find_files(write(tmp_path, state, config(encoder_layers=3)))
    with pytest.raises(ModelError, match=r"missing: encoder.layers.2.self_attn.c_attn, .* more"):
        load(files)


def test_a_tokenizer_of_another_model(tmp_path: Path, state: State) -> None:
    files = find_files(write(tmp_path, state, config()))
    more = {**vocabulary(), "more": len(vocabulary())}
    files.vocabulary.write_text(json.dumps(more), encoding="utf-8")
    with pytest.raises(
        ModelError, match=r"vocab.json does not belong to the model: expected 9460 tokens .* found 9461"
    ):
        load(files)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path: Path, state: State) -> None:
    sign = tmp_path / "sign"
    files = find_files(write(tmp_path, state, config()))
    torch.save({**state, "extra": Touch(sign)}, files.weights)
    with pytest.raises(ModelError, match=r"asks to call \w+\.system when it is read"):
        load(files)
    assert not sign.exists()
    torch.load(files.weights, weights_only=False)  # it is a hostile file indeed
    assert sign.exists()


@pytest.mark.parametrize("safe", [False, True])
def test_weights_cut_short(tmp_path: Path, state: State, safe: bool) -> None:
    files = find_files(write(tmp_path, state, config(), safe=safe))
    whole = files.weights.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 100):
        files.weights.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=files.weights.name):
            load(files)


@pytest.mark.parametrize("name", [CONFIG, VOCABULARY])
@pytest.mark.parametrize("content", [b"", b'{"model_type": ', b"\xff\xfe\x00", b"[" * 100_000])
def test_texts_that_cannot_be_read(tmp_path: Path, state: State, name: str, content: bytes) -> None:
    files = find_files(write(tmp_path, state, config()))
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load(files)


def test_a_text_that_is_far_too_large(tmp_path: Path, state: State) -> None:
    files = find_files(write(tmp_path, state, config()))
    with files.merges.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ModelError, match=r"expected at most 16 MB in .*merges.txt"):
        load(files)


def test_what_a_folder_lacks_is_named_at_once(tmp_path: Path, state: State) -> None:
    write(tmp_path, state, config())
    for name in (MERGES, CONFIG, "pytorch_model.bin"):
        (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=r"lacks config.json, merges.txt, model.safetensors or pytorch_model.bin"):
        find_files(tmp_path)
    with pytest.raises(ModelError, match="expected a checkpoint of OFA at"):
        find_files(tmp_path / "nowhere")


def test_a_repository_without_the_network() -> None:
    with pytest.raises(
        ModelError,
        match=r"the weights of ofa-tiny are not here: expected config\.json, vocab\.json, merges\.txt, "
        r"model\.safetensors or pytorch_model\.bin of OFA-Sys/ofa-tiny .*HF_HUB_OFFLINE.* "
        r"or name a folder that you have \(local:FOLDER\)$",
    ):
        bring_files("OFA-Sys/ofa-tiny", "ofa-tiny")
