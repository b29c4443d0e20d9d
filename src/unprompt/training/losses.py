"""Losses: the distance between predicted and true vectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unprompt.training.recipe import Loss

STEEPEST = 1 - 1e-4
"""Bound on the cosine, since the slope of the arc cosine is infinite at 1."""


def regression_loss(predicted: Tensor, target: Tensor, options: Loss) -> Tensor:
    """A scalar loss for unit vectors (batch, 384), of the recipe's kind, plus its contrastive term if it has one."""
    cosine = (predicted * target).sum(dim=1)
    loss = cosine.clamp(-STEEPEST, STEEPEST).acos().mean() if options.kind == "angular" else 1 - cosine.mean()
    if options.kind == "cosine-mse":
        # Summed over the 384 numbers: their mean would be too small to matter beside the cosine.
        loss = loss + options.mse * (predicted - target).square().sum(dim=1).mean()
    if options.contrastive:
        loss = loss + options.contrastive * own_among_others(predicted, target, options.temperature)
    return loss


def concept_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """A scalar loss for concepts (batch, n): their cross entropies, summed over the concepts of a picture."""
    return F.binary_cross_entropy_with_logits(logits.float(), labels, reduction="none").sum(dim=1).mean()


def own_among_others(predicted: Tensor, target: Tensor, temperature: float) -> Tensor:
    """The cross entropy of identifying the own prompt among those of the batch; equal prompts count as one.

    Source: van den Oord et al., "Representation learning with contrastive predictive coding" (2018).
    """
    with torch.autocast(predicted.device.type, enabled=False):  # in half precision a vector would not even equal itself
        predicted, target = predicted.float(), target.float()
        likeness = predicted @ target.T / temperature  # (batch, batch)
        same = (target @ target.T) > STEEPEST
    own = F.log_softmax(likeness, dim=1).masked_fill(~same, -torch.inf)
    return -own.logsumexp(dim=1).mean()
