"""Text on pictures: on a plate, in one weight, and always inside the picture.

An outline drawn as a second, thicker text does not work: OpenCV 5 widens text with its thickness,
so that the two lie apart.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.luma import BT709

__all__ = ["draw_label"]

Image = npt.NDArray[np.uint8]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_THICKNESS = 1
_DARK = (24, 24, 24)
_LEAST_SCALE = 0.3
"""Smaller letters cannot be read."""


def draw_label(
    image: Image,
    text: str,
    place_xy: tuple[float, float],
    *,
    scale: float | None = None,
    plate: tuple[int, ...] = _DARK,
) -> tuple[int, int, int, int]:
    """Draw a text on a plate into `image`.

    A plate that would reach over a border of the picture is moved inside; a text that is wider than
    the picture is made smaller, then cut.

    Args:
        image: (H, W, 3) uint8 RGB, modified in place.
        text: what to write.
        place_xy: lower left corner of the plate, in pixels.
        scale: OpenCV's font scale; 1 gives letters about 22 px high. None follows the picture.
        plate: its colour, RGB; the text is black or white.

    Returns:
        x0, y0, x1, y1 of the plate, the ends exclusive; empty where the picture has no room.
    """
    height, width = image.shape[:2]
    scale = max(0.45, min(height, width) / 900) if scale is None else scale
    text, scale = _fit(text, scale, width, height)
    if not text:
        return 0, 0, 0, 0
    plate_width, plate_height, baseline, pad = _measure(text, scale)
    x0 = int(np.clip(round(place_xy[0]), 0, width - plate_width))
    y1 = int(np.clip(round(place_xy[1]), plate_height, height))
    region = image[y1 - plate_height : y1, x0 : x0 + plate_width]
    drawn = np.full_like(region, plate)  # the text cannot reach beyond an array of its own
    origin = (pad, plate_height - baseline - pad)
    shade = _contrasting(plate)
    cv2.putText(drawn, text, origin, _FONT, scale, shade, _THICKNESS, cv2.LINE_AA)
    region[:] = drawn
    return x0, y1 - plate_height, x0 + plate_width, y1


def _measure(text: str, scale: float) -> tuple[int, int, int, int]:
    """Width and height of the plate, the depth of letters like g, and the margin, in pixels."""
    (width, height), _ = cv2.getTextSize(text, _FONT, scale, _THICKNESS)
    baseline = max(1, round(0.35 * height))  # OpenCV 5 gives the margin of a line, not of letters
    pad = max(2, round(5 * scale))
    return width + 2 * pad, height + baseline + 2 * pad, baseline, pad


def _fit(text: str, scale: float, width: int, height: int) -> tuple[str, float]:
    """The text and the scale at which its plate fits; an empty text if none does."""
    while text:
        plate_width, plate_height, _, _ = _measure(text, scale)
        if plate_width <= width and plate_height <= height:
            return text, scale
        if scale > _LEAST_SCALE:
            scale = max(_LEAST_SCALE, 0.9 * scale)
        else:
            text = text[:-1]
    return "", scale


def _contrasting(plate: tuple[int, ...]) -> tuple[int, int, int]:
    """Black or white, whichever differs more: one of them has a contrast of at least 4.5 (WCAG)."""
    return (0, 0, 0) if _luminance(plate) > 0.179 else (255, 255, 255)


def _luminance(colour: tuple[int, ...]) -> float:
    """Relative luminance of an sRGB colour, 0 to 1."""
    shares = np.array(colour[:3]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return float(linear @ BT709)
