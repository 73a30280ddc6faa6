"""Grain drawn on a device: the same as `noise.drawn_grain` draws on the host, within rounding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vidrestore.noise import TILE_PX, component_shift, grain_matrix, grain_tile
from vidrestore.runtime.transfer import to_device
from vidrestore.structs import ComponentNoise, NoiseModel, Picture
from vidrestore.video.picture.colour import rgb_from_yuv, yuv_from_rgb
from vidrestore.video.picture.layouts import layout_of

__all__ = ["draw_grain"]


def draw_grain(
    model: NoiseModel, amount: Tensor, base: Tensor, picture: Picture, seed: Sequence[int]
) -> Tensor:
    """Draw grain like that of the recording; see `noise.drawn_grain`.

    Args:
        model: its noise.
        amount: (h, w), 1 for as much as the recording has.
        base: (3, h, w) RGB in [0, 1] that gets it.
        picture: whose planes it is for.
        seed: numbers of 0 or more; the same ones give the same grain.

    Returns:
        (3, h, w) RGB to add, on the device of `base`.
    """
    layout = layout_of(picture.format)
    to_yuv, to_rgb = _matrices(grain_matrix(picture, layout), base.device)
    luma = (to_yuv[0] @ base.flatten(1)).view_as(amount)
    rng = np.random.default_rng(seed)
    planes = base.new_zeros(3, *luma.shape)
    for index, component in enumerate(model.components):
        shift_x, shift_y = component_shift(layout, index)
        every = (slice(None, None, 1 << shift_y), slice(None, None, 1 << shift_x))
        scale = _sigma_at(component, luma[every]) * amount[every]
        drawn = scale * _rolled(_tile(component, base.device), rng, scale.shape)
        lines = drawn[:, None].expand(-1, 1 << shift_y, -1).flatten(0, 1)[: luma.shape[0]]
        planes[index][:, every[1]] = lines * (1 << shift_x)
    if len(model.components) == 1:
        return planes[:1].expand(3, -1, -1)
    return (to_rgb @ planes.flatten(1)).view_as(planes)


@lru_cache(maxsize=16)
def _matrices(name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """YUV from RGB and RGB from YUV, (3, 3) each, sent to a device once."""
    both = np.stack([yuv_from_rgb(name), rgb_from_yuv(name)]).astype(np.float32)
    to_yuv, to_rgb = to_device(both, device)
    return to_yuv, to_rgb


@lru_cache(maxsize=48)
def _tile(noise: ComponentNoise, device: torch.device) -> Tensor:
    """(TILE_PX, TILE_PX), sent to a device once."""
    return to_device(grain_tile(noise), device)


@lru_cache(maxsize=48)
def _curve(noise: ComponentNoise, device: torch.device) -> Tensor:
    """(2, K) brightness and standard deviation, sent to a device once."""
    return to_device(np.stack([noise.brightness, noise.sigma]).astype(np.float32), device)


def _sigma_at(noise: ComponentNoise, luma: Tensor) -> Tensor:
    """Standard deviation of a component's noise at every value of luma."""
    brightness, sigma = _curve(noise, luma.device)
    if len(brightness) == 1:
        return sigma.expand(luma.shape)
    above = torch.searchsorted(brightness, luma.contiguous()).clamp(1, len(brightness) - 1)
    low, high = brightness[above - 1], brightness[above]
    return torch.lerp(
        sigma[above - 1], sigma[above], ((luma - low) / (high - low).clamp(min=1e-9)).clamp(0, 1)
    )


def _rolled(tile: Tensor, rng: np.random.Generator, shape: Sequence[int]) -> Tensor:
    """(*shape) the tile from a place drawn at random, mirrored or not."""
    rows, columns = (
        (torch.arange(side, device=tile.device) + int(rng.integers(TILE_PX))) % TILE_PX
        for side in shape
    )
    flip_x, flip_y = rng.integers(2, size=2)
    part: Tensor = tile[rows[:, None], columns]
    flipped = [axis for axis, flip in ((0, flip_y), (1, flip_x)) if flip]
    return part.flip(flipped) if flipped else part
