"""The regressor as a task for the training loop: pictures, and the vectors of their prompts."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.images.preprocess import Preprocessing
from unprompt.images.ref import Pixels
from unprompt.models.networks.backbone import Backbone
from unprompt.models.networks.backbones import build_backbone
from unprompt.models.networks.timm_backbone import WITH_CLASSES
from unprompt.models.regressors.regressor_network import ConceptSpec, HeadSpec, RegressorNetwork
from unprompt.models.store.image_model import CONCEPTS
from unprompt.prediction import Vector
from unprompt.progress import Report, Step
from unprompt.text.sentence import SentenceEncoder
from unprompt.training.augmentation import augment, overlay
from unprompt.training.concepts import CERTAIN, find_concepts
from unprompt.training.loading import Loader, normalised, read_pixels, to_tensor
from unprompt.training.loop import Batch
from unprompt.training.lora import add_lora, name_without_lora
from unprompt.training.losses import concept_loss, regression_loss
from unprompt.training.pairs import Draw, Pairs
from unprompt.training.recipe import Recipe, Sight
from unprompt.training.scores import scores


@dataclass(frozen=True)
class _Job:
    """A training picture to make: its index, that of a picture to overlay, and the seed of its augmentation."""

    picture: int
    other: int | None
    seed: tuple[int, ...]


class RegressorTask:
    """Fine-tunes the network and its head on augmented pictures."""

    metric = "balanced"

    def __init__(self, recipe: Recipe, folder: Path, report: Report, step: Step) -> None:
        self.recipe, self.seed = recipe, recipe.optimisation.seed
        if not recipe.sight.views:
            raise DataError("sight: views: expected one or more of whole, mirrored, middle, found none")
        # The backbone comes first, so that errors in it show before an hour of reading pictures.
        backbone = build_start(recipe)
        self.preprocessing = preprocessing_of(recipe.sight, backbone.preprocessing)
        read = functools.partial(Pairs.read, options=recipe.data, cache=folder / "cache", report=report, step=step)
        self.train = read(recipe.data.train, all_captions=True)
        self.validation = read(recipe.data.validation, all_captions=False)
        self.draw = Draw(self.train, recipe.data)
        self.loader = Loader(recipe.data.workers)
        self.concepts = find_concepts(self.train.texts, self.train.groups, recipe.concepts)
        self.labels = self.concepts.labels(self.train.texts)
        self.concepts.write(folder / CONCEPTS)
        self.model = build_network(recipe, backbone, len(self.concepts.names))
        if recipe.lora.rank:
            add_lora(self.model, recipe.lora)

    def steps(self, batch_size: int) -> int:
        if len(self.draw) < batch_size:
            raise DataError(f"expected {batch_size} pictures for a batch, found {len(self.draw)} in an epoch")
        return len(self.draw) // batch_size

    def batches(self, epoch: int, batch_size: int, start: int, rows: slice) -> Iterator[Batch]:
        order = self.draw.epoch(np.random.default_rng((self.seed, epoch)))
        numbers = range(start, self.steps(batch_size))
        jobs_of_all = chain.from_iterable(self._plan(order, epoch, number, batch_size)[rows] for number in numbers)
        size = len(range(batch_size)[rows])
        for jobs, squares in self.loader.batches(jobs_of_all, size, self._square):
            targets = {"target": torch.from_numpy(self._targets(jobs)), **self.labels_of([job.picture for job in jobs])}
            yield {"squares": to_tensor(squares), **targets}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, RegressorNetwork)
        features = model.features(normalised(batch["squares"], self.preprocessing))
        return self.loss_of(model, features, batch)

    def loss_of(self, model: RegressorNetwork, features: Tensor, batch: Batch) -> Tensor:
        """The loss of the heads, from a batch's features."""
        loss = regression_loss(model.project(features), batch["target"], self.recipe.loss)
        if "concepts" not in batch:
            return loss
        labels = batch["concepts"].float() / CERTAIN
        return loss + self.recipe.concepts.weight * concept_loss(model.concept_logits(features), labels)

    def labels_of(self, pictures: Sequence[int] | npt.NDArray[np.intp]) -> Batch:
        """The labels of pictures, if there are concepts."""
        return {"concepts": torch.from_numpy(self.labels[pictures])} if self.concepts.names else {}

    def learn_classes(self, features: Tensor) -> None:
        """Adds the classes that the start weights see in the training pictures, from their features (n, size)."""
        if self.concepts.classes:
            size = self.model.backbone.class_size
            self.labels = self.concepts.labels(self.train.texts, features[:, -size:].exp().numpy())

    def depth_of(self, parameter: str) -> int:
        name, is_update = name_without_lora(parameter)
        block, depth = self.model.block_of(name), self.model.depth
        if self.recipe.lora.rank and block < depth:
            return depth - block if is_update else -1
        return -1 if block < round(self.recipe.optimisation.frozen * depth) else depth - block

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        return scores(model, self.validation, self.preprocessing, self.recipe.sight.views, self.loader)

    def identity(self) -> list[Any]:
        """What the features of the start weights depend on besides the pictures."""
        network = self.recipe.network
        return [network.name, network.weights, network.features, network.options, self.preprocessing.to_config()]

    def data_note(self) -> dict[str, Any]:
        """The card's description of the data, and the scores of a constant answer."""
        data = {
            "training data": f"{self.recipe.data.train}: {self.train.described()}",
            "validation data": f"{self.recipe.data.validation}: {self.validation.described()}",
        }
        return {"data": data, "floor": self.train.mean_vector_scores(self.validation)}

    def _plan(self, order: npt.NDArray[np.intp], epoch: int, number: int, batch_size: int) -> list[_Job]:
        """The jobs of one batch. For MixGen, its first pictures are overlaid with their successors."""
        chosen = order[number * batch_size : (number + 1) * batch_size]
        mixed = round(self.recipe.augmentation.mixgen * batch_size)
        return [
            _Job(
                int(picture),
                int(chosen[(place + 1) % batch_size]) if place < mixed else None,
                (self.seed, epoch, number, place),
            )
            for place, picture in enumerate(chosen)
        ]

    def _square(self, job: _Job) -> Pixels:
        rng = np.random.default_rng(job.seed)  # one per job, so that the result does not depend on the threads
        square = self._augmented(job.picture, rng)
        return square if job.other is None else overlay(square, self._augmented(job.other, rng))

    def _augmented(self, picture: int, rng: np.random.Generator) -> Pixels:
        options = self.recipe.augmentation
        side = math.ceil(self.preprocessing.resized_side / math.sqrt(options.crop_scale))
        return augment(read_pixels(self.train.pictures[picture], side), self.preprocessing, options, rng)

    @functools.cached_property
    def _encoder(self) -> SentenceEncoder:
        """For the joined prompts of MixGen, which come with every batch."""
        return SentenceEncoder.embedded()

    def _targets(self, jobs: Sequence[_Job]) -> Vector:
        targets = self.train.targets[[job.picture for job in jobs]]  # a copy (batch, 384)
        prompts = self.train.prompts
        joined = [
            (place, f"{prompts[job.picture]}, {prompts[job.other]}")
            for place, job in enumerate(jobs)
            if job.other is not None
        ]
        if joined:
            targets[[place for place, _ in joined]] = self._encoder.encode([text for _, text in joined])
        return targets


def build_start(recipe: Recipe) -> Backbone:
    """The backbone of a recipe with its start weights; the same on every call.

    Raises UnknownNameError, DataError or ModelError if it cannot be built.
    """
    torch.manual_seed(recipe.optimisation.seed)
    network = recipe.network
    if recipe.concepts.classes and network.features not in WITH_CLASSES:
        raise DataError(f"concepts: classes: expected network.features {' or '.join(WITH_CLASSES)} with it")
    backbone = build_backbone(
        network.name,
        weights=network.weights,
        features=network.features,
        input_size=network.input_size or None,
        drop_path=network.drop_path,
        options=network.options,
    )
    if recipe.optimisation.checkpoint_gradients:
        backbone.checkpoint_gradients()
    if network.patch_drop:
        backbone.drop_patches(network.patch_drop)
    return backbone


def build_network(recipe: Recipe, backbone: Backbone, concepts: int = 0) -> RegressorNetwork:
    """A recipe's heads, with new weights, on its backbone; `concepts` is their number."""
    head = recipe.head
    torch.manual_seed(recipe.optimisation.seed)
    return RegressorNetwork(
        backbone,
        HeadSpec(head.kind, head.hidden, head.dropout, head.standardise),
        ConceptSpec(concepts, recipe.concepts.hidden, head.dropout),
    )


def preprocessing_of(sight: Sight, own: Preprocessing) -> Preprocessing:
    """The network's own preprocessing, with the recipe's changes. Raises ModelError if the result is invalid."""
    said = {key: value for key, value in asdict(sight).items() if value and key != "views"}
    return Preprocessing.from_config({**own.to_config(), **said})
