"""Grain drawn on a device: the same as `noise.drawn_grain` draws on the host, within rounding."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from vidrestore.noise import TILE_PX, component_shift, grain_matrix, grain_tile, sigma_at
from vidrestore.runtime.transfer import to_device
from vidrestore.structs import ComponentNoise, NoiseModel, Picture
from vidrestore.video.picture.colour import rgb_from_yuv, yuv_from_rgb
from vidrestore.video.picture.layouts import layout_of

__all__ = ["draw_grain"]

_LEVELS = 4096
"""Of luma, between which noise is as strong."""
_LUMA = np.linspace(0, 1, _LEVELS, dtype=np.float32)


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
    height, width = amount.shape
    luma = (to_yuv[0] @ base.flatten(1)).view(height, width)
    level = (luma * (_LEVELS - 1)).round_().clamp_(0, _LEVELS - 1).long()
    rng = np.random.default_rng(seed)
    planes = base.new_zeros(3, height + height % 2, width)
    for index, component in enumerate(model.components):
        shift_x, shift_y = component_shift(layout, index)
        every = (slice(None, None, 1 << shift_y), slice(None, None, 1 << shift_x))
        scale = _sigmas(component, 1 << shift_x, base.device)[level[every]] * amount[every]
        drawn = scale * _rolled(component, rng, scale.shape, base.device)
        lines = planes[index, : len(drawn) << shift_y, every[1]]
        lines.view(len(drawn), -1, drawn.shape[1]).copy_(drawn[:, None])
    planes = planes[:, :height]
    if len(model.components) == 1:
        return planes[:1].expand(3, -1, -1)
    grain: Tensor = (to_rgb @ planes.flatten(1)).view_as(planes)
    return grain


@lru_cache(maxsize=16)
def _matrices(name: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """YUV from RGB and RGB from YUV, (3, 3) each, sent to a device once."""
    both = np.stack([yuv_from_rgb(name), rgb_from_yuv(name)]).astype(np.float32)
    to_yuv, to_rgb = to_device(both, device)
    return to_yuv, to_rgb


@lru_cache(maxsize=48)
def _tile(noise: ComponentNoise, times: int, device: torch.device) -> Tensor:
    """The tile, so many times beside and below itself; sent to a device once."""
    return to_device(grain_tile(noise), device).repeat(times, times)


@lru_cache(maxsize=48)
def _sigmas(noise: ComponentNoise, factor: int, device: torch.device) -> Tensor:
    """(_LEVELS,) standard deviation by luma, times a factor; sent to a device once."""
    return to_device(factor * sigma_at(noise, _LUMA), device)


def _rolled(
    noise: ComponentNoise, rng: np.random.Generator, shape: Sequence[int], device: torch.device
) -> Tensor:
    """(*shape) the tile from a place drawn at random, mirrored or not."""
    row, column = (int(rng.integers(TILE_PX)) for _ in shape)
    flip_x, flip_y = rng.integers(2, size=2)
    times = 1 + -(-max(shape) // TILE_PX)
    tile = _tile(noise, times, device)
    part = tile[row : row + shape[0], column : column + shape[1]]
    flipped = [axis for axis, flip in ((0, flip_y), (1, flip_x)) if flip]
    return part.flip(flipped) if flipped else part
