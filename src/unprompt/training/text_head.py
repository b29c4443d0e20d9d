"""A head trained without pictures, from CLIP's vector of a text to MiniLM's vector of the same text.

CLIP maps pictures and texts into one space, so the head can then be applied to CLIP's vector of a picture. In that
space the two are apart; noise on text vectors bridges part of the gap. Sources: the competition's write-ups, which
initialise the heads of their picture models this way; Nukrai et al., "Text-only training for image captioning using
noise-injected CLIP" (2022).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.models.regressors.regressor_network import RegressorNetwork
from unprompt.prediction import Vector
from unprompt.progress import Step
from unprompt.towers.texts import encode_texts
from unprompt.training.loop import Batch
from unprompt.training.losses import regression_loss
from unprompt.training.recipe import Recipe
from unprompt.training.regressor import build_network, build_start
from unprompt.training.scores import device_of
from unprompt.training.targets import kept, target_vectors
from unprompt.training.texts import read_texts


class TextHeadTask:
    """Trains the head on texts; the image network below it stays unchanged."""

    metric = "text"

    def __init__(self, recipe: Recipe, folder: Path, device: torch.device, step: Step) -> None:
        self.recipe, self.seed = recipe, recipe.optimisation.seed
        self.model = build_network(recipe, build_start(recipe))
        self.device, self.cache, self.step = device, folder / "cache", step
        held_out = set(read_texts([Path(recipe.text_head.validation)]))
        texts = [text for text in read_texts([Path(path) for path in recipe.text_head.texts]) if text not in held_out]
        if not texts:
            raise DataError("text_head: expected texts that are not in the validation set, found none; add some")
        self.train = self._vectors(texts)
        if self.train[0].shape[1] != self.model.backbone.size:
            raise DataError(
                f"text_head: {recipe.network.name} has vectors of {self.train[0].shape[1]} numbers for texts and of "
                f"{self.model.backbone.size} for pictures here; expected features = 'pooled' and the same embed_dim in "
                "both options"
            )
        self.validation = self._vectors(sorted(held_out))

    def steps(self, batch_size: int) -> int:
        return max(1, len(self.train[0]) // batch_size)

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        order = np.random.default_rng((self.seed, epoch)).permutation(len(self.train[0]))
        for number in range(start, self.steps(batch_size)):
            chosen = order[number * batch_size : (number + 1) * batch_size][rows]
            features, targets = (torch.from_numpy(vectors[chosen]) for vectors in self.train)
            yield {"features": features, "target": targets}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, RegressorNetwork)
        features = batch["features"]
        if self.recipe.text_head.noise:
            noise = self.recipe.text_head.noise * F.normalize(torch.randn_like(features), dim=1)
            features = F.normalize(features + noise, dim=1)
        return regression_loss(model.project(features), batch["target"], self.recipe.loss)

    def depth_of(self, parameter: str) -> int:
        return -1 if parameter.startswith("backbone.") else 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """The mean cosine on held-out texts; for pictures, use `unprompt evaluate`."""
        assert isinstance(model, RegressorNetwork)
        features, targets = self.validation
        predicted = model.project(torch.from_numpy(features).to(device_of(model))).cpu().numpy()
        return {"text": float((predicted * targets).sum(axis=1).mean())}

    def _vectors(self, texts: Sequence[str]) -> tuple[Vector, Vector]:
        """CLIP's and MiniLM's unit vectors of the texts, computed once."""
        network = self.recipe.network
        options = self.recipe.text_head.options
        identity = json.dumps([network.name, network.weights, options, texts])
        key = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]

        def encode() -> Vector:
            with self.step("text features", len(texts), "samples") as advance:
                return encode_texts(
                    network.name,
                    texts,
                    weights=network.weights,
                    options=options,
                    device=self.device,
                    advance=advance,
                )

        return kept(self.cache / f"clip-{key}.npy", encode), target_vectors(texts, self.cache)
