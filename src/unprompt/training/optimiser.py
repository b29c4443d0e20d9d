"""The optimiser: which parameters are trained, AdamW with layer-wise rates, and the learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import nn

from unprompt.training.recipe import Optimisation

SCALE = "scale"
"""The key in an optimiser's parameter group for its factor of the learning rate."""


def trainable(model: nn.Module, depth_of: Callable[[str], int]) -> dict[str, nn.Parameter]:
    """The parameters that `depth_of` does not freeze (-1), by name; gradients are turned off for the others."""
    found = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(depth_of(name) >= 0)
        if parameter.requires_grad:
            found[name] = parameter
    return found


def adamw(
    parameters: Mapping[str, nn.Parameter], depth_of: Callable[[str], int], options: Optimisation
) -> torch.optim.AdamW:
    """AdamW with a learning rate that decreases by the factor `layer_decay` from block to block, top to bottom.

    Source: Clark et al., "ELECTRA" (2020), for the decay over layers.
    """
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        scale = options.layer_decay ** depth_of(name)
        decay = options.weight_decay if parameter.ndim > 1 else 0.0  # biases and norms do not decay
        groups.setdefault((scale, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": values, SCALE: scale, "weight_decay": decay} for (scale, decay), values in groups.items()],
        lr=options.learning_rate,
    )


def set_rate(optimiser: torch.optim.Optimizer, options: Optimisation, step: int, total: int) -> None:
    """Set the learning rate of each parameter group for this step."""
    for group in optimiser.param_groups:
        group["lr"] = group[SCALE] * learning_rate(options, step, total)


def learning_rate(options: Optimisation, step: int, total: int) -> float:
    """Linear warm-up, then cosine decay."""
    warmup = round(options.warmup * total)
    if step < warmup:
        return options.learning_rate * (step + 1) / warmup
    cosine = 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))
    return options.final_learning_rate + (options.learning_rate - options.final_learning_rate) * cosine
