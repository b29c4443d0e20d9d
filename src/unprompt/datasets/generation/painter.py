"""A Stable Diffusion pipeline that draws (torch, diffusers); a picture depends on prompt and seed, not on its batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from unprompt.datasets.generation.pipeline import Pipeline
from unprompt.datasets.generation.plan import Drawing
from unprompt.datasets.generation.settings import Settings
from unprompt.datasets.generation.shards import Drawn
from unprompt.models.networks.device import ShrinkingBatches
from unprompt.progress import Report


class Painter:
    """Draws with a loaded pipeline, at most `batch_size` pictures at a time. Each warning is reported once."""

    def __init__(
        self,
        pipeline: Pipeline,
        settings: Settings,
        *,
        batch_size: int,
        report: Report,
    ) -> None:
        self._pipeline, self._settings = pipeline, settings
        self._report = report
        self._batches = ShrinkingBatches(
            batch_size, ways="choose a smaller --size, --precision fp16, or --device cpu", tell=report
        )
        self._warned = False

    def draw(self, drawings: Sequence[Drawing]) -> Iterator[Drawn]:
        """The outcome of each drawing, in order. Raises NoRoomError if memory does not suffice for a single picture."""
        return chain.from_iterable(self._batches(drawings, self._draw))

    def _draw(self, drawings: Sequence[Drawing]) -> list[Drawn]:
        settings = self._settings
        prompts = [drawing.prompt for drawing in drawings]
        # diffusers casts values that are not finite for the safety checker; `_drawn` checks for them itself.
        with np.errstate(invalid="ignore"):
            output = self._pipeline(
                prompts,
                height=settings.size,
                width=settings.size,
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                # On the CPU, whose random numbers are the same everywhere; one each, so that the batch does not matter.
                generator=[torch.Generator("cpu").manual_seed(drawing.seed) for drawing in drawings],
                output_type="pt",
            )
        flags = output.nsfw_content_detected or [False] * len(prompts)
        pictures = output.images.float().cpu()  # (batch, 3, size, size), 0 to 1
        return list(map(self._drawn, prompts, pictures, flags))

    def _drawn(self, prompt: str, pixels: Tensor, filtered: bool) -> Drawn:
        tokenizer = self._pipeline.tokenizer
        truncated = len(tokenizer(prompt).input_ids) > tokenizer.model_max_length
        if filtered:
            return Drawn(None, truncated, "filtered")
        if not bool(pixels.isfinite().all()):
            self._warn_once()
            return Drawn(None, truncated, "not-finite")
        if not bool(pixels.any()):
            return Drawn(None, truncated, "black")
        picture = Image.fromarray((pixels * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
        side = self._settings.save_size
        if picture.width != side:
            picture = picture.resize((side, side), Image.Resampling.LANCZOS)
        return Drawn(picture, truncated)

    def _warn_once(self) -> None:
        if not self._warned:
            self._warned = True
            self._report(
                f"a picture came out with values that are not finite, and was dropped; {self._settings.precision} may "
                "be too coarse for this model: try --precision bf16 or fp32, in a new folder"
            )


def weights_digest(pipeline: Pipeline) -> str:
    """A hash of everything that was loaded, all weights as used and the scheduler's config: 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps(_plain(pipeline.scheduler.config), sort_keys=True).encode())
    for name, component in sorted(pipeline.components.items()):
        if isinstance(component, torch.nn.Module):
            for key, tensor in sorted(component.state_dict().items()):
                digest.update(f"{name}.{key} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _plain(config: Any) -> dict[str, str]:
    # Keys with an underscore hold the path and the library version.
    return {key: repr(value) for key, value in config.items() if not key.startswith("_")}
