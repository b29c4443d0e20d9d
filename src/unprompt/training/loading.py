"""Loading of training pictures: threads decode and augment while the network computes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unprompt.errors import DataError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import Preprocessing
from unprompt.images.ref import ImageRef, Pixels
from unprompt.threads import core_count, in_order

Job = TypeVar("Job")

BATCHES_AHEAD = 3


@dataclass(frozen=True)
class Loader:
    """Threads that make squares (input_size, input_size, 3) uint8; 0 `workers`: one per core."""

    workers: int = 0

    def batches(
        self, jobs: Iterable[Job], size: int, make: Callable[[Job], Pixels]
    ) -> Iterator[tuple[list[Job], list[Pixels]]]:
        """The jobs in batches of `size`, each with the results of `make`, in order; raises what `make` raises."""
        with ThreadPoolExecutor(self.workers or core_count(), "unprompt-load") as pool:
            made = in_order(pool, lambda job: (job, make(job)), jobs, BATCHES_AHEAD * size)
            while batch := list(islice(made, size)):
                yield [job for job, _ in batch], [square for _, square in batch]


def read_pixels(ref: ImageRef, shorter_side: int | None = None) -> Pixels:
    """The pixels of a training picture; a large JPEG is decoded at a reduced size, if `shorter_side` allows.

    Raises DataError if it cannot be read, though broken pictures should have been found before the first step.
    """
    picture = decode(ref, read_metadata=False, shorter_side=shorter_side)
    if not isinstance(picture, Picture):
        raise DataError(f"{picture.source}: {picture.message}")
    return picture.pixels


def to_tensor(squares: Sequence[Pixels]) -> Tensor:
    """Squares (batch, size, size, 3) uint8, a quarter of the bytes of `normalised`, which is applied on the device."""
    return torch.from_numpy(np.stack(squares))


def normalised(squares: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Pixels (batch, 3, size, size) float32 of squares (batch, size, size, 3) uint8, as `preprocess` computes them."""
    mean = torch.tensor(preprocessing.mean, device=squares.device)
    std = torch.tensor(preprocessing.std, device=squares.device)
    pixels = ((squares.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    # With channels last, gradients of some convolutions write past their memory on a CPU: see docs/pitfalls.md.
    return pixels.contiguous() if pixels.device.type == "cpu" else pixels
