"""Convolutions steered by a style vector, the heart of StyleGAN2 (arXiv:1912.04958, section 2.2).

A style scales the input channels of a kernel, and demodulation scales its output channels so that
they keep unit variance. Both scales can move from the kernel to the feature maps:

    conv(x, d * W * s) = d * conv(s * x, W),    d = 1 / sqrt(sum over W's inputs of (W s)^2 + 1e-8)

so one kernel serves every sample of a batch, and the sum needs only the squares of the style and
the *energy* of the kernel, its squares summed over its area, which does not depend on the style.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.layers.equalized import EqualLinear
from vidrestore.models.layers.fused import Tail, finish, fuses
from vidrestore.models.layers.resample import (
    FIR_TAPS,
    Filter,
    conv_of_doubled,
    conv_then_filter_doubled,
    edge_kernels,
    transposed_kernel,
)

__all__ = ["ModulatedConv2d", "Upsampling"]

Upsampling = Literal["bilinear", "fir"]
"""How a convolution doubles its input: bilinearly, or by a transposed convolution and a filter."""

_EPSILON = 1e-8
_NO_TAIL = Tail()


class ModulatedConv2d(nn.Module):
    """Convolution whose kernel is scaled by a style; see the module's text.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the kernel, odd.
        style_dim: length of the style vector.
        demodulate: whether output channels are brought back to unit variance.
        upsampling: how the output becomes twice as large; None keeps the size.
        equalized: whether weights are scaled at run time (see `layers.equalized`).
        blur: the filter of an up-convolution; by default [1, 3, 3, 1], kept out of the state dict.
    """

    kernel: Tensor | None
    """What `freeze` keeps: the kernel, for a transposed convolution where there is upsampling."""
    edges: Tensor | None
    """What `freeze` keeps of a bilinear up-convolution: its `edge_kernels`."""
    energy: Tensor | None
    """What `freeze` keeps: (O, C) squares of the kernel, summed over its area."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        demodulate: bool = True,
        upsampling: Upsampling | None = None,
        equalized: bool = False,
        blur: Filter | None = None,
    ) -> None:
        super().__init__()
        fan_in = in_channels * kernel_size**2
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.upsampling = upsampling
        self.scale = 1 / math.sqrt(fan_in) if equalized else 1.0
        weight = torch.randn(1, out_channels, in_channels, kernel_size, kernel_size)
        self.weight: nn.Parameter | None = nn.Parameter(
            weight if equalized else weight / math.sqrt(fan_in)
        )
        if upsampling:
            self.blur = blur or Filter(FIR_TAPS, gain=4.0, padding=1)
        self.modulation = _modulation(style_dim, in_channels, equalized)
        for name in ("kernel", "edges", "energy"):
            self.register_buffer(name, None, persistent=False)

    def fold(self) -> None:
        """Multiply the scale into the weight; changes the state dict's values."""
        assert self.weight is not None
        self.weight.data.mul_(self.scale)
        self.scale = 1.0

    def freeze(self) -> None:
        """Keep what derives from the weight instead of the weight, for inference.

        The state dict loses the weight.
        """
        with torch.no_grad():
            self.kernel, self.edges, self.energy = self._derived()
        self.weight = None

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        tail: Tail = _NO_TAIL,
        gain: float = 1.0,
        into: Tensor | None = None,
        scaled_by: Tensor | None = None,
    ) -> Tensor:
        """Convolve, and do what follows.

        Args:
            x: (N, C, H, W).
            style: (N, style_dim).
            tail: what follows; its factors are not given, but come of demodulation.
            gain: further factor of the convolution's output, where there is demodulation.
            into: see `vidrestore.models.layers.fused.finish`.
            scaled_by: the `scales` of the style, where `x` has been multiplied by them already.

        Returns:
            (N, O, H', W').
        """
        kernel, edges, energy = self._operands()
        scales = self.scales(style) if scaled_by is None else scaled_by
        if self.demodulate:
            factors = torch.rsqrt(F.linear(scales.square(), energy) + _EPSILON)
            tail = tail._replace(factors=factors if gain == 1 else factors * gain)
        if scaled_by is not None:
            return finish(F.conv2d(x, kernel, padding=self.padding), tail, into)
        scales = scales.to(x.dtype)
        if self.upsampling is None:
            return finish(self._convolved(x, kernel, scales), tail, into)
        x = x * scales[:, :, None, None]
        if self.upsampling == "bilinear":
            assert edges is not None
            return conv_of_doubled(x, kernel, edges, self.blur, tail, into)
        return conv_then_filter_doubled(x, kernel, self.blur, tail, into)

    def scales(self, style: Tensor) -> Tensor:
        """What (N, style_dim) multiplies the input's channels by, (N, C)."""
        found: Tensor = self.modulation(style.to(self.modulation.weight.dtype))
        return found

    def _convolved(self, x: Tensor, kernel: Tensor, scales: Tensor) -> Tensor:
        """The convolution of `x` times `scales`; which of both factors is scaled saves time."""
        if not self.padding and fuses(x):
            pixels = (kernel.flatten(1) * scales[:, None]) @ x.flatten(2)
            return pixels.view(len(x), -1, *x.shape[2:])
        if not torch.compiler.is_compiling() and len(x) == 1 and kernel.numel() < x.numel():
            return F.conv2d(x, kernel * scales[:, :, None, None], padding=self.padding)
        return F.conv2d(x * scales[:, :, None, None], kernel, padding=self.padding)

    def _operands(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """`kernel`, `edges` and `energy`, derived from the weight unless they are kept."""
        if self.weight is not None:
            return self._derived()
        assert self.kernel is not None and self.energy is not None
        return self.kernel, self.edges, self.energy

    def _derived(self) -> tuple[Tensor, Tensor | None, Tensor]:
        assert self.weight is not None
        kernel = self.weight[0] if self.scale == 1 else self.weight[0] * self.scale
        energy = kernel.to(self.modulation.weight.dtype).square().sum((2, 3))
        if self.upsampling == "bilinear":
            return transposed_kernel(kernel), edge_kernels(kernel), energy
        if self.upsampling == "fir":
            # Published as a true convolution: the kernel is not turned around.
            return kernel.transpose(0, 1), None, energy
        return kernel, None, energy


def _modulation(style_dim: int, channels: int, equalized: bool) -> nn.Linear | EqualLinear:
    """The linear layer from a style to scales, which start around 1."""
    if equalized:
        return EqualLinear(style_dim, channels, bias=1.0)
    linear = nn.Linear(style_dim, channels)
    nn.init.kaiming_normal_(linear.weight, nonlinearity="linear")
    nn.init.ones_(linear.bias)
    return linear
