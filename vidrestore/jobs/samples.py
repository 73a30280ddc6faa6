"""What a run shows of its people, gathered as frames pass by: pictures, sizes, changed regions.

Every segment keeps what its own frames show, so that the page of a video and the check of its
samples are the same whoever restored its segments, and when.
"""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.datasets.images import encode_jpeg
from vidrestore.geometry import apply, invert
from vidrestore.structs import Face, Frame
from vidrestore.video.picture.samples import shown_rgb

__all__ = ["Curve", "FaceSamples", "Sample", "crop_around"]

Image = npt.NDArray[np.uint8]

_SIDE_PX = 320
_JPEG_QUALITY = 88
_MOST_PEOPLE = 40
_MOST_POINTS = 240
_MARGIN_PX = 4
"""Chroma samples reach further than those of luma."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One person, before and after."""

    track_id: int
    time_s: float
    side_px: float
    """Of the face in the video."""
    width: int
    """Of the pictures, in pixels."""
    height: int
    before: bytes
    """JPEG."""
    after: bytes


@dataclass(slots=True)
class Curve:
    """How large a face is over time."""

    points: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, pixels)."""
    _every: int = 1
    _count: int = 0

    def add(self, time_s: float, side_px: float) -> None:
        """Take the next point; every second one goes when there are too many."""
        if self._count % self._every == 0:
            self.points.append((time_s, side_px))
            if len(self.points) > _MOST_POINTS:
                self.points, self._every = self.points[::2], 2 * self._every
        self._count += 1


class FaceSamples:
    """Gather what pages and checks show of the restored frames; memory grows little with length."""

    def __init__(self, strength: float = 1.0) -> None:
        """Begin.

        Args:
            strength: of all faces.
        """
        self.best: dict[int, Sample] = {}
        """The largest face of each person; of at most 40 people."""
        self.curves: dict[int, Curve] = {}
        self.cuts_s: list[float] = []
        self.length_s = 0.0
        self._strength = strength
        self.hashes = array("I")
        """Of each frame as decoded (`vidrestore.jobs.hashing`); set by who knows all frames."""
        self._counts = array("I")
        self._boxes = array("i")

    def add(self, frame: Frame) -> None:
        """Take the next frame."""
        time_s = float(frame.pts * frame.time_base)
        self.length_s = max(self.length_s, time_s)
        if frame.is_cut and frame.index:
            self.cuts_s.append(time_s)
        changed = [
            face
            for face in frame.faces
            if face.crop is not None and face.strength * self._strength > 0
        ]
        self._counts.append(len(changed))
        shown: tuple[Image, Image] | None = None
        for face in changed:
            self._boxes.extend(_region(face))
            side = _side_px(face)
            self.curves.setdefault(face.track_id, Curve()).add(time_s, side)
            if self._is_better(face.track_id, side):
                shown = shown or _shown(frame)
                self._consider(_sample(*shown, face, time_s, side))

    def regions(self) -> list[npt.NDArray[np.int32]]:
        """For each frame (N, 4) x0, y0, x1, y1 in coded pixels: where faces may have changed it."""
        boxes = np.array(self._boxes, np.int32).reshape(-1, 4)
        return np.split(boxes, np.cumsum(self._counts)[:-1]) if self._counts else []

    def join(self, later: FaceSamples) -> None:
        """Take what the frames that follow show."""
        self.length_s = max(self.length_s, later.length_s)
        self.cuts_s += later.cuts_s
        self._counts.extend(later._counts)
        self._boxes.extend(later._boxes)
        for track, curve in later.curves.items():
            ours = self.curves.setdefault(track, Curve())
            for point in curve.points:
                ours.add(*point)
        for sample in later.best.values():
            self._consider(sample)

    def to_plain(self) -> dict[str, Any]:
        """All but `hashes` as plain values, for JSON."""
        return {
            "best": [_sample_to_plain(one) for one in self.best.values()],
            "curves": {
                track: [(round(time_s, 3), round(side, 1)) for time_s, side in curve.points]
                for track, curve in self.curves.items()
            },
            "cuts_s": self.cuts_s,
            "length_s": self.length_s,
            "counts": _packed(np.array(self._counts, "<i4")),
            "boxes": _packed(np.array(self._boxes, "<i4")),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> FaceSamples:
        """Undo `to_plain`."""
        found = cls()
        found.best = {one[0]: _sample_from_plain(one) for one in plain["best"]}
        found.curves = {
            int(track): Curve([(time_s, side) for time_s, side in points])
            for track, points in plain["curves"].items()
        }
        found.cuts_s, found.length_s = list(plain["cuts_s"]), plain["length_s"]
        found._counts.extend(_unpacked(plain["counts"]))
        found._boxes.extend(_unpacked(plain["boxes"]))
        return found

    def _is_better(self, track: int, side: float) -> bool:
        known = self.best.get(track)
        return known is None or side > 1.1 * known.side_px

    def _consider(self, sample: Sample) -> None:
        if self._is_better(sample.track_id, sample.side_px):
            self.best[sample.track_id] = sample
            if len(self.best) > _MOST_PEOPLE:
                del self.best[min(self.best, key=lambda track: self.best[track].side_px)]


def _shown(frame: Frame) -> tuple[Image, Image]:
    """A frame before and after."""
    before = shown_rgb(frame.source or frame.picture, frame.display)
    return before, shown_rgb(frame.picture, frame.display)


def _sample(before: Image, after: Image, face: Face, time_s: float, side: float) -> Sample:
    x0, y0, x1, y1 = crop_around(face, before.shape)
    one, other = (_sized(image[y0:y1, x0:x1]) for image in (before, after))
    height, width = one.shape[:2]
    before_jpeg, after_jpeg = (encode_jpeg(image, _JPEG_QUALITY) for image in (one, other))
    return Sample(face.track_id, time_s, side, width, height, before_jpeg, after_jpeg)


def _sample_to_plain(sample: Sample) -> list[Any]:
    pair = [base64.b64encode(one).decode("ascii") for one in (sample.before, sample.after)]
    numbers = (sample.track_id, sample.time_s, sample.side_px, sample.width, sample.height)
    return [*numbers, *pair]


def _sample_from_plain(plain: list[Any]) -> Sample:
    track_id, time_s, side_px, width, height = plain[:5]
    before, after = (base64.b64decode(one) for one in plain[5:])
    return Sample(track_id, time_s, side_px, width, height, before, after)


def _packed(numbers: npt.NDArray[np.int32]) -> str:
    return base64.b64encode(zlib.compress(numbers.tobytes())).decode("ascii")


def _unpacked(text: str) -> list[int]:
    numbers = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i4")
    return [int(one) for one in numbers]


def crop_around(
    face: Face, shape: tuple[int, ...], margin: float = 0.4
) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of a square around a face inside a picture of `shape`, in display pixels."""
    x0, y0, x1, y1 = (float(value) for value in face.box_xyxy)
    half = (0.5 + margin) * max(x1 - x0, y1 - y0, 8.0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    left, top = max(0, int(x - half)), max(0, int(y - half))
    right, bottom = min(shape[1], int(x + half) + 1), min(shape[0], int(y + half) + 1)
    return min(left, shape[1] - 2), min(top, shape[0] - 2), max(right, 2), max(bottom, 2)


def _region(face: Face) -> tuple[int, int, int, int]:
    """Where the crop lies in the coded frame, in both of its fields."""
    assert face.crop is not None and face.crop_from_frame is not None
    last = face.crop.shape[-1]
    corners = np.array([(-1, -1), (last, -1), (last, last), (-1, last)], np.float64)
    places = face.crops_from_fields or (face.crop_from_frame,)
    points = np.concatenate([apply(invert(place), corners) for place in places])
    low, high = np.floor(points.min(0)) - _MARGIN_PX, np.ceil(points.max(0)) + _MARGIN_PX
    bounded = np.clip([*low, *high], -(2**30), 2**30).astype(int)
    return int(bounded[0]), int(bounded[1]), int(bounded[2]), int(bounded[3])


def _side_px(face: Face) -> float:
    x0, y0, x1, y1 = (float(value) for value in face.box_xyxy)
    return max(x1 - x0, y1 - y0)


def _sized(image: Image) -> Image:
    scale = _SIDE_PX / max(image.shape[:2])
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    sized: Image = cv2.resize(image, size, interpolation=how).astype(np.uint8)
    return sized
