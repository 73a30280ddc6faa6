"""What restoring changed, less what it had no business to change: the face's colours and shades.

Restored crops drift: skin turns warmer, a lit cheek evens out, black-and-white gains a tint. The
broad part of the difference, luma and chroma each at a scale of its own, is therefore taken out,
and colour differences fade out altogether where the input has no colour detail of its own
(`_tone`): hand-coloured film keeps its chroma, and toned film gets the tone that it has at the new
luma. All is a smooth function of both crops, so it is as steady over time as they are.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.luma import BT709, luma_weights
from vidrestore.stages._tone import Tone, measure_tone, reduced, rgb_from_chroma

__all__ = ["matched_residual"]

_SMALL = 64
"""Side of the reduced crops on which broad differences are measured, in pixels."""
_LUMA_SIGMA = _SMALL / 8
"""Shades broader than this share of the crop are the input's."""
_CHROMA_SIGMA = _SMALL / 16


def matched_residual(
    restored: Tensor, source: Tensor, mask: Tensor, inside: Tensor | None = None
) -> Tensor:
    """The difference `restored - source` without its broad part.

    Args:
        restored: (..., 3, S, S) float RGB in [0, 1], any device.
        source: (..., 3, S, S), what the network saw.
        mask: (S, S) in [0, 1]: where the face is; differences elsewhere do not count.
        inside: see `measure_tone`.

    Returns:
        (..., 3, S, S); not multiplied by the mask.
    """
    difference = restored - source
    counted = reduced(mask[None])[0]
    small = reduced(difference) * counted
    luma = _luma(small)[..., None, :, :]
    broad_luma = _blurred(luma, _LUMA_SIGMA) / _blurred(counted, _LUMA_SIGMA).clamp(min=1e-4)
    broad_chroma = _blurred(small - luma, _CHROMA_SIGMA) / _blurred(counted, _CHROMA_SIGMA).clamp(
        min=1e-4
    )
    tone = measure_tone(source, mask, inside)
    coloured = tone.coloured[..., None, None, None]
    broad = _enlarged(broad_luma + coloured * broad_chroma, difference.shape[-1])
    if difference.device.type == "cpu" and bool((tone.coloured == 1).all()):
        return difference.sub_(broad)  # most often; a GPU would have to be asked
    shade = _luma(difference)[..., None, :, :]
    residual = torch.lerp(shade.expand_as(difference), difference, coloured).sub_(broad)
    return residual.add_(_tone_change(tone, source, residual))


def _tone_change(tone: Tone, source: Tensor, residual: Tensor) -> Tensor:
    """(..., 3, S, S) RGB without luma: the tone at the luma after less that at the luma before."""
    before = _luma(source)
    after = before + _luma(residual)
    toned = tone.toned[..., None, None, None]
    chroma = tone.chroma(torch.cat([after, before], -1)).chunk(2, -1)
    return rgb_from_chroma(toned * (chroma[0] - chroma[1]))


def _luma(image: Tensor) -> Tensor:
    """(..., h, w) of RGB (..., 3, h, w)."""
    weights = luma_weights(BT709, image.device, image.dtype)
    return (weights @ image.flatten(-2)).view(*image.shape[:-3], *image.shape[-2:])


def _enlarged(image: Tensor, size: int) -> Tensor:
    """(..., 3, size, size) of (..., 3, n, n), interpolated."""
    if image.device.type == "cpu":
        # OpenCV gives the same within rounding, in an eighth of the time.
        planes = [cv2.resize(plane, (size, size)) for plane in image.flatten(0, -3).numpy()]
        return torch.from_numpy(np.stack(planes)).view(*image.shape[:-2], size, size)
    # Channels as a batch: this interpolation is slow for three channels at once.
    larger = functional.interpolate(
        image.flatten(0, -3)[:, None], size=(size, size), mode="bilinear", align_corners=False
    )
    return larger.view(*image.shape[:-2], size, size)


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., n, n); beyond the border is nothing."""
    matrix = _gaussian(image.shape[-1], sigma, image.device).to(image.dtype)
    return matrix @ image @ matrix.T


@lru_cache(maxsize=8)
def _gaussian(size: int, sigma: float, device: torch.device) -> Tensor:
    """(size, size): a blur of that many samples as a matrix; `sigma` is for `_SMALL` samples."""
    places = torch.arange(size, dtype=torch.float64, device=device)
    distance = (places[:, None] - places[None, :]) * (_SMALL / size)
    return torch.exp(-0.5 * (distance / sigma) ** 2).float()
