"""The compact generator that ships in the package: a residual U-Net for aligned face crops.

The network sees RGB in [-1, 1] and predicts a correction, ``out = in + f(in)``. The last
convolution starts at zero, so an untrained network is the identity and training can only leave it
for something better. Pixel-unshuffle by ``patch`` at the entry and pixel-shuffle at the exit keep
the full resolution without paying for it.

Face crops are aligned, so a pixel's place tells an eye from a mouth. Two coordinate channels say
where it lies; a window cut from a crop brings the coordinates of its place and is treated as it
would be inside the whole crop, which lets training use windows at the crop's own scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DEFAULT_WIDTHS = (32, 48, 64, 96, 128, 160)
_SLOPE = 0.2
_BLOCK_SCALE = 0.2
_OUTPUT_SCALE = 0.1
"""Corrections are a few hundredths of the range; scaled so, Adam's even steps do not swing the
output by many times that.
"""


def coordinate_grid(
    height: int,
    width: int,
    *,
    origin: tuple[float, float] = (0.0, 0.0),
    crop_size: float | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Place of every pixel of a window inside its face crop.

    Args:
        height: height of the window in pixels.
        width: width of the window in pixels.
        origin: (x, y) of the window's top-left pixel in the crop, in pixels.
        crop_size: side of the whole crop in pixels; the window is the whole crop when absent.
        device: where it is made.

    Returns:
        (2, height, width) float32, x then y, from -1 at the crop's left or top edge to 1 at its
        right or bottom edge.
    """
    size_x, size_y = (width, height) if crop_size is None else (crop_size, crop_size)
    x, y = (torch.arange(n, dtype=torch.float32, device=device) for n in (width, height))
    x = (x + 0.5 + origin[0]) * (2 / size_x) - 1
    y = (y + 0.5 + origin[1]) * (2 / size_y) - 1
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width)))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, their result scaled down and added (residual scaling of EDSR, arXiv
    1707.02921).
    """

    def __init__(self, width: int):
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv2(F.leaky_relu(self.conv1(x), _SLOPE, inplace=True))
        return torch.add(x, change, alpha=_BLOCK_SCALE)


class CompactUNet(nn.Module):
    """Residual U-Net over pixel-unshuffled crops with coordinate channels.

    Args:
        widths: channels of each level, finest first; each has half the resolution of the last.
        patch: pixel-unshuffle factor at the entry.
        encoder_blocks: residual blocks of each level on the way down.
        decoder_blocks: residual blocks of each level on the way up (the coarsest level has none).
    """

    def __init__(
        self,
        widths: Sequence[int] = DEFAULT_WIDTHS,
        patch: int = 2,
        encoder_blocks: Sequence[int] | int = 1,
        decoder_blocks: Sequence[int] | int = 1,
    ):
        super().__init__()
        levels = len(widths)
        down = _per_level(encoder_blocks, levels)
        up = _per_level(decoder_blocks, levels - 1)
        self.patch = self.shuffle_factor = patch
        self.multiple = patch * 2 ** (levels - 1)
        self.head = nn.Conv2d(3 * patch**2 + 2, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(_blocks(w, n) for w, n in zip(widths, down, strict=True))
        steps = list(pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in steps)
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in steps)
        self.decoder = nn.ModuleList(_blocks(w, n) for w, n in zip(widths[:-1], up, strict=True))
        self.tail = nn.Conv2d(widths[0], 3 * patch**2, 3, padding=1)
        for parameter in self.tail.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, coordinates: Tensor | None = None) -> Tensor:
        """Restore crops.

        Args:
            x: (N, 3, H, W) RGB in [-1, 1]; H and W are multiples of ``self.multiple``.
            coordinates: (N, 2, H, W) or (2, H, W) from `coordinate_grid`, for windows; whole crops
                need none.

        Returns:
            (N, 3, H, W) RGB, not clamped.
        """
        height, width = x.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise ValueError(
                f"crop of {width}x{height} pixels: both sides must be multiples of {self.multiple}"
            )
        features = self.head(self._entry(x, coordinates))
        skips = []
        for level, blocks in enumerate(self.encoder):
            features = blocks(features)
            if level < len(self.down):
                skips.append(features)
                features = self.down[level](features)
        for level in reversed(range(len(self.up))):
            raised = F.interpolate(self.up[level](features), scale_factor=2.0, mode="nearest")
            features = self.decoder[level](raised + skips[level])
        change = F.pixel_shuffle(self.tail(F.leaky_relu(features, _SLOPE)), self.patch)
        return torch.add(x, change, alpha=_OUTPUT_SCALE)

    def _entry(self, x: Tensor, coordinates: Tensor | None) -> Tensor:
        cells = _unshuffled(x, self.patch)
        if coordinates is None:
            # A cell's place is the mean of its pixels' places.
            grid = coordinate_grid(*cells.shape[-2:], device=x.device)
        else:
            grid = F.avg_pool2d(coordinates.to(device=x.device, dtype=x.dtype), self.patch)
        entry = torch.cat((cells, grid.expand(x.shape[0], -1, -1, -1)), dim=1)
        # The sum at the exit keeps the input's precision where the network has a shorter one.
        return entry.to(self.tail.weight.dtype)


def _unshuffled(x: Tensor, patch: int) -> Tensor:
    """`F.pixel_unshuffle`: the same values, in a third of the time on a CPU."""
    count, channels, height, width = x.shape
    cells = x.reshape(count, channels, height // patch, patch, width // patch, patch)
    return cells.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _blocks(width: int, count: int) -> nn.Sequential:
    return nn.Sequential(*(ResidualBlock(width) for _ in range(count)))


def _per_level(value: Sequence[int] | int, levels: int) -> Sequence[int]:
    counts = (value,) * levels if isinstance(value, int) else tuple(value)
    if len(counts) != levels:
        raise ValueError(f"block counts {counts}: {levels} levels need {levels} counts")
    return counts
