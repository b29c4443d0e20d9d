"""Checkpoints of other programs: read without running what may be in them (torch)."""

from __future__ import annotations

import pickle  # noqa: TID251 - only for the name of torch's error when it refuses one
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from unprompt.errors import DataError

NESTS = ("state_dict_ema", "model_ema", "ema", "state_dict", "model", "net", "network", "module")
"""Where programs keep the weights inside a checkpoint, those of a moving average first: they are what one deploys."""

PREFIXES = ("_orig_mod.", "module.")
"""What torch.compile and DataParallel put before every name."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The weights in a .safetensors, .pth, .pt or .bin file, under the network's own names.

    Nothing that is pickled in the file is run but what tensors are made of (`weights_only`). Raises DataError.
    """
    held = _read(path)
    for _ in range(3):  # {"state_dict": {"model": ...}} is as deep as they come
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
        held = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"expected a checkpoint at {path}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise DataError(f"{path} is no safetensors file: {error}") from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f"{path} asks to run code when it is read, which is refused: only tensors are read ({_first_line(error)})"
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} is no checkpoint that torch can read: {_first_line(error)}") from error
    if not isinstance(held, Mapping):
        raise DataError(f"expected weights by name in {path}, found {type(held).__name__}")
    return held


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while prefix := next((prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in tensors)), None):
        tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
