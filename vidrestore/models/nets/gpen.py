"""GPEN's FullGenerator (Yang et al., arXiv:2105.06070), for 256, 512, 1024 and 2048 px.

An encoder reads the degraded face. Its last features become one latent for all layers of a
StyleGAN2 generator, and all its features take the place of the generator's noise: they are
concatenated to the output of every convolution, so activations and the inputs of what follows are
twice as wide. Deterministic: there is no random noise.

Takes and gives RGB in [-1, 1], (N, 3, S, S), S being the network's own size. Keys are those of the
public checkpoints, which store the filters too.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vidrestore.models.layers.equalized import GAIN, SLOPE, BiasedLeakyReLU, EqualLinear
from vidrestore.models.layers.fused import Tail, finish, fuses, layout_of, may_write_in_place
from vidrestore.models.layers.modulated import ModulatedConv2d, Upsampling
from vidrestore.models.layers.resample import FIR_TAPS, Filter, FilterDoubled
from vidrestore.models.nets.gfpgan_v1 import equal_layer, halving_layer
from vidrestore.models.nets.stylegan2 import NormalizeStyle, channels_at, check_size, log2_size

__all__ = ["GPENFullGenerator"]


class GPENFullGenerator(nn.Module):
    """GPEN.

    Args:
        size: side of the pictures, a power of two.
        style_dim: length of a latent.
        n_mlp: layers of the mapping network.
        channel_multiplier: widens the layers above 32 px; 2 in the public checkpoints, 1 at 256 px.
        narrow: scales all channels; 1 in the public checkpoints, 0.5 at 256 px.
        isconcat: whether features are concatenated as noise, or added.
        lr_mlp: learning rate of the mapping network relative to the others.
        blur_kernel: taps of the FIR filters.
    """

    def __init__(
        self,
        size: int = 512,
        style_dim: int = 512,
        n_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
        isconcat: bool = True,
        lr_mlp: float = 0.01,
        blur_kernel: Sequence[float] = FIR_TAPS,
    ) -> None:
        super().__init__()
        self.out_size = size
        sizes = [2**i for i in range(log2_size(size), 1, -1)]
        widths = [channels_at(side, channel_multiplier, narrow) for side in sizes]
        self.generator = Generator(
            widths[::-1], style_dim, n_mlp, isconcat, lr_mlp, tuple(blur_kernel)
        )
        self.n_encoders = len(widths)
        first = nn.Sequential(equal_layer(3, widths[0], 1))
        self.add_module("ecd0", first)
        for number, pair in enumerate(pairwise(widths), start=1):
            layer = halving_layer(*pair, 3, blur_kernel, stored=True)
            layer.append(BiasedLeakyReLU(pair[1]))
            self.add_module(f"ecd{number}", nn.Sequential(layer))
        bottom = EqualLinear(widths[-1] * 16, style_dim, activation="fused_lrelu")
        self.final_linear = nn.Sequential(bottom)

    def encode(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Read faces.

        Args:
            x: (N, 3, S, S) RGB in [-1, 1].

        Returns:
            Latents (N, style_dim), and features from 4 px to the full size.

        Raises:
            ModelError: if S is not the network's own size.
        """
        check_size(x, self.out_size)
        features = []
        x = x.to(next(self.get_submodule("ecd0").parameters()).dtype)
        for number in range(self.n_encoders):
            features.append(x := self.get_submodule(f"ecd{number}")(x))
        bottom = cast("EqualLinear", self.final_linear[0])
        latents = self.generator.style(bottom(x.flatten(1).to(bottom.weight.dtype)))
        return latents, features[::-1]

    def read(self, x: Tensor) -> tuple[Tensor, ...]:
        """Read faces as `encode`, for `draw`: latents, then features."""
        latents, features = self.encode(x)
        return (latents, *features)

    def draw(
        self, latents: Tensor, others: Sequence[Tensor], noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Draw faces from what `read` gives; there is no noise."""
        restored: Tensor = self.generator(latents, others)
        return restored

    def forward(self, x: Tensor) -> Tensor:
        """Restore faces.

        Args:
            x: (N, 3, S, S) RGB in [-1, 1].

        Returns:
            (N, 3, S, S) float32 RGB, about [-1, 1].
        """
        latents, *features = self.read(x)
        return self.draw(latents, features)


class Generator(nn.Module):
    """StyleGAN2 with features in place of noise.

    Args:
        widths: channels of the convolutions, from 4 px to the full size.
        style_dim: length of a latent.
        n_mlp: layers of the mapping network.
        isconcat: whether features are concatenated, or added.
        lr_mlp: learning rate of the mapping network relative to the others.
        taps: taps of the FIR filters.
    """

    def __init__(
        self,
        widths: Sequence[int],
        style_dim: int,
        n_mlp: int,
        isconcat: bool,
        lr_mlp: float,
        taps: Sequence[float],
    ) -> None:
        super().__init__()
        factor = 2 if isconcat else 1
        mapping = (
            EqualLinear(style_dim, style_dim, lr_multiplier=lr_mlp, activation="fused_lrelu")
            for _ in range(n_mlp)
        )
        self.style = nn.Sequential(NormalizeStyle(), *mapping)
        self.input = ConstantInput(widths[0])
        self.conv1 = StyledConv(widths[0], widths[0], style_dim, isconcat)
        self.to_rgb1 = ToRGB(widths[0] * factor, style_dim)
        self.convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for before, width in pairwise(widths):
            blur = Filter(taps, gain=4.0, padding=1, stored=True)
            self.convs.append(StyledConv(before * factor, width, style_dim, isconcat, blur))
            self.convs.append(StyledConv(width * factor, width, style_dim, isconcat))
            upsample = FilterDoubled(taps, gain=4.0, stored=True)
            self.to_rgbs.append(ToRGB(width * factor, style_dim, upsample))

    @property
    def n_latents(self) -> int:
        """Latents that can steer the layers one by one: 16 at 512 px."""
        return 2 * len(self.to_rgbs) + 2

    def forward(self, latents: Tensor, features: Sequence[Tensor]) -> Tensor:
        """Draw pictures.

        Args:
            latents: (N, style_dim), or (N, n_latents, style_dim) with one for each layer, to_rgb
                having that of the next level's first convolution, as in StyleGAN2.
            features: from 4 px on.

        Returns:
            (N, 3, S, S).
        """
        steer = latents.unbind(1) if latents.ndim == 3 else (latents,) * self.n_latents
        x = self.conv1(self.input(latents.shape[0]), steer[0], features[0])
        picture: Tensor = self.to_rgb1(x, steer[1])
        for level, to_rgb in enumerate(self.to_rgbs):
            first = 2 * level + 1
            doubling, conv = self.convs[first - 1], cast("StyledConv", self.convs[first])
            # Where kernels do all at once, the first scales what the second alone will read.
            scales = conv.conv.scales(steer[first + 1]) if conv.isconcat and fuses(x) else None
            x = doubling(x, steer[first], features[level + 1], after=scales)
            x = conv(x, steer[first + 1], features[level + 1], scaled_by=scales)
            picture = to_rgb(x, steer[first + 2], picture)
        return picture


class ConstantInput(nn.Module):
    """The learnt 4x4 map that every picture grows from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.input = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        return self.input.expand(batch, -1, -1, -1)


class Strength(nn.Module):
    """How strongly features act, learnt."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))


class StyledConv(nn.Module):
    """Modulated convolution, features for noise, bias and activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        isconcat: bool,
        blur: Filter | None = None,
    ) -> None:
        super().__init__()
        upsampling: Upsampling | None = "fir" if blur else None
        self.conv = ModulatedConv2d(
            in_channels,
            out_channels,
            3,
            style_dim,
            upsampling=upsampling,
            equalized=True,
            blur=blur,
        )
        self.isconcat = isconcat
        self.noise = Strength()
        self.activate = BiasedLeakyReLU(out_channels * 2 if isconcat else out_channels)

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        features: Tensor,
        *,
        scaled_by: Tensor | None = None,
        after: Tensor | None = None,
    ) -> Tensor:
        bias, strength = self.activate.bias, self.noise.weight
        if not self.isconcat:
            added = features * (strength * GAIN)
            y = self.conv(x, style, Tail(gain=GAIN)) + added + bias.view(1, -1, 1, 1) * GAIN
            return F.leaky_relu(y, SLOPE, inplace=True)
        own, others = bias.chunk(2)
        if not may_write_in_place():
            pair = (
                self.conv(x, style, Tail(bias=own, gain=GAIN)),
                torch.addcmul(others.view(1, -1, 1, 1) * GAIN, features, strength * GAIN),
            )
            return F.leaky_relu(torch.cat(pair, 1), SLOPE)
        is_fused = fuses(x)
        slope = SLOPE if is_fused else 1.0
        shape = (x.shape[0], 2 * features.shape[1], *features.shape[2:])
        layout = torch.channels_last if is_fused else layout_of(features)
        joined = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
        first, second = joined.chunk(2, 1)
        tail = Tail(gain=GAIN, slope=slope)
        parts = (None, None) if after is None else after.chunk(2, 1)
        own_tail = tail._replace(bias=own, after=parts[0])
        self.conv(x, style, own_tail, into=first, scaled_by=scaled_by)
        tail = tail._replace(strength=strength, bias=others, after=parts[1])
        finish(features, tail, second)
        return joined if is_fused else F.leaky_relu(joined, SLOPE, inplace=True)


class ToRGB(nn.Module):
    """Add a feature map's picture to the doubled picture of the layer before, in float32."""

    def __init__(self, in_channels: int, style_dim: int, upsample: nn.Module | None = None) -> None:
        super().__init__()
        self.upsample = upsample
        self.conv = ModulatedConv2d(in_channels, 3, 1, style_dim, demodulate=False, equalized=True)
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None) -> Tensor:
        rgb: Tensor = self.conv(x, style).float() + self.bias
        return rgb if self.upsample is None else rgb + self.upsample(picture)
