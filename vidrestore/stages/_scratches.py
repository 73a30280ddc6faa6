"""Scratches along the film, found as columns of the frame that stay darker or brighter than both
sides.

A scratch runs down the frame through brow, cheek and chin alike, stays near its column for many
frames, and does not move with the face; nothing of a face does all that. It adds about the same
light along its way (Kokaram, Motion Image Restoration, 1998, on line scratches), so that part is
measured along it and subtracted, and the face's own detail below stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.geometry import apply, compose, invert
from vidrestore.structs import Array

__all__ = ["Ridges", "Scratch", "find_ridges", "find_scratches", "scratch_light"]

_Floats = npt.NDArray[np.float32]

_ROWS = 128
"""Rows of the copies in which scratches are found; their columns are those of the crop."""
_WIDTHS = 3 / 512, 5 / 512
"""Widths looked for, as shares of the crop."""
_STANDS_OUT = 0.012
"""Least difference to both sides, as a share of the range, in the mean along a stretch."""
_STRETCH_SIGMA = 2.0
_SLANTS = np.arange(-8, 9, 2) / 512
"""Shifts of x from the top to the bottom of the crop that are tried, as shares of the crop."""
_LEAST_RUN, _SEEN_AGAIN = 0.75, 0.5
"""Share of the face's height along which a scratch is seen, and is in a neighbouring frame.
In clean faces columns reached 0.6; scratches of a depth of 0.1 have 0.8 to 1."""
_LEAST_ROWS = 0.3 * _ROWS
"""Of the face that a line has to cross."""
_APART = 14 / 512
"""Least distance of two scratches, as a share of the crop: nearer ones are the fainter sides."""
_MOST = 6
"""Scratches of a face that are looked for."""
_WANDER = 3 / 512
"""How far a scratch may move from frame to frame, as a share of the crop."""
_LENGTH = 17
"""Rows, of `_ROWS`, along whose median the light of a scratch is measured."""
_STRONGEST = 1.5
"""How far a scratch may exceed its own median."""
_HALF_WIDTH = 3.0
"""Of a scratch with its fainter sides, in its widths."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A line in an upright crop."""

    top_x: float
    bottom_x: float
    width_px: float


@dataclass(frozen=True, slots=True, eq=False)
class Ridges:
    """Where a face stands out from both sides, in its upright crop."""

    heights: _Floats
    """(kinds, _ROWS, S): least difference to both sides, 0 where it is no ridge; a kind is a width
    and a sign."""
    hits: npt.NDArray[np.uint8]
    """(kinds, _ROWS, S) 0 or 1: where that is enough."""
    inside: npt.NDArray[np.uint8]
    """(_ROWS, S) 0 or 1: where the face is, within the picture."""
    upright_from_crop: Array
    """(2, 3): a rotation about the middle, after which the frame's columns are columns."""
    upright_from_frame: Array
    """(2, 3)."""


def find_ridges(
    luma: _Floats, mask: _Floats, crop_from_frame: Array, frame_size: tuple[int, int]
) -> Ridges:
    """Find what stands out from both sides.

    Args:
        luma: (S, S) in [0, 1].
        mask: (S, S) in [0, 1], where the face is.
        crop_from_frame: (2, 3).
        frame_size: width and height of the frame.
    """
    size = luma.shape[0]
    turn = _upright_from_crop(crop_from_frame, size)
    upright_from_frame = compose(turn, crop_from_frame)
    flat = _reduced(_upright(luma, turn))
    inside = _reduced(_upright(mask, turn)) > 0.5
    inside = inside & _within(upright_from_frame, frame_size, size)
    found = [ridge for share in _WIDTHS for ridge in _ridges(flat, share * size)]
    heights = np.stack(found) * inside
    hits = (heights > _STANDS_OUT).astype(np.uint8)
    return Ridges(heights, hits, inside.astype(np.uint8), turn, upright_from_frame)


def _upright_from_crop(crop_from_frame: Array, size: int) -> Array:
    across, down = crop_from_frame[:, 1]
    angle = float(np.degrees(np.arctan2(-across, down)))
    middle = (size - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), angle, 1)
    return np.asarray(turn if abs(angle) > 0.1 else np.eye(2, 3), np.float64)


def _upright(image: _Floats, turn: Array) -> _Floats:
    if np.array_equal(turn, np.eye(2, 3)):
        return image
    turned = cv2.warpAffine(image, turn, image.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.float32)


def _reduced(image: _Floats) -> _Floats:
    small = cv2.resize(image, (image.shape[1], _ROWS), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)


def _within(
    upright_from_frame: Array, frame_size: tuple[int, int], size: int
) -> npt.NDArray[np.bool_]:
    """Which places lie in the frame: beyond, the crop repeats its edge, in lines."""
    frame_from_upright = invert(upright_from_frame)
    across, down = frame_from_upright[:, 0], frame_from_upright[:, 1]
    lines = (np.arange(_ROWS) + 0.5) * size / _ROWS - 0.5
    within = np.ones((_ROWS, size), np.bool_)
    for axis, length in enumerate(frame_size):
        places = np.add.outer(
            lines * down[axis] + frame_from_upright[axis, 2], np.arange(size) * across[axis]
        )
        within &= (places > 0) & (places < length - 1)
    return within


def _ridges(flat: _Floats, width_px: float) -> Iterator[_Floats]:
    """Bright ones and dark ones."""
    smooth = cv2.GaussianBlur(flat, (0, 0), sigmaX=width_px / 3, sigmaY=_STRETCH_SIGMA)
    aside = max(1, round(1.5 * width_px))  # Crops of small networks are a few pixels a scratch.
    padded = np.pad(smooth, ((0, 0), (aside, aside)), mode="edge")
    left, right = smooth - padded[:, : -2 * aside], smooth - padded[:, 2 * aside :]
    for sign in (1, -1):
        yield np.minimum(sign * left, sign * right).clip(min=0)


def find_scratches(own: Ridges, neighbours: Sequence[Ridges]) -> list[Scratch]:
    """Find the lines that stand still in the frame.

    Args:
        own: of this frame's face.
        neighbours: of the same face in the frames before and after, one or two.
    """
    size = own.hits.shape[-1]
    seen: list[tuple[float, Scratch]] = []
    for kind, hits in enumerate(own.hits):
        for x, slant in _lines(hits, own.inside):
            line = Scratch(x - 0.5 * slant, x + 0.5 * slant, _WIDTHS[kind // 2] * size)
            if any(_run_along(line, own, other, kind) >= _SEEN_AGAIN for other in neighbours):
                seen.append((_height(line, own, kind), _refined(line, own.heights[kind])))
    found: list[Scratch] = []
    for _, line in sorted(seen, key=lambda one: -one[0]):
        if all(_apart(line, other) > _APART * size for other in found):
            found.append(line)
    return found[:_MOST]


def _lines(hits: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8]) -> list[tuple[float, float]]:
    """Middle x and slant of lines along which the face has hits enough, best first."""
    size = hits.shape[1]
    reach = 2 * int(_SLANTS.max() * size) // 2 + 1
    upright = _column_runs(cv2.dilate(hits, np.ones((1, reach), np.uint8)), inside, 0.0)
    if upright.max() < 0.9 * _LEAST_RUN:
        return []  # no line at any slant, which is most often so
    wide = cv2.dilate(hits, np.ones((1, 3), np.uint8))
    slants = _SLANTS * size
    runs = np.stack([_column_runs(wide, inside, slant) for slant in slants])
    best, which = runs.max(0), runs.argmax(0)
    lines: list[tuple[float, float]] = []
    while len(lines) < _MOST and (x := int(best.argmax()), best.max())[1] >= _LEAST_RUN:
        near = np.flatnonzero((np.abs(np.arange(size) - x) <= 3) & (best >= best[x] - 0.02))
        lines.append((float(near.mean()), float(slants[which[x]])))
        best[max(0, x - 8) : x + 9] = 0
    return lines


def _column_runs(hits: npt.NDArray[np.uint8], inside: npt.NDArray[np.uint8], slant: float) -> Array:
    """(S,): share of the face's rows that are hits, along lines of a slant."""
    rows, size = hits.shape
    shear = np.array([[1, slant / rows, -0.5 * slant], [0, 1, 0]], np.float64)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    seen, there = (cv2.warpAffine(x, shear, (size, rows), flags=flags) for x in (hits, inside))
    height = there.sum(0, dtype=np.float64)
    return np.where(height >= _LEAST_ROWS, seen.sum(0) / np.maximum(height, 1), 0)


def _apart(one: Scratch, other: Scratch) -> float:
    return abs(one.top_x + one.bottom_x - other.top_x - other.bottom_x) / 2


def _height(line: Scratch, own: Ridges, kind: int) -> float:
    """Mean height of the ridge along a line."""
    rows = np.arange(_ROWS)
    columns = np.rint(np.linspace(line.top_x, line.bottom_x, _ROWS)).astype(int)
    columns = columns.clip(0, own.heights.shape[-1] - 1)
    return float(own.heights[kind, rows, columns].sum() / own.inside[rows, columns].sum().clip(1))


def _refined(line: Scratch, heights: _Floats) -> Scratch:
    """The straight line through the ridge near a line, by weighted least squares."""
    size = heights.shape[-1]
    down = (np.arange(_ROWS) + 0.5) / _ROWS
    middle = line.top_x + (line.bottom_x - line.top_x) * down
    across = np.arange(-3, 4)
    columns = np.rint(middle[:, None] + across).astype(int).clip(0, size - 1)
    weights = np.take_along_axis(heights, columns, axis=1).astype(np.float64) ** 2
    total = weights.sum()
    if total <= 0:
        return line
    rows = np.repeat(down[:, None], len(across), 1)
    root = np.sqrt(weights / total).ravel()
    basis = np.stack([1 - rows.ravel(), rows.ravel()], axis=-1)
    ends, *_ = np.linalg.lstsq(root[:, None] * basis, root * columns.ravel(), rcond=None)
    return Scratch(float(ends[0]), float(ends[1]), line.width_px)


def _run_along(line: Scratch, own: Ridges, other: Ridges, kind: int) -> float:
    """Share of another frame's face that has the same line at the same place of the frame."""
    size = own.hits.shape[-1]
    ends = np.array([[line.top_x, 0.0], [line.bottom_x, size - 1.0]])
    top, bottom = apply(compose(other.upright_from_frame, invert(own.upright_from_frame)), ends)
    rows = np.arange(_ROWS)
    down = (rows + 0.5) * size / _ROWS
    columns = top[0] + (bottom[0] - top[0]) * (down - top[1]) / max(bottom[1] - top[1], 1.0)
    columns = np.rint(columns).astype(int)
    wander = max(1, round(_WANDER * size))
    wide = cv2.dilate(other.hits[kind], np.ones((1, 2 * wander + 1), np.uint8))
    valid = (columns >= 0) & (columns < size)
    rows, columns = rows[valid], columns[valid]
    there = other.inside[rows, columns].sum()
    return float(wide[rows, columns].sum() / there) if there >= _LEAST_ROWS else 0.0


def scratch_light(picture: _Floats, own: Ridges, scratches: Sequence[Scratch]) -> _Floats:
    """What scratches add to a crop.

    Args:
        picture: (S, S, 3) RGB.
        own: of this crop.
        scratches: in it.

    Returns:
        (S, S, 3).
    """
    upright = _upright(picture, own.upright_from_crop)
    light = np.zeros_like(upright)
    for scratch in scratches:
        light += _light_of(upright - light, scratch)
    return _upright(light, invert(own.upright_from_crop))


def _light_of(picture: _Floats, scratch: Scratch) -> _Floats:
    """Measured against a straight line between both sides, as the median along a stretch."""
    size = picture.shape[0]
    half = int(np.ceil(_HALF_WIDTH * scratch.width_px))
    side = 3
    y = np.arange(size, dtype=np.float32)
    line = (scratch.top_x + (scratch.bottom_x - scratch.top_x) * y / (size - 1)).astype(np.float32)
    across = np.arange(-half - side, half + side + 1, dtype=np.float32)
    places = line[:, None] + across, np.repeat(y[:, None], len(across), 1)
    strip = cv2.remap(picture, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    left, right = strip[:, :side].mean(1), strip[:, -side:].mean(1)
    share = ((across + half) / (2 * half)).clip(0, 1)[None, :, None]
    added = strip - ((1 - share) * left[:, None] + share * right[:, None])
    added = _steady_along(added)
    added *= np.clip((half + 0.5 - np.abs(across)) / (0.3 * half), 0, 1)[None, :, None]
    x = np.arange(size, dtype=np.float32)[None] - line[:, None] + half + side
    back = x.astype(np.float32), np.repeat(y[:, None], size, 1)
    return np.asarray(
        cv2.remap(added, *back, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.float32
    )


def _steady_along(strip: _Floats) -> _Floats:
    """(S, n, 3): one profile for all of a strip, times how strong it is along a stretch.

    Both are medians, so that the face's own detail is left out.
    """
    rows, width = strip.shape[:2]
    short = cv2.resize(strip, (width, _ROWS), interpolation=cv2.INTER_AREA)
    profile = np.median(short, axis=0)
    strength = (short * profile).sum((1, 2)) / max(float(np.square(profile).sum()), 1e-9)
    padded = np.pad(strength, _LENGTH // 2, mode="edge")
    strength = np.median(np.lib.stride_tricks.sliding_window_view(padded, _LENGTH), axis=-1)
    strength = cv2.GaussianBlur(strength[:, None], (0, 0), sigmaX=2).clip(0, _STRONGEST)
    return np.asarray(cv2.resize(strength, (1, rows))[..., None] * profile, np.float32)
