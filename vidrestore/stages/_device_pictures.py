"""Operations on batches of pictures on a device, as OpenCV does them on the host.

On CUDA they are the same in every run, and in float32 rather than TF32, whose 10 bits would show in
fine detail, inside of `models.runners.runner.reproducible`.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.runtime.transfer import to_device
from vidrestore.stages._filter_weights import COMPARED_PX

__all__ = [
    "gaussian_blur",
    "places_by_flow",
    "reduced_area",
    "reflected",
    "sampled",
    "soft_step",
]


def gaussian_blur(pictures: Tensor, sigma: float) -> Tensor:
    """`cv2.GaussianBlur` of (N, C, H, W) float32; beyond the border the picture is mirrored."""
    taps = _gaussian(sigma, pictures.device)
    padded = reflected(pictures, len(taps) // 2).flatten(0, 1)[:, None]
    across = functional.conv2d(padded, taps[None, None, None, :])
    return functional.conv2d(across, taps[None, None, :, None]).view_as(pictures)


def reduced_area(pictures: Tensor, size: int) -> Tensor:
    """(..., size, size): `cv2.resize` by areas of pictures (..., S, S)."""
    matrix = _area(pictures.shape[-1], size, pictures.device)
    return matrix @ pictures @ matrix.T


def reflected(pictures: Tensor, border: int) -> Tensor:
    """(N, C, H, W) with so many mirrored pixels more on each side, OpenCV's usual border."""
    return functional.pad(pictures, (border,) * 4, mode="reflect")


def soft_step(values: Tensor, low: float, high: float) -> Tensor:
    """`ramps.smooth_step` of a tensor."""
    t = ((values - low) / (high - low)).clamp(0, 1)
    return t * t * (3 - 2 * t)


def places_by_flow(flow: Tensor) -> Tensor:
    """(N, S, S, 2): where flow leads to, as `sampled` takes it.

    Args:
        flow: (N, 2, S, S) x and y, in units of `COMPARED_PX` for the whole picture.
    """
    grid = _grid(flow.shape[-1], flow.device)
    return torch.add(grid, flow.movedim(1, 3), alpha=2 / COMPARED_PX)


def sampled(pictures: Tensor, places: Tensor, method: str = "bilinear") -> Tensor:
    """Pictures (N, C, H, W) at places (N, h, w, 2); beyond the border the edge is repeated.

    Args:
        pictures: float32.
        places: x and y, in -1 to 1 between the pictures' outer edges.
        method: "bilinear" or "bicubic" (a = -0.75, as OpenCV's).
    """
    return functional.grid_sample(
        pictures, places, mode=method, padding_mode="border", align_corners=False
    )


@lru_cache(maxsize=16)
def _gaussian(sigma: float, device: torch.device) -> Tensor:
    """The taps that OpenCV takes for float32; sent to a device once."""
    taps = cv2.getGaussianKernel(round(8 * sigma + 1) | 1, sigma, cv2.CV_32F)
    return to_device(np.ascontiguousarray(taps[:, 0]), device)


@lru_cache(maxsize=8)
def _area(size: int, wanted: int, device: torch.device) -> Tensor:
    """(wanted, size): what OpenCV makes of each line."""
    lines = cv2.resize(np.eye(size, dtype=np.float32), (size, wanted), interpolation=cv2.INTER_AREA)
    return to_device(np.asarray(lines, np.float32), device)


@lru_cache(maxsize=8)
def _grid(size: int, device: torch.device) -> Tensor:
    """(size, size, 2): x and y of every pixel, in -1 to 1 between the outer edges."""
    line = (2 * torch.arange(size, device=device) + 1) / size - 1
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)
