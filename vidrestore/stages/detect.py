"""Detect: boxes, five landmarks and a score for each face, on every k-th frame and at cuts.

The detector sees a small RGB copy. Its landmarks lean with the face's place, size and tilt in what
it is shown, by several per cent of the eye distance; so each face is looked at again, closer, in
crops where the landmarks found so far are upright, in the middle and of one size. The lean is then
nearly the same in every frame, and the landmarks move with the face.

Heads that lean far to the side are looked for in turned copies (`models.detectors.rotated`): in the
first look of a shot and every fifth one from there, and in every look as long as there are some.

Pictures are given to the detector one at a time, so that its answers do not depend on how frames
are grouped. What it finds is given in display pixels.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from vidrestore.config import DetectConfig
from vidrestore.geometry import (
    apply,
    compose,
    compose_similarity,
    identity,
    invert,
    similarity_from_points,
    warp_affine,
)
from vidrestore.landmarks import eye_distance, roll_degrees
from vidrestore.models.detectors.rotated import (
    LEAST_ROLL_DEGREES,
    ROTATIONS_DEGREES,
    detect_rotated,
)
from vidrestore.models.detectors.suppression import merge_detections
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.templates import landmark_template
from vidrestore.stages.restore import crop_face
from vidrestore.structs import Array, Detections, Face, Frame
from vidrestore.video.picture.samples import small_rgb
from vidrestore.video.read.shot_cuts import Thumbnail, thumbnail, unlikeness

__all__ = ["detect"]

_CROP_PX = 256
"""Side of the crop for the closer looks."""
_FACE_PX = 224
"""The face in it, as a crop of this side in the FFHQ alignment; some surroundings help."""
_ALIGNED = landmark_template("ffhq", _FACE_PX) + (_CROP_PX - _FACE_PX) / 2


_WATCH_PX = 160
"""Width of the small pictures that tell whether faces moved."""
_LEAST_WATCHED_PX = 6
_TURNED_LOOKS = 5
"""One look in so many is at turned copies too."""
_MOVED = 0.5
"""One minus the correlation of a face's place with itself: a face moved by a third of its width, or
turned aside, is beyond it; speech and nods are not."""


def _view(shift_px: float, log_scale: float, angle: float) -> Array:
    """(2, 3) that moves an aligned crop about its middle."""
    turned = compose_similarity(log_scale, angle, (0, 0))
    turned[:, 2] = _CROP_PX / 2 + shift_px - turned[:, :2] @ np.full(2, _CROP_PX / 2)
    return turned


_PLAIN = (identity(),)
_SPREAD = (_view(8, 0.1, 0.1), _view(-8, -0.1, -0.1))
"""Two views, apart by a cell of the detector's middle grid, in size and in tilt: what the
grids do to the landmarks differs between the two, and much of it goes with their mean."""
_MAX_CHANGE = 0.3
"""A face found farther than this share of the eye distance from the known one is another one."""


def detect(
    frames: Iterable[Frame], detector: FaceDetector, config: DetectConfig
) -> Generator[Frame, None, None]:
    """Add faces to the frames it looks at: the first of each shot, every k-th from there, and
    those in which a face has moved far since the last look.

    Args:
        frames: decoded frames, in order.
        detector: what finds faces; called with one picture at a time.
        config: how often, how small and which.

    Yields:
        The same frames; those looked at have `detected` set and their `faces`, best first.
    """
    since_look, watch, turns = 0, _Watch(), _Turns()
    for frame in frames:
        if frame.is_cut:
            turns = _Turns()
        if frame.is_cut or since_look == 0 or watch.sees_much_change(frame):
            since_look = 0
            faces, ignored = _look(frame, detector, config, turns.now() if config.rotated else ())
            turns.remember(faces)
            watch.begin(frame, faces)
            yield replace(frame, faces=faces, detected=True, faces_ignored=ignored)
        else:
            yield frame
        since_look = (since_look + 1) % config.every_frames


class _Watch:
    """Tell from small pictures whether faces are still about where the detector saw them."""

    def __init__(self) -> None:
        self._places: list[tuple[slice, slice]] = []
        self._small: Thumbnail | None = None

    def begin(self, frame: Frame, faces: Sequence[Face]) -> None:
        """Remember a frame that the detector looked at."""
        self._small = self._seen(frame) if faces else None
        self._places = [place for face in faces if (place := self._place(face, frame)) is not None]

    def sees_much_change(self, frame: Frame) -> bool:
        """Whether any of the faces looks unlike it did, where it was."""
        if self._small is None or not self._places:
            return False
        now = self._seen(frame)
        if now.shape != self._small.shape:
            return True
        return any(unlikeness(self._small[p], now[p]) > _MOVED for p in self._places)

    @staticmethod
    def _seen(frame: Frame) -> Thumbnail:
        height = max(1, round(_WATCH_PX * frame.picture.height / frame.picture.width))
        return thumbnail(frame.picture, _WATCH_PX, height)

    @staticmethod
    def _place(face: Face, frame: Frame) -> tuple[slice, slice] | None:
        """Rows and columns of a face; None for one of a few pixels."""
        corners = apply(invert(frame.display.display_from_coded), face.box_xyxy.reshape(2, 2)) * (
            _WATCH_PX / frame.picture.width
        )
        low = np.maximum(np.floor(corners.min(0)), 0).astype(int)
        high = np.ceil(corners.max(0)).astype(int)
        if (high - low).min() < _LEAST_WATCHED_PX:
            return None
        return slice(low[1], high[1]), slice(low[0], high[0])


class _Turns:
    """By how much a shot's frames are turned in the next look."""

    def __init__(self) -> None:
        self._looks = 0
        self._leaning: tuple[float, ...] = ()
        """The turns that set heads of the last look upright."""

    def now(self) -> Sequence[float]:
        """Degrees, counter-clockwise, of the turned copies to look at."""
        return self._leaning if self._looks % _TURNED_LOOKS else ROTATIONS_DEGREES

    def remember(self, faces: Sequence[Face]) -> None:
        """Take what the look found."""
        self._looks += 1
        tilts = roll_degrees(np.array([face.landmarks for face in faces]).reshape(-1, 5, 2))
        self._leaning = tuple(
            turn
            for turn in ROTATIONS_DEGREES
            if (tilts * np.sign(turn) >= LEAST_ROLL_DEGREES).any()
        )


def _look(
    frame: Frame, detector: FaceDetector, config: DetectConfig, turns: Sequence[float]
) -> tuple[tuple[Face, ...], int]:
    """The faces of a frame, best first, and how many more there are than may be."""
    image, display_from_small = small_rgb(frame.picture, frame.display, config.size_px)
    turned = [detect_rotated(detector, image, degrees) for degrees in turns]
    found = merge_detections([*detector(image[None]), *turned])
    faces = [
        face
        for face in _faces_in_display(found, display_from_small)
        if (config.min_score is None or face.score >= config.min_score)
        and eye_distance(face.landmarks) >= config.min_face_px
    ]
    if config.faces == "largest" and faces:
        faces = [max(faces, key=lambda face: _area(face.box_xyxy))]
    faces, ignored = _largest(faces, config.max_faces)
    look = _CloserLook(frame, image, display_from_small, detector)
    for views in (_PLAIN, *[_SPREAD] * 4)[: config.refine_passes]:
        faces = [replace(face, landmarks=look(face.landmarks, views)) for face in faces]
    return tuple(faces), ignored


def _largest(faces: list[Face], count: int) -> tuple[list[Face], int]:
    """So many faces, the largest ones, in the order given, and the number of the others."""
    order = sorted(range(len(faces)), key=lambda i: -_area(faces[i].box_xyxy))
    return [faces[i] for i in sorted(order[:count])], max(0, len(faces) - count)


class _CloserLook:
    """Find the landmarks of a face again, in upright crops around those known."""

    def __init__(
        self, frame: Frame, small: Tensor, display_from_small: Array, detector: FaceDetector
    ) -> None:
        self._frame = frame
        self._small = small
        self._display_from_small = display_from_small
        self._detector = detector

    def __call__(self, landmarks: Array, views: Sequence[Array]) -> Array:
        """Better landmarks, (5, 2) in display pixels; the same if a view does not show them.

        Args:
            landmarks: (5, 2) where they are about.
            views: (2, 3) each, how the aligned crop is moved; their answers are averaged.
        """
        answers = []
        for view in views:
            expected = apply(view, _ALIGNED)
            crop_from_display = compose(view, similarity_from_points(_ALIGNED, landmarks))
            found = self._detector(self._crop(crop_from_display)[None])[0].landmarks
            apart = np.sqrt(((found - expected) ** 2).sum(-1).mean(-1))
            if not len(apart) or apart.min() > _MAX_CHANGE * eye_distance(expected):
                return landmarks
            answers.append(apply(invert(crop_from_display), found[apart.argmin()]))
        better: Array = np.mean(answers, axis=0)
        return better

    def _crop(self, crop_from_display: Array) -> Tensor:
        """(3, _CROP_PX, _CROP_PX): of the small copy where it is fine enough, else of the frame."""
        crop_from_small = compose(crop_from_display, self._display_from_small)
        if abs(np.linalg.det(crop_from_small[:, :2])) <= 1.0:
            return warp_affine(self._small[None], crop_from_small, (_CROP_PX, _CROP_PX))[0]
        crop_from_frame = compose(crop_from_display, self._frame.display.display_from_coded)
        return crop_face(self._frame.picture, crop_from_frame, _CROP_PX)


def _faces_in_display(found: Detections, display_from_small: Array) -> list[Face]:
    corners = apply(display_from_small, found.boxes_xyxy.reshape(-1, 2, 2))
    boxes = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    landmarks = apply(display_from_small, found.landmarks)
    return [
        Face(box, points, float(score))
        for box, points, score in zip(boxes, landmarks, found.scores, strict=True)
    ]


def _area(box_xyxy: Array) -> float:
    return float((box_xyxy[2] - box_xyxy[0]) * (box_xyxy[3] - box_xyxy[1]))
