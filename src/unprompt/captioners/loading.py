"""Loads networks of transformers from folders, and checks that config and weights belong together (torch)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn

from unprompt.captioners.folder import CaptionFolder
from unprompt.errors import ModelError
from unprompt.models.networks.open_clip_backbone import quiet
from unprompt.models.networks.start_weights import not_finite, read_shapes, told_faults

_DERIVED = "position_ids"
"""Suffix of the buffers that old checkpoints store besides weights."""


def load_network(network_class: Any, folder: CaptionFolder, precision: torch.dtype, **options: Any) -> nn.Module:
    """The network in a folder, by a class of transformers. Raises ModelError if the weights are not its config's."""
    try:
        with silent():
            network, found = network_class.from_pretrained(
                folder.path,
                dtype=precision,
                use_safetensors=folder.safe,
                weights_only=True,
                local_files_only=True,
                ignore_mismatched_sizes=True,  # reported in `found`
                output_loading_info=True,
                **options,
            )
    except torch.OutOfMemoryError:  # quantised weights go to the device at once
        raise
    except Exception as error:  # anything that the library may raise for a damaged config or file
        raise ModelError(f"{folder.path} cannot be loaded: {error}; put the model there again") from error
    faults = {
        "missing": sorted(found["missing_keys"]),
        "of another shape": sorted(key if isinstance(key, str) else key[0] for key in found["mismatched_keys"]),
        "unknown": sorted(key for key in found["unexpected_keys"] if not key.endswith(_DERIVED)),
        "no floating-point numbers": _whole_numbers(folder),
        "not finite": not_finite(network.state_dict()),
    }
    if told := told_faults(faults):
        raise ModelError(f"the weights in {folder.path} are not those of its config: {told}; put the model there again")
    return cast(nn.Module, network.eval())


def _whole_numbers(folder: CaptionFolder) -> list[str]:
    """Integer weights, which the library would convert silently. Only safetensors can be checked, not pickled files."""
    return [
        name
        for file in sorted(folder.path.glob("model*.safetensors") if folder.safe else ())
        for name, value in read_shapes(file).items()
        if not value.is_floating_point() and not name.endswith(_DERIVED)
    ]


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Suppress the library's reports and progress bars."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with quiet():
            yield
    finally:
        if shown:
            logging.enable_progress_bar()
