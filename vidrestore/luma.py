"""How red, green and blue make up the brightness of a picture: weights and sums, written once.

Luma of ITU-R BT.601 is what papers measure PSNR and SSIM on, what OpenCV's conversion to gray
gives, and what is meant where nothing else is said. `BT709` is for RGB as screens show it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["BT601", "BT709", "gray_picture", "luma", "luma_weights", "tensor_luma"]

BT601 = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luma of ITU-R BT.601."""
BT709 = (0.2126, 0.7152, 0.0722)
"""The same of ITU-R BT.709, whose primaries are those of sRGB."""


def luma(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """BT.601 luma of a picture or a clip.

    Args:
        image: (..., 3) float32 RGB of any range.

    Returns:
        (...) float32.
    """
    return np.asarray(image @ np.array(BT601, np.float32), np.float32)


def tensor_luma(images: Tensor) -> Tensor:
    """BT.601 luma of a batch; the same as `luma` to the last bits.

    Args:
        images: (N, 3, H, W) RGB of any range.

    Returns:
        (N, 1, H, W).
    """
    weights = luma_weights(BT601, images.device, images.dtype).view(1, 3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


@lru_cache(maxsize=16)
def luma_weights(
    weights: tuple[float, float, float], device: torch.device, dtype: torch.dtype
) -> Tensor:
    """(3,) weights, sent to a device once: each time would make it wait."""
    import torch

    with torch.inference_mode(False):  # They may be used in training later.
        return torch.tensor(weights, device=device, dtype=dtype)


def gray_picture(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """BT.601 luma, rounded, in all three channels.

    Args:
        picture: (H, W, 3) uint8 RGB.
    """
    gray = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)
    return np.repeat(gray[..., None], 3, axis=2)
