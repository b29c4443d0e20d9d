"""Scores of a network on labelled pictures, computed as for predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from unprompt.images.preprocess import Preprocessing, View, fit_square
from unprompt.images.ref import ImageRef, Pixels
from unprompt.training.loading import Loader, normalised, read_pixels, to_tensor
from unprompt.training.pairs import Pairs

BATCH = 64


def scores(
    network: nn.Module, pairs: Pairs, preprocessing: Preprocessing, views: Sequence[View], loader: Loader
) -> dict[str, float]:
    """Mean cosines of a network's answers, each a mean over views, with the true vectors, as in `Pairs.score`."""
    total = torch.zeros(len(pairs.pictures), pairs.targets.shape[1])
    for view in views:
        batches = pixel_batches(pairs.pictures, preprocessing, loader, device_of(network), view)
        total += torch.cat([network(pixels).float().cpu() for pixels in batches])
    return pairs.score(F.normalize(total, dim=1).numpy())


def pixel_batches(
    pictures: Sequence[ImageRef],
    preprocessing: Preprocessing,
    loader: Loader,
    device: torch.device,
    view: View = "whole",
) -> Iterator[Tensor]:
    """Batches of one view of preprocessed pictures (batch, 3, size, size), in order."""

    def square(ref: ImageRef) -> Pixels:
        image = Image.fromarray(read_pixels(ref, preprocessing.resized_side))
        return np.asarray(fit_square(image, preprocessing, view))

    for _, squares in loader.batches(pictures, BATCH, square):
        yield normalised(to_tensor(squares).to(device), preprocessing)


def device_of(network: nn.Module) -> torch.device:
    """The device of a network."""
    return next(network.parameters()).device
