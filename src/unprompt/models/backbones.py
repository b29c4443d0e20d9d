"""Image networks that are trained here (torch; at prediction their ONNX exports run)."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unprompt.errors import DataError, MissingExtraError, UnknownNameError
from unprompt.models.torchvision_cure import cure_torchvision
from unprompt.prediction import EMBEDDING_SIZE

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

CLASS_FLOOR = 1e-4
"""Added to class probabilities before the logarithm: below it, differences are noise."""


class Regressor(nn.Module):
    """Picture -> unit vector: a vision transformer, what it knows of classes, and a head.

    The head sees the class token, the mean of the patches and the log probabilities of the backbone's own classes
    (ImageNet's names are half a caption), all standardised by `fit_scale`; it is a linear map plus a small
    perceptron, so that photos and generated pictures can be told apart.

    Raises UnknownNameError for a backbone that timm does not know, DataError for one without a class token.
    """

    centre: Tensor
    spread: Tensor

    def __init__(self, backbone: str, *, hidden: int, head_dropout: float = 0.0, drop_path: float = 0.0) -> None:
        super().__init__()
        self.backbone = _vision_transformer(backbone, drop_path)
        size = 2 * self.backbone.embed_dim + self.backbone.num_classes
        self.register_buffer("centre", torch.zeros(size))
        self.register_buffer("spread", torch.ones(size))
        linear = nn.Linear(size, EMBEDDING_SIZE)
        nn.init.normal_(linear.weight, std=0.01)
        self.linear = nn.Sequential(nn.Dropout(head_dropout), linear)
        self.perceptron = nn.Sequential(
            nn.Dropout(head_dropout),
            nn.Linear(size, hidden),
            nn.GELU(),
            nn.Dropout(head_dropout),
            nn.Linear(hidden, EMBEDDING_SIZE),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (batch, 3, size, size), preprocessed; returns unit vectors (batch, 384)."""
        return self.project(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """What the head sees, not yet standardised (batch, 2 * width + classes)."""
        tokens = self.backbone.forward_features(pixels)  # (batch, 1 + patches, width)
        classes = self.backbone.head(tokens[:, 0]).float().softmax(dim=-1)
        return torch.cat([tokens[:, 0].float(), tokens[:, 1:].float().mean(dim=1), (classes + CLASS_FLOOR).log()], 1)

    def project(self, features: Tensor) -> Tensor:
        """The head alone: features (batch, 2 * width + classes) to unit vectors (batch, 384)."""
        scaled = (features - self.centre) / self.spread
        return F.normalize((self.linear(scaled) + self.perceptron(scaled)).float(), dim=-1)

    def fit_scale(self, features: Tensor) -> None:
        """Standardises by the mean and deviation of training features (n, 2 * width + classes)."""
        self.centre.copy_(features.mean(dim=0))
        self.spread.copy_(features.std(dim=0) + 1e-6)
        # A thousand classes would outvote 384 features of the picture itself.
        self.spread[-self.backbone.num_classes :] *= 2

    def block_of(self, parameter: str) -> int:
        """The block that a parameter belongs to: 0 if it comes before the first, `depth` if it follows the last."""
        if parameter.startswith("backbone.blocks."):
            return int(parameter.split(".")[2])
        stem = ("backbone.patch_embed", "backbone.cls_token", "backbone.pos_embed")
        return 0 if parameter.startswith(stem) else self.depth

    @property
    def depth(self) -> int:
        """The number of blocks."""
        return len(self.backbone.blocks)

    @property
    def input_size(self) -> int:
        """The side in pixels of the square pictures that the backbone takes."""
        return int(self.backbone.patch_embed.img_size[0])


def _vision_transformer(name: str, drop_path: float) -> VisionTransformer:
    cure_torchvision()
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingExtraError("an image backbone", "torch") from error
    from timm.models.vision_transformer import VisionTransformer

    if not timm.is_model(name):
        raise UnknownNameError("backbone", name, difflib.get_close_matches(name, timm.list_models(), cutoff=0.3))
    network = timm.create_model(name, drop_path_rate=drop_path) if _is_vision_transformer(name) else None
    # The head reads the class token, and the classes from it alone.
    if not isinstance(network, VisionTransformer) or network.global_pool != "token" or network.num_prefix_tokens != 1:
        raise DataError(f"{name} is no vision transformer that puts what it sees into one class token")
    return network


def _is_vision_transformer(name: str) -> bool:
    from timm.models import model_entrypoint

    return model_entrypoint(name).__module__ == "timm.models.vision_transformer"
