"""Checkpoints: all that a run needs to resume, in safetensors and JSON, replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from unprompt.durable import replacing_folder, surviving_folder
from unprompt.errors import DataError
from unprompt.models.networks.start_weights import read_weights
from unprompt.training.weights import save_tensors

_Content = TypeVar("_Content")

CURRENT = "checkpoint"
STATE = "state.json"


def write_checkpoint(run: Path, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Replace a run's checkpoint; a kill leaves the old or the new one. `groups` become one safetensors file each."""
    with replacing_folder(run / CURRENT) as new:
        for name, tensors in groups.items():
            save_tensors(tensors, new / f"{name}.safetensors")
        (new / STATE).write_text(json.dumps(state), encoding="utf-8")


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The folder of a run's newest complete checkpoint and its state; None if there is none yet.

    Raises DataError if it is damaged.
    """
    path = surviving_folder(run / CURRENT) / STATE
    if not path.exists():
        return None
    return path.parent, _read(path, lambda path: json.loads(path.read_text(encoding="utf-8")))


def read_group(checkpoint: Path, name: str, device: torch.device) -> dict[str, Tensor]:
    """Read one of the `groups` of a checkpoint. Raises DataError if it is damaged."""
    return {key: value.to(device) for key, value in _read(checkpoint / f"{name}.safetensors", read_weights).items()}


def _read(path: Path, read: Callable[[Path], _Content]) -> _Content:
    """Read a file of a checkpoint. Raises DataError if it is damaged, which no kill does."""
    try:
        return read(path)
    except (DataError, OSError, ValueError) as error:
        raise DataError(
            f"the checkpoint in {path.parent} is damaged ({error}); delete that folder to train from the start"
        ) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's moments, named after the index of their parameter."""
    return {
        f"{number}.{key}": torch.as_tensor(value)
        for number, parameter in enumerate(parameters.values())
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Restore what `optimiser_tensors` returned."""
    ordered = list(parameters.values())
    for key, value in tensors.items():
        number, _, entry = key.partition(".")
        # AdamW keeps its step count on the CPU.
        optimiser.state[ordered[int(number)]][entry] = value.cpu() if entry == "step" else value
