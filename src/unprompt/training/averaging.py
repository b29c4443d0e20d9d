"""A moving average of weights, which scores better than the weights themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn


class MovingAverage:
    """An exponential moving average of parameters; with a decay of 0, the parameters themselves.

    Sources: Polyak and Juditsky, "Acceleration of stochastic approximation by averaging" (1992); the shorter memory at
    the start is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters, self._decay = parameters, decay
        self.values = {name: value.detach().clone() for name, value in parameters.items()} if decay else {}

    def update(self, step: int) -> None:
        """Add the parameters after `step` steps to the average."""
        # The memory is short at first, so that the initial weights are soon forgotten.
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self.values.items():
            value.lerp_(self._parameters[name].detach(), 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the averaged weights into the model for the duration of the block."""
        kept = {name: self._parameters[name].detach().clone() for name in self.values}
        put(self._parameters, self.values)
        try:
            yield
        finally:
            put(self._parameters, kept)


def put(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Copy values into the parameters of the same names."""
    with torch.no_grad():
        for name, value in values.items():
            parameters[name].copy_(value)
