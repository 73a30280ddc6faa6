"""Tell from small pictures whether a frame between two looks is worth a look of its own.

It is where a face has moved far from where the detector saw it, and where something enters at the
border: somebody may be there for three frames only. What the camera's own motion brings in does
not count. Water and crowds do, so that looks which find nobody new are few: `_FRUITLESS` in
`_MEMORY_FRAMES`, which is as far back as all that is decided here reaches.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import cv2
import numpy as np

from vidrestore.geometry import apply, invert
from vidrestore.plain import array_from_plain, array_to_plain
from vidrestore.structs import Array, Face, Frame
from vidrestore.video.read.shot_cuts import Thumbnail, thumbnail, unlikeness

__all__ = ["Watch"]

_WATCH_PX = 160
"""Width of the small pictures."""
_LEAST_WATCHED_PX = 6
_MOVED = 0.5
"""One minus the correlation of a face's place with itself: a face moved by a third of its width, or
turned aside, is beyond it; speech and nods are not."""
_CELL_PX = 16
"""Side of the places at the border that are watched: a tenth of the width."""
_NEW = 0.8
"""Change of such a place, as of `_change`, from which on something has entered."""
_STANDS_OUT = 2.0
"""It must be so many times that of half of the picture: grain and water are everywhere."""
_NOISE_VARIANCE = 0.015**2
"""Of luma, as a share of full scale: less is no change."""
_MAX_SHIFT = 0.25
"""Of the picture: a pan farther than this since the last look is not followed."""
_FRUITLESS = 3
_MEMORY_FRAMES = 60

_Place = tuple[slice, slice]


class Watch:
    """Watch a shot between the detector's looks."""

    def __init__(self) -> None:
        self.has_moved = False
        """Whether any face looks unlike it did, where it was, in the frame seen last."""
        self.has_entered = False
        """Whether something new is at the border of that frame, and may be looked at."""
        self._now = self._before = np.zeros((0, 0), np.float32)
        """Small pictures of the frame seen last and of that looked at last."""
        self._faces: list[_Place] = []
        self._n_faces = 0
        self._frame = 0
        """Frames seen so far."""
        self._fruitless: deque[int] = deque(maxlen=_FRUITLESS)
        """The last frames in which an entry was looked at and nobody new was found."""

    def see(self, frame: Frame) -> None:
        """Compare the next frame of the shot with that looked at last."""
        self._frame += 1
        self._now = _small(frame)
        if self._now.shape != self._before.shape:
            self.has_moved, self.has_entered = bool(self._faces), False
            return
        self.has_moved = any(
            unlikeness(self._before[place], self._now[place]) > _MOVED for place in self._faces
        )
        is_spent = len(self._fruitless) == _FRUITLESS
        may_look = not is_spent or self._frame - self._fruitless[0] >= _MEMORY_FRAMES
        self.has_entered = may_look and _something_enters(self._before, self._now, self._faces)

    def begin(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Remember that the detector looked at the frame seen last, and what it found."""
        if self.has_entered and len(faces) <= self._n_faces:
            self._fruitless.append(self._frame)
        self._before, self._n_faces = self._now, len(faces)
        self._faces = [place for face in faces if (place := _place(face, frame)) is not None]

    def state(self) -> dict[str, Any]:
        """Give what is remembered from look to look, as plain values."""
        return {
            "before": array_to_plain(self._before),
            "places": [[*map(int, (y.start, y.stop, x.start, x.stop))] for y, x in self._faces],
            "faces": self._n_faces,
            "frame": self._frame,
            "fruitless": list(self._fruitless),
        }

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._before = array_from_plain(state["before"])
        self._faces = [(slice(y0, y1), slice(x0, x1)) for y0, y1, x0, x1 in state["places"]]
        self._n_faces, self._frame = state["faces"], state["frame"]
        self._fruitless.extend(state["fruitless"])


def _small(frame: Frame) -> Thumbnail:
    height = max(1, round(_WATCH_PX * frame.picture.height / frame.picture.width))
    return thumbnail(frame.picture, _WATCH_PX, height)


def _place(face: Face, frame: Frame) -> _Place | None:
    """Rows and columns of a face; None for one of a few pixels."""
    corners = apply(invert(frame.display.display_from_coded), face.box_xyxy.reshape(2, 2)) * (
        _WATCH_PX / frame.picture.width
    )
    low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
    high = np.ceil(corners.max(0)).astype(int)
    if (high - low).min() < _LEAST_WATCHED_PX:
        return None
    return slice(low[1], high[1]), slice(low[0], high[0])


def _something_enters(before: Thumbnail, now: Thumbnail, faces: Sequence[_Place]) -> bool:
    """Whether a place at the border changed, as seen by a camera that stood and by one that went
    with the picture; where there are known faces, they may move.
    """
    if min(now.shape) < 2 * _CELL_PX:
        return False
    if not _border_changed(before, now, faces, np.zeros(2)):
        return False
    window = _window(now.shape)
    # On products: OpenCV would multiply what it is given by its window in place.
    shift = np.array(cv2.phaseCorrelate(before * window, now * window)[0])
    if (np.abs(shift) > _MAX_SHIFT * np.array(now.shape[::-1])).any():
        return False
    return _border_changed(before, now, faces, shift)


@cache
def _window(shape: tuple[int, int]) -> Thumbnail:
    return np.asarray(cv2.createHanningWindow(shape[::-1], cv2.CV_32F), np.float32)


def _border_changed(
    before: Thumbnail, now: Thumbnail, faces: Sequence[_Place], shift: Array
) -> bool:
    """Whether a place at the border changed that both show, `before` shifted by (x, y) pixels."""
    height, width = now.shape
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]])
    moved = cv2.warpAffine(before, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
    (left, top), (right, bottom) = np.ceil(np.maximum(shift, 0)), np.ceil(np.maximum(-shift, 0))
    both = slice(int(top), height - int(bottom)), slice(int(left), width - int(right))
    change = _change(np.asarray(moved, np.float32)[both], now[both])
    level = float(np.median(change))
    half, depth = _CELL_PX // 2, _CELL_PX
    for rows, columns in faces:
        y, x = rows.start - both[0].start - half, columns.start - both[1].start - half
        y1, x1 = rows.stop - both[0].start + half, columns.stop - both[1].start + half
        change[max(y, 0) : max(y1, 0), max(x, 0) : max(x1, 0)] = 0
    change = change[half:-half, half:-half]
    change[depth - half : half - depth, depth - half : half - depth] = 0
    return bool(change.max(initial=0) > max(_NEW, _STANDS_OUT * level))


def _change(a: Thumbnail, b: Thumbnail) -> Thumbnail:
    """(H, W) how much the cell around each pixel changed: the variance of the difference over that
    of the picture, the greater of both; 0 for none, 1 where something covers a flat wall, 2 where
    one pattern covers another. Brightness does not matter.
    """
    variances = [
        cv2.blur(x * x, (_CELL_PX, _CELL_PX)) - cv2.blur(x, (_CELL_PX, _CELL_PX)) ** 2
        for x in (b - a, a, b)
    ]
    change: Thumbnail = variances[0] / (np.maximum(variances[1], variances[2]) + _NOISE_VARIANCE)
    return change
