"""Weights on disk, as safetensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from unprompt.durable import put_in_place, write_errors
from unprompt.errors import DataError
from unprompt.models.networks.start_weights import differences, read_weights


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file; a kill leaves the existing one. Raises DataError if it cannot be written."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    new = path.with_suffix(".part")
    try:
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            save_file(plain, new)
            put_in_place(new, path)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise DataError(f"cannot write {path}: {error}") from error


def put_start_weights(network: nn.Module, path: Path, new: Sequence[str] = ()) -> None:
    """Fill a network from a file with the network's own names; weights whose names hold one of `new` may be missing.

    Raises DataError if it holds anything else.
    """
    state = read_weights(path)
    own = network.state_dict()
    state = {name: own[name] for name in own if any(part in name for part in new)} | dict(state)
    if faults := differences(network.state_dict(), state):
        raise DataError(f"{path} holds the weights of another network: {faults}")
    network.load_state_dict(state)


def put_head(network: nn.Module, run: Path) -> None:
    """Copy the head of another run's best weights into a network. Raises DataError if there is none that fits."""
    path = run / "best.safetensors"
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise DataError(f"head: start: expected the folder of a finished run, with {path.name}: {error}") from error
    head = {name: value for name, value in weights.items() if name.startswith("head.")}
    own = {name: value for name, value in network.state_dict().items() if name.startswith("head.")}
    if {name: value.shape for name, value in head.items()} != {name: value.shape for name, value in own.items()}:
        raise DataError(f"head: start: the head in {path} is of another kind or size; copy its [head] and [network]")
    network.load_state_dict(head, strict=False)
