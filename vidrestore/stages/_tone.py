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

__all__ = ["Tone", "measure_tone", "rgb_from_chroma"]

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
    """What the chroma of a picture is made of."""

    toned: Tensor
    """Scalar in [0, 1]: how far chroma is a function of luma; 1 for black-and-white, too."""
    coloured: Tensor
    """Scalar in [0, 1]: how far chroma has detail of its own. With `toned` it is at most 1; what is
    missing is hand-colouring."""
    curve: Tensor
    """(2, K) Cb and Cr at evenly spaced luma from 0 to 1."""

    def chroma(self, luma: Tensor) -> Tensor:
        """Cb and Cr, (2, ...), that belong to luma (...) in [0, 1]."""
        places = luma.clamp(0, 1) * (_KNOTS - 1)
        below = places.floor().clamp(max=_KNOTS - 2)
        index = below.long()
        curve = self.curve.to(luma)
        return torch.lerp(curve[:, index], curve[:, index + 1], places - below)


def measure_tone(source: Tensor, mask: Tensor) -> Tone:
    """Measure what the chroma of a crop is made of.

    Args:
        source: (3, S, S) float RGB in [0, 1].
        mask: (S, S) in [0, 1], not 0 throughout: where the face is.
    """
    planes, weights = _planes(source, mask)
    unit = weights.shape[-1] / _SMALL_PX
    broad = _smoothed(planes, _BROAD_SIGMA * unit)
    curve, spread = _fitted(broad[0], broad[1:], weights / weights.sum())
    coloured = smoother_step((spread - _TONED) / (_COLOURED - _TONED))
    own, of_luma = _amplitudes(_smoothed(planes, _FINE_SIGMA * unit) - broad, broad, unit)
    inside = weights > 0.5 * weights.max()
    over_luma = (own / (of_luma + _FAINT))[inside].median()
    detail = (over_luma * own[inside].median() / spread.clamp(min=_TONED)).sqrt()
    detailed = smoother_step((detail - _DYED) / (_DETAILED - _DYED))
    return Tone(1 - coloured, coloured * detailed, curve)


def rgb_from_chroma(chroma: Tensor) -> Tensor:
    """RGB (3, ...) of a luma of 0 from Cb and Cr (2, ...)."""
    blue, red = _CB * chroma[0], _CR * chroma[1]
    green = -(BT709[0] * red + BT709[2] * blue) / BT709[1]
    return torch.stack([red, green, blue])


def _planes(source: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Luma, Cb and Cr (3, n, n) and mask (n, n), reduced."""
    size = min(_SMALL_PX, source.shape[-1])
    red, green, blue, weights = (
        functional.interpolate(layer[None, None], size=(size, size), mode="area")[0, 0]
        for layer in (*source, mask.to(source))
    )
    luma = BT709[0] * red + BT709[1] * green + BT709[2] * blue
    return torch.stack([luma, (blue - luma) / _CB, (red - luma) / _CR]), weights


def _fitted(luma: Tensor, chroma: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """The curve (2, K) through chroma over luma, piecewise linear, and chroma's spread around it.

    Least squares with a penalty on bends (a P-spline of degree one, Eilers and Marx 1996).
    """
    knots = torch.arange(_KNOTS, dtype=torch.float64, device=luma.device)
    hats = (1 - (luma.double().flatten()[:, None] * (_KNOTS - 1) - knots).abs()).clamp(min=0)
    bends = torch.diff(torch.eye(_KNOTS, dtype=torch.float64, device=luma.device), n=2, dim=0)
    values, weights = chroma.double().flatten(1).T, share.double().flatten()[:, None]
    normal = hats.T @ (weights * hats) + _STIFFNESS * bends.T @ bends
    normal += 1e-6 * torch.eye(_KNOTS, dtype=torch.float64, device=luma.device)
    curve = torch.linalg.solve(normal, hats.T @ (weights * values))
    spread = ((values - hats @ curve).square() * weights).sum().sqrt()
    return curve.T.to(luma), spread.to(luma)


def _amplitudes(band: Tensor, broad: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """Local amplitudes (n, n) of detail in chroma that is its own, and in luma.

    A dye takes on the picture's luma, so chroma in proportion to luma is not its own.

    Args:
        band: (3, n, n) detail of luma, Cb and Cr.
        broad: (3, n, n) what they are without it.
        unit: pixels in one of `_SMALL_PX`.
    """
    dyed = band[1:] - broad[1:] / broad[0].clamp(min=0.05) * band[0]
    energy = torch.stack([band[0].square(), band[1:].square().sum(0), dyed.square().sum(0)])
    of_luma, of_chroma, undyed = _smoothed(energy, _AREA_SIGMA * unit).clamp(min=0).sqrt()
    return torch.minimum(of_chroma, undyed), of_luma


def _smoothed(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (..., n, n); beyond the border only what is inside counts."""
    matrix = _gaussian(image.shape[-1], sigma).to(image)
    return matrix @ image @ matrix.T


@lru_cache(maxsize=32)
def _gaussian(size: int, sigma: float) -> Tensor:
    """(size, size): a blur as a matrix whose rows sum to 1."""
    places = torch.arange(size, dtype=torch.float64)
    weights = torch.exp(-0.5 * ((places[:, None] - places[None, :]) / sigma) ** 2)
    return (weights / weights.sum(1, keepdim=True)).float()
