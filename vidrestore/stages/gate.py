"""Gate: which faces are restored, and how strongly, so that nothing pops in or out.

A face that is too small, turned too far, too blurred or too doubtful is left alone: there a network
invents. Each gate opens over a soft range, and the shares are steadied over time along a track: a
minimum over a few frames, so that a face is closed before it has to be, then a mean of as many, so
that it fades. A track that is born or ends within a shot fades in and out the same way; at a cut
and at either end of the video it does not. Who is there for so few frames that this would leave
nothing fades as fast as it takes to be restored in full in the middle of the visit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
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

_SURE_OF_VISIT = (0.65, 0.75)
"""Scores between which a visit of a few frames begins to count: nothing else speaks for it, and
what a detector takes for a face by mistake seldom lasts, nor scores, more."""

_LEAST_VISIT_FRAMES = 3
"""Fewer would be a flash."""

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
        The same frames in order, twice `fade_frames` later.
    """
    yield from by_shot(frames, lambda: _Window(config, least_eyes_px, max_faces))


class _Window:
    """The frames of one shot that are near enough to matter."""

    def __init__(self, config: GateConfig, least_eyes_px: float, max_faces: int) -> None:
        self._config, self._least_eyes_px = config, least_eyes_px
        self._max_faces = max_faces
        self._reach = config.fade_frames // 2
        self._ahead = 4 * self._reach
        """Frames before and after that matter: as many as a short visit may have."""
        self._frames: deque[Frame] = deque()
        """Not yet given, oldest first; pictures that were given are not kept alive."""
        self._shares: deque[dict[int, float]] = deque()
        """By track, of those frames and of as many before as still matter."""
        self._sure: deque[dict[int, float]] = deque()
        """How far a visit may count, likewise."""
        self._next = 0
        """Place in `_shares` of the next frame to give."""
        self._begins = True
        """Whether `_shares` begins with the shot."""

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
        sure = {face.track_id: smooth_step(face.score, *_SURE_OF_VISIT) for face in frame.faces}
        self._sure.append({track: float(share) for track, share in sure.items()})
        if len(self._frames) > self._ahead:
            yield self._give(ends=False)

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._frames:
            yield self._give(ends=True)

    def _give(self, *, ends: bool) -> Frame:
        """The next frame; whether the shot ends with what is in the window."""
        frame = self._frames.popleft()
        faces = tuple(
            replace(face, strength=face.strength * self._strength(face.track_id, ends))
            for face in frame.faces
        )
        if self._next == self._ahead:
            self._shares.popleft()
            self._sure.popleft()
            self._begins = False
        else:
            self._next += 1
        return replace(frame, faces=faces) if faces else frame

    def _strength(self, track: int, ends: bool) -> float:
        """Mean over the reach of the least share within the reach; nothing counts outside the
        shot, and a frame of the shot without the face counts as closed, unless the face is only
        here for a few frames.
        """
        now = self._next
        first, last = max(now - self._ahead, 0), now + self._ahead + 1
        near = list(self._shares)[first:last]
        shares = [by_track.get(track, 0.0) for by_track in near]
        place = now - first
        faded = _faded(shares, place, self._reach)
        there = [track in by_track for by_track in near]
        visit = _visit(there, place, self._ahead, (self._begins and not first, ends))
        if visit is None:
            return faded
        run, fade = visit
        sure = max(one[track] for one in list(self._sure)[first:last][run])
        open_share = _faded(shares[run], place - run.start, self._reach)
        return max(faded, sure * fade * open_share)


def _faded(shares: Sequence[float], place: int, reach: int) -> float:
    """Mean over the reach around a place of the least share within the reach."""
    least = [
        min(shares[max(one - reach, 0) : one + reach + 1])
        for one in range(max(place - reach, 0), min(place + reach + 1, len(shares)))
    ]
    return float(np.mean(least))


def _visit(
    there: Sequence[bool], place: int, most: int, at_ends: tuple[bool, bool]
) -> tuple[slice, float] | None:
    """The few frames around a place in which a face is there, and how far it is faded in.

    Args:
        there: in which frames of the window the face is.
        place: number of a frame in which it is.
        most: frames that are few; the window reaches so far to both sides, or to the shot's ends.
        at_ends: whether the window begins and ends with the shot, where nothing fades.

    Returns:
        None where the face is there for longer or for a moment only, comes back within the window
        that all its frames share, or fills the shot.
    """
    begin, end = place, place + 1
    while begin > 0 and there[begin - 1]:
        begin -= 1
    while end < len(there) and there[end]:
        end += 1
    inner = [begin > 0 or not at_ends[0], end < len(there) or not at_ends[1]]
    length = end - begin
    common = there[max(end - 1 - most, 0) : begin + most + 1]
    is_few = _LEAST_VISIT_FRAMES <= length <= most * sum(inner) / 2
    if not is_few or sum(common) > length:
        return None
    ramp = -(-length // 2) if all(inner) else length
    steps = [place - begin + 1] * inner[0] + [end - place] * inner[1]
    return slice(begin, end), min(1.0, min(steps) / ramp)


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
