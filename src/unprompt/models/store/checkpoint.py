"""Reads checkpoints of other programs without running code that they may contain (torch)."""

from __future__ import annotations

import argparse
import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unprompt.errors import DataError

NESTS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model", "net", "network", "module")
"""Keys under which programs nest the weights; those of a moving average come first, since they are the ones to use."""

PREFIXES = ("_orig_mod.", "module.")
"""The prefixes that torch.compile and DataParallel add to every name."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights in a .safetensors, .pth, .pt or .bin file, under the network's own names.

    Of a pickle, only tensors (`weights_only`) and namespaces are built, in which timm's training keeps its arguments.
    Raises DataError.
    """
    held = _read(path)
    for _ in range(3):  # none nests deeper than {"state_dict": {"model": ...}}
        inner = next((held[nest] for nest in NESTS if isinstance(held.get(nest), Mapping)), None)
        if inner is None:
            break
        held = inner
    tensors = {str(name): value for name, value in held.items() if isinstance(value, Tensor)}
    if not tensors:
        found = ", ".join(map(str, list(held)[:8])) or "nothing"
        raise DataError(f"expected weights by name in {path}, at the top or under {', '.join(NESTS)}; found {found}")
    return _without_prefixes(tensors)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about old pickles
            held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"expected a checkpoint at {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path} is no safetensors file: {error}") from error
    except Exception as error:  # unpickling a damaged or hostile file may raise anything
        raise DataError(_refusal(path, error)) from error
    if not isinstance(held, Mapping):
        raise DataError(f"expected weights by name in {path}, found {type(held).__name__}")
    return held


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while prefix := next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _refusal(path: Path, error: Exception) -> str:
    """Say why torch cannot read a file; its own message suggests trusting the file, which nobody should do."""
    if called := re.search(r"unsupported global:? (?:global )?([\w.]+)", str(error), re.IGNORECASE):
        return (
            f"{path} asks to call {called.group(1)} when it is read; nothing but weights is read, because such a file "
            "can run anything; have them saved alone: torch.save(model.state_dict(), ...)"
        )
    return f"{path} is no checkpoint that torch can read; expected .pth, .pt, .bin or .safetensors with weights by name"
