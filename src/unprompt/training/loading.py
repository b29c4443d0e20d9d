"""Training pictures, decoded and changed by threads while the network is busy with those before them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unprompt.errors import DataError
from unprompt.images.decode import Picture, decode
from unprompt.images.preprocess import Preprocessing
from unprompt.images.ref import ImageRef, Pixels
from unprompt.threads import core_count

Job = TypeVar("Job")

BATCHES_AHEAD = 3


@dataclass(frozen=True)
class Loader:
    """Threads that make squares (input_size, input_size, 3) uint8; 0: one a core."""

    workers: int = 0

    def batches(
        self, plan: Iterable[Sequence[Job]], make: Callable[[Job], Pixels]
    ) -> Iterator[tuple[Sequence[Job], list[Pixels]]]:
        """The jobs of each batch of the plan and what `make` gives for them, in order; raises what it raises."""
        pool = ThreadPoolExecutor(self.workers or core_count(), thread_name_prefix="unprompt-load")
        waiting: deque[tuple[Sequence[Job], list[Future[Pixels]]]] = deque()
        try:
            for jobs in plan:
                waiting.append((jobs, [pool.submit(make, job) for job in jobs]))
                if len(waiting) > BATCHES_AHEAD:
                    yield _finished(*waiting.popleft())
            while waiting:
                yield _finished(*waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)


def _finished(jobs: Sequence[Job], made: Sequence[Future[Pixels]]) -> tuple[Sequence[Job], list[Pixels]]:
    return jobs, [future.result() for future in made]


def read_pixels(ref: ImageRef, shorter_side: int | None = None) -> Pixels:
    """The pixels of a training picture, of a large JPEG no more than `shorter_side` asks for.

    Raises DataError where it cannot be read: what is broken was to be found before the first step.
    """
    picture = decode(ref, read_metadata=False, shorter_side=shorter_side)
    if not isinstance(picture, Picture):
        raise DataError(f"{picture.source}: {picture.message}")
    return picture.pixels


def to_tensor(squares: Sequence[Pixels]) -> Tensor:
    """(batch, size, size, 3) uint8: a quarter of what the network takes, which it becomes on its device."""
    return torch.from_numpy(np.stack(squares))


def normalised(squares: Tensor, preprocessing: Preprocessing) -> Tensor:
    """(batch, size, size, 3) uint8 -> (batch, 3, size, size) float32, the same numbers as `preprocess` gives."""
    mean = torch.tensor(preprocessing.mean, device=squares.device)
    std = torch.tensor(preprocessing.std, device=squares.device)
    return ((squares.float() / 255 - mean) / std).permute(0, 3, 1, 2)
