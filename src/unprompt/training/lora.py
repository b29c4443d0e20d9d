"""LoRA: low-rank updates of weight matrices, and merging them into these matrices."""

from __future__ import annotations

import re

from torch import nn

from unprompt.errors import DataError, MissingExtraError
from unprompt.models.networks.torchvision_cure import cure_torchvision
from unprompt.models.regressors.regressor_network import RegressorNetwork
from unprompt.training.recipe import Lora

_ADDED = re.compile(r"\.(base_layer|lora_[AB]\.\w+)\b")


def add_lora(network: RegressorNetwork, options: Lora) -> None:
    """Add low-rank updates, initially zero, to the linear layers of the chosen blocks, in place.

    Source: Hu et al., "LoRA" (2021). Raises DataError if these blocks have no linear layer.
    """
    cure_torchvision()  # peft imports parts of transformers that import torchvision
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ModuleNotFoundError as error:
        raise MissingExtraError("LoRA", "torch") from error
    chosen = _linear_maps(network, options)
    if not chosen:
        raise DataError(
            f"lora: {network.backbone.name} has no linear map in its blocks from {options.first:g} to {options.last:g} "
            "of the depth; widen first and last, or take rank = 0"
        )
    config = LoraConfig(
        r=options.rank, lora_alpha=options.alpha, lora_dropout=options.dropout, target_modules=chosen, bias="none"
    )
    inject_adapter_in_model(config, network)


def merge_lora(network: nn.Module) -> None:
    """Merge the updates into their matrices and restore plain linear layers, in place; does nothing without LoRA."""
    if not any(name_without_lora(name)[1] for name, _ in network.named_parameters()):
        return
    from peft.tuners.lora import Linear

    for name, module in list(network.named_modules()):
        if isinstance(module, Linear):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(network.get_submodule(parent), child, module.get_base_layer())


def name_without_lora(parameter: str) -> tuple[str, bool]:
    """The parameter's name before `add_lora` (for an update, that of its matrix), and whether it is an update."""
    return _ADDED.sub("", parameter), ".lora_" in parameter


def _linear_maps(network: RegressorNetwork, options: Lora) -> list[str]:
    """The linear layers of the chosen blocks by name, without those in PyTorch's attention, which bypasses hooks."""
    opaque = tuple(f"{name}." for name, module in network.named_modules() if isinstance(module, nn.MultiheadAttention))
    first, last = options.first * network.depth, options.last * network.depth
    found = []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Linear) or not name.startswith("backbone.") or name.startswith(opaque or "\0"):
            continue
        if first <= network.block_of(f"{name}.weight") < last:
            found.append(name)
    return found
