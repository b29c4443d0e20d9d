"""Checkpoints: all that a run needs to go on where it was. Safetensors and JSON, swapped in whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from unprompt.training.weights import save_tensors

CURRENT, NEW, OLD = "checkpoint", "checkpoint.new", "checkpoint.old"
STATE = "state.json"


def write_checkpoint(run: Path, groups: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]) -> None:
    """Writes a checkpoint beside the old one and swaps them, so that a kill leaves one of the two whole.

    `groups` become one safetensors file each.
    """
    new, current, old = run / NEW, run / CURRENT, run / OLD
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    for name, tensors in groups.items():
        save_tensors(tensors, new / f"{name}.safetensors")
    (new / STATE).write_text(json.dumps(state), encoding="utf-8")
    if current.exists():  # otherwise the old one is all that there is
        shutil.rmtree(old, ignore_errors=True)
        os.replace(current, old)
    os.replace(new, current)
    shutil.rmtree(old, ignore_errors=True)


def newest_checkpoint(run: Path) -> tuple[Path, dict[str, Any]] | None:
    """The folder of a run's newest whole checkpoint and its state; None before the first."""
    for name in (CURRENT, OLD):
        path = run / name / STATE
        if path.exists():
            return path.parent, json.loads(path.read_text(encoding="utf-8"))
    return None


def read_group(checkpoint: Path, name: str, device: torch.device) -> dict[str, Tensor]:
    """One of the `groups` that were written."""
    return load_file(checkpoint / f"{name}.safetensors", device=str(device))


def optimiser_tensors(optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """The optimiser's moments, named after the number of their parameter."""
    return {
        f"{number}.{key}": torch.as_tensor(value)
        for number, parameter in enumerate(parameters.values())
        for key, value in optimiser.state.get(parameter, {}).items()
    }


def restore_optimiser(
    optimiser: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]
) -> None:
    """Puts back what `optimiser_tensors` gave."""
    ordered = list(parameters.values())
    for key, value in tensors.items():
        number, _, entry = key.partition(".")
        # AdamW keeps its count of steps on the CPU.
        optimiser.state[ordered[int(number)]][entry] = value.cpu() if entry == "step" else value
