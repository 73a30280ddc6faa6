"""GFPGANv1Clean: the network of GFP-GAN v1.2, v1.3 and v1.4, with plain layers.

See `vidrestore.models.nets.gfpgan` for its course. Keys are those of the public checkpoints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vidrestore.models.layers.equalized import SLOPE
from vidrestore.models.layers.fused import Tail, finish, fuses
from vidrestore.models.layers.resample import (
    Filter,
    conv_of_doubled,
    double,
    edge_kernels,
    halve,
    transposed_kernel,
)
from vidrestore.models.nets.gfpgan import GFPGAN, UNetWidths
from vidrestore.models.nets.stylegan2 import StyleGAN2GeneratorClean

__all__ = ["GFPGANv1Clean"]


class GFPGANv1Clean(GFPGAN):
    """GFP-GAN v1.2 to v1.4.

    Args:
        out_size: side of the pictures, a power of two.
        num_style_feat: length of a latent.
        channel_multiplier: widens the layers above 32 px; 2 in the public checkpoints.
        narrow: scales all channels.
        num_mlp: layers of the mapping network, unused where the input is latent.
        input_is_latent: whether the bottleneck gives latents.
        different_w: whether every layer has a latent of its own.
        sft_half: whether conditions steer half of the decoder's channels, or all.
    """

    def __init__(
        self,
        out_size: int = 512,
        num_style_feat: int = 512,
        channel_multiplier: float = 2,
        narrow: float = 1,
        num_mlp: int = 8,
        input_is_latent: bool = True,
        different_w: bool = True,
        sft_half: bool = True,
    ) -> None:
        super().__init__()
        self.out_size = out_size
        self.num_style_feat = num_style_feat
        self.input_is_latent = input_is_latent
        widths = UNetWidths(out_size, channel_multiplier, narrow, sft_half)
        decoder = StyleGAN2GeneratorClean(
            out_size, num_style_feat, num_mlp, channel_multiplier, narrow
        )
        n_latents = decoder.n_latents if different_w else 1
        self.conv_body_first = ActivatedConv(3, widths.last, 1)
        self.conv_body_down = nn.ModuleList(DownBlock(*pair) for pair in widths.down)
        self.final_conv = ActivatedConv(widths.bottom, widths.bottom, 3)
        self.conv_body_up = nn.ModuleList(UpBlock(*pair) for pair in widths.up)
        self.toRGB = nn.ModuleList(nn.Conv2d(width, 3, 1) for _, width in widths.up)
        self.final_linear = nn.Linear(widths.bottom * 16, num_style_feat * n_latents)
        self.stylegan_decoder = decoder
        self.condition_scale = nn.ModuleList(_condition(*pair) for pair in widths.conditions)
        self.condition_shift = nn.ModuleList(_condition(*pair) for pair in widths.conditions)


class ActivatedConv(nn.Conv2d):
    """Convolution that keeps the size, and LeakyReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__(in_channels, out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, O, H, W), to which `added` is added behind the activation."""
        # A GPU's convolutions have no bias: it would be an operation of its own.
        own = None if fuses(x) else self.bias
        y = self._conv_forward(x, self.weight, own)
        return finish(
            y, Tail(bias=None if own is not None else self.bias, shift=added, slope=SLOPE)
        )


class DownBlock(nn.Module):
    """Residual block that halves its input between its two convolutions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ActivatedConv(in_channels, in_channels, 3)
        self.conv2 = ActivatedConv(in_channels, out_channels, 3)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        skip: Tensor = self.skip(halve(x))
        y: Tensor = self.conv2(halve(self.conv1(x)), skip)
        return y


class UpBlock(nn.Module):
    """Residual block that doubles its input between its two convolutions."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = ActivatedConv(in_channels, in_channels, 3)
        self.conv2 = DoublingConv(in_channels, out_channels)
        self.skip = nn.Conv2d(in_channels, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # A 1x1 convolution commutes with resampling: four times fewer multiplications here.
        y: Tensor = self.conv2(self.conv1(x), double(self.skip(x)))
        return y


class DoublingConv(nn.Conv2d):
    """3x3 convolution of the bilinearly doubled input, and LeakyReLU."""

    doubling: Tensor | None
    """What `freeze` keeps: `transposed_kernel` of the weight."""
    edges: Tensor | None
    """What `freeze` keeps: `edge_kernels` of the weight."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.blur = Filter(gain=4.0, padding=1)
        for name in ("doubling", "edges"):
            self.register_buffer(name, None, persistent=False)

    def freeze(self) -> None:
        """Keep what derives from the weight, for inference; the weight must not change then."""
        with torch.no_grad():
            self.doubling = transposed_kernel(self.weight).contiguous()
            self.edges = edge_kernels(self.weight)

    def forward(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """(N, C, H, W) to (N, O, 2H, 2W), to which `added` is added behind the activation."""
        doubling, edges = self.doubling, self.edges
        if doubling is None or edges is None:
            doubling, edges = transposed_kernel(self.weight), edge_kernels(self.weight)
        tail = Tail(bias=self.bias, shift=added, slope=SLOPE)
        return conv_of_doubled(x, doubling, edges, self.blur, tail)


def _condition(features: int, scales: int) -> nn.Sequential:
    """The branch that turns U-Net features into scales or shifts."""
    return nn.Sequential(
        ActivatedConv(features, features, 3),
        nn.Identity(),  # Where the published network has its activation.
        nn.Conv2d(features, scales, 3, padding=1),
    )
