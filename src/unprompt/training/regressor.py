"""The regressor's tasks for the loop: pictures with their prompts' vectors; and the head alone, on frozen features."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from safetensors.torch import load_file
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.images.decode import Picture, decode
from unprompt.images.files import LocalFile
from unprompt.images.preprocess import Preprocessing, preprocess
from unprompt.images.sources import ImageRef
from unprompt.models.backbones import Regressor
from unprompt.training.loop import Batch
from unprompt.training.recipe import Recipe, RegressorRecipe
from unprompt.training.targets import read_records, target_vectors
from unprompt.training.weights import put_start_weights, save_tensors

FEATURE_BATCH = 64


@dataclass(frozen=True)
class Pairs:
    """Labelled pictures: paths, target vectors (n, 384) float32, whether each is a photo, weight of each in drawing."""

    paths: list[str]
    targets: npt.NDArray[np.float32]
    photo: npt.NDArray[np.bool_]
    weights: npt.NDArray[np.float64]

    @classmethod
    def read(cls, path: Path, options: RegressorRecipe, cache: Path, *, all_captions: bool) -> Pairs:
        """The pairs of a jsonl file. `all_captions`: the target of a photo is the mean of its captions' vectors."""
        records = list(read_records(path, "file_name", "prompt"))
        if not records:
            raise DataError(f"{path} holds no records")
        texts = [
            list(record["captions"]) if all_captions and record.get("captions") else [record["prompt"]]
            for record in records
        ]
        flat = sorted({text for several in texts for text in several})
        vectors = dict(zip(flat, target_vectors(flat, cache), strict=True))
        targets = np.stack([np.mean([vectors[text] for text in several], axis=0) for several in texts])
        photo = np.array([record.get("kind") == "photo" for record in records])
        # A group below 0 stands for "none": such a picture is a group of its own.
        groups = [-1 if record.get("group") is None else record["group"] for record in records]
        groups = [group if group >= 0 else -1 - index for index, group in enumerate(groups)]
        sizes = Counter(groups)
        weights = np.array([sizes[group] for group in groups], np.float64) ** -options.group_balance
        return cls(
            paths=[str(path.parent / record["file_name"]) for record in records],
            targets=(targets / np.linalg.norm(targets, axis=1, keepdims=True)).astype(np.float32),
            photo=photo,
            weights=weights * np.where(photo, options.photo_weight, 1.0),
        )

    def draw(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
        """`count` indices, by weight, with replacement."""
        return rng.choice(len(self.paths), size=count, p=self.weights / self.weights.sum())


class RegressorTask:
    """Fine-tunes the whole network on augmented pictures."""

    metric = "balanced"

    def __init__(self, recipe: Recipe, folder: Path) -> None:
        self.options, self.seed = recipe.regressor, recipe.optimisation.seed
        torch.manual_seed(self.seed)
        cache = folder / "cache"
        self.train = Pairs.read(Path(self.options.train), self.options, cache, all_captions=True)
        self.validation = Pairs.read(Path(self.options.validation), self.options, cache, all_captions=False)
        self.preprocessing = preprocessing_of(self.options)
        self.model = Regressor(
            self.options.backbone,
            hidden=self.options.hidden,
            head_dropout=self.options.head_dropout,
            drop_path=self.options.drop_path,
        )
        if self.options.input_size != self.model.input_size:
            raise DataError(
                f"{self.options.backbone} takes pictures of {self.model.input_size} pixels; write "
                f"regressor.input_size={self.model.input_size} in place of {self.options.input_size}"
            )
        if self.options.start_weights:
            put_start_weights(self.model.backbone, Path(self.options.start_weights))

    def steps(self, batch_size: int) -> int:
        return max(1, len(self.train.paths) // batch_size)

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, epoch))
        for chosen in self.train.draw(self.steps(batch_size) * batch_size, rng).reshape(-1, batch_size):
            pictures = [_augmented(read_pixels(self.train.paths[index]), self.options, rng) for index in chosen]
            pixels = np.stack([preprocess(picture, self.preprocessing) for picture in pictures])
            yield {"pixels": torch.from_numpy(pixels), "target": torch.from_numpy(self.train.targets[chosen])}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return regression_loss(model(batch["pixels"]), batch["target"], self.options)

    def depth_of(self, parameter: str) -> int:
        assert isinstance(self.model, Regressor)
        block = self.model.block_of(parameter)
        return -1 if block < self.options.frozen_blocks else self.model.depth - block

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Regressor)
        predicted = [model(pixels) for pixels in self.pixel_batches(self.validation.paths, _device(model))]
        return score(torch.cat(predicted).cpu(), self.validation)

    def pixel_batches(self, paths: Sequence[str], device: torch.device) -> Iterator[Tensor]:
        """Preprocessed pictures (batch, 3, size, size), in order."""
        for at in range(0, len(paths), FEATURE_BATCH):
            pixels = [preprocess(read_pixels(path), self.preprocessing) for path in paths[at : at + FEATURE_BATCH]]
            yield torch.from_numpy(np.stack(pixels)).to(device)


class ProbeTask:
    """Trains the head alone, on features of the frozen backbone: straight and mirrored pictures, computed once."""

    metric = "balanced"

    def __init__(self, whole: RegressorTask, folder: Path) -> None:
        self.whole, self.model, self.seed = whole, whole.model, whole.seed
        self.features = _cached_features(whole, whole.train.paths, folder / "cache" / "train-features.safetensors")
        self.held_out = _cached_features(whole, whole.validation.paths, folder / "cache" / "val-features.safetensors")
        whole.model.fit_scale(self.features.flatten(0, 1))

    def steps(self, batch_size: int) -> int:
        return self.whole.steps(batch_size)

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        rng = np.random.default_rng((self.seed, epoch))
        for chosen in self.whole.train.draw(self.steps(batch_size) * batch_size, rng).reshape(-1, batch_size):
            mirrored = torch.from_numpy(rng.integers(0, 2, batch_size))
            target = torch.from_numpy(self.whole.train.targets[chosen])
            yield {"features": self.features[mirrored, torch.from_numpy(chosen)], "target": target}

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(model, Regressor)
        return regression_loss(model.project(batch["features"]), batch["target"], self.whole.options)

    def depth_of(self, parameter: str) -> int:
        return -1 if parameter.startswith("backbone.") else 0

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        assert isinstance(model, Regressor)
        return score(model.project(self.held_out[0].to(_device(model))).cpu(), self.whole.validation)


def regression_loss(predicted: Tensor, target: Tensor, options: RegressorRecipe) -> Tensor:
    """1 - cosine, plus a contrastive term that asks for the own prompt among those of the batch."""
    loss = 1 - (predicted * target).sum(dim=1).mean()
    if options.contrastive:
        likeness = predicted @ target.T / options.temperature
        loss = loss + options.contrastive * F.cross_entropy(likeness, torch.arange(len(target), device=target.device))
    return loss


def score(predicted: Tensor, pairs: Pairs) -> dict[str, float]:
    """Mean cosine for generated pictures, for photos, and the mean of the two, which decides."""
    cosines = (predicted.float().numpy() * pairs.targets).sum(axis=1)
    kinds = {"generated": cosines[~pairs.photo], "photo": cosines[pairs.photo]}
    means = {kind: float(values.mean()) for kind, values in kinds.items() if len(values)}
    return {"balanced": float(np.mean(list(means.values()))), **means}


def preprocessing_of(options: RegressorRecipe) -> Preprocessing:
    """How a regressor of this recipe wants to see pictures."""
    return Preprocessing(options.input_size, "shortest", "bicubic", "center", _three(options.mean), _three(options.std))


def read_pixels(path: str) -> npt.NDArray[np.uint8]:
    """The pixels of a training picture; DataError where there are none: a training set is not expected to be broken."""
    picture = decode(ImageRef(path, LocalFile(path)), read_metadata=False)
    if not isinstance(picture, Picture):
        raise DataError(f"{picture.source}: {picture.message}")
    return picture.pixels


def _augmented(
    pixels: npt.NDArray[np.uint8], options: RegressorRecipe, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    image = Image.fromarray(pixels)
    if options.crop_scale < 1:
        image = _random_crop(image, options, rng)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if options.colour:
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1 + options.colour * rng.uniform(-1, 1))
    return np.asarray(image)


def _random_crop(image: Image.Image, options: RegressorRecipe, rng: np.random.Generator) -> Image.Image:
    """A part of the picture of 4:5 to 5:4, brought to the model's size."""
    area = image.width * image.height * rng.uniform(options.crop_scale, 1)
    aspect = np.exp(rng.uniform(-1, 1) * np.log(1.25))
    width = min(image.width, round(np.sqrt(area * aspect)))
    height = min(image.height, round(np.sqrt(area / aspect)))
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    size = (options.input_size, options.input_size)
    return image.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + width, top + height))


def _cached_features(task: RegressorTask, paths: Sequence[str], cache: Path) -> Tensor:
    """Features (2, n, size) of the start weights: straight, mirrored."""
    identity = json.dumps([task.options.backbone, task.options.start_weights, task.options.input_size, list(paths)])
    if cache.exists():
        found = load_file(cache)
        if bytes(found["identity"].tolist()).decode() == identity:
            return found["features"]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assert isinstance(task.model, Regressor)
    model = task.model.to(device).eval()
    straight, mirrored = [], []
    with torch.inference_mode():
        for pixels in task.pixel_batches(paths, device):
            straight.append(model.features(pixels).cpu())
            mirrored.append(model.features(pixels.flip(3)).cpu())
    features = torch.stack([torch.cat(straight), torch.cat(mirrored)])
    marked = {"features": features, "identity": torch.tensor(list(identity.encode()), dtype=torch.uint8)}
    save_tensors(marked, cache)
    return features


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _three(numbers: Sequence[float]) -> tuple[float, float, float]:
    if len(numbers) != 3:
        raise DataError(f"expected three numbers for red, green, blue, found {list(numbers)}")
    return numbers[0], numbers[1], numbers[2]
