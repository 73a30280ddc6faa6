"""The discriminators of adversarial training: networks that tell restored pictures from real ones.

* `StyleGAN2Discriminator` (Karras et al., arXiv:1912.04958, figure 7 and appendix B) judges a
  whole face: the discriminator of the prior, of GFP-GAN and of GPEN.
* `ComponentDiscriminators` (Wang et al., arXiv:2101.04061, section 3.3) holds one small network for
  each of both eyes and the mouth.
* `UNetDiscriminator` (Schönfeld et al., arXiv:2002.12655) judges every pixel, with spectral
  normalisation (Miyato et al., arXiv:1802.05957) in place of a gradient penalty: cheap enough to
  teach a compact generator on a CPU.

All take RGB in [-1, 1] and give a `Verdict`. Logits are float32 under autocast too, and positive
for what looks real.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from vidrestore.errors import ModelError
from vidrestore.models.layers.equalized import SLOPE, BiasedLeakyReLU, EqualConv2d, EqualLinear
from vidrestore.models.layers.resample import FIR_TAPS, double
from vidrestore.models.nets.gfpgan_v1 import DownBlock, equal_layer, halving_layer
from vidrestore.models.nets.stylegan2 import channels_at, check_size, log2_size

__all__ = [
    "ComponentDiscriminator",
    "ComponentDiscriminators",
    "StyleGAN2Discriminator",
    "UNetDiscriminator",
    "Verdict",
    "minibatch_deviation",
]

_COMPONENTS = 3


class Verdict(NamedTuple):
    """What a discriminator says of a batch."""

    logits: Tensor
    """float32, positive for real: (N, 1), or one for every place, (N, 1, h, w)."""
    features: tuple[Tensor, ...]
    """Inner maps (N, C, h, w) from fine to coarse, for feature matching and style; kept on request
    only, and then all of them.
    """


class StyleGAN2Discriminator(nn.Module):
    """Residual discriminator with equalised learning rate and FIR halving.

    Args:
        size: side of the pictures, a power of two of at least 8.
        channel_multiplier: widens the layers above 32 px.
        narrow: scales all channels.
        resample_kernel: taps of the FIR filters.
        minibatch_stddev: whether the last block sees how much a batch varies (arXiv:1710.10196,
            section 3). Off, every picture is judged alone.
        stddev_group: most pictures that are compared with each other, see `minibatch_deviation`.
    """

    def __init__(
        self,
        size: int = 512,
        channel_multiplier: float = 1,
        narrow: float = 1,
        resample_kernel: Sequence[float] = FIR_TAPS,
        *,
        minibatch_stddev: bool = True,
        stddev_group: int = 4,
    ) -> None:
        super().__init__()
        self.size, self.stddev_group = size, stddev_group
        self.minibatch_stddev = minibatch_stddev
        levels = range(log2_size(size), 1, -1)
        widths = [channels_at(2**level, channel_multiplier, narrow) for level in levels]
        self.from_rgb = equal_layer(3, widths[0], 1)
        self.blocks = nn.ModuleList(
            DownBlock(fine, coarse, resample_kernel) for fine, coarse in pairwise(widths)
        )
        self.final_conv = equal_layer(widths[-1] + minibatch_stddev, widths[-1], 3)
        self.final_linear = nn.Sequential(
            EqualLinear(widths[-1] * 16, widths[-1], activation="fused_lrelu"),
            EqualLinear(widths[-1], 1),
        )

    def forward(self, pictures: Tensor, *, with_features: bool = False) -> Verdict:
        """Judge (N, 3, size, size).

        Returns:
            Logits (N, 1), and the output of every residual block.
        """
        check_size(pictures, self.size)
        x = self.from_rgb(pictures)
        features = []
        for block in self.blocks:
            x = block(x)
            features.append(x)
        if self.minibatch_stddev:
            x = torch.cat((x, minibatch_deviation(x, self.stddev_group)), 1)
        logits: Tensor = self.final_linear(self.final_conv(x).flatten(1))
        return Verdict(logits.float(), tuple(features) if with_features else ())


def minibatch_deviation(x: Tensor, group: int) -> Tensor:
    """Mean standard deviation over groups of pictures (arXiv:1710.10196, section 3), in float32.

    Args:
        x: (N, C, H, W).
        group: pictures of a group; the largest divisor of N up to this is used. Group k of G holds
            pictures k, k + G, k + 2 G, …

    Returns:
        (N, 1, H, W) of the dtype of `x`, one value a group.
    """
    count, _, height, width = x.shape
    members = next(size for size in range(min(group, count), 0, -1) if count % size == 0)
    grouped = x.float().view(members, count // members, *x.shape[1:])
    deviation: Tensor = (grouped.var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return deviation.to(x.dtype).repeat(members).view(-1, 1, 1, 1).expand(-1, 1, height, width)


class ComponentDiscriminator(nn.Module):
    """Discriminator of one region of a face, (N, 3, h, w) with sides divisible by 4 (80 or 120 px).

    Five convolutions with equalised learning rate and FIR halving, then one to a map of logits.

    Args:
        width: channels of the first layer; doubled at each of two halvings.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            equal_layer(3, width, 3),
            _halving(width, 2 * width),
            equal_layer(2 * width, 2 * width, 3),
        )
        self.coarse = nn.Sequential(
            _halving(2 * width, 4 * width), equal_layer(4 * width, 4 * width, 3)
        )
        self.to_logits = EqualConv2d(4 * width, 1, 3, padding=1, bias=0.0)

    def forward(self, region: Tensor, *, with_features: bool = False) -> Verdict:
        """Judge regions.

        Returns:
            Logits (N, 1, h / 4, w / 4); maps at half and at a quarter of the size, whose Gram
            matrices are the component style.
        """
        fine = self.fine(region)
        coarse = self.coarse(fine)
        logits: Tensor = self.to_logits(coarse)
        return Verdict(logits.float(), (fine, coarse) if with_features else ())


class ComponentDiscriminators(nn.Module):
    """One discriminator each for left eye, right eye and mouth.

    Args:
        width: see `ComponentDiscriminator`.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            ComponentDiscriminator(width) for _ in range(_COMPONENTS)
        )

    def forward(
        self, regions: Sequence[Tensor], *, with_features: bool = False
    ) -> tuple[Verdict, ...]:
        """Judge the regions of `vidrestore.training.losses.components`, in their order."""
        pairs = zip(self.discriminators, regions, strict=True)
        return tuple(
            discriminator(region, with_features=with_features) for discriminator, region in pairs
        )


class UNetDiscriminator(nn.Module):
    """U-Net with a logit a pixel (Schönfeld et al., arXiv:2002.12655; Real-ESRGAN).

    Every convolution but the last is spectrally normalised, or none is: that one learns faster, and
    wants a gradient penalty.

    By default it has 1.1 million parameters and costs 3.1 GFLOP (2 x multiply-adds) forward for a
    picture of 256x256 px; with `patch` 1, 11.8.

    Args:
        width: channels at the finest level; doubled at each halving, up to eight times.
        levels: number of halvings.
        patch: pixels of a square that are taken together (pixel unshuffle) before the first layer
            and told apart behind the last: 1 for none, 2 for a quarter of the cost.
        channels: 3 for pictures; 6 where each comes with what it was made from, behind it.
        spectral: whether convolutions are normalised.
    """

    def __init__(
        self,
        width: int = 32,
        levels: int = 3,
        patch: int = 2,
        channels: int = 3,
        spectral: bool = True,
    ) -> None:
        super().__init__()
        self.step, self.patch, self.channels = patch * 2**levels, patch, channels
        widths = [width * min(2**level, 8) for level in range(levels + 1)]
        conv = _spectral if spectral else _plain
        self.first = conv(channels * patch**2, width)
        self.downs = nn.ModuleList(
            conv(fine, coarse, kernel_size=4, stride=2) for fine, coarse in pairwise(widths)
        )
        self.ups = nn.ModuleList(
            conv(coarse, fine) for fine, coarse in list(pairwise(widths))[::-1]
        )
        self.last = conv(width, width)
        self.to_logits = nn.Conv2d(width, patch**2, 3, padding=1)

    def forward(self, pictures: Tensor, *, with_features: bool = False) -> Verdict:
        """Judge (N, channels, H, W), sides divisible by `patch * 2**levels`.

        Returns:
            Logits (N, 1, H, W); the maps on the way down, then those on the way up.
        """
        n_channels, *sides = pictures.shape[1:]
        if n_channels != self.channels or any(side % self.step for side in sides):
            raise ModelError(
                f"pictures of shape {tuple(pictures.shape)}: the discriminator takes "
                f"(N, {self.channels}, H, W) with sides divisible by {self.step}"
            )
        x = _activate(self.first(F.pixel_unshuffle(pictures, self.patch)))
        maps = [x]
        for down in self.downs:
            x = _activate(down(x))
            maps.append(x)
        for up, skipped in zip(self.ups, maps[-2::-1], strict=True):
            x = _activate(up(double(x))) + skipped
            maps.append(x)
        logits = F.pixel_shuffle(self.to_logits(_activate(self.last(x))), self.patch)
        return Verdict(logits.float(), tuple(maps) if with_features else ())


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    """FIR filter, convolution of stride 2, bias and activation."""
    layer = halving_layer(in_channels, out_channels, 3, FIR_TAPS)
    layer.append(BiasedLeakyReLU(out_channels))
    return layer


def _spectral(
    in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1
) -> nn.Module:
    """Convolution whose weight, as a matrix, has largest singular value 1; no bias."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=1, bias=False)
    return spectral_norm(conv)


def _plain(
    in_channels: int, out_channels: int, *, kernel_size: int = 3, stride: int = 1
) -> nn.Module:
    """Convolution that keeps the size of its input's numbers at first (He et al. 2015)."""
    conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding=1)
    nn.init.kaiming_normal_(conv.weight, a=SLOPE)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, SLOPE)
