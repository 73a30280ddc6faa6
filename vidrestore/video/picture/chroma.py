"""Subsampled chroma: up to every pixel, and changes back down.

Sites: along a row the first of the pixels that share a sample, down a column the middle of its
lines (H.273 `ChromaLocType` 0, the default of MPEG-2, H.264 and HEVC). Interpolation is linear, and
the way back averages with the same triangle (or box) of pixels, so a constant stays constant.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Rect", "any_pixel", "downsampled", "upsampled", "upsampled_region"]


class Rect(NamedTuple):
    """A rectangle of coded pixels, end exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """In pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """In pixels."""
        return self.y1 - self.y0

    def shrunk(self, shift_x: int, shift_y: int) -> tuple[slice, slice]:
        """(rows, columns) of a subsampled plane; the rectangle must begin at a whole group."""
        return (
            slice(self.y0 >> shift_y, -(-self.y1 >> shift_y)),
            slice(self.x0 >> shift_x, -(-self.x1 >> shift_x)),
        )


def upsampled_region(samples: Tensor, rect: Rect, shift_x: int, shift_y: int) -> Tensor:
    """(h, w) float32: the values of a subsampled plane at every pixel of `rect`.

    Args:
        samples: (rows, columns) of the whole plane, integers.
        rect: what to show; begins at a whole group of pixels.
        shift_x: binary logarithm of the pixels that share a sample along a row.
        shift_y: the same down a column.
    """
    if shift_x == shift_y == 0:
        return samples[rect.y0 : rect.y1, rect.x0 : rect.x1].float()
    y, x = rect.shrunk(shift_x, shift_y)
    top, bottom = max(y.start - 1, 0), min(y.stop + 1, samples.shape[0])
    left, right = max(x.start - 1, 0), min(x.stop + 1, samples.shape[1])
    beyond = (left - x.start + 1, x.stop + 1 - right, top - y.start + 1, y.stop + 1 - bottom)
    near = samples[top:bottom, left:right].float()
    padded = functional.pad(near[None], beyond, mode="replicate")[0]
    return upsampled(padded, shift_x, shift_y)[: rect.height, : rect.width]


def upsampled(padded: Tensor, shift_x: int, shift_y: int) -> Tensor:
    """(..., rows, columns) float samples to the values of all pixels between them.

    Args:
        padded: samples, with one more on each side than pixels are wanted of.
        shift_x: binary logarithm of the pixels that share a sample along a row.
        shift_y: the same down a column.
    """
    taller = _interpolated_rows(padded, 1 << shift_y, centred=True)
    return _interpolated_rows(taller.mT, 1 << shift_x, centred=False).mT


def downsampled(values: Tensor, shift_x: int, shift_y: int) -> Tensor:
    """(..., h, w) values at every pixel to those of the samples that stand for them.

    Args:
        values: float; begins at a whole group of pixels, and its edge is repeated beyond it.
        shift_x: binary logarithm of the pixels that share a sample along a row.
        shift_y: the same down a column.
    """
    height, width = values.shape[-2:]
    beyond = (0, -width % (1 << shift_x), 0, -height % (1 << shift_y))
    if any(beyond):
        values = _repeating(values, beyond)
    if shift_y:
        values = values.view(*values.shape[:-2], -1, 1 << shift_y, values.shape[-1]).mean(-2)
    if not shift_x:
        return values
    factor = 1 << shift_x
    padded = _repeating(values, (factor - 1, 0))
    weights = [(factor - abs(offset)) / factor**2 for offset in range(1 - factor, factor)]
    columns = values.shape[-1] >> shift_x
    total = values.new_zeros(*values.shape[:-1], columns)
    for start, weight in enumerate(weights):
        total += weight * padded[..., start : start + columns * factor : factor]
    return total


def any_pixel(mask: Tensor, shift_x: int, shift_y: int) -> Tensor:
    """(..., h, w) bool at every pixel to whether any of the pixels that share a sample is set."""
    height, width = mask.shape[-2:]
    beyond = (0, -width % (1 << shift_x), 0, -height % (1 << shift_y))
    if any(beyond):
        mask = functional.pad(mask, beyond)
    for _ in range(shift_y):
        mask = mask[..., 0::2, :] | mask[..., 1::2, :]
    for _ in range(shift_x):
        mask = mask[..., 0::2] | mask[..., 1::2]
    return mask


def _repeating(values: Tensor, beyond: tuple[int, ...]) -> Tensor:
    """(..., h, w) with more pixels on the sides, as `functional.pad` takes them: the edge again."""
    layers = values.reshape(-1, *values.shape[-2:])
    padded = functional.pad(layers, beyond, mode="replicate")
    return padded.view(*values.shape[:-2], *padded.shape[-2:])


def _interpolated_rows(padded: Tensor, factor: int, *, centred: bool) -> Tensor:
    """(..., n + 2, m) samples, one more at both ends than needed, to (..., n * factor, m) rows.

    Args:
        padded: rows to interpolate between.
        factor: rows for every sample.
        centred: whether a sample lies in the middle of its rows (True) or on the first one.
    """
    before, here, after = padded[..., :-2, :], padded[..., 1:-1, :], padded[..., 2:, :]
    if factor == 1:
        return here
    *many, count, length = here.shape
    rows = padded.new_empty(*many, count, factor, length)
    for phase in range(factor):
        at = (phase + 0.5) / factor - 0.5 if centred else phase / factor
        torch.lerp(here, after if at >= 0 else before, abs(at), out=rows[..., phase, :])
    return rows.flatten(-3, -2)
