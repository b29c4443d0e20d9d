"""Weights for a backbone to start from: a file with the network's own names, or the hub's (torch)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from unprompt.errors import DataError
from unprompt.models.backbone import Backbone

HUB, RANDOM = "hub", "random"
"""What stands for no file: the weights that the name's tag means, and none at all."""

OWN_PREFIX = "backbone.network."
"""How the names of a backbone begin in the model folders that are written here."""

_SHOWN = 4  # names in a message


def find_weights(path: Path) -> Path:
    """The safetensors file that `path` is or holds. Raises DataError where there is none, or more than one."""
    if path.is_file():
        return path
    found = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    seen = f"found {', '.join(file.name for file in found)}" if found else "found none"
    raise DataError(f"expected start weights, a safetensors file or a folder with one, at {path}; {seen}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds. Raises DataError where it is none."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"expected start weights as a safetensors file at {path}: {error}") from error


def read_shapes(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds by its header alone: tensors without numbers, on the device "meta"."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            return {name: torch.empty(file.get_slice(name).get_shape(), device="meta") for name in names}
    except (OSError, SafetensorError) as error:
        raise DataError(f"expected weights as a safetensors file at {path}: {error}") from error


def put_weights(backbone: Backbone, state: Mapping[str, Tensor], where: str, input_size: int) -> None:
    """Fills a backbone with a network's weights and makes it take pictures of `input_size`.

    The weights may be those of the native size, whose position embeddings are then interpolated, or of `input_size`.
    Heads, classifiers and text towers in `state` are left out. Raises DataError where it holds anything else.
    """
    own = {name.removeprefix(OWN_PREFIX): value for name, value in state.items() if name.startswith(OWN_PREFIX)}
    chosen = backbone.start_weights(own or state)
    faults = differences(backbone.network.state_dict(), chosen)
    if faults and input_size != backbone.preprocessing.input_size:
        backbone.resize(input_size)
        faults = differences(backbone.network.state_dict(), chosen)
    if faults:
        raise DataError(f"{where} holds the weights of another network than {backbone.name}: {faults}")
    backbone.network.load_state_dict(chosen)
    backbone.resize(input_size)


def differences(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """What is missing, too many and of another shape; empty where nothing is."""
    shapes = [
        f"{name} {tuple(found[name].shape)} in place of {tuple(value.shape)}"
        for name, value in expected.items()
        if name in found and found[name].shape != value.shape
    ]
    parts = {
        "missing": [name for name in expected if name not in found],
        "unknown": [name for name in found if name not in expected],
        "of another shape": shapes,
    }
    return "; ".join(f"{kind}: {_listed(names)}" for kind, names in parts.items() if names)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
