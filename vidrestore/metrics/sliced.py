"""Sliced Wasserstein distance of patches: how far generated pictures are from real ones, without
any trained network.

Karras et al., arXiv:1710.10196, section 5: patches of 7x7 pixels from every level of a Laplacian
pyramid, each channel brought to mean 0 and deviation 1, projected on random directions; the sorted
projections of both sets are compared. Smaller is better; sets of other sizes do not compare.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["sliced_wasserstein"]

_PATCH = 7
_PATCHES = 128
"""Patches of a picture."""
_DIRECTIONS = 128
_COARSEST = 16


def sliced_wasserstein(pictures: Tensor, truth: Tensor, *, seed: int = 0) -> float:
    """Mean distance over the pyramid's levels, times 1000 as in the paper.

    Args:
        pictures: (N, 3, S, S) of any range.
        truth: (N, 3, S, S) of the same range.
        seed: of the patches' places and the directions.
    """
    rng = np.random.default_rng(seed)
    distances = []
    for own, wanted in zip(_pyramid(pictures), _pyramid(truth), strict=True):
        direction = rng.standard_normal((3 * _PATCH**2, _DIRECTIONS)).astype(np.float32)
        direction /= np.linalg.norm(direction, axis=0)
        places = rng.integers(0, own.shape[-1] - _PATCH, (_PATCHES, 2), endpoint=True)
        projected = [
            (_patches(level, places) @ torch.from_numpy(direction).to(level)).sort(dim=0).values
            for level in (own, wanted)
        ]
        distances.append((projected[0] - projected[1]).abs().mean())
    return 1000 * float(torch.stack(distances).mean())


def _pyramid(pictures: Tensor) -> list[Tensor]:
    """Differences to the doubled half size, down to 16 px, and what is left."""
    levels = []
    x = pictures.float()
    while x.shape[-1] >= 2 * _COARSEST:
        coarse = F.avg_pool2d(x, 2)
        levels.append(x - F.interpolate(coarse, scale_factor=2, mode="bilinear"))
        x = coarse
    return [*levels, x]


def _patches(level: Tensor, places: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Tensor:
    """(N P, 3 * 49), normalised over everything but the channel."""
    cut = [level[:, :, y : y + _PATCH, x : x + _PATCH] for y, x in places.tolist()]
    patches = torch.cat(cut)
    mean = patches.mean((0, 2, 3), keepdim=True)
    deviation = patches.std((0, 2, 3), keepdim=True)
    return ((patches - mean) / (deviation + 1e-8)).flatten(1)
