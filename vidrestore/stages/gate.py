"""Gate: which faces are restored, and how strongly, so that nothing pops in or out.

A face that is too small, turned too far, too blurred or too doubtful is left alone: there a network
invents. Each gate opens over a soft range, and the shares are steadied over time along a track: a
minimum over a few frames, so that a face is closed before it has to be, then a mean of as many, so
that it fades. A track that is born or ends within a shot fades in and out the same way; at a cut
and at either end of the video it does not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.config import GateConfig
from vidrestore.landmarks import eye_distance, eye_to_mouth_distance
from vidrestore.models.templates import landmark_template
from vidrestore.ramps import smooth_step
from vidrestore.stages._windows import by_shot
from vidrestore.stages.restore import crop_aligned
from vidrestore.structs import Array, Face, Frame

__all__ = ["blur_effect", "gate", "yaw_degrees"]

_NOSE = 1.65
"""Distance between the eyes over the length of the nose, where the eyes' own depth counts too:
`tan(yaw)` is this times the nose's way along the line of the eyes, over their distance. Fitted to
heads turned by `profile_synthesis.rotate_head`: within 3 degrees from 10 to 85."""
_BLUR_PX = 128
"""Side of the crop whose blur is measured."""
_TEMPLATE = landmark_template("ffhq", _BLUR_PX)

_FACE_HEIGHT = 1.04
"""From the eyes to the mouth, over the distance between the eyes, in a face from the front."""


def gate(
    frames: Iterable[Frame], config: GateConfig, least_eyes_px: float, max_faces: int
) -> Generator[Frame, None, None]:
    """Set every face's `strength`, and say in `gated_by` which gates lowered it.

    Args:
        frames: with aligned faces, in order.
        config: what is restored, and how long a fade lasts.
        least_eyes_px: least distance between the eyes, in display pixels.
        max_faces: most faces of a frame that are restored, the largest ones.

    Yields:
        The same frames in order, `fade_frames` later.
    """
    yield from by_shot(frames, lambda: _Window(config, least_eyes_px, max_faces))


class _Window:
    """The frames of one shot that are near enough to matter."""

    def __init__(self, config: GateConfig, least_eyes_px: float, max_faces: int) -> None:
        self._config, self._least_eyes_px = config, least_eyes_px
        self._max_faces = max_faces
        self._reach = config.fade_frames // 2
        self._frames: deque[Frame] = deque()
        """Not yet given, oldest first; pictures that were given are not kept alive."""
        self._shares: deque[dict[int, float]] = deque()
        """By track, of those frames and of as many before as still matter."""
        self._next = 0
        """Place in `_shares` of the next frame to give."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one whose window is complete."""
        faces, shares = [], {}
        too_many = _smallest(frame, self._max_faces)
        for face in frame.faces:
            found = _shares(face, frame, self._config, self._least_eyes_px)
            found["count"] = 0.0 if face.track_id in too_many else 1.0
            gated_by = tuple(name for name, share in found.items() if share < 1)
            faces.append(replace(face, gated_by=gated_by))
            shares[face.track_id] = min(found.values())
        self._frames.append(replace(frame, faces=tuple(faces)) if faces else frame)
        self._shares.append(shares)
        if len(self._frames) > 2 * self._reach:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._frames:
            yield self._give()

    def _give(self) -> Frame:
        frame = self._frames.popleft()
        faces = tuple(
            replace(face, strength=face.strength * self._strength(face.track_id))
            for face in frame.faces
        )
        if self._next == 2 * self._reach:
            self._shares.popleft()
        else:
            self._next += 1
        return replace(frame, faces=faces) if faces else frame

    def _strength(self, track: int) -> float:
        """Mean over the reach of the least share within the reach; nothing counts outside the
        shot, and a frame of the shot without the face counts as closed.
        """
        shares = [by_track.get(track, 0.0) for by_track in self._shares]
        low, high = max(self._next - self._reach, 0), self._next + self._reach + 1
        least = [
            min(shares[max(place - self._reach, 0) : place + self._reach + 1])
            for place in range(low, min(high, len(shares)))
        ]
        return float(np.mean(least))


def _smallest(frame: Frame, count: int) -> set[int]:
    """Track ids of all but the `count` largest faces."""
    order = sorted(frame.faces, key=lambda face: (-_area(face), face.track_id))
    return {face.track_id for face in order[count:]}


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return float((x1 - x0) * (y1 - y0))


def _shares(face: Face, frame: Frame, config: GateConfig, least_eyes_px: float) -> dict[str, float]:
    """How far each gate is open, 0 to 1."""
    turn = yaw_degrees(face.landmarks)
    ramps = {
        "size": (_eyes_px(face.landmarks) / max(least_eyes_px, 1e-6), 1.0, 1.25),
        "yaw": (turn, config.max_yaw, 0.8 * config.max_yaw),
        "score": (face.score, config.min_score, config.min_score + 0.1),
    }
    if config.max_blur < 1:
        blur = blur_effect(_luma_crop(face, frame))
        ramps["blur"] = (blur, config.max_blur, config.max_blur - 0.1)
    return {name: float(smooth_step(*ramp)) for name, ramp in ramps.items()}


def _eyes_px(landmarks: Array) -> float:
    """Distance between the eyes, were the face seen from the front: a turn shortens the way from
    eye to eye, a nod that from the eyes to the mouth, so the longer one tells.
    """
    return max(eye_distance(landmarks), eye_to_mouth_distance(landmarks) / _FACE_HEIGHT)


def yaw_degrees(landmarks: Array) -> float:
    """How far a head is turned to either side, 0 (from the front) to 90 (profile).

    Args:
        landmarks: (5, 2), order of `structs.Detections.landmarks`; the unit does not matter.
    """
    line = landmarks[1] - landmarks[0]
    eyes = eye_distance(landmarks)
    way = abs(float((landmarks[2] - landmarks[:2].mean(0)) @ line)) / max(eyes, 1e-6)
    return float(np.degrees(np.arctan2(_NOSE * way, eyes)))


def blur_effect(luma: npt.NDArray[np.float32]) -> float:
    """No-reference blur, 0 (sharp) to 1 (nothing but smooth): how little a picture changes when it
    is blurred once more (Crete et al., "The blur effect", Proc. SPIE 6492, 2007).

    Args:
        luma: (H, W).
    """
    found = []
    for axis, size in ((0, (1, 9)), (1, (9, 1))):
        own = np.abs(np.diff(luma, axis=axis))
        blurred = np.abs(np.diff(cv2.blur(luma, size), axis=axis))
        total = float(own.sum())
        lost = float(np.maximum(own - blurred, 0).sum())
        found.append((total - lost) / total if total > 0 else 1.0)
    return max(found)


def _luma_crop(face: Face, frame: Frame) -> npt.NDArray[np.float32]:
    """(_BLUR_PX, _BLUR_PX) of the aligned face, in [0, 1]."""
    crop = crop_aligned(frame, face.landmarks, _TEMPLATE, _BLUR_PX)
    return np.asarray(cv2.cvtColor(crop.permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY), np.float32)
