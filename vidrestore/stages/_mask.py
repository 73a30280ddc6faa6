"""The soft mask under which a restored face replaces the old one.

The mask lives in the crop, where every face lies alike: an upright rounded shape that holds the
face from hairline to chin and from ear to ear, 1 inside, 0 towards the crop's border. Its edge
falls off with two continuous derivatives, so no line shows where it begins or ends.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["border_fade", "crop_mask", "support"]

_CENTRE = (0.5, 0.51)
_HALF = (0.42, 0.47)
"""Half width and height of the shape, as shares of the crop; aligned faces (FFHQ's template, and
those of the public networks alike) reach from 0.14 to 0.86 across and to 0.92 at the chin."""
_RADIUS = 0.42
"""Of its corners, so that nearly an ellipse is left."""


@lru_cache(maxsize=8)
def crop_mask(size: int, feather: float) -> Tensor:
    """(size, size) float32 in [0, 1]; treat as read-only.

    Args:
        size: side of the crop in pixels.
        feather: width of the soft border, as a share of the crop.
    """
    x, y = ((torch.arange(size) + 0.5) / size - centre for centre in _CENTRE)
    across = (x.abs() - (_HALF[0] - _RADIUS))[None, :]
    down = (y.abs() - (_HALF[1] - _RADIUS))[:, None]
    outside = torch.hypot(across.clamp(min=0), down.clamp(min=0))
    inside = torch.maximum(across, down).clamp(max=0)
    return smoother_step((_RADIUS - outside - inside) / feather)


def support(size: int) -> tuple[float, float, float, float]:
    """(x0, y0, x1, y1) in crop pixels: the rectangle outside which every mask is 0."""
    x0, y0 = (size * (centre - half) - 0.5 for centre, half in zip(_CENTRE, _HALF, strict=True))
    x1, y1 = (size * (centre + half) - 0.5 for centre, half in zip(_CENTRE, _HALF, strict=True))
    return x0, y0, x1, y1


def border_fade(length: int, start: int, full_length: int, low: float, high: float) -> Tensor:
    """Weights along one axis of a region that fade the mask out where it leaves the picture.

    The network sees repeated edges beyond the picture's border and guesses near it. The fade grows
    with what lies outside, so a face that moves out of the picture meets no jump.

    Args:
        length: pixels of the region along this axis.
        start: its first pixel in the picture.
        full_length: pixels of the picture along this axis.
        low: width in pixels of the fade at the picture's beginning; 0 or less for none.
        high: the same at its end.

    Returns:
        (length,) float32 in [0, 1].
    """
    at = torch.arange(start, start + length) + 0.5
    weights = torch.ones(length)
    if low > 0:
        weights *= smoother_step(at / low)
    if high > 0:
        weights *= smoother_step((full_length - at) / high)
    return weights


def smoother_step(values: Tensor) -> Tensor:
    """0 below 0, 1 above 1, and a quintic with flat ends in between (Perlin 2002)."""
    t = values.clamp(0, 1)
    return (t * t * t * (t * (6 * t - 15) + 10)).clamp_(0, 1)
