"""What restoring changed, less what it had no business to change: the face's colours and shades.

Restored crops drift: skin turns warmer, a lit cheek evens out, black-and-white gains a tint. The
broad part of the difference, luma and chroma each at a scale of its own, is therefore taken out,
and colour differences fade out altogether where the input has no colour detail of its own
(`_tone`): hand-coloured film keeps its chroma, and toned film gets the tone that it has at the new
luma. All is a smooth function of both crops, so it is as steady over time as they are.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.luma import BT709
from vidrestore.stages._tone import Tone, measure_tone, rgb_from_chroma

__all__ = ["matched_residual"]

_SMALL = 64
"""Side of the reduced crops on which broad differences are measured, in pixels."""
_LUMA_SIGMA = _SMALL / 8
"""Shades broader than this share of the crop are the input's."""
_CHROMA_SIGMA = _SMALL / 16


def matched_residual(restored: Tensor, source: Tensor, mask: Tensor) -> Tensor:
    """The difference `restored - source` without its broad part.

    Args:
        restored: (3, S, S) float RGB in [0, 1], any device.
        source: (3, S, S), what the network saw.
        mask: (S, S) in [0, 1]: where the face is; differences elsewhere do not count.

    Returns:
        (3, S, S); not multiplied by the mask.
    """
    difference = restored - source
    weights = difference.new_tensor(BT709)
    counted = _reduced(mask[None])
    small = _reduced(difference) * counted
    luma = torch.tensordot(weights, small, 1)[None]
    broad_luma = _blurred(luma, _LUMA_SIGMA) / _blurred(counted, _LUMA_SIGMA).clamp(min=1e-4)
    broad_chroma = _blurred(small - luma, _CHROMA_SIGMA) / _blurred(counted, _CHROMA_SIGMA).clamp(
        min=1e-4
    )
    tone = measure_tone(source, mask)
    # Channels as a batch: this interpolation is slow for three channels at once.
    broad = functional.interpolate(
        (broad_luma + tone.coloured * broad_chroma)[:, None],
        size=difference.shape[-2:],
        mode="bilinear",
        align_corners=False,
    )[:, 0]
    shade = torch.tensordot(weights, difference, 1)
    residual = torch.lerp(shade[None].expand_as(difference), difference, tone.coloured).sub_(broad)
    return residual.add_(_tone_change(tone, source, residual)) if tone.toned > 0 else residual


def _tone_change(tone: Tone, source: Tensor, residual: Tensor) -> Tensor:
    """(3, S, S) RGB without luma: the tone at the luma after less that at the luma before."""
    weights = source.new_tensor(BT709)
    before = torch.tensordot(weights, source, 1)
    after = before + torch.tensordot(weights, residual, 1)
    return rgb_from_chroma(tone.toned * (tone.chroma(after) - tone.chroma(before)))


def _reduced(image: Tensor) -> Tensor:
    size = min(_SMALL, image.shape[-1])
    return functional.interpolate(image[None], size=(size, size), mode="area")[0]


def _blurred(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (C, n, n); beyond the border is nothing."""
    matrix = _gaussian(image.shape[-1], sigma).to(image)
    return matrix @ image @ matrix.T


@lru_cache(maxsize=8)
def _gaussian(size: int, sigma: float) -> Tensor:
    """(size, size): a blur of that many samples as a matrix; `sigma` is for `_SMALL` samples."""
    places = torch.arange(size, dtype=torch.float64)
    distance = (places[:, None] - places[None, :]) * (_SMALL / size)
    return torch.exp(-0.5 * (distance / sigma) ** 2).float()
