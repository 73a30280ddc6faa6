"""Grain drawn on a device for many faces at once, as `noise.drawn_grain` draws it on the host."""

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
    models: Sequence[NoiseModel],
    amounts: Tensor,
    bases: Tensor,
    picture: Picture,
    sizes: Sequence[tuple[int, int]],
    seeds: Sequence[Sequence[int]],
) -> Tensor:
    """Draw grain like that of the recording for many faces; see `noise.drawn_grain`.

    Args:
        models: noise of each face, of as many components.
        amounts: (N, h, w), 1 for as much as the recording has.
        bases: (N, 3, h, w) RGB in [0, 1] that gets it.
        picture: whose planes it is for, or one of the same format and matrix.
        sizes: height and width of each face's part; beyond it the grain is of no matter.
        seeds: of each face, numbers of 0 or more; the same ones give the same grain.

    Returns:
        (N, 3, h, w) RGB to add, on the device of `bases`.
    """
    layout, device = layout_of(picture.format), bases.device
    to_yuv, to_rgb = _matrices(grain_matrix(picture, layout), device)
    count, height, width = amounts.shape
    luma = (to_yuv[0] @ bases.flatten(2)).view_as(amounts)
    level = luma.mul_(_LEVELS - 1).round_().clamp_(0, _LEVELS - 1).long()
    shifts = [component_shift(layout, index) for index in range(len(models[0].components))]
    tallest = max(-(-height >> shift_y) << shift_y for _, shift_y in shifts)
    planes = bases.new_zeros(count, 3, tallest, width)
    rngs = [np.random.default_rng(seed) for seed in seeds]
    steps = [(1 << shift_y, 1 << shift_x) for shift_x, shift_y in shifts]
    at = _drawn_places(rngs, sizes, (height, width), steps, device)
    for index, (down, across) in enumerate(steps):
        every = (..., slice(None, None, down), slice(None, None, across))
        own = [model.components[index] for model in models]
        distinct = list(dict.fromkeys(own))
        number = to_device(np.array([distinct.index(one) for one in own]), device)[:, None, None]
        sigmas = torch.stack([_sigmas(one, across, device) for one in distinct])
        tiles = torch.stack([_tile(one, device) for one in distinct])
        rows, columns = at[index]
        scale = sigmas[number, level[every]].mul_(amounts[every])
        drawn = scale.mul_(tiles[number, rows[:, :, None], columns[:, None, :]])
        lines = planes[:, index, : drawn.shape[1] * down, ::across]
        lines.view(count, -1, down, drawn.shape[2]).copy_(drawn[:, :, None])
    planes = planes[:, :, :height]
    if len(shifts) == 1:
        return planes[:, :1].expand(-1, 3, -1, -1)
    grain: Tensor = (to_rgb @ planes.flatten(2)).view_as(bases)
    return grain


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
def _sigmas(noise: ComponentNoise, factor: int, device: torch.device) -> Tensor:
    """(_LEVELS,) standard deviation by luma, times a factor; sent to a device once."""
    return to_device(factor * sigma_at(noise, _LUMA), device)


def _drawn_places(
    rngs: Sequence[np.random.Generator],
    sizes: Sequence[tuple[int, int]],
    most: tuple[int, int],
    steps: Sequence[tuple[int, int]],
    device: torch.device,
) -> list[tuple[Tensor, Tensor]]:
    """(N, rows) and (N, columns) in the tile, drawn at random for each face, mirrored or not.

    Args:
        rngs: of each face.
        sizes: height and width of each face's part, in pixels.
        most: those of the largest.
        steps: of each component, pixels down and across that share a sample.
        device: where to.
    """
    lines = []
    for step in steps:
        rows, columns = (
            np.zeros((len(rngs), -(-side // unit)), np.int64)
            for side, unit in zip(most, step, strict=True)
        )
        for number, (rng, size) in enumerate(zip(rngs, sizes, strict=True)):
            begins = rng.integers(TILE_PX), rng.integers(TILE_PX)
            flip_x, flip_y = rng.integers(2, size=2)
            for line, begin, side, unit, flip in zip(
                (rows[number], columns[number]), begins, size, step, (flip_y, flip_x), strict=True
            ):
                places = (begin + np.arange(-(-side // unit))) % TILE_PX
                line[: len(places)] = places[::-1] if flip else places
        lines += [rows, columns]
    widths = [one.shape[1] for one in lines]
    sent = to_device(np.concatenate(lines, 1), device).split_with_sizes(widths, 1)
    return list(zip(sent[::2], sent[1::2], strict=True))
