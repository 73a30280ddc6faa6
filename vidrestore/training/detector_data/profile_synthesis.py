"""Turn a pictured head, to the side up to a profile and up or down, on a head of common shape.

The picture is laid on a surface, ``x = a sin φ``, ``z = b cos φ`` with a nose, sockets of the eyes,
lips and a chin, and seen again after a nod and a turn. A buffer of depths decides what hides what:
the nose covers the far cheek, as in Zhu et al. 2016 (arXiv:1511.07212, "face profiling"), for which
nothing but the face's box and landmarks is needed.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["rotate_head"]

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]

_N_ANGLES = 720
"""Samples round the head; neighbours are less than a pixel of a 256 px picture apart."""
_EAR = 1.4
"""Angle of the ears; behind them is hair."""
_BACK_RATE = 0.3
"""That hair is the picture from the ears inwards again, this much stretched."""


def rotate_head(
    face: Image, matte: Image, box: Floats, points: Floats, yaw: float, pitch: float = 0.0
) -> tuple[Image, Image, Floats, Floats]:
    """Turn a head about its upright axis, after a nod.

    Args:
        face: (S, S, 3), a face that looks about straight ahead.
        matte: (S, S), 255 where the person is.
        box: (4,) face box, x0, y0, x1, y1.
        points: (5, 2) eyes, nose tip, corners of the mouth.
        yaw: angle in radians, positive to the picture's right, at most π/2 either way.
        pitch: angle in radians, positive upwards.

    Returns:
        All four after the turn. Landmarks on the far side lie where they would be seen through the
        head.
    """
    size = face.shape[0]
    angles = np.linspace(-np.pi, np.pi, _N_ANGLES, endpoint=False)
    y = np.arange(size, dtype=np.float64)
    phi, row = np.meshgrid(angles, y)
    column, source_row = _source(phi, row, box)
    across, depth = _surface(phi, row, box, points)
    seen_x, seen_y, near = _project(across, row, depth, box, yaw, pitch)
    alpha = _sample(matte, column, row) > 64
    nape = box[3] - 0.1 * (box[3] - box[1])
    behind = np.abs(phi) > _EAR
    opaque = np.where(behind, (row < nape) & alpha[:, [_N_ANGLES // 2]], alpha)
    (source_x, source_y), found = _find_nearest(
        (seen_x, seen_y), near, (column, source_row), opaque
    )
    turned = _sample(face, source_x, source_y)
    mask = cv2.GaussianBlur(found.astype(np.uint8) * 255, (0, 0), 1.5)
    ratio = (mask / 255.0)[..., None]
    picture = np.asarray(turned * ratio + face * (1 - ratio), np.uint8)
    return picture, np.asarray(mask, np.uint8), *_rotate_labels(box, points, yaw, pitch)


def _project(
    across: NDArray[np.float64],
    y: NDArray[np.float64],
    depth: NDArray[np.float64],
    box: Floats,
    yaw: float,
    pitch: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Where points of the head are seen, x and y in the picture, and how near they are."""
    middle = (box[1] + box[3]) / 2
    down, ahead = y - middle, depth
    down, ahead = (
        down * np.cos(pitch) - ahead * np.sin(pitch),
        ahead * np.cos(pitch) + down * np.sin(pitch),
    )
    x = (box[0] + box[2]) / 2 + across * np.cos(yaw) + ahead * np.sin(yaw)
    return x, middle + down, ahead * np.cos(yaw) - across * np.sin(yaw)


def _source(
    phi: NDArray[np.float64], row: NDArray[np.float64], box: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The picture's column and row for places on the head; far behind, those of the hair above."""
    behind = np.clip(np.abs(phi) - _EAR, 0, None)
    folded = np.sign(phi) * (np.minimum(np.abs(phi), _EAR) - _BACK_RATE * behind)
    column = (box[0] + box[2]) / 2 + _half_width(box) * np.sin(folded)
    hair = box[1] - 0.12 * (box[3] - box[1])
    share = np.clip(behind / 0.3, 0, 1)
    crown = (box[0] + box[2]) / 2 + 0.4 * _half_width(box) * np.sin(2 * phi)
    column = column + share * (crown - column)
    return column, row + share * (np.minimum(row, hair + 0.1 * (row - hair)) - row)


def _sample(picture: Image, x: NDArray[np.floating], y: NDArray[np.floating]) -> Image:
    return np.asarray(
        cv2.remap(
            np.ascontiguousarray(picture), x.astype(np.float32), y.astype(np.float32),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )  # fmt: skip


def _half_width(box: Floats) -> float:
    return 0.56 * float(box[2] - box[0])


def _surface(
    phi: NDArray[np.float64], y: NDArray[np.float64], box: Floats, points: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where the head's surface lies: to the right of its axis and in front of it, in pixels."""
    a, height = _half_width(box), float(box[3] - box[1])
    eyes, nose, mouth = points[:2, 1].mean(), points[2, 1], points[3:, 1].mean()
    v = (y - (box[1] + 0.42 * height)) / (0.95 * height)
    crown = np.sqrt(np.clip(1 - np.abs(v) ** 3, 0.12, 1))
    front = np.cos(phi) > 0
    depth = np.where(front, 1.15 * a, 1.25 * a) * crown
    z = depth * np.sign(np.cos(phi)) * np.abs(np.cos(phi)) ** np.where(front, 0.8, 1.0)
    x = a * np.sin(phi)
    aside = x - (points[2, 0] - (box[0] + box[2]) / 2)
    middle = np.exp(-((aside / (0.42 * a)) ** 2)) * front
    along = np.clip((y - eyes) / max(nose - eyes, 1.0), -0.4, None)
    ridge = np.where(along < 1, 0.10 + 0.28 * np.clip(along, -0.3, 1), 0.0)
    below = np.clip((y - nose) / (0.30 * max(mouth - nose, 1.0)), 0, 1)
    ridge = np.where(along >= 1, 0.38 * (1 - below) ** 0.7, ridge)
    ridge = ridge * np.clip((along + 0.4) / 0.3, 0, 1)
    breadth = 0.13 + 0.10 * np.clip(along, 0, 1)
    nose_z = ridge * np.exp(-((aside / (breadth * a)) ** 2))
    sockets = -0.06 * _bump(y, eyes, 0.09 * height) * (1 - np.exp(-((aside / (0.16 * a)) ** 2)))
    brow = 0.05 * _bump(y, eyes - 0.13 * height, 0.07 * height)
    lips = 0.09 * _bump(y, mouth, 0.07 * height) * middle
    dent = -0.05 * _bump(y, mouth + 0.11 * height, 0.04 * height) * middle
    chin = 0.08 * _bump(y, box[3] - 0.06 * height, 0.07 * height) * middle
    neck = -0.75 * np.clip((y - box[3]) / (0.12 * height), 0, 1)
    relief = nose_z + lips + dent + chin + (sockets + brow + neck) * np.clip(np.cos(phi), 0, 1)
    return x, z + a * np.where(front, relief, 0.0)


def _bump(y: NDArray[np.float64], middle: float, width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-(((y - middle) / width) ** 2)))


def _find_nearest(
    places: tuple[NDArray[np.float64], NDArray[np.float64]],
    near: NDArray[np.float64],
    sources: tuple[NDArray[np.float64], NDArray[np.float64]],
    opaque: NDArray[np.bool_],
) -> tuple[list[Floats], NDArray[np.bool_]]:
    """For every place of the view the sources of what is nearest there, and whether anything is."""
    size = len(near)
    x, y = (np.round(place).astype(np.int64) for place in places)
    keep = opaque & (x >= 0) & (x < size) & (y >= 0) & (y < size)
    far_first = np.argsort(near[keep], kind="stable")
    place = (y * size + x)[keep][far_first]
    flat = np.zeros(size * size, np.uint8)
    flat[place] = 1
    found = flat.reshape(size, size)
    covered = cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)) > 0
    maps = []
    for source in sources:
        values = np.zeros(size * size, np.float32)
        values[place] = source[keep][far_first]
        seen = values.reshape(size, size)
        spread = cv2.dilate(seen, np.ones((7, 7)))
        maps.append(cv2.medianBlur(np.where(found > 0, seen, spread).astype(np.float32), 3))
    return maps, covered


def _rotate_labels(box: Floats, points: Floats, yaw: float, pitch: float) -> tuple[Floats, Floats]:
    middle, a = (box[0] + box[2]) / 2, _half_width(box)

    def seen(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        across, depth = _surface(np.arcsin(np.clip((x - middle) / a, -1, 1)), y, box, points)
        return np.stack(_project(across, y, depth, box, yaw, pitch)[:2], -1)

    x, y = np.meshgrid(np.linspace(box[0], box[2], 33), np.linspace(box[1], box[3], 33))
    outline = seen(x, y)
    turned = points.astype(np.float32).copy()
    turned[:] = seen(points[:, 0].astype(np.float64), points[:, 1].astype(np.float64))
    low, high = outline.min((0, 1)), outline.max((0, 1))
    turned_box = np.array([low[0], low[1], high[0], high[1]], np.float32)
    return turned_box, turned
