"""The face embedding that GFP-GAN was trained with: ResNet-18 by ArcFace (Deng et al.,
arXiv:1801.07698), on grey faces of 128 px.

Its blocks normalise before and after the first convolution and have one PReLU each. Keys are those
of the public weights `arcface_resnet18.pth`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ARCFACE_PX", "ArcFaceResNet18", "grey_faces"]

ARCFACE_PX = 128
"""Side of the faces."""

_STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))
"""Channels and first stride of two blocks each."""
_LUMA = (0.2989, 0.5870, 0.1140)
"""Of BT.601, rounded as they were in its training."""


def grey_faces(pictures: Tensor) -> Tensor:
    """Pictures as the network wants them.

    Args:
        pictures: (N, 3, S, S) RGB in [-1, 1], faces of the FFHQ alignment.

    Returns:
        (N, 1, 128, 128) in [-1, 1].
    """
    weights = torch.tensor(_LUMA, dtype=pictures.dtype, device=pictures.device).view(3, 1, 1)
    grey = (pictures * weights).sum(1, keepdim=True)
    return F.interpolate(grey, (ARCFACE_PX, ARCFACE_PX), mode="bilinear", align_corners=False)


class ArcFaceResNet18(nn.Module):
    """The network; it has no hyper-parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.prelu = nn.PReLU()
        channels = 64
        for number, (width, stride) in enumerate(_STAGES, start=1):
            stage = nn.Sequential(_Block(channels, width, stride), _Block(width, width, 1))
            self.add_module(f"layer{number}", stage)
            channels = width
        self.bn4 = nn.BatchNorm2d(channels)
        self.fc5 = nn.Linear(channels * (ARCFACE_PX // 16) ** 2, 512)
        self.bn5 = nn.BatchNorm1d(512)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 1, 128, 128) in [-1, 1] to (N, 512), not of unit length."""
        x = F.max_pool2d(self.prelu(self.bn1(self.conv1(x))), 2)
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        embedding: Tensor = self.bn5(self.fc5(self.bn4(x).flatten(1)))
        return embedding


class _Block(nn.Module):
    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        inner = self.prelu(self.bn1(self.conv1(self.bn0(x))))
        found: Tensor = self.prelu(self.bn2(self.conv2(inner)) + self.downsample(x))
        return found
