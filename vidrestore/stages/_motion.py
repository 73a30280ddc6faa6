"""How a face moved between two frames: sparse optical flow, then a robust similarity.

Pyramidal Lucas-Kanade (Bouguet 2001, as in OpenCV) follows a grid of points inside the face from
the one frame to the other and back. Points that do not return are dropped; the others, taken to
display space, vote for one similarity by iteratively reweighted least squares, in which points
that move otherwise (background, a hand, the lips) lose their weight. Native luma is used, so that
nothing is lost to a small copy; only faces larger than needed are shrunk, for speed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.geometry import apply, compose, decompose_similarity, identity, invert
from vidrestore.structs import Array, Frame
from vidrestore.video.picture.samples import luma_region

__all__ = ["face_motion"]

_FACE_PX = 160.0
"""Faces larger than this are shrunk to it before following points."""
_GRID = 13
"""Points across and down the face box; those outside its ellipse are left out."""
_MARGIN = 0.35
"""Share of the face's size that is read around its box, for it to move into."""
_WINDOW = 17
"""Side of the patch that is compared, in pixels of the shrunk picture."""
_LEVELS = 3
"""Pyramid levels above the finest: moves up to about _WINDOW * 2**_LEVELS / 2 are followed."""
_MAX_RETURN_PX = 0.7
"""A point that comes back farther than this from its start is dropped."""
_ROUNDS = 10
"""Rounds of reweighting."""
_MAX_SPREAD_PX = 2.0
"""Points farther than this from where the similarity takes them disagree with it."""
_UPRIGHT = 0.005
"""Faces that turn by more (radians), or grow by more (of their size), are followed a second time
with that turn taken out."""
_MIN_POINTS = 10
_MIN_SHARE = 0.3
"""Least share of the grid that must be followed and agree."""
_MAX_SCALE = 1.35
"""A face that seems to grow or shrink by more than this between two frames was lost."""


class _Patches(NamedTuple):
    """The surroundings of a face in two frames, shrunk alike."""

    before: npt.NDArray[np.uint8]
    after: npt.NDArray[np.uint8]
    display_from_patch: Array


def face_motion(before: Frame, after: Frame, box_xyxy: Array) -> Array | None:
    """How the face in `box_xyxy` of `before` moved until `after`.

    Args:
        before: one frame.
        after: another one, usually its neighbour in time.
        box_xyxy: (4,) where the face is in `before`, in display pixels.

    Returns:
        (2, 3) similarity in display space; exactly the identity where nothing changed; None where
        the face could not be followed.
    """
    patches = _patches(before, after, box_xyxy)
    if patches is None:
        return None
    if np.array_equal(patches.before, patches.after):
        return identity()
    grid = _points_in_ellipse(box_xyxy)
    start = apply(invert(patches.display_from_patch), grid)
    height, width = patches.before.shape
    start = start[((start >= 0) & (start <= [width - 1, height - 1])).all(1)]
    least = max(_MIN_POINTS, int(_MIN_SHARE * len(grid)))
    motion = _voted_motion(patches, start, None, least)
    if motion is not None and _turns(motion):
        return _voted_motion(patches, start, motion, least)
    return motion


def _turns(motion: Array) -> bool:
    log_scale, angle, _ = decompose_similarity(motion)
    return max(abs(log_scale), abs(angle)) > _UPRIGHT


def _voted_motion(patches: _Patches, start: Array, guess: Array | None, least: int) -> Array | None:
    """The motion that most points of `before` vote for; None if fewer than `least` agree.

    Args:
        patches: the two pictures.
        start: (N, 2) points of `before`, in its pixels.
        guess: (2, 3) about how the face moved, in display space; `after` is first moved back by
            it, as Lucas-Kanade takes patches to be shifted only, not turned or scaled.
        least: how many points have to be followed, and to agree.
    """
    display_from_patch = patches.display_from_patch
    after, display_from_after = patches.after, display_from_patch
    if guess is not None:
        display_from_after = compose(guess, display_from_patch)
        back = compose(invert(display_from_after), display_from_patch)
        after = cv2.warpAffine(
            after, back, after.shape[::-1], flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
    end, kept = _follow(patches.before, after, start.astype(np.float32))
    if kept.sum() < least:
        return None
    source, target = apply(display_from_patch, start[kept]), apply(display_from_after, end[kept])
    pixel = float(np.sqrt(abs(np.linalg.det(display_from_patch[:, :2]))))
    return _agreed_similarity(target, source, pixel, least)


def _patches(before: Frame, after: Frame, box_xyxy: Array) -> _Patches | None:
    low, high = box_xyxy[:2], box_xyxy[2:]
    margin = _MARGIN * float((high - low).mean())
    corners = np.array([low, high, [low[0], high[1]], [high[0], low[1]]])
    corners += np.sign(corners - (low + high) / 2) * margin
    coded = apply(invert(before.display.display_from_coded), corners)
    x0, y0 = np.maximum(np.floor(coded.min(0)), 0).astype(int)
    size = [before.picture.width, before.picture.height]
    x1, y1 = np.minimum(np.ceil(coded.max(0)) + 1, size).astype(int)
    if x1 - x0 < _WINDOW or y1 - y0 < _WINDOW:
        return None
    pair = [luma_region(frame.picture, x0, y0, x1, y1) for frame in (before, after)]
    return _shrunk(pair, box_xyxy, (x0, y0), before.display.display_from_coded)


def _shrunk(
    pair: list[npt.NDArray[np.uint8]],
    box_xyxy: Array,
    origin: tuple[int, int],
    display_from_coded: Array,
) -> _Patches:
    height, width = pair[0].shape
    shrink = _FACE_PX / float(np.sqrt(np.prod(box_xyxy[2:] - box_xyxy[:2])))
    stretch = np.linalg.norm(display_from_coded[:, :2], axis=0)
    share = np.minimum(1.0, shrink * stretch)
    columns, rows = np.maximum(np.rint(share * [width, height]), _WINDOW).astype(int)
    if (columns, rows) != (width, height):
        pair = [cv2.resize(p, (columns, rows), interpolation=cv2.INTER_AREA) for p in pair]
    step = np.array([width / columns, height / rows])
    coded_from_patch = np.column_stack([np.diag(step), step / 2 - 0.5 + origin])
    return _Patches(pair[0], pair[1], compose(display_from_coded, coded_from_patch))


def _points_in_ellipse(box_xyxy: Array) -> Array:
    """(N, 2) points of a regular grid inside the ellipse that fills the box."""
    steps = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    unit = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    unit = unit[(unit**2).sum(1) <= 1.0]
    centre, half = (box_xyxy[:2] + box_xyxy[2:]) / 2, (box_xyxy[2:] - box_xyxy[:2]) / 2
    return np.asarray(centre + unit * half, np.float64)


def _follow(
    before: npt.NDArray[np.uint8], after: npt.NDArray[np.uint8], start: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Where points went, (N, 2), and which of them came back, (N,)."""
    options: dict[str, Any] = {
        "winSize": (_WINDOW, _WINDOW),
        "maxLevel": _LEVELS,
        "criteria": (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 20, 0.01),
        "minEigThreshold": 1e-4,
    }
    end, found, _ = cv2.calcOpticalFlowPyrLK(before, after, start, None, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, end, None, **options)
    away = np.linalg.norm(back - start, axis=1)
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (away < _MAX_RETURN_PX)
    return end, kept


def _agreed_similarity(target: Array, source: Array, pixel: float, least: int) -> Array | None:
    """The similarity that most pairs agree on, (2, 3), or None if too few do.

    Geman-McClure weights over residuals, from the median shift on; the scale of the residuals
    shrinks with the fit, never below a twentieth of a pixel.

    Args:
        target: (N, 2) where points went.
        source: (N, 2) where they were.
        pixel: side of a pixel of the picture they were followed in, in units of the points.
        least: how many points have to agree.
    """
    z, w = source @ [1, 1j], target @ [1, 1j]
    shift = w - z
    turn, move = 1.0 + 0j, np.median(shift.real) + 1j * np.median(shift.imag)
    for _ in range(_ROUNDS):
        error = np.abs(turn * z + move - w)
        spread = max(2.0 * float(np.median(error)), 0.05 * pixel)
        weight = 1.0 / (1.0 + (error / spread) ** 2) ** 2
        total = weight.sum()
        middle_z, middle_w = (weight * z).sum() / total, (weight * w).sum() / total
        power = (weight * np.abs(z - middle_z) ** 2).sum()
        if power < 1e-9:
            return None
        turn = (weight * np.conj(z - middle_z) * (w - middle_w)).sum() / power
        move = middle_w - turn * middle_z
    agree = np.abs(turn * z + move - w) < _MAX_SPREAD_PX * pixel
    if agree.sum() < least or abs(np.log(abs(turn))) > np.log(_MAX_SCALE):
        return None
    return np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
