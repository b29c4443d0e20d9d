"""Saves and loads model folders for torch: trained or converted networks before they are exported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from unprompt.errors import DataError, ModelError, UnknownNameError
from unprompt.images.preprocess import Preprocessing, View
from unprompt.models.networks.backbones import build_backbone, plan_backbone
from unprompt.models.networks.start_weights import differences, read_shapes
from unprompt.models.regressors.regressor_network import NO_CONCEPTS, ConceptSpec, HeadSpec, RegressorNetwork
from unprompt.models.store.folder import CARD, ModelFolder, replacing, write_config
from unprompt.models.store.image_model import CONCEPTS, TORCH_WEIGHTS, preprocessing_of


def save_network(
    network: RegressorNetwork,
    folder: Path,
    *,
    name: str,
    preprocessing: Preprocessing,
    licence: str,
    origin: str,
    score: Mapping[str, Any],
    card: str,
    views: Sequence[View] = ("whole",),
    every_pixel: bool = False,
    concepts: Sequence[str] = (),
) -> ModelFolder:
    """Write a model folder: weights, config and `card` as its README.md; a kill leaves the old folder whole.

    `concepts` are the names for the outputs of the concept head. `views` of a picture are averaged at prediction; with
    `every_pixel` a picture is not reduced during decoding, which would be faster and nearly the same. Raises ModelError
    if `folder` holds anything but a model, DataError if the network takes pictures of another size than `preprocessing`
    makes.
    """
    backbone = network.backbone
    if preprocessing.input_size != backbone.preprocessing.input_size:
        raise DataError(
            f"{name} takes pictures of {backbone.preprocessing.input_size} pixels; its preprocessing makes them "
            f"{preprocessing.input_size}"
        )
    config = {
        "name": name,
        "architecture": backbone.name,
        "options": backbone.options,
        "features": backbone.features,
        "head": network.head.spec.to_config(),
        "preprocessing": preprocessing.to_config(),
        "views": list(views),
        "every_pixel": every_pixel,
        **({} if network.concept_head is None else {"concept_head": network.concept_head.spec.to_config()}),
        "sizes": {"features": backbone.size, "parameters": sum(value.numel() for value in network.parameters())},
        "licence": licence,
        "origin": origin,
        "score": dict(score),
    }
    with replacing(folder) as new:
        state = {key: value.detach().cpu().contiguous().clone() for key, value in network.state_dict().items()}
        save_file(state, new / TORCH_WEIGHTS)
        (new / CARD).write_text(card, encoding="utf-8")
        files = [TORCH_WEIGHTS]
        if concepts:
            (new / CONCEPTS).write_text("".join(f"{name}\n" for name in concepts), encoding="utf-8")
            files.append(CONCEPTS)
        write_config(new, config, files)
    return ModelFolder.open(folder)


def load_network(folder: ModelFolder) -> RegressorNetwork:
    """Load the network of a folder that `save_network` wrote, on the CPU and ready to predict.

    Its files are checked against their hashes. Raises ModelError if the folder holds another kind of model or is
    damaged.
    """
    path = folder.file(TORCH_WEIGHTS)
    config = folder.config
    try:
        head = HeadSpec.from_config(config.get("head"))
        concepts = ConceptSpec.from_config(config["concept_head"]) if "concept_head" in config else NO_CONCEPTS
        preprocessing = preprocessing_of(folder)
        sizes: dict[str, Any] = {
            "features": str(config.get("features")),
            "input_size": preprocessing.input_size,
            "options": _table(config, "options"),
        }
        # A config for a huge network is refused before the network is built.
        plan = plan_backbone(str(config["architecture"]), **sizes)
        with torch.device("meta"):
            expected = RegressorNetwork(plan, head, concepts).state_dict()
        if faults := differences(expected, read_shapes(path)):
            raise DataError(f"{TORCH_WEIGHTS} does not fit to the config: {faults}")
        network = RegressorNetwork(build_backbone(str(config["architecture"]), **sizes), head, concepts)
    except (DataError, UnknownNameError) as error:
        raise ModelError(f"model {folder.name}: {error}") from error
    network.load_state_dict(load_file(path))
    network.backbone.preprocessing = preprocessing
    return network.eval()


def _table(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = config.get(key, {})
    if not isinstance(table, dict):
        raise DataError(f"expected {key} as a JSON object, found {json.dumps(table)[:80]}")
    return table
