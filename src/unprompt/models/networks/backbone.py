"""What every image network offers to a head, whichever library it comes from (torch)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.images.preprocess import Preprocessing

Features = Literal["pooled", "tokens", "classes"]
FEATURES: tuple[Features, ...] = ("pooled", "tokens", "classes")

CLASS_FLOOR = 1e-4
"""Added to class probabilities before the logarithm: below it, differences are noise."""

LARGEST_NETWORK = 10_000_000_000
"""Parameters. The largest image tower that both libraries know has 4.5 billion (EVA02-E-14-plus)."""


class Backbone(nn.Module, ABC):
    """An image network without a head.

    `name` is what it was built by, `features` the kind of them, `size` how many numbers they are, `class_size` how many
    of these, at the end, are log probabilities of classes. `preprocessing` says which pixels it expects.
    """

    size: int
    class_size: int = 0

    def __init__(
        self,
        name: str,
        network: nn.Module,
        features: Features,
        options: Mapping[str, Any],
        preprocessing: Preprocessing,
    ) -> None:
        super().__init__()
        self.name = name
        self.network = network
        self.features = features
        self.options = dict(options)
        self.preprocessing = preprocessing
        self._blocks, self._depth = self._count_blocks()

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (batch, 3, input_size, input_size), preprocessed; returns features (batch, size), float32."""
        return self._encode(pixels).float()

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return self._depth

    def block_of(self, parameter: str) -> int:
        """The block of a parameter: 0 if it lies in the first or before it, `depth` if it follows the last.

        `parameter` is named as in `named_parameters`; KeyError for one that is not there.
        """
        return self._blocks[parameter]

    def checkpoint_gradients(self) -> None:
        """Computes each block again in the backward pass in place of keeping it: less memory, a third more time.

        Raises DataError where the network knows no such thing.
        """
        try:
            self.network.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AssertionError, AttributeError) as error:
            raise DataError(f"{self.name} cannot checkpoint gradients; leave it out of the recipe") from error

    @abstractmethod
    def resize(self, input_size: int) -> None:
        """Makes it take pictures of another size. Raises DataError where it cannot."""

    @abstractmethod
    def start_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of what a file holds, what belongs to this network, under its own names; heads and text towers do not."""

    @abstractmethod
    def hub_weights(self) -> Mapping[str, Tensor]:
        """The weights of its tag, at the native size, from the hub's cache or the hub. ModelError without."""

    @abstractmethod
    def _encode(self, pixels: Tensor) -> Tensor: ...

    @abstractmethod
    def _block_key(self, parameter: str) -> tuple[int, ...] | None:
        """What orders the blocks, for a parameter of `network`; (): before the first one, None: after the last."""

    def _count_blocks(self) -> tuple[dict[str, int], int]:
        keys = {name: self._block_key(name) for name, _ in self.network.named_parameters()}
        order = {key: number for number, key in enumerate(sorted({key for key in keys.values() if key}))}
        blocks = {name: len(order) if key is None else order.get(key, 0) for name, key in keys.items()}
        return {f"network.{name}": block for name, block in blocks.items()}, len(order)


def measure(plan: Backbone) -> int:
    """The number of features that a backbone on the device "meta" gives, where neither memory nor time is spent.

    Raises DataError where the network is too large or does not take pictures of its preprocessing's size.
    """
    parameters = sum(parameter.numel() for parameter in plan.parameters())
    if parameters > LARGEST_NETWORK:
        raise DataError(f"{plan.name} would have {parameters:,} parameters; expected at most {LARGEST_NETWORK:,}")
    side = plan.preprocessing.input_size
    try:
        with torch.inference_mode():
            features = plan.eval()(torch.empty(2, 3, side, side, device="meta"))
    except (RuntimeError, AssertionError, ValueError, ZeroDivisionError) as error:
        raise DataError(f"{plan.name} does not take pictures of {side} x {side} pixels: {error}") from error
    if features.ndim != 2:
        raise DataError(f"{plan.name} gives features of shape {tuple(features.shape[1:])}; expected one row a picture")
    return int(features.shape[1])
