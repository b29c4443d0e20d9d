"""A Stable Diffusion of some ten thousand weights, made of its real parts: real tensors, senseless pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPImageProcessor, CLIPTokenizer

SIDE = 32


def save(folder: Path, *, seed: int = 0, filter_all: bool = False) -> Path:
    """Writes the pipeline to `folder`. `filter_all` adds a safety checker that lets no picture pass."""
    from unprompt.models.networks.torchvision_cure import cure_torchvision

    cure_torchvision()
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2,
            block_out_channels=(4, 8),
            layers_per_block=1,
            norm_num_groups=2,
            attention_head_dim=2,
            cross_attention_dim=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )
        vae = AutoencoderKL(
            block_out_channels=(4, 4),
            norm_num_groups=2,
            latent_channels=4,
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
        )
        tokenizer = _tokenizer(folder / "words")
        config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=8,
            intermediate_size=8,
            num_attention_heads=2,
            num_hidden_layers=1,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
        pipeline = StableDiffusionPipeline(
            vae=vae,
            text_encoder=CLIPTextModel(config),
            tokenizer=tokenizer,
            unet=unet,
            scheduler=PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1),
            safety_checker=_strict_checker() if filter_all else None,
            feature_extractor=_feature_extractor() if filter_all else None,
            requires_safety_checker=filter_all,
        )
    pipeline.save_pretrained(folder)
    return folder


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """CLIP's kind of tokenizer, which knows single letters only."""
    from transformers import CLIPTokenizer

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer.from_pretrained(folder, model_max_length=77)


def _strict_checker() -> StableDiffusionSafetyChecker:
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig

    vision = {"hidden_size": 8, "intermediate_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
    vision |= {"image_size": SIDE, "patch_size": 16, "projection_dim": 8}
    checker = StableDiffusionSafetyChecker(CLIPConfig(vision_config=vision, projection_dim=8))
    checker.concept_embeds_weights.data.fill_(-2.0)  # every cosine is above
    return checker


def _feature_extractor() -> CLIPImageProcessor:
    from transformers import CLIPImageProcessor

    size = {"height": SIDE, "width": SIDE}
    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=size)
