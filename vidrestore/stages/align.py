"""Align: a smoothed alignment for every face, without lag.

Detectors scatter by a pixel or more from frame to frame, optical flow by hundredths. So the
landmarks of the neighbours in time are first carried into a frame along the measured motion; what
is left of their differences is the detector's scatter, and a symmetric window averages it out. A
face that holds still is held still and a fast one is followed at once, since the motion itself is
never averaged.

Convention: `crop_from_frame` = (similarity, crop from display) ∘ display_from_coded, so that
a crop is never sheared by pixels that are not square.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from vidrestore.config import AlignConfig
from vidrestore.geometry import compose, similarity_from_points
from vidrestore.landmarks import eye_distance
from vidrestore.stages._windows import by_shot
from vidrestore.structs import Array, Display, Face, Frame

__all__ = ["align", "smooth_landmarks"]

_DOUBT = 0.2
"""Carried landmarks that differ by this share of the eye distance count a quarter: flow was led
astray, or the head turned."""

_Points = npt.NDArray[np.complex128]


def align(
    frames: Iterable[Frame], config: AlignConfig, template: Array
) -> Generator[Frame, None, None]:
    """Add `crop_from_frame` to every face.

    Args:
        frames: tracked frames, in order.
        config: how far to look ahead and back.
        template: (5, 2) where the landmarks belong in the crop, in its pixels.

    Yields:
        The same frames in order, `window_s` seconds of the video later.
    """
    yield from by_shot(frames, lambda: _Window(config.window_s, template))


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """One face in one frame, the plane as complex numbers x + iy."""

    points: _Points
    """(5,) landmarks."""
    motion: tuple[complex, complex] | None
    """(turn, move): what was at z in the frame before is now at turn * z + move."""


@dataclass(frozen=True, slots=True, eq=False)
class _Moment:
    """One frame's faces on the time line, without its picture."""

    time_s: Fraction
    """Exact, so that what lies between two moments does not depend on where a run began."""
    samples: dict[int, _Sample]
    """By track."""


class _Window:
    """The frames of a shot that are near enough in time to matter to those not yet given."""

    def __init__(self, window_s: float, template: Array) -> None:
        self._window_s = window_s
        self._template = template
        self._past: deque[_Moment] = deque()
        """Given already, newest first."""
        self._future: deque[_Moment] = deque()
        """Not yet given, oldest first."""
        self._frames: deque[Frame] = deque()
        """Those of `_future`; pictures that were given are not kept alive."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give those whose window is complete."""
        time_s = frame.pts * frame.time_base
        samples = {face.track_id: _sample(face) for face in frame.faces}
        self._future.append(_Moment(time_s, samples))
        self._frames.append(frame)
        while self._future and time_s - self._future[0].time_s >= self._window_s:
            yield self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        while self._future:
            yield self._give()

    def _give(self) -> Frame:
        now, frame = self._future.popleft(), self._frames.popleft()
        while self._past and now.time_s - self._past[-1].time_s >= self._window_s:
            self._past.pop()
        display = frame.display
        faces = tuple(self._aligned(face, now, display) for face in frame.faces)
        self._past.appendleft(now)
        return replace(frame, faces=faces)

    def _aligned(self, face: Face, now: _Moment, display: Display) -> Face:
        crop_from_display = similarity_from_points(self._template, self._landmarks(face, now))
        crop_from_frame = compose(crop_from_display, display.display_from_coded)
        return replace(face, crop_from_frame=crop_from_frame)

    def _landmarks(self, face: Face, now: _Moment) -> Array:
        """(5, 2) in display pixels, averaged over the window."""
        carried = [
            *_carried(self._past, face.track_id, now, backward=False),
            *_carried(self._future, face.track_id, now, backward=True),
        ]
        if not carried:
            return face.landmarks
        apart_s = np.array([float(time_s - now.time_s) for time_s, _ in carried])
        weights = np.cos(np.pi / 2 * np.clip(apart_s / self._window_s, -1, 1)) ** 2
        points = np.stack([points for _, points in carried])
        return smooth_landmarks(face.landmarks, np.stack([points.real, points.imag], -1), weights)


def smooth_landmarks(own: Array, carried: Array, weights: Array) -> Array:
    """The weighted mean of a face's landmarks and its neighbours', carried to the same frame.

    Only deviations from the frame's own are averaged, so equal landmarks come out bit for bit.

    Args:
        own: (5, 2) landmarks of the frame.
        carried: (N, 5, 2) those of other frames, carried along the motion.
        weights: (N,) in [0, 1]; the frame itself has 1.
    """
    apart = carried - own
    eyes_px = max(eye_distance(own), 1e-6)
    distance = np.sqrt((apart**2).sum(-1).mean(-1)) / eyes_px
    trusted = weights / (1.0 + (distance / _DOUBT) ** 2) ** 2
    mean: Array = own + np.tensordot(trusted, apart, 1) / (1.0 + trusted.sum())
    return mean


def _sample(face: Face) -> _Sample:
    motion = face.motion
    turn_and_move = None
    if motion is not None:
        turn_and_move = complex(motion[0, 0], motion[1, 0]), complex(motion[0, 2], motion[1, 2])
    return _Sample(face.landmarks @ np.array([1, 1j]), turn_and_move)


def _carried(
    moments: Iterable[_Moment], track_id: int, now: _Moment, *, backward: bool
) -> Iterator[tuple[Fraction, _Points]]:
    """Landmarks of a track's neighbours at `now`: (their time in seconds, (5,) points) each.

    Args:
        moments: from the nearest to the farthest.
        track_id: whose landmarks.
        now: where they are carried to.
        backward: whether `moments` lie in the future, so that they are carried back.
    """
    turn, move = 1 + 0j, 0j
    newer = now.samples[track_id]
    for moment in moments:
        sample = moment.samples.get(track_id)
        motion = sample.motion if sample and backward else newer.motion
        if sample is None or motion is None:
            return
        step = (1 / motion[0], -motion[1] / motion[0]) if backward else motion
        turn, move = turn * step[0], turn * step[1] + move
        yield moment.time_s, turn * sample.points + move
        newer = sample
