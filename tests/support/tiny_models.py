"""Real models of tiny size with seeded weights, in real model folders, and presets that name them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from unprompt.answer.codebook import Codebook
from unprompt.answer.confidence import fitted_to
from unprompt.models.store.folder import ModelFolder, write_config
from unprompt.prediction import EMBEDDING_SIZE
from unprompt.presets import load_preset
from unprompt.unprompter import Unprompter

ORIGIN = "tests/tiny_models.py"
INPUT_SIZE = 32
PATCH = 8

PREPROCESSING = {
    "input_size": INPUT_SIZE,
    "resize": "squash",
    "interpolation": "bicubic",
    "crop": "center",
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
}


def regressor(path: Path, *, seed: int = 0) -> ModelFolder:
    """A model folder with a linear regressor on the mean colours of 16 patches."""
    from onnx import TensorProto, helper, numpy_helper

    features = 3 * (INPUT_SIZE // PATCH) ** 2
    weights = np.random.default_rng(seed).standard_normal((features, EMBEDDING_SIZE)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["pixels"], ["means"], kernel_shape=[PATCH] * 2, strides=[PATCH] * 2),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["vectors"], axis=1, p=2),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 3, INPUT_SIZE, INPUT_SIZE])
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", EMBEDDING_SIZE])
    graph = helper.make_graph(nodes, "tiny", [pixels], [vectors], [numpy_helper.from_array(weights, "weights")])
    path.mkdir(parents=True)
    _save(graph, path)
    config = {
        "name": path.name,
        "architecture": "linear",
        "licence": "MIT",
        "origin": ORIGIN,
        "preprocessing": PREPROCESSING,
    }
    return write_config(path, config, ["model.onnx"])


WORDS = ("a", "cat", "dog", "moon", "red", "blue", "painting", "of", "in", "the")


def decoder(path: Path, *, seed: int = 0) -> ModelFolder:
    """A model folder with a decoder: the next word depends on the last one and on the vector, by two matrices."""
    from onnx import TensorProto, helper, numpy_helper
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    vocabulary = {word: number for number, word in enumerate(("<start>", "<end>", *WORDS))}
    width, size = 16, len(vocabulary)
    generator = np.random.default_rng(seed)
    weights = {
        "embedding": generator.standard_normal((size, width)).astype(np.float32),
        "next": generator.standard_normal((width, size)).astype(np.float32),
        "wanted": 20 * generator.standard_normal((EMBEDDING_SIZE, size)).astype(np.float32),
        "length_axis": np.array([1]),
        "cache_axes": np.array([0, 1, 3]),
    }
    nodes = [
        helper.make_node("Gather", ["embedding", "tokens"], ["last"]),  # (batch, 1, width)
        helper.make_node("MatMul", ["last", "next"], ["by_word"]),
        helper.make_node("MatMul", ["vector", "wanted"], ["by_vector_flat"]),
        helper.make_node("Unsqueeze", ["by_vector_flat", "length_axis"], ["by_vector"]),
        helper.make_node("Add", ["by_word", "by_vector"], ["logits"]),
        helper.make_node("Unsqueeze", ["last", "cache_axes"], ["keys"]),  # (1, 1, batch, 1, 1, width)
        helper.make_node("Concat", ["keys", "keys"], ["keys_values"], axis=1),
        helper.make_node("Concat", ["past", "keys_values"], ["present"], axis=4),
    ]
    cache = [1, 2, "batch", 1, "before", width]
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["batch", 1]),
        helper.make_tensor_value_info("vector", TensorProto.FLOAT, ["batch", EMBEDDING_SIZE]),
        helper.make_tensor_value_info("past", TensorProto.FLOAT, cache),
    ]
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 1, size]),
        helper.make_tensor_value_info("present", TensorProto.FLOAT, [*cache[:4], "after", width]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    path.mkdir(parents=True)
    _save(graph, path)
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<end>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(["<start>", "<end>"])
    tokenizer.save(str(path / "tokenizer.json"))
    config = {"name": path.name, "architecture": "words", "max_length": 8, "licence": "MIT", "origin": ORIGIN}
    return write_config(path, config, ["model.onnx", "tokenizer.json"])


def _save(graph: Any, folder: Path) -> None:
    import onnx

    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")


def codebook(path: Path, *, seed: int = 0) -> ModelFolder:
    """A model folder with a codebook of 16 vectors."""
    raw = np.random.default_rng(seed).standard_normal((16, EMBEDDING_SIZE))
    vectors = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    path.mkdir(parents=True)
    config = {"name": path.name, "architecture": "codebook", "licence": "MIT", "origin": ORIGIN}
    return write_config(path, config, Codebook(vectors).write(path))


def with_codebook(preset: Path, path: Path, model: ModelFolder, *, share: float = 0.3, sharpness: float = 9.0) -> Path:
    """A copy of a preset file, with a codebook."""
    table = f"[codebook]\nmodel = {_local(model)}\nshare = {share}\nsharpness = {sharpness}\n"
    path.write_text(preset.read_text() + table)
    return path


def calibrated(preset: Path, path: Path, model: ModelFolder, **numbers: Any) -> Path:
    """A copy of a preset file that is calibrated by a codebook, with these numbers in place of others."""
    values = {"mean": 0.5, "low": -0.2, "high": 0.1, "blank": [0.1, 0.2, 0.3]} | numbers
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    signs = "[confidence.signs]\nnearest = [0.1, 0.1, 0.05]\n"
    table = f"[confidence]\ncodebook = {_local(model)}\nfitted_to = 'FITTED'\n{lines}{signs}"
    path.write_text(preset.read_text() + table)
    checked = load_preset(path)
    identities = Unprompter(replace(checked, confidence=None)).identity(text=False)["models"]
    path.write_text(path.read_text().replace("FITTED", fitted_to(checked, identities, model)))
    return path


def shapes(folder: Path, count: int) -> list[Path]:
    """Pictures of a shape on a gradient, all different, for where noise would be a picture of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[..., 0] = np.linspace(0, 255, 64).astype(np.uint8)[None]
        pixels[number % 40 : number % 40 + 20, 10 + number // 40 : 40, 1] = 55 + number
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def preset(path: Path, *models: ModelFolder, weights: tuple[float, ...] = (), requires: str = "[]") -> Path:
    """A preset file whose members are these regressors, with a tiny decoder beside it."""
    words = decoder(path.with_name(f"{path.stem}.words"))
    members = "".join(
        f'[[members]]\nkind = "regressor"\nname = "{model.name}"\nmodel = {_local(model)}\nweight = {weight}\n'
        for model, weight in zip(models, weights or (1.0,) * len(models), strict=True)
    )
    path.write_text(f"requires = {requires}\n{members}[wording]\ndecoder = {_local(words)}\n")
    return path


def _local(model: ModelFolder) -> str:
    """The model as TOML points at it; JSON quotes a path just so."""
    return json.dumps(f"local:{model.path}")


def pictures(folder: Path, count: int) -> list[Path]:
    """Pictures of noise, all different, in several sizes and formats."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(7)
    paths = []
    for number in range(count):
        size = (40 + 3 * number, 64, 3)
        path = folder / f"{number}.{('png', 'jpg', 'webp')[number % 3]}"
        Image.fromarray(generator.integers(0, 256, size, dtype=np.uint8)).save(path)
        paths.append(path)
    return paths
