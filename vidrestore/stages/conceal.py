"""Conceal: dust and scratches of single frames are taken out before the network sees a face.

A network takes a speck of dirt for a mole and a scratch for a wrinkle. What is in one frame and in
neither of its neighbours, moved along with the face, is dirt, and the neighbours stand in for it
(`_defects`). Only the crop is changed; blending takes the dirt out of the frame too, under the
face's mask. One frame of delay; nothing is looked at across a cut or beyond the end of a track.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.stages._defects import SMALL_PX, Motion, find_defects, moved, steady_light
from vidrestore.stages._windows import by_shot
from vidrestore.stages.restore import with_source_crops
from vidrestore.structs import Face, Frame

__all__ = ["conceal"]

_Floats = npt.NDArray[np.float32]


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

    @classmethod
    def of(cls, face: Face) -> _Crop:
        assert face.source_crop is not None
        picture = np.ascontiguousarray(face.source_crop.numpy().transpose(1, 2, 0))
        small = cv2.resize(picture, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return cls(picture, luma, np.asarray(np.rint(luma * 255), np.uint8))


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
            face.track_id: _Crop.of(face) for face in frame.faces if face.source_crop is not None
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
            self._concealed(face, after[face.track_id])
            if face.track_id in self._before.keys() & self._own.keys() & after.keys()
            else face
            for face in self._waiting.faces
        )
        yield replace(self._waiting, faces=faces) if faces else self._waiting

    def _concealed(self, face: Face, after: _Crop) -> Face:
        own, before = self._own[face.track_id], self._before[face.track_id]
        motions = [
            Motion(other.luma, self._flow.calc(own.luma_bytes, other.luma_bytes, None))
            for other in (before, after)
        ]
        found = find_defects(own.luma, *motions)
        if found is None or face.source_crop is None:
            return face
        lent = [
            moved(other.picture, motion.flow)
            for other, motion in zip((before, after), motions, strict=True)
        ]
        change = torch.from_numpy(_change(own.picture, 0.5 * (lent[0] + lent[1]), found))
        return replace(face, source_crop=face.source_crop + change, concealed=change)


def _change(own: _Floats, lent: _Floats, defects: _Floats) -> _Floats:
    """(3, S, S) what the neighbours, in this frame's light, change where there are defects."""
    size = own.shape[0]
    weights = cv2.resize(defects, (size, size))[..., None]
    in_light = np.clip(lent + steady_light(own - lent, defects), 0, 1)
    return np.ascontiguousarray((weights * (in_light - own)).transpose(2, 0, 1), np.float32)
