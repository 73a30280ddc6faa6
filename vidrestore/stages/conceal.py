"""Conceal: dust and scratches are taken out before the network sees a face.

A network takes a speck of dirt for a mole and a scratch for a wrinkle. What is in one frame and in
neither of its neighbours, moved along with the face, is dirt, and the neighbours stand in for it
(`_defects`). A line down the whole face that stands still in the frame is a scratch along the film,
and what it adds is subtracted (`_scratches`). Only the crop is changed; blending takes the dirt out
of the frame too, under the face's mask. One frame of delay; nothing is looked at across a cut or
beyond the end of a track.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.stages._defects import SMALL_PX, Motion, find_defects, moved, steady_light
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._scratches import Ridges, find_ridges, find_scratches, scratch_light
from vidrestore.stages._windows import by_shot
from vidrestore.stages.restore import with_source_crops
from vidrestore.structs import Face, Frame

__all__ = ["conceal"]

_Floats = npt.NDArray[np.float32]

_FEATHER = 0.12
"""Of the mask under which lines are looked for; where they are taken out is for blending to say."""


def conceal(frames: Iterable[Frame], size: int) -> Generator[Frame, None, None]:
    """Add `source_crop`, without defects, to every face that has an alignment.

    Args:
        frames: with `Face.crop_from_frame` set.
        size: side of the crops in pixels.

    Yields:
        The same frames in order, one frame later; `Face.concealed` says what was changed.
    """
    yield from by_shot(frames, lambda: _Window(size))


@dataclass(frozen=True, slots=True, eq=False)
class _Crop:
    """A face's crop and its reduced copy."""

    picture: _Floats
    """(S, S, 3) RGB in [0, 1]."""
    luma: _Floats
    """(SMALL_PX, SMALL_PX) in [0, 1]."""
    luma_bytes: npt.NDArray[np.uint8]
    ridges: Ridges

    @classmethod
    def of(cls, face: Face, frame: Frame) -> _Crop:
        assert face.source_crop is not None and face.crop_from_frame is not None
        picture = np.ascontiguousarray(face.source_crop.numpy().transpose(1, 2, 0))
        small = cv2.resize(picture, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        ridges = find_ridges(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
            crop_mask(picture.shape[0], _FEATHER).numpy(),
            face.crop_from_frame,
            (frame.picture.width, frame.picture.height),
        )
        return cls(picture, luma, np.asarray(np.rint(luma * 255), np.uint8), ridges)


class _Window:
    """One frame of a shot that waits, with its neighbours' crops by track."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._waiting: Frame | None = None
        self._before: dict[int, _Crop] = {}
        self._own: dict[int, _Crop] = {}

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one before it."""
        frame = with_source_crops(frame, self._size)
        crops = {
            face.track_id: _Crop.of(face, frame)
            for face in frame.faces
            if face.source_crop is not None
        }
        yield from self._give(crops)
        self._waiting, self._before, self._own = frame, self._own, crops

    def finish(self) -> Iterator[Frame]:
        """Give the last frame."""
        yield from self._give({})

    def _give(self, after: dict[int, _Crop]) -> Iterator[Frame]:
        if self._waiting is None:
            return
        faces = tuple(
            self._concealed(face, self._before.get(face.track_id), after.get(face.track_id))
            if face.track_id in self._own
            else face
            for face in self._waiting.faces
        )
        yield replace(self._waiting, faces=faces) if faces else self._waiting

    def _concealed(self, face: Face, before: _Crop | None, after: _Crop | None) -> Face:
        own = self._own[face.track_id]
        neighbours = [one for one in (before, after) if one is not None]
        picture = _without_scratches(own, neighbours)
        if before is not None and after is not None:
            picture = self._without_dirt(own, picture, before, after)
        if picture is own.picture or face.source_crop is None:
            return face
        seen = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))
        return replace(face, source_crop=seen, concealed=seen - face.source_crop)

    def _without_dirt(self, own: _Crop, picture: _Floats, before: _Crop, after: _Crop) -> _Floats:
        motions = [
            Motion(other.luma, self._flow.calc(own.luma_bytes, other.luma_bytes, None))
            for other in (before, after)
        ]
        found = find_defects(own.luma, *motions)
        if found is None:
            return picture
        lent = [
            moved(other.picture, motion.flow)
            for other, motion in zip((before, after), motions, strict=True)
        ]
        return _filled(picture, 0.5 * (lent[0] + lent[1]), found)


def _without_scratches(own: _Crop, neighbours: list[_Crop]) -> _Floats:
    """(S, S, 3): the crop, the very same where there is no scratch."""
    scratches = find_scratches(own.ridges, [other.ridges for other in neighbours])
    if not scratches:
        return own.picture
    light = scratch_light(own.picture, own.ridges, scratches)
    return np.asarray(np.clip(own.picture - light, 0, 1), np.float32)


def _filled(picture: _Floats, lent: _Floats, defects: _Floats) -> _Floats:
    """(S, S, 3): a crop in which the neighbours, in its light, fill the defects."""
    size = picture.shape[0]
    weights = cv2.resize(defects, (size, size))[..., None]
    in_light = np.clip(lent + steady_light(picture - lent, defects), 0, 1)
    return np.asarray(picture + weights * (in_light - picture), np.float32)
