"""A regressor refined: its vectors drawn towards those of a codebook of prompts, as the last step of its weights.

What a regressor answers lies between all that a picture could be, and so in places where no prompt is. The pull is part
of the ONNX model: nothing else needs to know of it, and it is computed as the rest is, a picture at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from unprompt.errors import DataError, ModelError
from unprompt.images.decode import Picture, decode
from unprompt.images.sources import ImageRef
from unprompt.models.engine import ONNX_WEIGHTS
from unprompt.models.folder import CARD, ModelFolder, check_replaceable, replacing, write_config
from unprompt.models.picture_encoder import PictureEncoder
from unprompt.prediction import EMBEDDING_SIZE, Vector
from unprompt.text.sentence import SentenceEncoder
from unprompt.training.codebook import Codebook, apart, condense
from unprompt.training.listening import Advance, ignore
from unprompt.training.pairs import Pairs
from unprompt.training.recipe import Data
from unprompt.training.texts import read_texts

OUTPUT = "vectors"
OWN = "codebook."
"""What all that is added is called by, to be found again."""

_SEEN = f"{OWN}seen"
_BATCH = 64  # pictures
_HEARD = 1024  # texts that are encoded before it is told


def refine_by_texts(
    source: ModelFolder,
    texts: Sequence[Path],
    validation: Path,
    folder: Path,
    *,
    size: int,
    sharpness: float,
    share: float,
    advance: Advance = ignore,
) -> ModelFolder:
    """Writes the model with a codebook of `size` vectors that stand for the texts of files; see `read_texts`.

    Texts that are similar to a prompt of the labelled pictures `validation` are left out, and the model is scored on
    these. Raises as `refine` does, and DataError where there are too few texts.
    """
    check_refinable(source, folder)
    empty = Codebook(np.empty((0, EMBEDDING_SIZE), np.float32), sharpness, share)  # refuses now, not after the encoding
    with tempfile.TemporaryDirectory() as cache:
        pairs = Pairs.read(str(validation), Data(decode_first=False), Path(cache), all_captions=False)
    vectors = apart(_encoded(read_texts(texts), advance), pairs.targets)
    codebook = replace(empty, vectors=condense(vectors, size, advance=advance))
    return refine(source, codebook, pairs, folder, prompts=len(vectors), advance=advance)


def check_refinable(source: ModelFolder, folder: Path) -> None:
    """Raises ModelError where `source` has no ONNX weights, or `folder` holds anything but a model."""
    check_replaceable(folder)
    if ONNX_WEIGHTS not in source.config["files"]:
        raise ModelError(f"model {source.name}: expected {ONNX_WEIGHTS}, found none; 'unprompt models export' makes it")


def refine(
    source: ModelFolder, codebook: Codebook, validation: Pairs, folder: Path, *, prompts: int, advance: Advance = ignore
) -> ModelFolder:
    """Writes the model with this codebook, in place of one that it may have, and scores it on labelled pictures.

    `prompts` is how many the codebook was made of. The card of a model in `folder` stays. Raises ModelError as
    `check_refinable` does, DataError where a picture cannot be read.
    """
    check_refinable(source, folder)
    model = onnx.load(str(source.file(ONNX_WEIGHTS)))
    add_codebook(model, codebook)
    told = {
        "size": len(codebook.vectors),
        "prompts": prompts,
        "sharpness": codebook.sharpness,
        "share": codebook.share,
    }
    with replacing(folder) as new:
        onnx.save(model, str(new / ONNX_WEIGHTS))
        config = {**source.config, "name": folder.name, "codebook": told}
        written = write_config(new, config, [ONNX_WEIGHTS])
        config["score"] = {key: round(value, 4) for key, value in _score(written, validation, advance).items()}
        write_config(new, config, [ONNX_WEIGHTS])
        card = folder / CARD
        if card.is_file():
            (new / CARD).write_bytes(card.read_bytes())
    return ModelFolder.open(folder)


def add_codebook(model: Any, codebook: Codebook) -> None:
    """Makes `Codebook.draw` the last step of an ONNX model whose output is unit vectors (batch, 384).

    The codebook is stored as int8 with one scale a row. One that is there already is removed first.
    """
    graph = model.graph
    _remove_codebook(graph)
    for node in graph.node:
        _rename_outputs(node, OUTPUT, _SEEN)
    scale = np.abs(codebook.vectors).max(axis=1, keepdims=True) / 127
    stored = {
        "int8": np.round(codebook.vectors / scale).astype(np.int8),
        "scale": scale.astype(np.float32),
        "share": np.array(codebook.share, np.float32),
        "rest": np.array(1 - codebook.share, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(values, OWN + name) for name, values in stored.items())
    graph.node.extend(_steps(codebook.sharpness))
    onnx.checker.check_model(model)


def _steps(sharpness: float) -> list[Any]:
    """The nodes, from the vectors as the regressor sees them to those that it answers."""
    wide, rows, cosines, weights, mean, towards, pull, rest, both = (
        OWN + name for name in ("wide", "rows", "cosines", "weights", "mean", "towards", "pull", "rest_seen", "both")
    )
    return [
        helper.make_node("Cast", [f"{OWN}int8"], [wide], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", [wide, f"{OWN}scale"], [rows]),
        helper.make_node("Gemm", [_SEEN, rows], [cosines], alpha=float(sharpness), transB=1),
        helper.make_node("Softmax", [cosines], [weights], axis=-1),
        helper.make_node("MatMul", [weights, rows], [mean]),
        helper.make_node("LpNormalization", [mean], [towards], axis=-1, p=2),
        helper.make_node("Mul", [towards, f"{OWN}share"], [pull]),
        helper.make_node("Mul", [_SEEN, f"{OWN}rest"], [rest]),
        helper.make_node("Add", [pull, rest], [both]),
        helper.make_node("LpNormalization", [both], [OUTPUT], axis=-1, p=2),
    ]


def _remove_codebook(graph: Any) -> None:
    """Leaves the model as it was before one was added."""
    nodes = [node for node in graph.node if not any(name.startswith(OWN) for name in node.input)]
    weights = [tensor for tensor in graph.initializer if not tensor.name.startswith(OWN)]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(weights)
    for node in graph.node:
        _rename_outputs(node, _SEEN, OUTPUT)


def _rename_outputs(node: Any, old: str, new: str) -> None:
    node.output[:] = [new if name == old else name for name in node.output]


def _encoded(texts: Sequence[str], advance: Advance) -> Vector:
    encoder = SentenceEncoder.embedded()
    parts: list[Vector] = []
    for at in range(0, len(texts), _HEARD):
        parts.append(encoder.encode(texts[at : at + _HEARD]))
        advance("encoding texts", at + len(parts[-1]), len(texts))
    return np.concatenate(parts)


def _score(model: ModelFolder, pairs: Pairs, advance: Advance) -> dict[str, float]:
    """See `Pairs.score`; as prediction goes."""
    encoder = PictureEncoder(model)
    vectors: list[Vector] = []
    for at in range(0, len(pairs.pictures), _BATCH):
        refs = pairs.pictures[at : at + _BATCH]
        vectors.append(encoder.encode([_picture(ref, encoder.shorter_side) for ref in refs]))
        advance("scoring", at + len(refs), len(pairs.pictures))
    return pairs.score(np.concatenate(vectors))


def _picture(ref: ImageRef, shorter_side: int | None) -> Picture:
    picture = decode(ref, shorter_side=shorter_side, read_metadata=False)
    if not isinstance(picture, Picture):
        raise DataError(f"{picture.source}: {picture.message}")
    return picture
