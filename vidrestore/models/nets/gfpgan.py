"""GFP-GAN (Wang et al., arXiv:2101.04061): what its three variants share.

A U-Net reads the degraded face. Its bottleneck becomes one latent for each layer of a StyleGAN2
decoder; its upward features become scales and shifts that steer half of the decoder's channels
where the picture needs it. The variants differ in layers and resampling, and in state-dict keys:

* `vidrestore.models.nets.gfpgan_clean.GFPGANv1Clean`: v1.2, v1.3, v1.4;
* `vidrestore.models.nets.gfpgan_v1.GFPGANv1`: v1.0, equalised learning rate and FIR resampling;
* `vidrestore.models.nets.gfpgan_v1.GFPGANBilinear`: the same with bilinear resampling.

All take and give RGB in [-1, 1], (N, 3, S, S). The noise is that stored with the weights unless
other noise is given, so two calls agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from torch import Tensor, nn

from vidrestore.models.layers.equalized import EqualLinear
from vidrestore.models.nets.stylegan2 import Synthesis, channels_at, check_size, log2_size

__all__ = ["GFPGAN", "Encoding", "UNetWidths"]


class Encoding(NamedTuple):
    """What the U-Net makes of a face."""

    latents: Tensor
    """(N, n_latents, D), or (N, 1, D) where one serves all layers."""
    conditions: list[tuple[Tensor, Tensor]]
    """Scale and shift for every size from 8 px on, (N, C, H, W) each."""
    features: list[Tensor]
    """Features of the upward path, for every size from 8 px on."""


class UNetWidths:
    """Channels of the U-Net, which is half as wide as the decoder.

    Args:
        out_size: side of the picture, a power of two.
        channel_multiplier: widens the layers above 32 px.
        narrow: scales all channels of the decoder.
        sft_half: whether conditions steer half of the decoder's channels, or all.
    """

    def __init__(
        self, out_size: int, channel_multiplier: float, narrow: float, sft_half: bool
    ) -> None:
        self.sizes = [2**i for i in range(2, log2_size(out_size) + 1)]
        widths = [channels_at(size, channel_multiplier, narrow * 0.5) for size in self.sizes]
        self.last = widths[-1]
        self.down = list(pairwise(widths[::-1]))
        """(in, out) of the halving blocks, from the full size to 4 px."""
        self.bottom = widths[0]
        self.up = list(pairwise(widths))
        """(in, out) of the doubling blocks, from 4 px to the full size."""
        self.conditions = [(width, width if sft_half else 2 * width) for width in widths[1:]]
        """(features, scales) of the condition branches, from 8 px to the full size."""


class GFPGAN(nn.Module):
    """The course of a GFP-GAN; subclasses build its parts."""

    conv_body_first: nn.Module
    conv_body_down: nn.ModuleList
    final_conv: nn.Module
    conv_body_up: nn.ModuleList
    toRGB: nn.ModuleList
    final_linear: nn.Linear | EqualLinear
    stylegan_decoder: Synthesis
    condition_scale: nn.ModuleList
    condition_shift: nn.ModuleList

    out_size: int
    num_style_feat: int
    input_is_latent: bool
    """Whether the bottleneck gives latents; if not, they go through the mapping network."""

    def encode(self, x: Tensor) -> Encoding:
        """Read faces, (N, 3, S, S) RGB in [-1, 1].

        Raises:
            ModelError: if S is not the network's own size.
        """
        check_size(x, self.out_size)
        x = self.conv_body_first(x.to(next(self.conv_body_first.parameters()).dtype))
        skips = []
        for block in self.conv_body_down:
            skips.append(x := block(x))
        x = self.final_conv(x)
        latents = self.final_linear(x.flatten(1).to(self.final_linear.weight.dtype))
        conditions, features = [], []
        branches = zip(self.conv_body_up, self.condition_scale, self.condition_shift, strict=True)
        for block, to_scale, to_shift in branches:
            features.append(x := block(x + skips.pop()))
            conditions.append((to_scale(x), to_shift(x)))
        return Encoding(latents.unflatten(1, (-1, self.num_style_feat)), conditions, features)

    def decode(self, encoding: Encoding, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Draw faces, (N, 3, S, S) float32 RGB in [-1, 1]."""
        return self._draw(encoding.latents, encoding.conditions, noise)

    def read(self, x: Tensor) -> tuple[Tensor, ...]:
        """Read faces as `encode`, for `draw`: latents, then all scales, then all shifts."""
        encoding = self.encode(x)
        scales, shifts = zip(*encoding.conditions, strict=True)
        return (encoding.latents, *scales, *shifts)

    def draw(
        self, latents: Tensor, others: Sequence[Tensor], noise: Sequence[Tensor] | None = None
    ) -> Tensor:
        """Draw faces from what `read` gives: the latents, and all that follows them."""
        n = len(others) // 2
        return self._draw(latents, list(zip(others[:n], others[n:], strict=True)), noise)

    def _draw(
        self,
        latents: Tensor,
        conditions: Sequence[tuple[Tensor, Tensor]],
        noise: Sequence[Tensor] | None,
    ) -> Tensor:
        decoder = self.stylegan_decoder
        if not self.input_is_latent:
            latents = decoder.style_mlp(latents)
        latents = latents.expand(-1, decoder.n_latents, -1)
        return decoder.synthesize(latents, conditions, noise)

    def forward(self, x: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Restore faces.

        Args:
            x: (N, 3, S, S) RGB in [-1, 1].
            noise: one map a layer; by default the noise stored with the weights.

        Returns:
            (N, 3, S, S) float32 RGB, about [-1, 1].
        """
        return self.decode(self.encode(x), noise)

    def pyramid(self, encoding: Encoding) -> list[Tensor]:
        """The U-Net's own pictures, from 8 px to the full size; training compares them."""
        pairs = zip(self.toRGB, encoding.features, strict=True)
        return [to_rgb(feature) for to_rgb, feature in pairs]
