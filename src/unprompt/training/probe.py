"""Linear probing: trains the head alone on features of the frozen network, which are computed only once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.images.ref import ImageRef
from unprompt.models.networks.start_weights import read_weights
from unprompt.models.regressors.regressor_network import RegressorNetwork
from unprompt.progress import Step
from unprompt.training.loop import Batch
from unprompt.training.regressor import RegressorTask
from unprompt.training.scores import device_of, pixel_batches
from unprompt.training.weights import save_tensors

PROBE = "probe"
"""The folder of the first stage, inside the run's."""


class ProbeTask:
    """Trains the heads on features of pictures and of their mirror images."""

    metric = "balanced"

    def __init__(self, whole: RegressorTask, folder: Path, device: torch.device, step: Step) -> None:
        self.whole, self.model, self.seed = whole, whole.model, whole.recipe.probe.seed
        whole.model.to(device)
        cache = folder / "cache"
        # The head sees mirrored pictures only if the whole network will.
        mirrored = whole.recipe.augmentation.flip > 0
        self.features = _features(whole, whole.train.pictures, mirrored, cache / "train-features.safetensors", step)
        self.held_out = _features(whole, whole.validation.pictures, False, cache / "val-features.safetensors", step)
        if whole.recipe.head.standardise and not whole.recipe.head.start:  # a given head has its own scale
            whole.model.fit_scale(self.features.flatten(0, 1).to(device))
        whole.learn_classes(self.features[0])

    def steps(self, batch_size: int) -> int:
        return self.whole.steps(batch_size)

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, epoch))
        flip = self.whole.recipe.augmentation.flip
        order = self.whole.draw.epoch(rng)
        mirrored = rng.random(len(order)) < flip
        for number in range(start, self.steps(batch_size)):
            place = slice(number * batch_size, (number + 1) * batch_size)
            chosen, views = order[place][rows], mirrored[place][rows].astype(np.intp)
            target = torch.from_numpy(self.whole.train.targets[chosen])
            yield {"features": self.features[views, chosen], "target": target, **self.whole.labels_of(chosen)}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, RegressorNetwork)
        return self.whole.loss_of(model, batch["features"], batch)

    def depth_of(self, parameter: str) -> int:
        return -1 if parameter.startswith("backbone.") else 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, RegressorNetwork)
        predicted = model.project(self.held_out[0].to(device_of(model)))
        return self.whole.validation.score(predicted.cpu().numpy())


def _features(task: RegressorTask, pictures: Sequence[ImageRef], mirrored: bool, cache: Path, step: Step) -> Tensor:
    """Features (1 or 2, n, size) by the start weights: of the pictures and, if `mirrored`, of their mirror images."""
    identity = json.dumps([task.identity(), mirrored, [ref.source for ref in pictures]])
    if cache.exists():
        with contextlib.suppress(DataError):  # what is damaged is made again
            found = read_weights(cache)
            if bytes(found["identity"].tolist()).decode() == identity:
                return found["features"]
    task.model.eval()
    parts: list[list[Tensor]] = [[], []]
    with torch.inference_mode(), step("features", len(pictures), "samples") as advance:
        for pixels in pixel_batches(pictures, task.preprocessing, task.loader, device_of(task.model)):
            for views, seen in zip(parts, (pixels, pixels.flip(3)) if mirrored else (pixels,), strict=False):
                views.append(task.model.features(seen).cpu())
            advance(len(pixels))
    features = torch.stack([torch.cat(views) for views in parts if views])
    marked = {"features": features, "identity": torch.tensor(list(identity.encode()), dtype=torch.uint8)}
    save_tensors(marked, cache)
    return features
