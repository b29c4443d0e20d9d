"""Each family of image networks at tiny size with seeded weights: real classes, thousands of numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unprompt.models.networks.backbone import Backbone
    from unprompt.models.regressors.regressor_network import HeadSpec, RegressorNetwork


@dataclass(frozen=True)
class Tiny:
    """How to build one, and what must come of it. `blocks` names parameters of several blocks."""

    name: str
    size: int
    depth: int
    blocks: Mapping[str, int]
    input_size: int = 32
    options: Mapping[str, Any] = field(default_factory=dict)

    def backbone(self, seed: int = 0, **changes: Any) -> Backbone:
        """The network, with the same random weights whenever the seed is the same."""
        import torch

        from unprompt.models.networks.backbones import build_backbone

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_backbone(self.name, **{"input_size": self.input_size, "options": self.options, **changes})

    def network(self, head: HeadSpec, seed: int = 0) -> RegressorNetwork:
        """The same with a head."""
        import torch

        from unprompt.models.regressors.regressor_network import RegressorNetwork

        backbone = self.backbone(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return RegressorNetwork(backbone, head)


_OPEN_CLIP_TOWER = {"layers": 3, "width": 32, "head_width": 16, "patch_size": 8, "image_size": 32}
_OPEN_CLIP_BLOCKS = {
    "conv1.weight": 0,
    "positional_embedding": 0,
    "ln_pre.weight": 0,
    "transformer.resblocks.0.attn.in_proj_weight": 0,
    "transformer.resblocks.2.mlp.c_fc.weight": 2,
    "ln_post.weight": 3,
    "proj": 3,
}
_VIT_BLOCKS = {"cls_token": 0, "patch_embed.proj.weight": 0, "blocks.0.norm1.bias": 0, "blocks.1.attn.proj.weight": 1}

FAMILIES = {
    "vit": Tiny(
        "vit_tiny_patch16_224",
        size=32,
        depth=3,
        blocks={**_VIT_BLOCKS, "blocks.2.mlp.fc1.weight": 2, "norm.weight": 3},
        options={"embed_dim": 32, "depth": 3, "num_heads": 2, "patch_size": 8, "img_size": 32},
    ),
    "swin": Tiny(
        "swin_tiny_patch4_window7_224",
        size=32,
        depth=3,
        blocks={
            "patch_embed.proj.weight": 0,
            "layers.0.blocks.0.attn.qkv.weight": 0,
            "layers.1.downsample.reduction.weight": 1,
            "layers.1.blocks.0.norm1.weight": 1,
            "layers.1.blocks.1.norm1.weight": 2,
            "norm.weight": 3,
        },
        options={"embed_dim": 16, "depths": [1, 2], "num_heads": [1, 2], "window_size": 4, "img_size": 32},
    ),
    "vgg": Tiny(
        "vgg11_bn",
        size=4096,
        depth=8,
        blocks={
            "features.0.weight": 0,
            "features.1.weight": 0,  # its norm
            "features.4.weight": 1,
            "features.5.bias": 1,
            "features.25.weight": 7,
            "features.26.weight": 7,
            "pre_logits.fc1.weight": 8,
        },
        options={"mlp_ratio": 0.005},
    ),
    "convnext": Tiny(
        "convnext_atto",
        size=16,
        depth=5,
        blocks={
            "stem.0.weight": 0,
            "stages.0.blocks.0.gamma": 0,
            "stages.1.downsample.1.weight": 1,
            "stages.2.downsample.1.weight": 2,
            "stages.2.blocks.1.conv_dw.weight": 3,
            "stages.3.blocks.0.conv_dw.weight": 4,
            "head.norm.weight": 5,
        },
        options={"depths": [1, 1, 2, 1], "dims": [8, 8, 16, 16]},
    ),
    "eva02": Tiny(
        "eva02_tiny_patch14_224",
        size=32,
        depth=2,
        blocks={**_VIT_BLOCKS, "fc_norm.weight": 2},
        input_size=28,
        options={"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 28},
    ),
    "clip": Tiny(
        "ViT-B-32.openai",
        size=24,
        depth=3,
        blocks=_OPEN_CLIP_BLOCKS,
        options={"embed_dim": 24, "vision_cfg": _OPEN_CLIP_TOWER},
    ),
    "siglip": Tiny(
        "ViT-B-16-SigLIP.webli",
        size=96,
        depth=9,
        blocks={
            "trunk.pos_embed": 0,
            "trunk.blocks.0.norm1.weight": 0,
            "trunk.blocks.8.mlp.fc1.weight": 8,
            "trunk.norm.weight": 9,
            "trunk.attn_pool.q.weight": 9,
        },
        options={"embed_dim": 96, "vision_cfg": {"timm_model_name": "test_vit3"}},
    ),
    "coca": Tiny(
        "coca_ViT-B-32.laion2b_s13b_b90k",
        size=24,
        depth=3,
        blocks={**_OPEN_CLIP_BLOCKS, "attn_pool.query": 3},
        options={
            "embed_dim": 24,
            "vision_cfg": {**_OPEN_CLIP_TOWER, "attn_pooler_heads": 2, "attn_pooler_queries": 5},
        },
    ),
    "siglip2": Tiny(
        "ViT-B-16-SigLIP2-256.webli",
        size=96,
        depth=9,
        blocks={"trunk.blocks.8.mlp.fc1.weight": 8, "trunk.attn_pool.q.weight": 9},
        options={"embed_dim": 96, "vision_cfg": {"timm_model_name": "test_vit3"}},
    ),
    "pe-core": Tiny(
        "vit_pe_core_tiny_patch16_384.fb",
        size=32,
        depth=2,
        blocks={
            "cls_token": 0,
            "norm_pre.weight": 0,
            "blocks.0.attn.qkv.weight": 0,
            "blocks.1.mlp.fc1.weight": 1,
            "attn_pool.latent": 2,
        },
        options={"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32},
    ),
    "mobileclip2": Tiny(
        "fastvit_mci0.apple_mclip2_dfndr2b",
        size=64,
        depth=4,
        blocks={
            "stem.0.conv_kxk.0.conv.weight": 0,
            "stages.0.blocks.0.layer_scale.gamma": 0,
            "stages.1.downsample.proj.0.large_conv.conv.weight": 1,
            "stages.3.blocks.0.layer_scale_2.gamma": 3,
            "final_conv.se.fc1.weight": 4,
        },
        input_size=64,
        options={"layers": [1, 1, 1, 1], "embed_dims": [16, 16, 32, 32]},
    ),
    "dinov3": Tiny(
        "vit_small_patch16_dinov3.lvd1689m",
        size=32,
        depth=2,
        blocks={
            "cls_token": 0,
            "reg_token": 0,
            "blocks.0.gamma_1": 0,
            "blocks.1.attn.qkv.weight": 1,
            "norm.weight": 2,
        },
        options={"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32},
    ),
    "tinyclip": Tiny(
        "vit_xsmall_patch16_clip_224.tinyclip_yfcc15m",
        size=32,
        depth=2,
        blocks={**_VIT_BLOCKS, "norm_pre.weight": 0, "norm.weight": 2},
        options={"embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32},
    ),
}
