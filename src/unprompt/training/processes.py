"""The processes of a distributed run, one per GPU: ranks, rows of a batch, and sums over all processes.

torchrun and accelerate set environment variables that identify a process; without them there is only one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.models.networks.device import best_device

LONGEST_WAIT = timedelta(hours=12)
"""The other processes wait while the first reads the data and evaluates."""


@dataclass(frozen=True)
class Processes:
    """This process among those of a run: its rank, their number, and its device."""

    rank: int
    count: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that reports, evaluates and writes."""
        return self.rank == 0

    @property
    def rows(self) -> slice:
        """The rows of a batch that this process computes."""
        return slice(self.rank, None, self.count)

    def wait(self) -> None:
        """Wait until all processes have called this."""
        if self.count > 1:
            dist.barrier()

    @contextlib.contextmanager
    def first_alone(self) -> Iterator[None]:
        """The first process runs the block before the others, which then find what it wrote."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes.

        It is one sum over one flat tensor after the backward pass. That is simpler than DistributedDataParallel, which
        needs the loss inside `forward` and every parameter used, but it does not overlap with the backward pass.
        """
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.count
        for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def mean(self, value: Tensor) -> float:
        """The mean of a scalar over the processes."""
        if self.count > 1:
            value = value.clone()
            dist.all_reduce(value)
            value /= self.count
        return float(value)


def gpu_of(process: int, gpus: int) -> torch.device:
    """The GPU of process number `process` on this machine, from 0. Raises DataError if there are too few."""
    if process >= gpus:
        raise DataError(f"expected at most {gpus} processes on this machine, one a GPU; found a process {process + 1}")
    return torch.device("cuda", process)


@contextlib.contextmanager
def joined() -> Iterator[Processes]:
    """This process among those started by torchrun or accelerate, or alone."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes(0, 1, best_device())
        return
    on_gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if on_gpu:
        device = gpu_of(int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count())
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if on_gpu else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(dist.get_rank(), count, device)
    finally:
        dist.destroy_process_group()
