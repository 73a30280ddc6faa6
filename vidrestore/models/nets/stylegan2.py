"""StyleGAN2 generators (Karras et al., arXiv:1912.04958), with the keys that GFP-GAN uses.

`StyleGAN2Generator` has the keys of the public priors and of the decoder of GFP-GAN v1: equalised
learning rate and FIR (or bilinear) resampling. `StyleGAN2GeneratorClean` has plain layers and
bilinear resampling, as in GFP-GAN v1.2 to 1.4. Both take one latent a layer, so a caller may mix
styles, and the noise that is stored with the weights unless other noise is given: the same input
gives the same output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from vidrestore.errors import ModelError
from vidrestore.models.layers.equalized import GAIN, SLOPE, BiasedLeakyReLU, EqualLinear
from vidrestore.models.layers.fused import Tail, fuses
from vidrestore.models.layers.modulated import ModulatedConv2d, Upsampling
from vidrestore.models.layers.resample import FIR_TAPS, Filter, FilterDoubled, double

__all__ = ["StyleGAN2Generator", "StyleGAN2GeneratorClean", "channels_at", "log2_size"]


def channels_at(size: int, channel_multiplier: float, narrow: float) -> int:
    """Channels of the feature maps of `size` pixels: 512 up to 32 px, then halving."""
    if size <= 32:
        return int(512 * narrow)
    return int(16384 // size * channel_multiplier * narrow)


def check_size(pictures: Tensor, size: int) -> None:
    """Refuse pictures that are not (N, 3, size, size)."""
    if pictures.shape[1:] != (3, size, size):
        found = tuple(pictures.shape)
        raise ModelError(f"pictures of shape {found}: the network takes (N, 3, {size}, {size})")


def log2_size(size: int) -> int:
    """Exponent of an image size.

    Raises:
        ValueError: if `size` is not a power of two of at least 8.
    """
    exponent = size.bit_length() - 1
    if size < 8 or 2**exponent != size:
        raise ValueError(f"size {size} is not a power of two of at least 8")
    return exponent


class NormalizeStyle(nn.Module):
    """Scale a latent to unit mean square."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-8)


class ConstantInput(nn.Module):
    """The learnt 4x4 map that every picture grows from."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, channels, 4, 4))

    def forward(self, batch: int) -> Tensor:
        return self.weight.expand(batch, -1, -1, -1)


Condition = tuple[Tensor, Tensor]
"""Scale and shift of the last K channels behind a layer, (N, K, H, W) each: the channel-split
spatial feature transform of GFP-GAN (arXiv:2101.04061, section 3.4)."""


class StyledConv(nn.Module):
    """Modulated convolution, times sqrt(2), plus noise, plus bias, activated (plain layers)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        upsampling: Upsampling | None = None,
    ) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(
            in_channels, out_channels, 3, style_dim, upsampling=upsampling
        )
        self.weight = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(1, out_channels, 1, 1))

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        noise: Tensor,
        condition: Condition | None = None,
        *,
        scaled_by: Tensor | None = None,
        after: Tensor | None = None,
    ) -> Tensor:
        scale, shift = condition or (None, None)
        tail = Tail(None, noise, self.weight, self.bias, scale, shift, after, slope=SLOPE)
        y: Tensor = self.modulated_conv(x, style, tail, gain=GAIN, scaled_by=scaled_by)
        return y


class EqualStyledConv(nn.Module):
    """Modulated convolution, plus noise, plus bias, activated, times sqrt(2) (equalised layers)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        upsampling: Upsampling | None = None,
        blur: Filter | None = None,
    ) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(
            in_channels,
            out_channels,
            3,
            style_dim,
            upsampling=upsampling,
            equalized=True,
            blur=blur,
        )
        self.weight = nn.Parameter(torch.zeros(1))
        self.activate = BiasedLeakyReLU(out_channels)

    def forward(
        self,
        x: Tensor,
        style: Tensor,
        noise: Tensor,
        condition: Condition | None = None,
        *,
        scaled_by: Tensor | None = None,
        after: Tensor | None = None,
    ) -> Tensor:
        scale, shift = condition or (None, None)
        tail = Tail(None, noise, self.weight, self.activate.bias, scale, shift, after, GAIN, SLOPE)
        y: Tensor = self.modulated_conv(x, style, tail, scaled_by=scaled_by)
        return y


class ToRGB(nn.Module):
    """Add a feature map's picture to the doubled picture of the layer before, in float32.

    Args:
        in_channels: channels of the feature map.
        style_dim: length of the style vector.
        equalized: whether weights are scaled at run time.
        upsample: doubles the picture; bilinear by default.
    """

    def __init__(
        self,
        in_channels: int,
        style_dim: int,
        *,
        equalized: bool = False,
        upsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.modulated_conv = ModulatedConv2d(
            in_channels, 3, 1, style_dim, demodulate=False, equalized=equalized
        )
        self.bias = nn.Parameter(torch.zeros(1, 3, 1, 1))

    def forward(self, x: Tensor, style: Tensor, picture: Tensor | None = None) -> Tensor:
        rgb: Tensor = self.modulated_conv(x, style).float() + self.bias
        if picture is None:
            return rgb
        return rgb + (self.upsample(picture) if self.upsample else double(picture))


class Synthesis(nn.Module):
    """What both generators share: from latents to a picture.

    Subclasses build `style_mlp`, `constant_input`, `style_conv1`, `to_rgb1`, `style_convs`,
    `to_rgbs` and, through `_store_noise`, `noises`.
    """

    style_mlp: nn.Module
    constant_input: ConstantInput
    style_conv1: nn.Module
    to_rgb1: nn.Module
    style_convs: nn.ModuleList
    to_rgbs: nn.ModuleList
    noises: nn.Module

    n_latents: int
    """Latents that steer the layers: 16 at 512 px."""

    def stored_noise(self) -> tuple[Tensor, ...]:
        """The noise that comes with the weights, (1, 1, H, W) a layer."""
        return tuple(self.noises.buffers())

    def fresh_noise(self, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Noise of the generator, (batch, 1, H, W) a layer."""
        return tuple(
            torch.randn((batch, *kept.shape[1:]), generator=generator, device=generator.device).to(
                kept
            )
            for kept in self.stored_noise()
        )

    def synthesize(
        self,
        latents: Tensor,
        conditions: Sequence[Condition] = (),
        noise: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """From latents to a picture.

        Args:
            latents: (N, n_latents, D), in the space behind the mapping network.
            conditions: scale and shift, (N, C, H, W) each, for every size from 8 px on; they act
                on the last C channels behind the first convolution of that size.
            noise: as `stored_noise` gives it, which is the default.

        Returns:
            (N, 3, S, S) float32 RGB in [-1, 1].
        """
        noise = self.stored_noise() if noise is None else noise
        x = self.style_conv1(self.constant_input(latents.shape[0]), latents[:, 0], noise[0])
        picture: Tensor = self.to_rgb1(x, latents[:, 1])
        for level, to_rgb in enumerate(self.to_rgbs):
            first = 2 * level + 1
            doubling = self.style_convs[first - 1]
            conv = cast("StyledConv", self.style_convs[first])
            style, next_style = latents[:, first], latents[:, first + 1]
            condition = conditions[level] if level < len(conditions) else None
            # Where kernels do all at once, the first scales what the second alone will read.
            scales = conv.modulated_conv.scales(next_style) if fuses(x) else None
            x = doubling(x, style, noise[first], condition, after=scales)
            x = conv(x, next_style, noise[first + 1], scaled_by=scales)
            picture = to_rgb(x, latents[:, first + 2], picture)
        return picture

    def forward(self, z: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """From random vectors (N, D) to pictures (N, 3, S, S)."""
        latents = self.style_mlp(z)[:, None].expand(-1, self.n_latents, -1)
        return self.synthesize(latents, noise=noise)

    def _store_noise(self, out_size: int) -> None:
        """Draw the noise to be stored: one map at 4 px, two at every size up to `out_size`."""
        self.noises = nn.Module()
        for layer in range(self.n_latents - 1):
            side = 2 ** ((layer + 5) // 2)
            self.noises.register_buffer(f"noise{layer}", torch.randn(1, 1, side, side))


class StyleGAN2Generator(Synthesis):
    """The generator with equalised learning rate.

    Args:
        out_size: side of the picture, a power of two.
        num_style_feat: length of a latent.
        num_mlp: layers of the mapping network.
        channel_multiplier: widens the layers above 32 px.
        resample_kernel: taps of the filter; unused where `resampling` is bilinear.
        lr_mlp: learning rate of the mapping network relative to the others.
        narrow: scales all channels.
        resampling: "fir", or "bilinear" for the decoder of GFPGANBilinear.
    """

    def __init__(
        self,
        out_size: int = 512,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 1,
        resample_kernel: Sequence[float] = FIR_TAPS,
        lr_mlp: float = 0.01,
        narrow: float = 1,
        *,
        resampling: Upsampling = "fir",
    ) -> None:
        super().__init__()
        fir = resampling == "fir"
        levels = range(3, log2_size(out_size) + 1)
        widths = {2**i: channels_at(2**i, channel_multiplier, narrow) for i in (2, *levels)}
        self.n_latents = 2 * len(levels) + 2
        mapping = (
            EqualLinear(
                num_style_feat, num_style_feat, lr_multiplier=lr_mlp, activation="fused_lrelu"
            )
            for _ in range(num_mlp)
        )
        self.style_mlp = nn.Sequential(NormalizeStyle(), *mapping)
        self.constant_input = ConstantInput(widths[4])
        self.style_conv1 = EqualStyledConv(widths[4], widths[4], num_style_feat)
        self.to_rgb1 = ToRGB(widths[4], num_style_feat, equalized=True)
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for size in (2**i for i in levels):
            width = widths[size]
            blur = Filter(resample_kernel, gain=4.0, padding=1)
            upsample = FilterDoubled(resample_kernel, gain=4.0) if fir else None
            self.style_convs.append(
                EqualStyledConv(
                    widths[size // 2], width, num_style_feat, resampling, blur if fir else None
                )
            )
            self.style_convs.append(EqualStyledConv(width, width, num_style_feat))
            self.to_rgbs.append(ToRGB(width, num_style_feat, equalized=True, upsample=upsample))
        self._store_noise(out_size)


class StyleGAN2GeneratorClean(Synthesis):
    """The generator with plain layers and bilinear resampling.

    Args:
        out_size: side of the picture, a power of two.
        num_style_feat: length of a latent.
        num_mlp: layers of the mapping network.
        channel_multiplier: widens the layers above 32 px.
        narrow: scales all channels.
    """

    def __init__(
        self,
        out_size: int = 512,
        num_style_feat: int = 512,
        num_mlp: int = 8,
        channel_multiplier: float = 2,
        narrow: float = 1,
    ) -> None:
        super().__init__()
        levels = range(3, log2_size(out_size) + 1)
        widths = {2**i: channels_at(2**i, channel_multiplier, narrow) for i in (2, *levels)}
        self.n_latents = 2 * len(levels) + 2
        self.style_mlp = nn.Sequential(NormalizeStyle())
        for _ in range(num_mlp):
            linear = nn.Linear(num_style_feat, num_style_feat)
            nn.init.kaiming_normal_(linear.weight, a=SLOPE)
            nn.init.zeros_(linear.bias)
            self.style_mlp.extend((linear, nn.LeakyReLU(SLOPE)))
        self.constant_input = ConstantInput(widths[4])
        self.style_conv1 = StyledConv(widths[4], widths[4], num_style_feat)
        self.to_rgb1 = ToRGB(widths[4], num_style_feat)
        self.style_convs, self.to_rgbs = nn.ModuleList(), nn.ModuleList()
        for size in (2**i for i in levels):
            width = widths[size]
            self.style_convs.append(
                StyledConv(widths[size // 2], width, num_style_feat, "bilinear")
            )
            self.style_convs.append(StyledConv(width, width, num_style_feat))
            self.to_rgbs.append(ToRGB(width, num_style_feat))
        self._store_noise(out_size)
