"""MobileFaceNet (Chen et al., arXiv:1804.07573): a small network that tells people apart.

Takes aligned faces of 112x112 px (`vidrestore.models.templates.ARCFACE_112`), RGB normalised by
`normalize`, and gives one vector a face; the cosine of two vectors says how alike the people are.
Keys are those of the public weights `mobilefacenet.pt`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["MobileFaceNet", "normalize"]

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_BLOCKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""Expansion, output channels, repetitions and first stride of the bottlenecks, table 1."""


def normalize(faces: Tensor) -> Tensor:
    """(N, 3, H, W) RGB in [0, 1] as the network wants it: ImageNet mean 0 and deviation 1."""
    mean = torch.tensor(_MEAN, dtype=faces.dtype, device=faces.device).view(3, 1, 1)
    std = torch.tensor(_STD, dtype=faces.dtype, device=faces.device).view(3, 1, 1)
    return (faces - mean) / std


class MobileFaceNet(nn.Module):
    """The network; it has no hyper-parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = _layer(3, 64, 3, stride=2)
        self.dw_conv = _DepthwiseSeparable(64)
        blocks: list[_Bottleneck] = []
        channels = 64
        for expansion, width, repetitions, stride in _BLOCKS:
            for index in range(repetitions):
                step = stride if index == 0 else 1
                blocks.append(_Bottleneck(channels, width, step, expansion))
                channels = width
        self.features = nn.Sequential(*blocks)
        self.conv2 = _layer(channels, 512, 1)
        self.gdconv = _GlobalDepthwise(512)
        self.conv3 = nn.Conv2d(512, 128, 1)
        self.bn = nn.BatchNorm2d(128)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 112, 112), normalised, to (N, 128), not of unit length."""
        x = self.features(self.dw_conv(self.conv1(x)))
        embedding: Tensor = self.bn(self.conv3(self.gdconv(self.conv2(x))))
        return embedding.flatten(1)


class _Bottleneck(nn.Module):
    """Inverted residual block."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.conv = nn.Sequential(
            _layer(in_channels, hidden, 1),
            _layer(hidden, hidden, 3, stride=stride, groups=hidden),
            nn.Conv2d(hidden, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.shortcut else y


class _DepthwiseSeparable(nn.Module):
    """Depthwise and pointwise 3x3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.depthwise(x)))
        return torch.relu(self.bn2(self.pointwise(x)))


class _GlobalDepthwise(nn.Module):
    """One 7x7 filter a channel, which leaves one pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn(self.depthwise(x))
        return y


def _layer(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU capped at 6."""
    padding = kernel_size // 2
    return nn.Sequential(
        nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False
        ),
        nn.BatchNorm2d(out_channels),
        nn.ReLU6(inplace=True),
    )
