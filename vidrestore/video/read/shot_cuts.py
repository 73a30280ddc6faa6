"""Whether a new shot begins: how badly two consecutive pictures correlate where they lie.

Correlation knows nothing of brightness and contrast, so flashes, fades and the flicker of old film
are no cuts; small shifts are tried, so fast pans are none either. Flat pictures (black, white) are
like any other: nothing in them can be followed, and a flash must not look like two cuts.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.structs import Picture

__all__ = ["CutDetector", "difference", "thumbnail", "unlikeness"]

_WIDTH, _HEIGHT = 64, 36
_SHIFT = 3
"""Thumbnail pixels tried in every direction: a pan by 5 % of the width from frame to frame."""
_NOISE_VARIANCE = 0.015**2
"""Variance of luma, as a share of full scale, below which a picture counts as flat."""

Thumbnail = npt.NDArray[np.float32]


def thumbnail(picture: Picture, width: int = _WIDTH, height: int = _HEIGHT) -> Thumbnail:
    """(height, width) luma, or whatever the first plane holds, as a share of full scale."""
    plane = picture.planes[0].numpy()
    bits = 8 if plane.dtype == np.uint8 else max(8, _bit_depth(picture.format))
    small = cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA)
    small = small.astype(np.float32) / np.float32(2**bits)
    luma: Thumbnail = small.mean(axis=2) if small.ndim == 3 else small
    return luma


def _bit_depth(pix_fmt: str) -> int:
    """Bits of the values in 16-bit samples, from the format's name."""
    if pix_fmt.startswith(("p0", "p2", "p4", "y2")):
        return 16
    digits = pix_fmt.removesuffix("le")[-2:]
    return int(digits) if digits.isdigit() else int(digits[-1]) if digits[-1].isdigit() else 16


def difference(before: Thumbnail, after: Thumbnail) -> float:
    """How different two pictures look: 0 the same, 1 unrelated.

    One minus the best correlation over small shifts, clipped to [0, 1].
    """
    still = _unlikeness(before, after, 0, 0)
    if still < 0.1:
        return still
    steps = range(-_SHIFT, _SHIFT + 1)
    return min(_unlikeness(before, after, dx, dy) for dy in steps for dx in steps)


def _unlikeness(before: Thumbnail, after: Thumbnail, dx: int, dy: int) -> float:
    height, width = before.shape
    return unlikeness(
        before[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)],
        after[max(0, -dy) : height + min(0, -dy), max(0, -dx) : width + min(0, -dx)],
    )


def unlikeness(a: Thumbnail, b: Thumbnail) -> float:
    """One minus the correlation of two pictures of one size, clipped to [0, 1]; flat ones agree."""
    a, b = a - a.mean(), b - b.mean()
    covariance = float((a * b).mean())
    spread = float(np.sqrt((a * a).mean() * (b * b).mean()))
    correlation = (covariance + _NOISE_VARIANCE) / (spread + _NOISE_VARIANCE)
    return min(1.0, max(0.0, 1.0 - correlation))


class CutDetector:
    """Compare every picture with the one before.

    Args:
        threshold: `difference` from which on a new shot begins.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._before: Thumbnail | None = None

    def is_cut(self, picture: Picture) -> bool:
        """Whether a new shot begins with this picture; true for the first."""
        before, self._before = self._before, thumbnail(picture)
        return before is None or difference(before, self._before) >= self._threshold
