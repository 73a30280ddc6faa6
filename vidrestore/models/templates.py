"""Where five landmarks lie in an aligned crop: a part of every network's contract.

A network restores well only what is aligned as in its training; feeding one the other's crop
degrades the result. Convention: (5, 2) float64, (x, y) in pixels of the crop, pixel centres at
integers; left eye, right eye (as seen in the image), nose tip, left and right corner of the mouth.

Sources: `ffhq`, the 512 px template of GFPGAN and facexlib (mean landmarks of FFHQ); `gpen`, the
96x112 five points of GPEN, squared, with inner padding 0.25; `arcface`, the 112 px template of
InsightFace.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from vidrestore.errors import ModelError, nearest

__all__ = ["ARCFACE_112", "NAMES_IN_FILES", "landmark_template", "resolve_template"]

_Points = npt.NDArray[np.float64]

_FFHQ_512 = (
    (192.98138, 239.94708),
    (318.90277, 240.1936),
    (256.63416, 314.01935),
    (201.26117, 371.41043),
    (313.08905, 371.15118),
)
_GPEN_256 = (
    (101.0203, 121.442),
    (154.7151, 121.145),
    (128.0384, 151.9796),
    (105.9799, 183.4141),
    (150.4456, 183.1682),
)
_GPEN_512 = (
    (202.0407, 242.884),
    (309.4302, 242.29),
    (256.0768, 303.9592),
    (211.9598, 366.8282),
    (300.8911, 366.3363),
)
_GPEN_1024 = (
    (404.0814, 485.7679),
    (618.8605, 484.58),
    (512.1536, 607.9183),
    (423.9195, 733.6564),
    (601.7822, 732.6726),
)
_NATIVE = {
    "ffhq": {512: _FFHQ_512},
    "gpen": {256: _GPEN_256, 512: _GPEN_512, 1024: _GPEN_1024},
}

NAMES_IN_FILES: Mapping[str, str] = MappingProxyType({"ffhq": "gfpgan_512_ffhq", "gpen": "gpen"})
"""What weights files call the templates, in their entry `template`."""

ARCFACE_112: _Points = np.array(
    (
        (38.29460144042969, 51.6963005065918),
        (73.53179931640625, 51.501399993896484),
        (56.02519989013672, 71.73660278320312),
        (41.54930114746094, 92.3655014038086),
        (70.72989654541016, 92.2041015625),
    )
)
"""(5, 2): alignment of identity networks that take 112x112 crops."""


def landmark_template(name: str, size: int) -> _Points:
    """Landmarks of an aligned crop.

    A size that is not tabled scales the nearest tabled one, as the published code does.

    Args:
        name: "ffhq" (GFP-GAN and the embedded model) or "gpen".
        size: side of the crop in pixels.

    Returns:
        (5, 2) float64, in the module's convention.

    Raises:
        ModelError: if there is no such template.
    """
    if name not in _NATIVE:
        raise ModelError(f"unknown alignment template {name!r}{nearest(name, _NATIVE)}")
    native = min(_NATIVE[name], key=lambda tabled: abs(tabled - size))
    return np.array(_NATIVE[name][native], dtype=np.float64) * (size / native)


def resolve_template(template: str | npt.ArrayLike, size: int) -> _Points:
    """Landmarks of an aligned crop, by a name or as they are.

    Args:
        template: a name of `landmark_template`, a word of `NAMES_IN_FILES`, or (5, 2) points in
            pixels of the crop.
        size: side of the crop in pixels.

    Returns:
        (5, 2) float64, in the module's convention.

    Raises:
        ModelError: there is no such template, or the points are not those of a face in the crop.
    """
    if isinstance(template, str):
        names = {word: name for name, word in NAMES_IN_FILES.items()}
        return landmark_template(names.get(template, template), size)
    try:
        points = np.array(template, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ModelError(f"template: expected a name or (5, 2) numbers ({error})") from error
    if points.shape != (5, 2):
        raise ModelError(f"template: expected a name or (5, 2) points, got {points.shape}")
    if not _is_face(points, size):
        raise ModelError(
            f"template: expected left eye, right eye, nose tip, left and right corner of the mouth "
            f"in pixels of a crop of {size}x{size}, got {points.tolist()}"
        )
    return points


def _is_face(points: _Points, size: int) -> bool:
    """Whether (5, 2) points lie in the crop, in their order, upright, and apart from each other."""
    inside = bool(np.all((points >= 0) & (points <= size - 1)))
    least_px = size / 50  # Points in shares of the crop, instead of pixels, lie closer together.
    across = min(points[1, 0] - points[0, 0], points[4, 0] - points[3, 0])
    down = points[3:, 1].mean() - points[:2, 1].mean()
    return inside and bool(across >= least_px and down >= least_px)
