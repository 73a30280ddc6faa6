"""What lens and movement do: blur kernels and convolution."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.pixels import Image

__all__ = [
    "blur",
    "convolve",
    "gaussian_kernel",
    "generalised_kernel",
    "motion_kernel",
    "plateau_kernel",
]

_Kernel = NDArray[np.float32]
_STEPS_PER_PX = 16
"""Points a pixel that a line of motion is made of."""


def gaussian_kernel(
    sigma_x: float, sigma_y: float, angle: float, size: int | None = None
) -> _Kernel:
    """Normalised anisotropic Gaussian, ``exp(-p^T S^-1 p / 2)``, ``S = R diag(sx^2, sy^2) R^T``.

    Args:
        sigma_x: standard deviation along the kernel's first axis, in pixels.
        sigma_y: standard deviation along its second axis, in pixels.
        angle: turn of the axes, in radians.
        size: side, odd; wide enough for three standard deviations when not given. GFP-GAN
            (arXiv 2101.04061) takes 41.

    Returns:
        (K, K) float32, K odd; sums to 1.
    """
    return _normalised(np.exp(-0.5 * _distance(sigma_x, sigma_y, angle, size, reach=3)))


def generalised_kernel(
    sigma_x: float, sigma_y: float, angle: float, shape: float, size: int | None = None
) -> _Kernel:
    """Generalised Gaussian, ``exp(-(p^T S^-1 p)^shape / 2)``; 1 is the Gaussian.

    Below 1 it has a sharp peak and long tails, above 1 a flat top. Real-ESRGAN (arXiv 2107.10833,
    section 3.2) takes shapes from 0.5 to 4.
    """
    distance = _distance(sigma_x, sigma_y, angle, size, reach=3 if shape >= 1 else 6)
    return _normalised(np.exp(-0.5 * distance**shape))


def plateau_kernel(
    sigma_x: float, sigma_y: float, angle: float, shape: float, size: int | None = None
) -> _Kernel:
    """``1 / (1 + (p^T S^-1 p)^shape)``, Real-ESRGAN's second kernel, there with shapes 1 to 2."""
    distance = _distance(sigma_x, sigma_y, angle, size, reach=4)
    return _normalised(1 / (1 + distance**shape))


def motion_kernel(length_px: float, angle: float) -> _Kernel:
    """A straight line of even weight, ``length_px`` long: the path of a point while it is exposed.

    Args:
        length_px: from end to end, in pixels.
        angle: direction, in radians; 0 is along a row.

    Returns:
        (K, K) float32, centred; sums to 1. Points of the line are shared among the four pixels
        around them (bilinear).
    """
    radius = int(np.ceil(length_px / 2)) + 1
    along = np.linspace(-0.5, 0.5, int(np.ceil(_STEPS_PER_PX * length_px)) + 1) * length_px
    x, y = radius + along * np.cos(angle), radius + along * np.sin(angle)
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1))
    for dx in (0, 1):
        for dy in (0, 1):
            weight = (1 - np.abs(x - left - dx)) * (1 - np.abs(y - top - dy))
            inside = np.minimum(top + dy, 2 * radius), np.minimum(left + dx, 2 * radius)
            np.add.at(kernel, inside, weight)
    return _normalised(kernel)


def convolve(image: Image, kernel: _Kernel) -> Image:
    """Filter with an odd kernel, the border reflected."""
    blurred = cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.float32)


def blur(image: Image, sigma_x: float, sigma_y: float, angle: float = 0.0) -> Image:
    """Convolve with `gaussian_kernel`, the border reflected."""
    return convolve(image, gaussian_kernel(max(sigma_x, 1e-3), max(sigma_y, 1e-3), angle))


def _distance(
    sigma_x: float, sigma_y: float, angle: float, size: int | None, *, reach: float
) -> NDArray[np.float64]:
    """``p^T S^-1 p`` on a grid of odd side, at least `reach` deviations wide where no size is."""
    radius = max(1, int(np.ceil(reach * max(sigma_x, sigma_y)))) if size is None else size // 2
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    u = x * np.cos(angle) + y * np.sin(angle)
    v = y * np.cos(angle) - x * np.sin(angle)
    distance: NDArray[np.float64] = (u / sigma_x) ** 2 + (v / sigma_y) ** 2
    return distance


def _normalised(kernel: NDArray[np.float64]) -> _Kernel:
    return np.asarray(kernel / kernel.sum(), dtype=np.float32)
