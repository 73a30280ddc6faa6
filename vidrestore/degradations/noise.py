"""Noise of sensors and amplifiers.

Pictures are (H, W, 3) float32 RGB in [0, 1], and `I` below. The white and the Poisson noise, grey
or coloured, are those of Real-ESRGAN's degradations (Wang et al., arXiv:2107.10833); shot noise as
a normal of the signal's variance is that of Foi et al. 2008 (doi:10.1109/TIP.2008.2001399).
"""

from __future__ import annotations

import cv2
import numpy as np

from vidrestore.degradations.pixels import Image, clamp
from vidrestore.luma import luma

__all__ = ["correlated_noise", "gaussian_noise", "poisson_noise", "shot_noise"]


def gaussian_noise(image: Image, sigma: float, rng: np.random.Generator, *, gray: bool) -> Image:
    """``clip(I + sigma n)``, n standard normal: white noise of standard deviation ``sigma`` (in
    units of the range), one for all channels when ``gray``.
    """
    channels = 1 if gray else image.shape[2]
    noise = rng.standard_normal((*image.shape[:2], channels), dtype=np.float32)
    return np.clip(image + sigma * noise, 0.0, 1.0)


def shot_noise(image: Image, photons: float, rng: np.random.Generator) -> Image:
    """Poisson noise of a sensor whose white is ``photons`` electrons: variance ``image /
    photons``, drawn as a normal.
    """
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noisy = image + noise * np.sqrt(np.clip(image, 0, 1) / np.float32(photons))
    return np.asarray(np.clip(noisy, 0.0, 1.0), dtype=np.float32)


def poisson_noise(image: Image, photons: float, rng: np.random.Generator, *, gray: bool) -> Image:
    """``Poisson(photons * image) / photons``: counted photons, exact for few of them too.

    With ``gray`` they are counted on luma and what they miss is added to all channels alike.
    """
    seen = clamp(luma(image))[..., None] if gray else clamp(image)
    counted = rng.poisson(np.float64(photons) * seen) / photons
    return clamp(image + (counted - seen))


def correlated_noise(
    height: int, width: int, channels: int, sigma_px: float, rng: np.random.Generator
) -> Image:
    """White noise seen through a Gaussian of ``sigma_px``, scaled back to unit variance: grains of
    one size.

    Its correlation at a distance d is ``exp(-d^2 / (4 sigma_px^2))``, the Gaussian's with itself.

    Returns:
        (height, width, channels) float32, standard normal everywhere, also at the border.
    """
    if sigma_px < 0.2:
        return rng.standard_normal((height, width, channels), dtype=np.float32)
    radius = int(np.ceil(3 * sigma_px))
    line = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_px) ** 2)
    line /= np.sqrt(np.square(line).sum())
    size = (height + 2 * radius, width + 2 * radius, channels)
    white = rng.standard_normal(size, dtype=np.float32)
    smooth = cv2.sepFilter2D(white, -1, line, line).reshape(size)
    return np.asarray(smooth[radius : radius + height, radius : radius + width], dtype=np.float32)
