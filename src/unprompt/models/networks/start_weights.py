"""Reads weights into a backbone, from a file or from the hub (torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from unprompt.errors import DataError
from unprompt.models.networks.backbone import Backbone

OWN_PREFIX = "backbone.network."
"""The prefix of the backbone's names in the model folders that unprompt writes."""

_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "C64": torch.complex64,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
}
"""The types that networks use, by their names in a safetensors file."""

_SHOWN = 4  # names in a message


def find_weights(path: Path) -> Path:
    """Find the safetensors file at `path` or in that folder. Raises DataError if there is none, or more than one."""
    if path.is_file():
        return path
    found = sorted(path.glob("*.safetensors")) if path.is_dir() else []
    if len(found) == 1:
        return found[0]
    seen = f"found {', '.join(file.name for file in found)}" if found else "found none"
    raise DataError(f"expected start weights, a safetensors file or a folder with one, at {path}; {seen}")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file. Raises DataError if it is not one."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"expected weights as a safetensors file at {path}: {error}") from error


def read_shapes(path: Path) -> dict[str, Tensor]:
    """Read the shapes in a safetensors file's header, as tensors on the device "meta". Raises DataError."""
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            return {
                name: torch.empty(part.get_shape(), dtype=_TYPES.get(part.get_dtype(), torch.bool), device="meta")
                for name, part in slices.items()
            }
    except (OSError, SafetensorError) as error:
        raise DataError(f"expected weights as a safetensors file at {path}: {error}") from error


def put_weights(backbone: Backbone, state: Mapping[str, Tensor], where: str, input_size: int) -> None:
    """Load a network's weights into a backbone and resize it to `input_size`.

    The weights may be for the native size, with position embeddings that are then interpolated, or for `input_size`.
    Heads, classifiers and text towers in `state` are ignored. Raises DataError if it is not a state of this network.
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
    """Describe what is missing, unknown, of another shape, not floating-point or not finite; empty if nothing is.

    Values are checked only if everything else is right, and not on the device "meta".
    """
    both = {name: (value, found[name]) for name, value in expected.items() if name in found}
    return told_faults(
        {
            "missing": [name for name in expected if name not in found],
            "unknown": [name for name in found if name not in expected],
            "of another shape": [
                f"{name} {tuple(has.shape)} in place of {tuple(wants.shape)}"
                for name, (wants, has) in both.items()
                if has.shape != wants.shape
            ],
            "no floating-point numbers": [
                f"{name} ({str(has.dtype).removeprefix('torch.')})"
                for name, (wants, has) in both.items()
                if wants.is_floating_point() and not has.is_floating_point()
            ],
        }
    ) or told_faults({"not finite": not_finite(found)})


def told_faults(faults: Mapping[str, Sequence[str]]) -> str:
    """Join the kinds of faults, each with the first names of what has it; empty without faults."""
    return "; ".join(f"{kind}: {_listed(names)}" for kind, names in faults.items() if names)


def not_finite(state: Mapping[str, Tensor]) -> list[str]:
    """The names of tensors that contain an infinite number or NaN."""
    return [name for name, value in state.items() if not _is_finite(value)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _is_finite(value: Tensor) -> bool:
    """Whether all numbers are finite. A finite sum proves it in one pass; only if it overflows, each is checked."""
    if value.is_meta or not value.is_floating_point():
        return True
    if value.dtype.itemsize == 1:  # torch cannot add up 8-bit floats
        value = value.float()
    wide = torch.promote_types(value.dtype, torch.float32)
    return bool(value.sum(dtype=wide).isfinite()) or bool(value.isfinite().all())
