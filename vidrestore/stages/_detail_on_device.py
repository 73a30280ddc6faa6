"""Fine detail of crops on a device: how strong it is, and averages that keep it.

See `temporal_filter._Strength`, which does this on the host, face by face.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidrestore.luma import tensor_luma
from vidrestore.stages._device_pictures import gaussian_blur, soft_step
from vidrestore.stages._filter_weights import FINEST_SIGMA, OUTLIVES, OWN_SHARE, middle

__all__ = ["amplitudes_of", "strengthened"]


def strengthened(
    single: Tensor, averaged: Tensor, means: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """Keep averages as rich in fine detail as single frames are.

    Args:
        single: (N, 3, S, S), the frames' own pictures.
        averaged: (N, 3, S, S).
        means: from the amplitudes of these faces, (N, 3, OCTAVES), to their means over the last
            frames, likewise.

    Returns:
        (N, 3, S, S) what to add to the averages, and the amplitudes: of each octave of a frame's
        own picture, of its average, and of that with all of `OWN_SHARE` put back.
    """
    own = [octave.mul_(OWN_SHARE) for octave in _octaves(single - averaged)]
    pictures = torch.cat([single, averaged, averaged + own[0] + own[1]])
    present = amplitudes_of(pictures).view(3, len(single), -1).transpose(0, 1)
    del pictures
    of_single, of_average, of_sum = means(present).unbind(1)
    trust = soft_step(of_average / of_single.clamp(min=1e-6), *OUTLIVES)
    of_mixed = of_average + trust * (of_sum - of_average)
    gains = trust * (of_single / of_mixed.clamp(min=1e-6) - 1).clamp(min=0)
    back = _sum_of(own, trust)
    stronger = _sum_of(list(_octaves(averaged + back)), gains)
    return stronger.add_(back), present


def amplitudes_of(pictures: Tensor) -> Tensor:
    """(N, OCTAVES): mean size of each octave in the middle of pictures (N, 3, S, S)."""
    inside = middle(pictures.shape[-1])
    gray = tensor_luma(pictures[..., inside, inside])
    return torch.stack([one.abs_().mean((1, 2, 3)) for one in _octaves(gray)], 1)


def _octaves(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """The two finest octaves of pictures, differences of Gaussians, finest first."""
    fine = gaussian_blur(pictures, FINEST_SIGMA)
    return pictures - fine, fine - gaussian_blur(fine, 2 * FINEST_SIGMA)


def _sum_of(octaves: list[Tensor], factors: Tensor) -> Tensor:
    """(N, 3, S, S): the sum of octaves times factors (N, OCTAVES)."""
    first, second = factors.T[..., None, None, None]
    total: Tensor = first * octaves[0]
    return total.addcmul_(second, octaves[1])
