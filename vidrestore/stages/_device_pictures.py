"""Operations on batches of pictures on a device, as OpenCV does them on the host."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.runtime.transfer import to_device
from vidrestore.stages._filter_weights import COMPARED_PX

__all__ = ["gaussian_blur", "reduced_area", "reflected", "soft_step", "warp_by_flow"]


def gaussian_blur(pictures: Tensor, sigma: float) -> Tensor:
    """`cv2.GaussianBlur` of (N, C, H, W) float32; beyond the border the picture is mirrored."""
    taps = _gaussian(sigma, pictures.device)
    padded = reflected(pictures, len(taps) // 2).flatten(0, 1)[:, None]
    with _float32_convolutions(pictures.device):
        across = functional.conv2d(padded, taps[None, None, None, :])
        return functional.conv2d(across, taps[None, None, :, None]).view_as(pictures)


def _float32_convolutions(device: torch.device) -> AbstractContextManager[object]:
    """On CUDA, the same in every run, and without TF32, whose 10 bits would show in fine detail."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )


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


def warp_by_flow(pictures: Tensor, flow: Tensor, method: str) -> Tensor:
    """Neighbours' pictures as they lie in a frame; beyond the border the edge is repeated.

    Args:
        pictures: (N, C, S, S) float32.
        flow: (N, 2, S, S) x and y, in units of `COMPARED_PX` for the whole picture.
        method: "bilinear" or "bicubic" (a = -0.75, as OpenCV's).
    """
    places = _grid(pictures.shape[-1], pictures.device) + flow.movedim(1, 3) * (2 / COMPARED_PX)
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
