"""What lenses, film, broadcasting and compression do to made-up scenes."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.compression import jpeg_bytes
from vidrestore.training.detector_data.textures import retone

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]


def augment_image(rng: np.random.Generator, picture: Image, *, most: float = 1.5) -> Image:
    """What lenses, film, broadcasting and compression do, each with its own probability.

    Args:
        rng: source of all choices.
        picture: (H, W, 3) RGB.
        most: greatest factor of the probabilities; each picture draws its own from 0 to this.

    Returns:
        A picture of the same size.
    """
    harm = float(rng.uniform(0, most))
    steps: tuple[tuple[float, Callable[[np.random.Generator, Image], Image]], ...] = (
        (0.6, lambda r, p: retone(r, p, 0.16)),
        (0.4, _light),
        (0.25, _darken),
        (0.4, _make_gray),
        (0.4, _blur),
        (0.35, _rescale),
        (0.15, _vignette),
        (0.4, _add_noise),
        (0.12, _scratch),
        (0.6, _compress),
    )
    for chance, step in steps:
        if rng.random() < chance * harm:
            picture = step(rng, picture)
    return np.ascontiguousarray(picture)


def _darken(rng: np.random.Generator, picture: Image) -> Image:
    return np.asarray(picture * rng.uniform(0.1, 0.6), np.uint8)


def _light(rng: np.random.Generator, picture: Image) -> Image:
    """Light that falls unevenly, and has a colour."""
    strength = rng.uniform(0.1, 0.5)
    field = rng.normal(0, strength, (3, 3, 1)) + rng.normal(0, 0.2 * strength, (3, 3, 3))
    size = (picture.shape[1], picture.shape[0])
    light = cv2.resize(np.exp(field).astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(picture * light, 0, 255), np.uint8)


def _make_gray(rng: np.random.Generator, picture: Image) -> Image:
    weights = rng.dirichlet([3.0, 6.0, 1.5]).astype(np.float32)
    grey = cv2.transform(picture, weights[None])
    tint = np.exp(rng.normal(0, 0.08, 3)) if rng.random() < 0.3 else np.ones(3)
    return np.asarray(np.clip(grey.reshape(*picture.shape[:2], 1) * tint, 0, 255), np.uint8)


def _blur(rng: np.random.Generator, picture: Image) -> Image:
    if rng.random() < 0.7:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 2.2))), np.uint8)
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    ends = [np.round((length - 1) / 2 + sign * reach).astype(int) for sign in (-1, 1)]
    cv2.line(kernel, ends[0].tolist(), ends[1].tolist(), 1.0)
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()), np.uint8)


def _rescale(rng: np.random.Generator, picture: Image) -> Image:
    """Down and up again: the softness of small originals."""
    s = picture.shape[0]
    px = int(s * rng.uniform(0.35, 0.9))
    down, up = (int(rng.choice([0, 1, 2, 3])) for _ in range(2))
    methods = (cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC, cv2.INTER_AREA)
    small = cv2.resize(picture, (px, px), interpolation=methods[max(down, 1)])
    return np.asarray(cv2.resize(small, (s, s), interpolation=methods[max(up, 1)]), np.uint8)


def _vignette(rng: np.random.Generator, picture: Image) -> Image:
    ramp = np.linspace(-1, 1, picture.shape[0], dtype=np.float32) ** 2
    fall = 1 - rng.uniform(0.2, 0.5) * (ramp[:, None] + ramp[None, :])
    return np.asarray(np.clip(picture * fall[..., None], 0, 255), np.uint8)


def _add_noise(rng: np.random.Generator, picture: Image) -> Image:
    height, width = picture.shape[:2]
    coarse = int(rng.choice([1, 1, 2]))
    channels = 1 if rng.random() < 0.5 else 3
    table = rng.integers(-128, 128, (height // coarse, width // coarse, channels), dtype=np.int8)
    amount = float(np.exp(rng.uniform(np.log(2), np.log(28)))) / 74.0
    grain = cv2.resize(table.astype(np.float32) * amount, (width, height)).reshape(
        height, width, -1
    )
    return np.asarray(np.clip(picture + grain, 0, 255), np.uint8)


def _scratch(rng: np.random.Generator, picture: Image) -> Image:
    picture = picture.copy()
    s = picture.shape[0]
    for _ in range(int(rng.integers(1, 6))):
        x, value = int(rng.integers(s)), int(rng.choice([20, 235]))
        cv2.line(picture, (x, 0), (x + int(rng.integers(-4, 5)), s), (value,) * 3, 1)
    for _ in range(int(rng.integers(0, 12))):
        x, y = (int(v) for v in rng.integers(0, s, 2))
        cv2.circle(picture, (x, y), int(rng.integers(1, 4)), (int(rng.choice([15, 240])),) * 3, -1)
    return picture


def _compress(rng: np.random.Generator, picture: Image) -> Image:
    """JPEG, partly deblocked for some, as video decoders do."""
    quality = int(rng.uniform(12, 90))
    coded = jpeg_bytes(picture, quality)
    if quality < 40 and rng.random() < 0.6:
        coded = (
            cv2.bilateralFilter(coded, 5, 12, 3) if rng.random() < 0.5 else cv2.blur(coded, (2, 2))
        )
    return np.asarray(coded, np.uint8)
