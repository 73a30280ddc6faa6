"""Measure the noise of the recording around each face, from the first frames of its track.

A track's noise is measured once in a shot, over at most `FRAMES` frames, and stays: what is decided
by it does not change from frame to frame. Of interlaced frames the top field's lines tell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from vidrestore.geometry import apply, compose, identity, invert
from vidrestore.noise_measurement import measured_noise
from vidrestore.stages._filter_weights import COMPARED_PX, COMPARED_SIGMA
from vidrestore.stages._windows import by_shot
from vidrestore.structs import Array, Frame, NoiseModel, Picture
from vidrestore.video.picture.fields import combing, top_field
from vidrestore.video.picture.samples import Rect, aligned_rect, luma_region

__all__ = ["FRAMES", "measure_noise"]

FRAMES = 6
"""First frames of a track that tell its noise."""

_FACE = np.array([[0.28, 0.3], [0.72, 0.85]])
"""Left top and right bottom of what is surely face, as shares of an aligned crop."""
_SURROUNDINGS = 1.4
"""Side of what is looked at, over that of the crop."""
_LEAST_PX, _MOST_PX = 160, 640
"""Least and greatest side of what is looked at."""
_LEAST_LINES = 8
_COMBED = 1.1
"""Of `fields.combing`: more than noise has."""
_FRAME_FROM_FIELD = (identity(), np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]]))
"""(2, 3) from a picture of all lines, and of the top field's lines alone."""
_FINE_PX = 1.5
"""Blur that takes the finest detail away, in pixels of the frame or of the crop, the larger."""


def measure_noise(
    frames: Iterable[Frame],
    crop_px: int,
    first: int = 0,
    known: Mapping[int, NoiseModel | None] = MappingProxyType({}),
) -> Generator[Frame, None, None]:
    """Set `Face.noise` of the faces that will be restored.

    Args:
        frames: with aligned and gated faces, in order.
        crop_px: side of the aligned crops.
        first: number of the frame from which on noise is measured; those before only lead in.
        known: what was measured before it in its shot, by track.

    Yields:
        The same frames in order, `FRAMES - 1` later.
    """
    yield from by_shot(frames, lambda: _Window(crop_px, first, known))


class _Window:
    """The next frames of a shot, and what is known of its tracks."""

    def __init__(self, crop_px: int, first: int, known: Mapping[int, NoiseModel | None]) -> None:
        self._crop_px, self._first = crop_px, first
        self._before = known
        self._frames: deque[Frame] = deque()
        self._known: dict[int, NoiseModel | None] = {}
        """By track."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one whose window is complete."""
        if frame.index == self._first and not frame.is_cut:
            self._known.update(self._before)
        self._frames.append(frame)
        if len(self._frames) == FRAMES:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._frames:
            yield self._give()

    def _give(self) -> Frame:
        frame = self._frames[0]
        leads_in = frame.index < self._first
        faces = tuple(
            replace(face, noise=self._noise(face.track_id))
            if face.crop_from_frame is not None and face.strength > 0 and not leads_in
            else face
            for face in frame.faces
        )
        self._frames.popleft()
        return replace(frame, faces=faces) if faces else frame

    def _noise(self, track: int) -> NoiseModel | None:
        if track not in self._known:
            self._known[track] = self._measured(track)
        return self._known[track]

    def _measured(self, track: int) -> NoiseModel | None:
        first = _alignment(self._frames[0], track)
        assert first is not None
        by_field = self._is_interlaced(self._frames[0], first)
        pictures: list[Picture] = []
        regions, faces = [], []
        for frame in self._frames:
            crop_from_frame = _alignment(frame, track)
            if crop_from_frame is None:
                break
            picture = top_field(frame.picture) if by_field else frame.picture
            crop_from_picture = compose(crop_from_frame, _FRAME_FROM_FIELD[by_field])
            pictures.append(picture)
            regions.append(_surroundings(picture, crop_from_picture, self._crop_px))
            faces.append(_face(picture, crop_from_picture, self._crop_px))
        first = compose(first, _FRAME_FROM_FIELD[by_field])
        crop_pixel_px = float(np.sqrt(abs(np.linalg.det(invert(first)[:, :2]))))
        compared_px = COMPARED_SIGMA * self._crop_px / COMPARED_PX * crop_pixel_px
        return measured_noise(
            pictures, regions, faces, _FINE_PX * max(1.0, crop_pixel_px), max(compared_px, 0.3)
        )

    def _is_interlaced(self, frame: Frame, crop_from_frame: Array) -> bool:
        """Whether the lines of a face are of two moments, whose combs would count as noise."""
        picture = frame.picture
        if picture.handle.interlaced_frame:
            return True
        face = _face(picture, crop_from_frame, self._crop_px)
        return face.height >= _LEAST_LINES and combing(luma_region(picture, *face)) > _COMBED


def _alignment(frame: Frame, track: int) -> Array | None:
    return next((face.crop_from_frame for face in frame.faces if face.track_id == track), None)


def _face(picture: Picture, crop_from_frame: Array, crop_px: int) -> Rect:
    corners = apply(invert(crop_from_frame), _FACE * crop_px)
    low, high = np.sort(corners, axis=0)
    return _rect(picture, low, high)


def _surroundings(picture: Picture, crop_from_frame: Array, crop_px: int) -> Rect:
    frame_from_crop = invert(crop_from_frame)
    middle = apply(frame_from_crop, [[crop_px / 2, crop_px / 2]])[0]
    crop_side = crop_px * np.linalg.norm(frame_from_crop[:, :2], axis=1)
    half = np.clip(_SURROUNDINGS * crop_side, _LEAST_PX, _MOST_PX) / 2
    return _rect(picture, middle - half, middle + half)


def _rect(picture: Picture, low: Array, high: Array) -> Rect:
    (x0, y0), (x1, y1) = np.rint(low).astype(int), np.rint(high).astype(int)
    return aligned_rect(picture, int(x0), int(y0), int(x1), int(y1))
