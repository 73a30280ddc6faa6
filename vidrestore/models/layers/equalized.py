"""Layers with equalised learning rate, as in StyleGAN2, GFP-GAN v1 and GPEN.

Weights are drawn with unit variance and scaled at run time by 1 / sqrt(fan_in), so that all of them
learn at one pace (Karras et al., arXiv:1710.10196). `fold` multiplies the scale in once, for
inference.

The activation that goes with them is LeakyReLU(x + bias, 0.2) * sqrt(2).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.layers.fused import Tail, finish

__all__ = ["GAIN", "SLOPE", "BiasedLeakyReLU", "EqualConv2d", "EqualLinear", "ScaledLeakyReLU"]

SLOPE = 0.2
GAIN = math.sqrt(2.0)


class EqualConv2d(nn.Module):
    """Convolution with a weight scaled at run time.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel.
        stride: step of the kernel.
        padding: zeros on every side.
        bias: value that the bias starts with; None for no bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: float | None = None,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        self.scale = 1 / math.sqrt(in_channels * kernel_size**2)
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(torch.randn(shape))
        self.bias = None if bias is None else nn.Parameter(torch.full((out_channels,), bias))

    def kernel(self) -> Tensor:
        """The weight as it acts, (O, C, K, K)."""
        return self.weight if self.scale == 1 else self.weight * self.scale

    def fold(self) -> None:
        """Multiply the scale into the weight; changes the state dict's values."""
        self.weight.data.mul_(self.scale)
        self.scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel(), self.bias, self.stride, self.padding)


class EqualLinear(nn.Module):
    """Linear layer with a weight scaled at run time.

    Args:
        in_features: features of the input.
        out_features: features of the output.
        bias: value that the bias acts with at the start.
        lr_multiplier: learning rate of this layer relative to others; scales weight and bias.
        activation: "fused_lrelu" for LeakyReLU times sqrt(2), or None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: float = 0.0,
        lr_multiplier: float = 1.0,
        activation: Literal["fused_lrelu"] | None = None,
    ) -> None:
        super().__init__()
        self.activation = activation
        self.scale = lr_multiplier / math.sqrt(in_features)
        self.bias_scale = lr_multiplier
        self.weight = nn.Parameter(torch.randn(out_features, in_features) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((out_features,), float(bias)))

    def fold(self) -> None:
        """Multiply the scales in; changes the state dict's values."""
        self.weight.data.mul_(self.scale)
        self.bias.data.mul_(self.bias_scale)
        self.scale = self.bias_scale = 1.0

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight if self.scale == 1 else self.weight * self.scale
        bias = self.bias if self.bias_scale == 1 else self.bias * self.bias_scale
        y = F.linear(x, weight, bias)
        return F.leaky_relu(y, SLOPE) * GAIN if self.activation else y


class BiasedLeakyReLU(nn.Module):
    """LeakyReLU(x + bias, 0.2) * sqrt(2), the bias being one value a channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return finish(x, self.tail())

    def tail(self) -> Tail:
        """What it does, for what does it at once with others."""
        return Tail(bias=self.bias, gain=GAIN, slope=SLOPE)


class ScaledLeakyReLU(nn.Module):
    """LeakyReLU(x, 0.2) * sqrt(2)."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE) * GAIN
