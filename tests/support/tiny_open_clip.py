"""Models of open_clip at tiny size, with weights that make every part of them matter."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from unprompt.models.networks.open_clip_backbone import quiet
from unprompt.models.networks.torchvision_cure import cure_torchvision

cure_torchvision()

import open_clip  # noqa: E402

TEXT = {"context_length": 77, "vocab_size": 49408, "width": 48, "heads": 4, "layers": 3}
VISION = {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 32}
OPTIONS: dict[str, Any] = {"embed_dim": 40, "text_cfg": TEXT, "vision_cfg": VISION}


def build(architecture: str = "ViT-B-32", *, custom: bool = False, seed: int = 0, **changes: Any) -> nn.Module:
    """A model with seeded weights; `changes` are to its text tower, or quick_gelu."""
    sizes: dict[str, Any] = {"embed_dim": 40, "vision_cfg": VISION}
    if "quick_gelu" in changes:
        sizes["quick_gelu"] = changes.pop("quick_gelu")
    base = open_clip.get_model_config(architecture)
    sizes["text_cfg"] = {**base["text_cfg"], **TEXT, **changes}
    if "multimodal_cfg" in base:
        sizes["text_cfg"]["context_length"] = 76
        sizes["multimodal_cfg"] = {**TEXT, "context_length": 76, "layers": 1}
        sizes["vision_cfg"] = {**base["vision_cfg"], **VISION, "attn_pooler_heads": 2}
    with quiet():
        model = open_clip.create_model(
            architecture, load_weights=False, pretrained_text=False, force_custom_text=custom, **sizes
        )
    return shaken(model, seed)


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """At its start a model hardly looks at anything: gives it weights of a trained one's size."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in model.named_parameters():
        if name.startswith("logit"):
            continue
        noise = torch.randn(value.shape, generator=generator)
        if value.ndim == 1 and name.endswith("weight"):
            value.data = 1 + noise / 4
        elif value.ndim == 1:
            value.data = noise / 4
        elif "embedding" in name:
            value.data = noise
        else:
            value.data = 1.5 * noise / value[0].numel() ** 0.5
    return model.eval()
