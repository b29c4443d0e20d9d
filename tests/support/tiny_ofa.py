"""A tiny OFA with seeded weights, in the files of a published checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from unprompt.captioners.ofa.checkpoint import expected_weights, load_network, read_texts
from unprompt.captioners.ofa.configuration import Configuration
from unprompt.captioners.ofa.files import CONFIG, MERGES, VOCABULARY, CheckpointFiles
from unprompt.captioners.ofa.network import Network
from unprompt.captioners.ofa.tokenizer import OfaTokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PAIRS = ["Ġ a", "Ġ t", "h e", "Ġt he", "c a", "ca t", "Ġ cat"]
"""Merges, as merges.txt has them."""


def byte_letters() -> list[str]:
    """The letters by which byte-pair encoding writes the 256 bytes."""
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def vocabulary() -> dict[str, int]:
    merged = [pair.replace(" ", "") for pair in PAIRS]
    return {token: place for place, token in enumerate([*SPECIAL, *byte_letters(), *merged, "<mask>"])}


def config(**changes: Any) -> dict[str, Any]:
    sizes: dict[str, Any] = {
        "model_type": "ofa",
        "vocab_size": len(vocabulary()) + 9192,  # codes and bins
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 64,
        "decoder_ffn_dim": 64,
        "max_position_embeddings": 48,
        "token_bucket_size": 16,
        "image_bucket_size": 6,
        "resnet_type": "resnet50",
        "architectures": ["OFAModel"],
        "dropout": 0.1,
    }
    return {**sizes, **changes}


def weights(settings: Mapping[str, Any], seed: int = 9) -> dict[str, Tensor]:
    """Random weights under the names of a published checkpoint, with all that captions do not need.

    Those of seed 9 make captions of many lengths.
    """
    generator = torch.Generator().manual_seed(seed)
    shapes = {name: tuple(value.shape) for name, value in expected_weights(Configuration.from_config(settings)).items()}
    size, heads, buckets = settings["d_model"], settings["decoder_attention_heads"], settings["image_bucket_size"]
    shapes["decoder.embed_image_positions.weight"] = (buckets**2 + 1, size)
    for layer in range(settings["decoder_layers"]):
        shapes[f"decoder.image_rel_pos_table_list.{layer}.weight"] = ((2 * buckets - 1) ** 2 + 3, heads)
    for norm in ("image_pos_ln", "code_layernorm_embedding"):
        shapes |= {f"decoder.{norm}.{part}": (size,) for part in ("weight", "bias")}
    state = {name: _random(name, shape, generator) for name, shape in shapes.items()}
    state["encoder.token_rp_bucket"] = torch.zeros(8, 8, dtype=torch.long)
    state["decoder.image_position_idx"] = torch.zeros(8, dtype=torch.long)
    state["encoder.embed_images.bn1.num_batches_tracked"] = torch.tensor(7)
    state["decoder.embed_tokens.weight"] = state["encoder.embed_tokens.weight"]
    state["decoder.output_projection.weight"] = state["encoder.embed_tokens.weight"]
    return state


def _random(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    values = torch.randn(shape, generator=generator)
    if name.endswith("running_var"):
        return values.abs() + 0.5
    if len(shape) == 1:
        return (0.0 if name.endswith(("bias", "running_mean")) else 1.0) + 0.1 * values
    if name.endswith("embed_tokens.weight"):
        values[2] *= 6  # a loud end, so that captions have different lengths
        return 0.06 * values
    return values * torch.Size(shape[1:]).numel() ** -0.5


def load(files: CheckpointFiles, dtype: torch.dtype = torch.float32) -> tuple[Network, OfaTokenizer]:
    """The whole of a checkpoint."""
    sizes, tokenizer = read_texts(files)
    return load_network(files, sizes, dtype), tokenizer


def write(folder: Path, state: Mapping[str, Tensor], settings: Mapping[str, Any], *, safe: bool = False) -> Path:
    """A checkpoint's files, weights as pytorch_model.bin or, `safe`, as safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(settings))
    (folder / VOCABULARY).write_text(json.dumps(vocabulary()), encoding="utf-8")
    (folder / MERGES).write_text("\n".join(["#version: 0.2", *PAIRS]) + "\n", encoding="utf-8")
    if safe:
        save_file({name: value.clone() for name, value in state.items()}, folder / "model.safetensors")
    else:
        torch.save(dict(state), folder / "pytorch_model.bin")
    return folder
