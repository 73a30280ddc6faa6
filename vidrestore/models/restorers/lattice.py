"""Take the lattice of a pixel-shuffle out of a restored crop.

A network that ends in a pixel-shuffle by P writes each of the P x P places of a cell with weights
of its own, so a faint pattern that repeats every P pixels lies over all it draws. It is what the
places of a cell have in common with the same places of the cells around, beyond what all places of
a cell have in common; a narrow notch at multiples of 1 / P cycles a pixel takes it out. Only the
network's correction is filtered: what repeats like that in the input stays.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["without_lattice"]

_CELLS = 6.0
"""Standard deviation, in cells, of the neighbourhood in which the lattice is one pattern."""


def without_lattice(restored: Tensor, source: Tensor, period: int) -> Tensor:
    """Remove what repeats every `period` pixels from the difference of both.

    Args:
        restored: (N, 3, S, S) float, the output of the network; S is a multiple of `period`.
        source: (N, 3, S, S), what it saw.
        period: factor of the pixel-shuffle at the network's end.

    Returns:
        (N, 3, S, S).
    """
    if period < 2:
        return restored
    correction = restored - source
    count, channels, height, width = correction.shape
    rows, columns = height // period, width // period
    # Pixel-(un)shuffle by permuting: the same values, in a third of the time on a CPU.
    cells = (correction - _smooth(correction, period)).contiguous()
    cells = cells.view(count, channels, rows, period, columns, period).permute(0, 1, 3, 5, 2, 4)
    cells = cells.reshape(count, channels * period**2, rows, columns)
    alike = _blurred(cells, _gaussian(_CELLS, cells.device, cells.dtype))
    phases = alike.view(count, channels, period**2, rows, columns)
    pattern = phases - phases.mean(2, keepdim=True)
    pattern = pattern.view(count, channels, period, period, rows, columns)
    return restored - pattern.permute(0, 1, 4, 2, 5, 3).reshape(correction.shape)


def _smooth(image: Tensor, period: int) -> Tensor:
    """Blurred by a triangle of twice the period, which takes all of the lattice away."""
    return _blurred(image, _triangle(period, image.device, image.dtype))


def _blurred(image: Tensor, weights: Tensor) -> Tensor:
    """(N, C, H, W), filtered along both axes; the edge is repeated."""
    if image.device.type == "cpu":
        return _blurred_by_opencv(image, weights)
    channels, reach = image.shape[1], len(weights) // 2
    taps = weights.expand(channels, 1, -1)
    image = functional.pad(image, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(image, taps[:, :, None], groups=channels)
    return functional.conv2d(across, taps[..., None], groups=channels)


def _blurred_by_opencv(image: Tensor, weights: Tensor) -> Tensor:
    """The same within rounding, in a fraction of the time of a grouped convolution."""
    taps = weights.numpy()
    pictures = image.contiguous().numpy()
    blurred = np.empty_like(pictures)
    for picture, result in zip(pictures, blurred, strict=True):
        for channel, done in zip(picture, result, strict=True):
            cv2.sepFilter2D(channel, -1, taps, taps, dst=done, borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(blurred)


@lru_cache(maxsize=16)
def _triangle(period: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    taps = [(period - abs(at)) / period**2 for at in range(1 - period, period)]
    return torch.tensor(taps, device=device, dtype=dtype)


@lru_cache(maxsize=16)
def _gaussian(sigma: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Kept by device: sending it in each call would make the host wait."""
    reach = round(3 * sigma)
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=device) / sigma) ** 2)
    return (weights / weights.sum()).to(dtype)
