"""OFA's image backbone: the first three stages of a ResNet (torch).

Batch norms are folded into the convolutions before them by `checkpoint`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 16
"""Side of a patch in pixels."""

FEATURES = 1024
"""Numbers per patch."""


class Bottleneck(nn.Module):
    """Maps (batch, channels, height, width) to (batch, 4 * width, height / stride, width / stride)."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1)
        self.conv3 = nn.Conv2d(width, 4 * width, 1)
        self.downsample = nn.Sequential()
        if stride > 1 or channels != 4 * width:
            self.downsample.append(nn.Conv2d(channels, 4 * width, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        """x (batch, channels, height, width)."""
        inner = F.relu_(self.conv1(x))
        inner = F.relu_(self.conv2(inner))
        return F.relu_(self.conv3(inner).add_(self.downsample(x)))


class ResNet(nn.Module):
    """Maps pixels (batch, 3, height, width) to features (batch, 1024, height / 16, width / 16)."""

    def __init__(self, blocks: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3)
        self.layer1 = _stage(64, 64, blocks[0], stride=1)
        self.layer2 = _stage(256, 128, blocks[1], stride=2)
        self.layer3 = _stage(512, 256, blocks[2], stride=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """pixels (batch, 3, height, width)."""
        x = F.max_pool2d(F.relu_(self.conv1(pixels)), 3, stride=2, padding=1)
        features: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return features


def _stage(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(channels, width, stride)
    return nn.Sequential(first, *(Bottleneck(4 * width, width, 1) for _ in range(blocks - 1)))
