"""The regressor's network: a backbone, and a head that outputs a prompt's vector (torch)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.checked import Bounds, check, read
from unprompt.errors import DataError
from unprompt.models.networks.backbone import Backbone
from unprompt.prediction import EMBEDDING_SIZE

WIDENING = 16
"""The factor by which the wide head widens the features, as in the competition's first place."""


@dataclass(frozen=True)
class HeadSpec:
    """The architecture of a head, which turns features into a vector.

    "linear" is one linear map. "wide" is Linear(size, hidden) - BatchNorm - ReLU - Linear(384), as in the competition's
    first place; `hidden` 0 means 16 times the features. "perceptron" is a linear map plus a small perceptron, so that
    photos and generated pictures can be told apart. `dropout` comes before each linear map. With `standardise` the head
    gets features minus their mean, divided by their deviation, which `RegressorNetwork.fit_scale` measures.

    Raises UnknownNameError for another kind, DataError for a number out of bounds.
    """

    kind: Literal["linear", "wide", "perceptron"]
    hidden: Annotated[int, Bounds(0, 131_072)] = 0
    dropout: Annotated[float, Bounds(0, 1, exclusive="most")] = 0.0
    standardise: bool = True

    def __post_init__(self) -> None:
        check(self)
        if self.kind == "perceptron" and not self.hidden:
            raise DataError("expected hidden of 1 or more in a perceptron head, found 0")
        if self.kind == "linear" and self.hidden:
            raise DataError(f"expected no hidden layer in a linear head, found hidden = {self.hidden}")

    @classmethod
    def from_config(cls, config: Any) -> HeadSpec:
        """Read what `to_config` writes. Raises DataError, UnknownNameError."""
        return read(cls, config, "the head")

    def to_config(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


@dataclass(frozen=True)
class ConceptSpec:
    """The architecture of the concept head: the number of concepts (0: no head), and of hidden units.

    Raises DataError for a number out of bounds.
    """

    count: Annotated[int, Bounds(0, 65_536)] = 0
    hidden: Annotated[int, Bounds(1, 65_536)] = 512
    dropout: Annotated[float, Bounds(0, 1, exclusive="most")] = 0.0

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def from_config(cls, config: Any) -> ConceptSpec:
        """Read what `to_config` writes. Raises DataError, UnknownNameError."""
        return read(cls, config, "the concept head")

    def to_config(self) -> dict[str, Any]:
        """Return a JSON object."""
        return asdict(self)


NO_CONCEPTS = ConceptSpec()
RARITY = -6.0
"""The bias with which a concept's logit begins: most are in one picture of hundreds."""


class Head(nn.Module):
    """Maps features (batch, size) to unit vectors (batch, 384)."""

    centre: Tensor
    spread: Tensor

    def __init__(self, size: int, spec: HeadSpec) -> None:
        super().__init__()
        self.spec = spec
        if spec.standardise:
            self.register_buffer("centre", torch.zeros(size))
            self.register_buffer("spread", torch.ones(size))
        if spec.kind != "wide":
            linear = nn.Linear(size, EMBEDDING_SIZE)
            nn.init.normal_(linear.weight, std=0.01)
            self.linear = nn.Sequential(nn.Dropout(spec.dropout), linear)
        if spec.kind != "linear":
            hidden = spec.hidden or WIDENING * size
            middle = [nn.BatchNorm1d(hidden), nn.ReLU()] if spec.kind == "wide" else [nn.GELU()]
            self.perceptron = nn.Sequential(
                nn.Dropout(spec.dropout),
                nn.Linear(size, hidden),
                *middle,
                nn.Dropout(spec.dropout),
                nn.Linear(hidden, EMBEDDING_SIZE),
            )

    def forward(self, features: Tensor) -> Tensor:
        """Map features (batch, size) to unit vectors (batch, 384)."""
        seen = self.scaled(features)
        parts = [part(seen) for part in self.children()]
        return F.normalize(sum(parts).float(), dim=-1)

    def scaled(self, features: Tensor) -> Tensor:
        """Return the features (batch, size) as the head sees them."""
        return (features - self.centre) / self.spread if self.spec.standardise else features


class ConceptHead(nn.Sequential):
    """Maps scaled features (batch, size) to the logits of concepts (batch, count)."""

    def __init__(self, size: int, spec: ConceptSpec) -> None:
        last = nn.Linear(spec.hidden, spec.count)
        nn.init.constant_(last.bias, RARITY)
        super().__init__(
            nn.Dropout(spec.dropout), nn.Linear(size, spec.hidden), nn.GELU(), nn.Dropout(spec.dropout), last
        )
        self.spec = spec


class RegressorNetwork(nn.Module):
    """Maps a picture to a unit vector and, with a concept head, to concepts: a backbone followed by its heads."""

    def __init__(self, backbone: Backbone, head: HeadSpec, concepts: ConceptSpec = NO_CONCEPTS) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = Head(backbone.size, head)
        self.concept_head = ConceptHead(backbone.size, concepts) if concepts.count else None

    def forward(self, pixels: Tensor) -> Tensor:
        """Map preprocessed pixels (batch, 3, input_size, input_size) to unit vectors (batch, 384)."""
        return self.project(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """Compute the head's input, not yet standardised: (batch, backbone.size)."""
        features: Tensor = self.backbone(pixels)
        return features

    def project(self, features: Tensor) -> Tensor:
        """Apply the head alone: features (batch, backbone.size) to unit vectors (batch, 384)."""
        vectors: Tensor = self.head(features)
        return vectors

    def concept_logits(self, features: Tensor) -> Tensor:
        """Apply the concept head alone: features (batch, backbone.size) to logits (batch, concepts)."""
        assert self.concept_head is not None
        logits: Tensor = self.concept_head(self.head.scaled(features))
        return logits

    @torch.no_grad()
    def fit_scale(self, features: Tensor) -> None:
        """Set the head's scale from training features (n, backbone.size); does nothing if it does not standardise.

        Log probabilities of classes are halved: a thousand of them would outweigh the other features.
        """
        if not self.head.spec.standardise:
            return
        self.head.centre.copy_(features.mean(dim=0))
        self.head.spread.copy_(features.std(dim=0) + 1e-6)
        if classes := self.backbone.class_size:
            self.head.spread[-classes:] *= 2

    def block_of(self, parameter: str) -> int:
        """The block of a parameter, as in `Backbone.block_of`; `depth` for those of the head."""
        part, _, rest = parameter.partition(".")
        return self.backbone.block_of(rest) if part == "backbone" else self.depth

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return self.backbone.depth
