"""Who is where in a video, as a JSON file: written by `vidrestore inspect`, taken by `--tracks`.

The file holds everything that detecting and tracking found, number for number, so a run that takes
it gives the same pictures as one that looks for itself; `vidrestore.track_file` has its layout.
People may edit it: the `strength` of a track scales how much of that person is restored (0: left
alone), and a track that is deleted is left alone too.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vidrestore.errors import UsageError
from vidrestore.runtime.inputs import read_bytes
from vidrestore.structs import Array, Face, Frame
from vidrestore.track_bounds import MOST_BYTES, bounds_error
from vidrestore.track_file import (
    VERSION,
    TrackRecord,
    TracksRecord,
    runs,
    spans,
    to_places,
    to_rows,
)
from vidrestore.track_units import (
    NOSE,
    SCORES,
    UNITS_PER_PX,
    MotionUnits,
    motion_from_units,
    motion_to_units,
)

__all__ = ["Track", "Tracks", "TracksBuilder", "check_tracks", "load_tracks"]

_Number = Annotated[int, Field(ge=0, le=2**31)]
_Four = Annotated[list[float], Field(min_length=4, max_length=4)]
_Six = Annotated[list[float], Field(min_length=6, max_length=6)]
_Ten = Annotated[list[float], Field(min_length=10, max_length=10)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Track(_Part):
    """One person, from first to last seen. The lists have an entry for each frame in `frames`."""

    id: int = Field(ge=0, le=2**31)
    strength: float = Field(1.0, ge=0, le=1)
    """How much of the restored face to use: for people to edit."""
    frames: list[_Number]
    """Numbers of the frames that show the face, rising."""
    boxes: list[_Four]
    """x0, y0, x1, y1 in display pixels."""
    landmarks: list[_Ten]
    """Five points, x and y in turn."""
    scores: list[float]
    detected: list[bool]
    """Whether the detector looked and saw it, or flow carried it there."""
    motions: list[_Six | None]
    """Rows of the similarity from the frame before; None where a path begins."""
    seen_strengths: list[float]
    """After gates and fades: what `inspect` saw; a run computes its own."""
    gated_by: list[list[str]]
    """Which gates lowered the strength: what `inspect` saw."""

    @model_validator(mode="after")
    def _same_lengths(self) -> Track:
        lists = (
            "boxes",
            "landmarks",
            "scores",
            "detected",
            "motions",
            "seen_strengths",
            "gated_by",
        )
        for name in lists:
            if len(getattr(self, name)) != len(self.frames):
                raise ValueError(
                    f"{len(self.frames)} frames, but {len(getattr(self, name))} {name}"
                )
        if any(b <= a for a, b in zip(self.frames, self.frames[1:], strict=False)):
            raise ValueError("the frames do not rise")
        before = zip(self.frames, [-2, *self.frames], self.motions, strict=False)
        if any(motion is not None and now != last + 1 for now, last, motion in before):
            raise ValueError("a motion where no frame before shows the face")
        return self


class Tracks(_Part):
    """All faces of a video. Places that are no multiples of 1/64 px are rounded in a file."""

    source: str
    start: float | None
    """First second that was looked at: frame 0 is there."""
    width: _Number
    """As shown, in square pixels."""
    height: _Number
    frames: _Number
    """How many were looked at."""
    times: list[float]
    """Of each frame, in seconds."""
    detected_frames: list[_Number]
    """Numbers of the frames that the detector ran on."""
    cuts: list[_Number]
    """Frames at which a new shot begins, without the first."""
    detector: str
    tracks: list[Track]

    @model_validator(mode="after")
    def _different_ids(self) -> Tracks:
        if len({track.id for track in self.tracks}) != len(self.tracks):
            raise ValueError("two tracks have the same id")
        return self

    def to_json(self) -> str:
        """The file's text: a line for each list, so that people can edit and compare it."""
        return self._in_file().to_json()

    def to_record(self) -> dict[str, Any]:
        """What the file holds, as plain values."""
        return self._in_file().model_dump(mode="json")

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Tracks:
        """Undo `to_record`.

        Raises:
            ValueError: it is no such record.
        """
        return _tracks(TracksRecord.model_validate(record))

    def _in_file(self) -> TracksRecord:
        return TracksRecord(
            format="vidrestore tracks",
            version=VERSION,
            unit_px=1 / UNITS_PER_PX,
            source=self.source,
            detector=self.detector,
            start=self.start,
            width=self.width,
            height=self.height,
            frames=self.frames,
            time_steps_ms=_steps([round(1000 * time) for time in self.times]),
            detected_frames=self.detected_frames,
            cuts=self.cuts,
            tracks=[_record(track) for track in self.tracks],
        )

    def faces_by_frame(self) -> dict[int, tuple[Face, ...]]:
        """The faces of every frame that has some, by track."""
        by_frame: dict[int, list[Face]] = {}
        for track in sorted(self.tracks, key=lambda track: track.id):
            for index, face in zip(track.frames, _faces(track), strict=True):
                by_frame.setdefault(index, []).append(face)
        return {index: tuple(faces) for index, faces in by_frame.items()}


def _faces(track: Track) -> Iterator[Face]:
    rows = zip(
        track.boxes, track.landmarks, track.scores, track.detected, track.motions, strict=True
    )
    for box, points, score, detected, motion in rows:
        yield Face(
            box_xyxy=np.array(box),
            landmarks=np.array(points).reshape(5, 2),
            score=score,
            track_id=track.id,
            detected=detected,
            motion=None if motion is None else np.array(motion).reshape(2, 3),
            strength=track.strength,
        )


def _record(track: Track) -> TrackRecord:
    """A track in the file's numbers."""
    both = np.hstack([np.reshape(track.landmarks, (-1, 10)), np.reshape(track.boxes, (-1, 4))])
    places = np.rint(both * UNITS_PER_PX).astype(int).tolist()
    motions: list[list[int] | None] = []
    for index, motion in enumerate(track.motions):
        nose = np.array(places[index - 1][2 * NOSE : 2 * NOSE + 2]) / UNITS_PER_PX
        rows = None if motion is None else np.reshape(motion, (2, 3))
        motions.append(None if rows is None else list(motion_to_units(rows, nose)))
    return TrackRecord(
        id=track.id,
        strength=track.strength,
        frames=spans(track.frames),
        detected="".join("01"[seen] for seen in track.detected),
        scores=runs([round(score * SCORES) for score in track.scores]),
        seen_strength_percent=runs([round(100 * strength) for strength in track.seen_strengths]),
        seen_gates=runs([" ".join(gates) for gates in track.gated_by]),
        places=to_rows(places, motions),
        motions=motions,
    )


def _steps(numbers: list[int]) -> list[int]:
    """The first number, and the difference of each other one from that before."""
    return [now - before for before, now in zip([0, *numbers], numbers, strict=False)]


def _track(record: TrackRecord) -> Track:
    """The track that `_record` wrote.

    Raises:
        ValueError: a place is beyond all pictures.
    """
    places = np.array(to_places(record.places, record.motions)).reshape(-1, 14) / UNITS_PER_PX
    motions = []
    for index, units in enumerate(record.motions):
        nose = places[index - 1, 2 * NOSE : 2 * NOSE + 2]
        motion = None if units is None else motion_from_units(MotionUnits(*units), nose)
        motions.append(None if motion is None else _numbers(motion))
    return Track(
        id=record.id,
        strength=record.strength,
        frames=[n for first, last in record.frames for n in range(first, last + 1)],
        boxes=places[:, 10:].tolist(),
        landmarks=places[:, :10].tolist(),
        scores=[score / SCORES for score, times in record.scores for _ in range(times)],
        detected=[digit == "1" for digit in record.detected],
        motions=motions,
        seen_strengths=[s / 100 for s, times in record.seen_strength_percent for _ in range(times)],
        gated_by=[gates.split() for gates, times in record.seen_gates for _ in range(times)],
    )


class TracksBuilder:
    """Gather `Tracks` from frames that were tracked, aligned and gated."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._times: list[float] = []
        self._detected_frames: list[int] = []
        self._cuts: list[int] = []
        self._size = (0, 0)

    def add(self, frame: Frame) -> None:
        """Take the next frame."""
        self._size = frame.display.width, frame.display.height
        self._times.append(round(float(frame.pts * frame.time_base), 3))
        if frame.detected:
            self._detected_frames.append(frame.index)
        if frame.is_cut and frame.index:
            self._cuts.append(frame.index)
        for face in frame.faces:
            track = self._tracks.setdefault(face.track_id, _empty(face.track_id))
            track.frames.append(frame.index)
            track.boxes.append(_numbers(face.box_xyxy))
            track.landmarks.append(_numbers(face.landmarks))
            track.scores.append(float(face.score))
            track.detected.append(face.detected)
            track.motions.append(None if face.motion is None else _numbers(face.motion))
            track.seen_strengths.append(round(face.strength, 2))
            track.gated_by.append(list(face.gated_by))

    def finish(self, *, source: str, start: float | None, detector: str) -> Tracks:
        """What was gathered."""
        return Tracks(
            source=source,
            start=start,
            width=self._size[0],
            height=self._size[1],
            frames=len(self._times),
            times=self._times,
            detected_frames=self._detected_frames,
            cuts=self._cuts,
            detector=detector,
            tracks=[self._tracks[key] for key in sorted(self._tracks)],
        )


def _empty(key: int) -> Track:
    return Track(
        id=key,
        frames=[],
        boxes=[],
        landmarks=[],
        scores=[],
        detected=[],
        motions=[],
        seen_strengths=[],
        gated_by=[],
    )


def _numbers(array: Array) -> list[float]:
    flat: list[float] = np.asarray(array, np.float64).ravel().tolist()
    return flat


def load_tracks(path: Path) -> Tracks:
    """Read a tracks file.

    Raises:
        UsageError: it cannot be read, or is not one.
    """
    data = read_bytes(path, f"tracks {path}", MOST_BYTES)
    try:
        record = TracksRecord.model_validate_json(data)
        tracks = _tracks(record)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        advice = "and change no more than strengths"
        if place == "version":
            advice = "of this program"
        raise UsageError(
            f"tracks {path}: {place or 'file'}: {first['msg'][:200]}; "
            f"make it anew by `vidrestore inspect` {advice}"
        ) from error
    except ValueError as error:
        raise UsageError(f"tracks {path}: {error}; make it by `vidrestore inspect`") from error
    check_tracks(tracks, str(path))
    return tracks


def _tracks(record: TracksRecord) -> Tracks:
    tracks = []
    for part in record.tracks:
        try:
            tracks.append(_track(part))
        except ValidationError:
            raise
        except ValueError as error:
            raise ValueError(f"track {part.id}, {error}") from error
    return Tracks(
        source=record.source,
        start=record.start,
        width=record.width,
        height=record.height,
        frames=record.frames,
        times=[time / 1000 for time in itertools.accumulate(record.time_steps_ms)],
        detected_frames=record.detected_frames,
        cuts=record.cuts,
        detector=record.detector,
        tracks=tracks,
    )


def check_tracks(tracks: Tracks, name: str) -> None:
    """Refuse numbers that would take a run beyond time and memory.

    Args:
        tracks: as loaded, or made by a program.
        name: what messages call them, such as the file's path.

    Raises:
        UsageError: a number makes no sense.
    """
    wrong = bounds_error(tracks)
    if wrong is not None:
        raise UsageError(f"tracks {name}: {wrong}; make it by `vidrestore inspect`")
