"""An image network without a head, with the same interface for every library (torch)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from unprompt.errors import DataError
from unprompt.images.preprocess import Preprocessing

Features = Literal["pooled", "tokens", "classes", "layers"]
FEATURES: tuple[Features, ...] = ("pooled", "tokens", "classes", "layers")

CLASS_FLOOR = 1e-4
"""Added to class probabilities before the logarithm, since differences below it are noise."""

LARGEST_NETWORK = 10_000_000_000
"""Parameters. The largest image tower in either library has 4.5 billion (EVA02-E-14-plus)."""


class Backbone(nn.Module, ABC):
    """An image network without a head.

    `name` is the name it was built by, `features` the kind of features and `size` their number; the last `class_size`
    of them are log probabilities of classes. `preprocessing` describes the input pixels.
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
        """Map preprocessed pixels (batch, 3, input_size, input_size) to features (batch, size), float32."""
        return self._encode(pixels).float()

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return self._depth

    def block_of(self, parameter: str) -> int:
        """The block of a parameter: 0 in or before the first block, `depth` after the last.

        `parameter` is a name from `named_parameters`; KeyError for any other.
        """
        return self._blocks[parameter]

    def checkpoint_gradients(self) -> None:
        """Recompute each block in the backward pass instead of storing it: less memory, a third more time.

        Raises DataError if the network does not support this.
        """
        try:
            self.network.set_grad_checkpointing(True)  # type: ignore[operator]
        except (AssertionError, AttributeError) as error:
            raise DataError(f"{self.name} cannot checkpoint gradients; leave it out of the recipe") from error

    def drop_patches(self, share: float) -> None:
        """Leave out a random share of the patches in training, which takes that much less time.

        Source: Liu et al., "PatchDropout: economizing vision transformers using patch dropout" (2022). Raises DataError
        if the network does not support this.
        """
        raise DataError(f"{self.name} cannot drop patches; leave patch_drop out of the recipe")

    @abstractmethod
    def resize(self, input_size: int) -> None:
        """Change the size of the pictures that it takes. Raises DataError if it cannot."""

    @abstractmethod
    def start_weights(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Select this network's own weights from a file's, without heads and text towers, under the network's names."""

    @abstractmethod
    def hub_weights(self) -> Mapping[str, Tensor]:
        """Get the weights of its tag, at the native size, from the hub's cache or the hub. Raises ModelError."""

    @abstractmethod
    def _encode(self, pixels: Tensor) -> Tensor: ...

    @abstractmethod
    def _block_key(self, parameter: str) -> tuple[int, ...] | None:
        """The sort key of a parameter's block in `network`: () before the first block, None after the last."""

    def _count_blocks(self) -> tuple[dict[str, int], int]:
        keys = {name: self._block_key(name) for name, _ in self.network.named_parameters()}
        order = {key: number for number, key in enumerate(sorted({key for key in keys.values() if key}))}
        blocks = {name: len(order) if key is None else order.get(key, 0) for name, key in keys.items()}
        return {f"network.{name}": block for name, block in blocks.items()}, len(order)


def measure(plan: Backbone) -> int:
    """Return the number of features of a backbone on the device "meta", which takes neither memory nor time.

    Raises DataError if the network is too large or does not take pictures of its preprocessing's size.
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
        raise DataError(
            f"{plan.name} gives features of shape {tuple(features.shape[1:])}; expected one row per picture"
        )
    return int(features.shape[1])
