"""Loads published checkpoints of OFA into the network (torch)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from unprompt.captioners.ofa.configuration import Configuration
from unprompt.captioners.ofa.files import CONFIG, CheckpointFiles
from unprompt.captioners.ofa.network import Network
from unprompt.captioners.ofa.tokenizer import OfaTokenizer
from unprompt.errors import DataError, ModelError
from unprompt.models.networks.start_weights import differences
from unprompt.models.store.checkpoint import read_checkpoint

_LARGEST_TEXT_MB = 16
"""Maximum size of config, vocabulary and merges; published ones have about one MB."""

_WORDS = "encoder.embed_tokens.weight"
_TIED = ("decoder.embed_tokens.weight", "decoder.output_projection.weight")
"""Other names under which checkpoints repeat the word embedding."""

_UNUSED = re.compile(
    r"(encoder|decoder)\.(token_rp_bucket|image_rp_bucket|image_position_idx|version)"  # computed here, or metadata
    r"|.*\.num_batches_tracked"  # needed for training only
    r"|decoder\.(embed_image_positions|image_pos_ln|code_layernorm_embedding|image_rel_pos_table_list\.\d+)\..*"
)
"""Entries of a checkpoint that captioning does not need; the last group is for generating pictures."""

_NORM_EPSILON = 1e-5
_NORM = ("weight", "bias", "running_mean", "running_var")


def read_texts(files: CheckpointFiles) -> tuple[Configuration, OfaTokenizer]:
    """Read sizes and tokenizer, but no weights. Raises ModelError if files are damaged or do not belong together."""
    config = _read_config(files.config)
    return config, OfaTokenizer(_read_text(files.vocabulary), _read_text(files.merges), config.vocab_size)


def load_network(files: CheckpointFiles, config: Configuration, dtype: torch.dtype) -> Network:
    """The network with its weights. Raises ModelError if their file is damaged, and like `fill`."""
    try:
        state = read_checkpoint(files.weights)
    except DataError as error:
        raise ModelError(str(error)) from error
    return fill(config, state, dtype)


def fill(config: Configuration, state: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> Network:
    """The network with the weights of a published state dict.

    Raises ModelError, which names the weights, if any are missing, unknown, of another shape or not finite
    floating-point numbers, or if encoder and decoder have different word embeddings.
    """
    own = {name: value for name, value in state.items() if name not in _TIED and not _UNUSED.fullmatch(name)}
    if faults := differences(expected_weights(config), own):
        raise ModelError(f"the weights are not those of the OFA in {CONFIG}: {faults}")
    if untied := [name for name in _TIED if name in state and not torch.equal(state[name], own[_WORDS])]:
        raise ModelError(f"expected one embedding of words; found {' and '.join(untied)} unlike {_WORDS}")
    with torch.device("meta"):
        network = Network(config)
    network.load_state_dict(dict(_folded(network, own, dtype)), assign=True)
    return network.eval().requires_grad_(False)


def expected_weights(config: Configuration) -> dict[str, Tensor]:
    """The weights that a checkpoint must hold, under its own names, as tensors on the device "meta"."""
    with torch.device("meta"):
        network = Network(config)
    expected: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        norm = _norm_of(name)
        if norm and name.endswith("bias"):  # convolutions have no bias until norms are folded in
            expected |= {f"{norm}.{part}": value for part in _NORM}
        else:
            expected[_published_name(name)] = value
    return expected


def _read_config(path: Path) -> Configuration:
    try:
        return Configuration.from_config(json.loads(_read_text(path)))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_TEXT_MB << 20:
            raise ModelError(f"expected at most {_LARGEST_TEXT_MB} MB in {path}; is it what its name says?")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def _folded(network: Network, state: Mapping[str, Tensor], dtype: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """The network's weights by its own names, with batch norms folded into the convolutions before them."""
    for name in network.state_dict():
        norm = _norm_of(name)
        if not norm:
            yield name, state[_published_name(name)].to(dtype)
            continue
        weight, bias, mean, variance = (state[f"{norm}.{part}"].double() for part in _NORM)
        scale = weight / (variance + _NORM_EPSILON).sqrt()
        if name.endswith("bias"):
            yield name, (bias - mean * scale).to(dtype)
        else:
            scaled = state[name].double() * scale[:, None, None, None]
            # In this layout convolutions are fastest, by far so on a GPU.
            yield name, scaled.to(dtype, memory_format=torch.channels_last)


def _published_name(name: str) -> str:
    return _WORDS if name == "embed_tokens.weight" else name


def _norm_of(name: str) -> str:
    """The batch norm that follows the convolution with this weight or bias; empty for any other name."""
    found = re.fullmatch(r"(encoder\.embed_images\..*?)(?:conv(\d)|downsample\.0)\.(?:weight|bias)", name)
    if not found:
        return ""
    return found[1] + (f"bn{found[2]}" if found[2] else "downsample.1")
