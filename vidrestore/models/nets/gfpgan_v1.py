"""GFPGANv1 and GFPGANBilinear: GFP-GAN with equalised learning rate.

See `nets.gfpgan` for the course. The two share keys and shapes, so a checkpoint does
not tell which it is; they differ in resampling: FIR filters with [1, 3, 3, 1] in v1 (but for the
upward path of its U-Net), bilinear interpolation throughout in the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vidrestore.models.layers.equalized import (
    BiasedLeakyReLU,
    EqualConv2d,
    EqualLinear,
    ScaledLeakyReLU,
)
from vidrestore.models.layers.modulated import Upsampling
from vidrestore.models.layers.resample import (
    FIR_TAPS,
    Filter,
    conv_of_doubled,
    double,
    edge_kernels,
    halve,
    transposed_kernel,
)
from vidrestore.models.nets.gfpgan import GFPGAN, UNetWidths
from vidrestore.models.nets.stylegan2 import StyleGAN2Generator

__all__ = ["DownBlock", "GFPGANBilinear", "GFPGANv1", "UpBlock"]

_UNGAIN = 1 / math.sqrt(2.0)
"""Keeps the variance of a sum of two branches."""


class GFPGANv1(GFPGAN):
    """GFP-GAN v1.0.

    Args:
        out_size: side of the pictures, a power of two.
        num_style_feat: length of a latent.
        channel_multiplier: widens the layers above 32 px; 1 in the public checkpoint.
        narrow: scales all channels.
        num_mlp: layers of the mapping network, unused where the input is latent.
        input_is_latent: whether the bottleneck gives latents.
        different_w: whether every layer has a latent of its own.
        sft_half: whether conditions steer half of the decoder's channels, or all.
        resample_kernel: taps of the FIR filters.
        lr_mlp: learning rate of the mapping network relative to the others.
    """

    resampling: Upsampling = "fir"

    def __init__(
        self,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 1,
        narrow: float = 1,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        sft_half: bool = True,
        resample_kernel: Sequence[float] = FIR_TAPS,
        lr_mlp: float = 0.01,
    ) -> None:
        super().__init__()
        self.hyperparameters: dict[str, Any] = {
            "out_size": out_size,
            "num_style_feat": num_style_feat,
            "channel_multiplier": channel_multiplier,
            "narrow": narrow,
            "num_mlp": num_mlp,
            "input_is_latent": input_is_latent,
            "different_w": different_w,
            "sft_half": sft_half,
        }
        """What this network has in common with a `GFPGANv1Clean` of the same form."""
        self.out_size = out_size
        self.num_style_feat = num_style_feat
        self.input_is_latent = input_is_latent
        widths = UNetWidths(out_size, channel_multiplier, narrow, sft_half)
        decoder = StyleGAN2Generator(
            out_size,
            num_style_feat,
            num_mlp,
            channel_multiplier,
            resample_kernel,
            lr_mlp,
            narrow,
            resampling=self.resampling,
        )
        n_latents = decoder.n_latents if different_w else 1
        taps = resample_kernel if self.resampling == "fir" else None
        self.conv_body_first = equal_layer(3, widths.last, 1)
        self.conv_body_down = nn.ModuleList(DownBlock(*pair, taps) for pair in widths.down)
        self.final_conv = equal_layer(widths.bottom, widths.bottom, 3)
        self.conv_body_up = nn.ModuleList(UpBlock(*pair) for pair in widths.up)
        self.toRGB = nn.ModuleList(EqualConv2d(width, 3, 1, bias=0.0) for _, width in widths.up)
        self.final_linear = EqualLinear(widths.bottom * 16, num_style_feat * n_latents)
        self.stylegan_decoder = decoder
        self.condition_scale = nn.ModuleList(_condition(*w, bias=1.0) for w in widths.conditions)
        self.condition_shift = nn.ModuleList(_condition(*w, bias=0.0) for w in widths.conditions)


class GFPGANBilinear(GFPGANv1):
    """GFP-GAN with bilinear resampling; `restorers.prepare.to_clean` makes it a clean one.

    Args:
        out_size: side of the pictures, a power of two.
        num_style_feat: length of a latent.
        channel_multiplier: widens the layers above 32 px.
        narrow: scales all channels.
        num_mlp: layers of the mapping network, unused where the input is latent.
        input_is_latent: whether the bottleneck gives latents.
        different_w: whether every layer has a latent of its own.
        sft_half: whether conditions steer half of the decoder's channels, or all.
        lr_mlp: learning rate of the mapping network relative to the others.
    """

    resampling = "bilinear"

    def __init__(
        self,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 1,
        narrow: float = 1,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        sft_half: bool = True,
        lr_mlp: float = 0.01,
    ) -> None:
        super().__init__(
            out_size,
            num_style_feat,
            channel_multiplier,
            narrow,
            num_mlp,
            input_is_latent,
            different_w,
            sft_half,
            lr_mlp=lr_mlp,
        )


class DownBlock(nn.Module):
    """Residual block that halves its input.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        taps: taps of the FIR filter before a convolution of stride 2; None for bilinear halving
            before a plain convolution.
    """

    def __init__(
        self, in_channels: int, out_channels: int, taps: Sequence[float] | None = None
    ) -> None:
        super().__init__()
        self.conv1 = equal_layer(in_channels, in_channels, 3)
        self.conv2 = halving_layer(in_channels, out_channels, 3, taps)
        self.conv2.append(BiasedLeakyReLU(out_channels))
        self.skip = halving_layer(in_channels, out_channels, 1, taps)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x)) + self.skip(x)
        return y * _UNGAIN


class UpBlock(nn.Module):
    """Residual block that doubles its input bilinearly."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = equal_layer(in_channels, in_channels, 3)
        self.conv2 = DoublingConv(in_channels, out_channels)
        self.skip = EqualConv2d(in_channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv2(self.conv1(x)) + double(self.skip(x))
        return y * _UNGAIN


class DoublingConv(EqualConv2d):
    """3x3 convolution of the bilinearly doubled input, activated."""

    doubling: Tensor | None
    """What `freeze` keeps: `transposed_kernel` of the weight."""
    edges: Tensor | None
    """What `freeze` keeps: `edge_kernels` of the weight."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.activation = BiasedLeakyReLU(out_channels)
        self.blur = Filter(gain=4.0, padding=1)
        for name in ("doubling", "edges"):
            self.register_buffer(name, None, persistent=False)

    def freeze(self) -> None:
        """Keep what derives from the weight, for inference; the weight must not change then."""
        with torch.no_grad():
            self.doubling = transposed_kernel(self.kernel()).contiguous()
            self.edges = edge_kernels(self.kernel())

    def forward(self, x: Tensor) -> Tensor:
        doubling, edges = self.doubling, self.edges
        if doubling is None or edges is None:
            kernel = self.kernel()
            doubling, edges = transposed_kernel(kernel), edge_kernels(kernel)
        return conv_of_doubled(x, doubling, edges, self.blur, self.activation.tail())


def equal_layer(in_channels: int, out_channels: int, kernel_size: int) -> nn.Sequential:
    """Convolution that keeps the size, and its activation."""
    conv = EqualConv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    return nn.Sequential(conv, BiasedLeakyReLU(out_channels))


def halving_layer(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    taps: Sequence[float] | None,
    *,
    stored: bool = False,
) -> nn.Sequential:
    """Halving and a convolution, without activation.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: 3 or 1.
        taps: taps of the FIR filter; None for bilinear halving.
        stored: whether the filter is an entry of the state dict.
    """
    if taps is None:
        conv = EqualConv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        return nn.Sequential(Halve(), conv)
    blur = Filter(taps, padding=(len(taps) - 2 + kernel_size) // 2, stored=stored)
    return nn.Sequential(blur, EqualConv2d(in_channels, out_channels, kernel_size, stride=2))


class Halve(nn.Module):
    """Bilinear halving as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return halve(x)


def _condition(features: int, scales: int, bias: float) -> nn.Sequential:
    """The branch that turns U-Net features into scales or shifts, which start at `bias`."""
    return nn.Sequential(
        EqualConv2d(features, features, 3, padding=1, bias=0.0),
        ScaledLeakyReLU(),
        EqualConv2d(features, scales, 3, padding=1, bias=bias),
    )
