"""Conceal: dust and scratches are taken out before the network sees a face.

A network takes a speck of dirt for a mole and a scratch for a wrinkle. What is in one frame and in
neither of its neighbours, moved along with the face, is dirt, and the neighbours stand in for it
(`_defects`). A line down the whole face that stands still in the frame is a scratch along the film,
and what it adds is subtracted (`_scratches`). Only the crop is changed; blending takes the dirt out
of the frame too, under the face's mask. One frame of delay; nothing is looked at across a cut or
beyond the end of a track. A field has those of its own lines for neighbours.
"""

from __future__ import annotations

from collections import deque
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
        picture = np.asarray(cv2.merge(list(face.source_crop.numpy())), np.float32)
        small = cv2.resize(picture, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
        luma = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        ridges = find_ridges(
            cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY),
            crop_mask(picture.shape[0], _FEATHER).numpy(),
            face.crop_from_frame,
            (frame.picture.width, frame.picture.height),
        )
        return cls(picture, luma, np.asarray(np.rint(luma * 255), np.uint8), ridges)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame with its crops by track."""

    frame: Frame | None
    """None once it has been given: its picture is not kept alive."""
    first_line: int | None
    """Of a field; None for a whole frame."""
    crops: dict[int, _Crop]

    def shows_lines_of(self, other: _Seen) -> bool:
        """Whether it has the lines that another one has: the two fields of a frame differ in all
        detail that is as fine as their lines, which is no dirt.
        """
        return None in (self.first_line, other.first_line) or self.first_line == other.first_line


class _Window:
    """Frames of a shot that wait, and those given last: fields have two, frames one of each."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._past: deque[_Seen] = deque(maxlen=2)
        self._waiting: deque[_Seen] = deque()

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give those whose neighbours are there."""
        frame = with_source_crops(frame, self._size)
        crops = {
            face.track_id: _Crop.of(face, frame)
            for face in frame.faces
            if face.source_crop is not None
        }
        first_line = None if frame.field is None else frame.field.first_line
        self._waiting.append(_Seen(frame, first_line, crops))
        while self._after() is not None:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._waiting:
            yield self._give()

    def _after(self) -> _Seen | None:
        """The neighbour of the first frame that waits."""
        now, *later = self._waiting
        return next((one for one in later if one.shows_lines_of(now)), None)

    def _give(self) -> Frame:
        after = self._after()
        now = self._waiting.popleft()
        frame = now.frame
        assert frame is not None
        before = next((one for one in reversed(self._past) if one.shows_lines_of(now)), None)
        sides = [{} if one is None else one.crops for one in (before, after)]
        faces = tuple(
            self._concealed(
                face, now.crops[face.track_id], *(one.get(face.track_id) for one in sides)
            )
            if face.track_id in now.crops
            else face
            for face in frame.faces
        )
        self._past.append(replace(now, frame=None))
        return replace(frame, faces=faces) if faces else frame

    def _concealed(self, face: Face, own: _Crop, before: _Crop | None, after: _Crop | None) -> Face:
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
