"""Grain and noise of a recording: a model of it, and grain that is drawn anew from it.

Film has most grain in its mid tones, a camera in its shadows, so a model knows its strength by
brightness; size and shape of the grains are in how alike neighbouring samples are. Luma and chroma
are modelled apart, each in the samples of its own plane. Grain that is drawn is Gaussian noise of
that spectrum, scaled by the brightness below it (as Norkin and Birkbeck do by autoregression, Film
grain synthesis for AV1 video codec, DCC 2018). How a model is measured: `noise_measurement`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from vidrestore.structs import ComponentNoise, NoiseModel, Picture
from vidrestore.video.picture.colour import rgb_from_yuv, yuv_from_rgb
from vidrestore.video.picture.layouts import Layout, layout_of
from vidrestore.video.picture.samples import Rect

__all__ = [
    "TILE_PX",
    "component_shift",
    "drawn_grain",
    "fine_share",
    "grain_matrix",
    "grain_tile",
    "kept_share",
    "sigma_at",
]

_Floats = npt.NDArray[np.float32]

_RESTORED = 18.0
"""Energy of the input's finest detail over that of what a restored face lacks of it. With it the
kept share is within 0.1 of the best one (by PSNR, with the embedded network) for two faces at noise
of 1, 2, 4 and 8 levels of 255."""
TILE_PX = 512
"""Side of the noise from which grain is taken."""


def kept_share(model: NoiseModel) -> float:
    """Share of the input's finest detail, noise and all, to keep beside what is restored, 0 to 1; 1
    where there is no noise.

    What a Wiener filter would keep if noise were `_RESTORED` times as strong: a restored face has
    most of the detail already, so that only what it lacks is worth its noise.
    """
    return model.detail / (model.detail + _RESTORED * (1 - model.detail))


def sigma_at(noise: ComponentNoise, luma: _Floats) -> _Floats:
    """Standard deviation of a component's noise at every value of luma."""
    return np.interp(luma, noise.brightness, noise.sigma).astype(np.float32)


def fine_share(noise: ComponentNoise, fine_px: float) -> float:
    """Share of the noise's energy that a Gaussian blur of `fine_px` samples takes away."""
    spectrum = _spectrum(noise, TILE_PX)
    frequency = np.fft.fftfreq(TILE_PX)
    blur = np.exp(-2 * (np.pi * fine_px * frequency) ** 2)
    return float((spectrum * (1 - np.outer(blur, blur)) ** 2).sum() / spectrum.sum())


def drawn_grain(
    model: NoiseModel,
    amount: Tensor,
    base: Tensor,
    picture: Picture,
    rect: Rect,
    seed: Sequence[int],
) -> Tensor:
    """Draw grain like that of the recording.

    Args:
        model: its noise.
        amount: (h, w), 1 for as much as the recording has.
        base: (3, h, w) RGB in [0, 1] that gets it.
        picture: whose planes it is for.
        rect: the part of the picture, of whole groups of pixels that share chroma.
        seed: numbers of 0 or more, of the frame and the face: the same ones give the same grain.

    Returns:
        (3, h, w) RGB to add. Once brought into the picture's planes, each has the measured noise.
    """
    layout = layout_of(picture.format)
    matrix = grain_matrix(picture, layout)
    luma = np.tensordot(yuv_from_rgb(matrix)[0].astype(np.float32), base.numpy(), 1)
    rng = np.random.default_rng(seed)
    planes = np.zeros((3, *luma.shape), np.float32)
    for index, component in enumerate(model.components):
        shift_x, shift_y = component_shift(layout, index)
        every = (slice(None, None, 1 << shift_y), slice(None, None, 1 << shift_x))
        scale = sigma_at(component, luma[every]) * amount.numpy()[every]
        drawn = scale * _rolled(grain_tile(component), rng, scale.shape)
        # Bringing a change into a subsampled plane weighs a sample's own column by one over the
        # pixels of a group, and averages its lines.
        lines = np.repeat(drawn, 1 << shift_y, axis=0)[: luma.shape[0]]
        planes[index][:, every[1]] = lines * (1 << shift_x)
    if len(model.components) == 1:
        return torch.from_numpy(planes[:1]).expand(3, -1, -1)
    rows = rgb_from_yuv(matrix).astype(np.float32)
    return torch.from_numpy(np.tensordot(rows, planes, 1))


def _spectrum(noise: ComponentNoise, size: int) -> npt.NDArray[np.float64]:
    """(size, size) power by frequency, not negative."""
    lags = noise.correlation.shape[0] // 2
    taper = np.cos(np.pi / 2 * np.arange(-lags, lags + 1) / (lags + 1)) ** 2
    spread = np.zeros((size, size))
    spread[: 2 * lags + 1, : 2 * lags + 1] = noise.correlation * np.outer(taper, taper)
    return np.asarray(np.fft.fft2(np.roll(spread, (-lags, -lags), (0, 1))).real.clip(1e-12))


@lru_cache(maxsize=48)
def grain_tile(noise: ComponentNoise) -> _Floats:
    """(TILE_PX, TILE_PX) noise of unit variance that repeats without a seam."""
    white = np.random.default_rng(0).standard_normal((TILE_PX, TILE_PX))
    shaped = np.fft.ifft2(np.fft.fft2(white) * np.sqrt(_spectrum(noise, TILE_PX))).real
    return np.asarray(shaped / shaped.std(), np.float32)


def _rolled(tile: _Floats, rng: np.random.Generator, shape: tuple[int, int]) -> _Floats:
    """(*shape) the tile from a place drawn at random, mirrored or not."""
    rows, columns = (rng.integers(TILE_PX) + np.arange(side) for side in shape)
    flip_x, flip_y = rng.integers(2, size=2)
    part = tile[np.ix_(rows % TILE_PX, columns % TILE_PX)]
    return np.asarray(part[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def grain_matrix(picture: Picture, layout: Layout) -> str:
    """The matrix by which grain in luma and chroma becomes RGB."""
    return "bt709" if layout.family == "rgb" or picture.matrix == "rgb" else picture.matrix


def component_shift(layout: Layout, index: int) -> tuple[int, int]:
    """(x, y) of the component's plane; of RGB, whose luma and chroma are worked out, none."""
    part = layout.components[index]
    return (0, 0) if layout.family == "rgb" else (part.shift_x, part.shift_y)
