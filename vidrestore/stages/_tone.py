"""How the colours of a picture hang together: toned, hand-coloured, or truly coloured.

Sepia, tinted and split-toned film is monochrome plus a tone: chroma is a function of luma, which a
smooth curve tells. Hand-coloured film is monochrome under broad dyes: its chroma is no function of
luma, but neither has it detail of its own. What is left is colour. All measures are taken from one
crop and change smoothly with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.luma import BT709
from vidrestore.stages._mask import smoother_step

__all__ = ["Tone", "measure_tone", "places_inside", "reduced", "rgb_from_chroma"]

_SMALL_PX = 64
"""Side of the reduced crop on which all is measured."""
_FINE_SIGMA, _BROAD_SIGMA = 1.0, 2.0
"""Gaussians between which detail lies, in pixels of the reduced crop. The curve is fitted to what
the broader one leaves: coding makes chroma coarser than luma, and what that tears apart is no
colour."""
_AREA_SIGMA = 1.5
"""Of the Gaussian over which the energy of detail is averaged."""
_KNOTS = 6
_STIFFNESS = 1e-3
"""Weight of the curve's bends, so that it goes on straight where no luma was seen."""
_TONED, _COLOURED = 0.6 / 255, 1.6 / 255
"""Standard deviation of chroma around the curve: below the first nothing is coloured, above the
second everything. Toned pictures were measured at 0.1 to 0.5, coloured faces at 3.5 to 10."""
_DYED, _DETAILED = 0.09, 0.125
"""Chroma's own detail, over luma's and over chroma's spread (geometric mean): hand-coloured faces
were measured at 0.07 to 0.11, coloured ones at 0.12 to 0.25."""
_FAINT = 0.5 / 255
"""Luma detail below this is noise."""
_CB, _CR = 1.8556, 1.5748
"""Blue and red less luma, over Cb and Cr (ITU-R BT.709)."""


@dataclass(frozen=True, slots=True, eq=False)
class Tone:
    """What the chroma of pictures is made of."""

    toned: Tensor
    """(...) in [0, 1]: how far chroma is a function of luma; 1 for black-and-white, too."""
    coloured: Tensor
    """(...) in [0, 1]: how far chroma has detail of its own. With `toned` it is at most 1; what is
    missing is hand-colouring."""
    curve: Tensor
    """(..., 2, K) Cb and Cr at evenly spaced luma from 0 to 1."""

    def chroma(self, luma: Tensor) -> Tensor:
        """Cb and Cr, (..., 2, h, w), that belong to luma (..., h, w) in [0, 1]."""
        places = (luma.clamp(0, 1) * (_KNOTS - 1)).unsqueeze(-3).flatten(-2)
        below = places.floor().clamp(max=_KNOTS - 2)
        index = below.long().expand(*places.shape[:-2], 2, -1)
        curve = self.curve.to(luma)
        found = torch.lerp(curve.gather(-1, index), curve.gather(-1, index + 1), places - below)
        return found.view(*found.shape[:-1], *luma.shape[-2:])


def measure_tone(source: Tensor, mask: Tensor, inside: Tensor | None = None) -> Tone:
    """Measure what the chroma of crops is made of.

    Args:
        source: (..., 3, S, S) float RGB in [0, 1].
        mask: (S, S) in [0, 1], not 0 throughout: where the face is.
        inside: what `places_inside` gives for the mask, where finding it would make the host wait.
    """
    planes, weights = _planes(source, mask)
    if inside is None:
        inside = places_inside(mask)
    unit = weights.shape[-1] / _SMALL_PX
    broad = _smoothed(planes, _BROAD_SIGMA * unit)
    luma, chroma = broad[..., 0, :, :], broad[..., 1:, :, :]
    curve, spread = _fitted(luma, chroma, weights / weights.sum())
    coloured = smoother_step((spread - _TONED) / (_COLOURED - _TONED))
    own, of_luma = _amplitudes(_smoothed(planes, _FINE_SIGMA * unit) - broad, broad, unit)
    over_luma = _median((own / (of_luma + _FAINT)), inside)
    detail = (over_luma * _median(own, inside) / spread.clamp(min=_TONED)).sqrt()
    detailed = smoother_step((detail - _DYED) / (_DETAILED - _DYED))
    return Tone(1 - coloured, coloured * detailed, curve)


def places_inside(mask: Tensor) -> Tensor:
    """(M,) places, in a reduced crop row by row, that are well inside a mask (S, S)."""
    small = reduced(mask[None])[0]
    return (small > 0.5 * small.max()).flatten().nonzero()[:, 0]


def rgb_from_chroma(chroma: Tensor) -> Tensor:
    """RGB (..., 3, h, w) of a luma of 0 from Cb and Cr (..., 2, h, w)."""
    blue, red = _CB * chroma[..., 0, :, :], _CR * chroma[..., 1, :, :]
    green = -(BT709[0] * red + BT709[2] * blue) / BT709[1]
    return torch.stack([red, green, blue], -3)


def _planes(source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Luma, Cb and Cr (..., 3, n, n) and mask (n, n), reduced."""
    red, green, blue = reduced(source).unbind(-3)
    luma = BT709[0] * red + BT709[1] * green + BT709[2] * blue
    planes = torch.stack([luma, (blue - luma) / _CB, (red - luma) / _CR], -3)
    return planes, reduced(mask[None].to(source))[0]


def reduced(image: Tensor) -> Tensor:
    """(..., n, n) of (..., S, S): what all is measured on."""
    full = image.shape[-1]
    size = min(_SMALL_PX, full)
    if image.device.type == "cpu" and full % size == 0:
        # Rows, then columns: the same means within rounding, in half the time.
        by_rows = image.reshape(*image.shape[:-2], size, full // size, full).mean(-2)
        return by_rows.reshape(*by_rows.shape[:-1], size, full // size).mean(-1)
    small = functional.interpolate(
        image.reshape(-1, 1, *image.shape[-2:]), size=(size, size), mode="area"
    )
    return small.view(*image.shape[:-2], size, size)


def _median(values: Tensor, places: Tensor) -> Tensor:
    """(...) of values (..., n, n)."""
    return values.flatten(-2)[..., places].median(-1).values


def _fitted(luma: Tensor, chroma: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The curve (..., 2, K) through chroma over luma, piecewise linear, and chroma's spread (...)
    around it.

    Least squares with a penalty on bends (a P-spline of degree one, Eilers and Marx 1996).
    """
    knots, bends = _spline(luma.device)
    hats = (1 - (luma.double().flatten(-2)[..., None] * (_KNOTS - 1) - knots).abs()).clamp(min=0)
    values, weights = chroma.double().flatten(-2).mT, share.double().flatten()[:, None]
    normal = hats.mT @ (weights * hats) + bends
    curve, _ = torch.linalg.solve_ex(normal, hats.mT @ (weights * values))
    spread = ((values - hats @ curve).square() * weights).sum((-2, -1)).sqrt()
    return curve.mT.to(luma), spread.to(luma)


@lru_cache(maxsize=8)
def _spline(device: torch.device) -> tuple[Tensor, Tensor]:
    """Knots (K,), and what the penalty adds to the normal matrix (K, K)."""
    knots = torch.arange(_KNOTS, dtype=torch.float64, device=device)
    unit = torch.eye(_KNOTS, dtype=torch.float64, device=device)
    bends = torch.diff(unit, n=2, dim=0)
    return knots, _STIFFNESS * bends.T @ bends + 1e-6 * unit


def _amplitudes(band: Tensor, broad: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """Local amplitudes (..., n, n) of detail in chroma that is its own, and in luma.

    A dye takes on the picture's luma, so chroma in proportion to luma is not its own.

    Args:
        band: (..., 3, n, n) detail of luma, Cb and Cr.
        broad: (..., 3, n, n) what they are without it.
        unit: pixels in one of `_SMALL_PX`.
    """
    luma, chroma = band[..., :1, :, :], band[..., 1:, :, :]
    dyed = chroma - broad[..., 1:, :, :] / broad[..., :1, :, :].clamp(min=0.05) * luma
    energies = [luma.square(), chroma.square().sum(-3, True), dyed.square().sum(-3, True)]
    smooth = _smoothed(torch.cat(energies, -3), _AREA_SIGMA * unit).clamp(min=0).sqrt()
    of_luma, of_chroma, undyed = smooth.unbind(-3)
    return torch.minimum(of_chroma, undyed), of_luma


def _smoothed(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., n, n); beyond the border only what is inside counts."""
    matrix = _gaussian(image.shape[-1], sigma, image.device).to(image.dtype)
    return matrix @ image @ matrix.T


@lru_cache(maxsize=32)
def _gaussian(size: int, sigma: float, device: torch.device) -> Tensor:
    """(size, size): a blur as a matrix whose rows sum to 1."""
    places = torch.arange(size, dtype=torch.float64, device=device)
    weights = torch.exp(-0.5 * ((places[:, None] - places[None, :]) / sigma) ** 2)
    return (weights / weights.sum(1, keepdim=True)).float()
