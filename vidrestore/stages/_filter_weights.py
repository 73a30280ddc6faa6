"""What the host and a device weigh alike when restored crops are averaged over time."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.structs import Face

__all__ = [
    "COMPARED_PX",
    "COMPARED_SIGMA",
    "FINEST_SIGMA",
    "MEMORY_FRAMES",
    "NEW_DETAIL",
    "OCTAVES",
    "OUTLIVES",
    "OWN_DETAIL",
    "OWN_SHARE",
    "REDRAWN_SHARE",
    "fade",
    "luma_bytes",
    "middle",
    "noise_level",
    "reduced_luma",
]

_Floats = npt.NDArray[np.float32]

COMPARED_PX = 256
"""Side of the copies between which flow is sought; restored faces owe little to finer motion."""
_NOISE = 0.02
"""Differences of the smoothed input below this share of the range are noise."""
_NOISY = 2.5
"""Where a recording is restless, differences below so many times its unrest are noise."""
COMPARED_SIGMA = 1.5
"""Blur, in pixels of the small copies, before inputs are compared: grain is no disagreement."""

OWN_DETAIL, NEW_DETAIL = 0.7, 1.2
"""Sharp recordings lie at 0.2 to 0.6 of `_redrawn`, degraded ones at 1.4 to 5."""
REDRAWN_SHARE = 0.2
"""Share of the input that is kept where the network draws detail anew: enough of what coding left
that the face does not look still."""
OCTAVES = 2
"""Octaves of detail that averages are strengthened in."""
FINEST_SIGMA = 0.7
"""Gaussian that parts the finest octave from the next one, in pixels of the crop."""
OWN_SHARE = 0.375
"""Share of a frame's own detail that is put back into its average, where detail is no noise."""
OUTLIVES = (0.5, 0.65)
"""Amplitude of averages over that of single frames: from noise to detail. Pure noise is left at
0.43, detail of restored faces at 0.67 and more."""
MEMORY_FRAMES = 16
"""The last frames that tell how strong detail is, the present one among them."""


def fade(distance: int, reach: int) -> float:
    """Weight of a neighbour: half a cosine squared that ends just beyond the window."""
    return float(np.cos(np.pi / 2 * distance / (reach + 1)) ** 2)


def noise_level(face: Face) -> float:
    """Difference of the smoothed input from which on two frames disagree."""
    return _NOISE if face.noise is None else max(_NOISE, _NOISY * face.noise.unrest)


def middle(size: int) -> slice:
    """Rows or columns in the middle of a crop, where the face is."""
    return slice(size // 5, size - size // 5)


def reduced_luma(source: _Floats) -> _Floats:
    """(COMPARED_PX, COMPARED_PX) luma in [0, 1] of a crop (S, S, 3)."""
    small = cv2.resize(source, (COMPARED_PX, COMPARED_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.float32)


def luma_bytes(luma: _Floats) -> npt.NDArray[np.uint8]:
    """Luma in [0, 1] as bytes, between which flow is sought."""
    return np.asarray(np.rint(luma * 255), np.uint8)
