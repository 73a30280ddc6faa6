"""Fine detail: as much of it everywhere as in the truth, wherever exactly it lies.

Pixel losses are least for the mean of all pictures that could be true, which is blurred where the
input does not tell. The energies of band-pass filtered pictures over small windows are what texture
models match (Heeger and Bergen, SIGGRAPH 1995; Portilla and Simoncelli, IJCV 2000, section 2.2.2):
they say how strong detail is, not where each line runs. Together with a pixel loss, the cheapest
way to the wanted energy is to strengthen detail that is there, not to add noise, since the error of
parts in phase grows with the difference of amplitudes and that of noise with its whole power.

A network whose last step deals out pixels in blocks finds another way: the same fine pattern in
every block. `grid_distance` closes it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidrestore.luma import tensor_luma

__all__ = [
    "grid_distance",
    "local_energy_distance",
    "local_log_energies",
    "octaves",
    "stack_octaves",
]

_OCTAVES = 3
_STRENGTHS = (30.0, 20.0, 12.0)
"""One over what the octaves of sharp faces are about as strong as."""
_WINDOW = 16
_FLOOR = 0.01
"""Amplitude in units of [-1, 1] below which detail is not seen: about one code value."""


def local_energy_distance(restored: Tensor, truth: Tensor) -> Tensor:
    """Mean absolute difference of the logarithms of local amplitudes, over three octaves of luma.

    Args:
        restored: (N, 3, H, W) RGB in [-1, 1], at least 16 pixels high and wide.
        truth: the same.

    Returns:
        A scalar: 0.7 for detail of half or twice the amplitude.
    """
    with torch.no_grad():
        wanted = local_log_energies(truth)
    gaps = [
        (own - true).abs().mean()
        for own, true in zip(local_log_energies(restored), wanted, strict=True)
    ]
    return torch.stack(gaps).mean()


def grid_distance(restored: Tensor, truth: Tensor) -> Tensor:
    """How much of the error of fine detail repeats every 4 or 8 pixels.

    The error's finest band, averaged over all blocks of a window of 8 x 8 blocks that half overlap:
    errors that follow the picture cancel, a pattern common to the blocks stays.

    Args:
        restored: (N, 3, H, W) RGB in [-1, 1], H and W multiples of 8, at least 64.
        truth: the same.

    Returns:
        A scalar: the mean absolute height of the pattern, in units of luma in [-1, 1].
    """
    error = tensor_luma((restored - truth).float())
    heights = []
    for period in (4, 8):
        fine = error - _binomial(error, period // 4)
        blocks = F.pixel_unshuffle(fine, period)
        heights.append(F.avg_pool2d(blocks, 8, 4).abs().mean())
    return torch.stack(heights).mean()


def local_log_energies(pictures: Tensor) -> list[Tensor]:
    """Logarithms of the root mean squares of `octaves` in windows of 16 pixels, half overlapping.

    Args:
        pictures: (N, 3, H, W) RGB in [-1, 1].

    Returns:
        One (N, 1, h, w) for each octave, finest first.
    """
    powers = (F.avg_pool2d(octave.square(), _WINDOW, _WINDOW // 2) for octave in octaves(pictures))
    return [0.5 * torch.log(power + _FLOOR**2) for power in powers]


def octaves(pictures: Tensor) -> list[Tensor]:
    """Luma's three finest octaves, (N, 1, H, W) each, finest first.

    They are differences of binomial low-pass filters with holes ("a trous": Holschneider et al.
    1989), so each keeps the picture's size.

    Args:
        pictures: (N, 3, H, W) RGB in [-1, 1].
    """
    left, found = tensor_luma(pictures.float()), []
    for octave in range(_OCTAVES):
        smooth = _binomial(left, 2**octave)
        found.append(left - smooth)
        left = smooth
    return found


def stack_octaves(pictures: Tensor, degraded: Tensor) -> Tensor:
    """What a discriminator of fine detail sees: the octaves of pictures, and of what they were made
    from (pix2pix, Isola et al., arXiv:1611.07004), at about unit strength.

    Broad structure is a hundred times as strong as skin's, and pixel losses see to it; a
    discriminator that is shown whole pictures learns of it first, and of detail hardly anything.

    Args:
        pictures: (N, 3, H, W) RGB in [-1, 1].
        degraded: the same.

    Returns:
        (N, 6, H, W) float32.
    """
    shown = [*octaves(pictures), *octaves(degraded)]
    return torch.cat([g * o for g, o in zip(_STRENGTHS * 2, shown, strict=True)], dim=1)


def _binomial(x: Tensor, step: int) -> Tensor:
    """(1 4 6 4 1) / 16 along both axes, with `step` pixels between the taps."""
    x = F.pad(x, (2 * step,) * 4, mode="replicate")
    for axis in (2, 3):
        n = x.shape[axis] - 4 * step
        a, b, c, d, e = (x.narrow(axis, tap * step, n) for tap in range(5))
        x = (a + e) / 16 + (b + d) / 4 + c * 0.375
    return x
