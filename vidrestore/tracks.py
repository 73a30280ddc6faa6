"""Who is where in a video, as a JSON file: written by `vidrestore inspect`, taken by `--tracks`.

The file holds everything that detecting and tracking found, number for number, so a run that takes
it gives the same pictures as one that looks for itself. People may edit it: the `strength` of a
track scales how much of that person is restored (0: left alone), and a track that is deleted is
left alone too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vidrestore.errors import UsageError
from vidrestore.runtime.inputs import read_bytes
from vidrestore.structs import Array, Face, Frame
from vidrestore.track_bounds import MOST_BYTES, bounds_error

__all__ = ["Track", "Tracks", "TracksBuilder", "load_tracks"]

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
    """Rows of the similarity from the frame before; null where a path begins."""
    alignments: list[_Six]
    """Rows of the smoothed affine from coded pixels to the 512 px crop: what `inspect` saw; a run
    computes its own."""
    strengths: list[float]
    """After gates and fades: what `inspect` saw; a run computes its own."""
    gated_by: list[list[str]]
    """Which gates lowered the strength: what `inspect` saw."""

    @model_validator(mode="after")
    def _same_lengths(self) -> Track:
        for name in ("boxes", "landmarks", "scores", "detected", "motions"):
            if len(getattr(self, name)) != len(self.frames):
                raise ValueError(
                    f"{len(self.frames)} frames, but {len(getattr(self, name))} {name}"
                )
        if any(b <= a for a, b in zip(self.frames, self.frames[1:], strict=False)):
            raise ValueError("the frames do not rise")
        return self


class Tracks(_Part):
    """All faces of a video."""

    format: Literal["vidrestore tracks"] = "vidrestore tracks"
    version: Literal[1] = 1
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
        record = self.model_dump(mode="json")
        tracks = record.pop("tracks")
        head = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in record.items()]
        parts = [
            "    {\n"
            + ",\n".join(f"      {json.dumps(k)}: {json.dumps(v)}" for k, v in track.items())
            + "\n    }"
            for track in tracks
        ]
        body = '  "tracks": [' + ("\n" + ",\n".join(parts) + "\n  " if parts else "") + "]"
        return "{\n" + ",\n".join([*head, body]) + "\n}\n"

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


class TracksBuilder:
    """Gathers `Tracks` from frames that were tracked, aligned and gated."""

    def __init__(self) -> None:
        self._tracks: dict[int, Track] = {}
        self._times: list[float] = []
        self._detected_frames: list[int] = []
        self._cuts: list[int] = []
        self._size = (0, 0)

    def add(self, frame: Frame) -> None:
        """Takes the next frame."""
        self._size = frame.display.width, frame.display.height
        self._times.append(round(float(frame.pts * frame.time_base), 6))
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
            assert face.crop_from_frame is not None, "tracks are gathered after smoothing"
            track.alignments.append(_numbers(face.crop_from_frame))
            track.strengths.append(round(face.strength, 4))
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
        alignments=[],
        strengths=[],
        gated_by=[],
    )


def _numbers(array: Array) -> list[float]:
    flat: list[float] = np.asarray(array, np.float64).ravel().tolist()
    return flat


def load_tracks(path: Path) -> Tracks:
    """Reads a tracks file.

    Raises:
        UsageError: It cannot be read, or is not one.
    """
    data = read_bytes(path, f"tracks {path}", MOST_BYTES)
    try:
        tracks = Tracks.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UsageError(
            f"tracks {path}: {place or 'file'}: {first['msg'][:200]}; "
            "make it by `vidrestore inspect` and change no more than strengths"
        ) from error
    wrong = bounds_error(tracks)
    if wrong is not None:
        raise UsageError(f"tracks {path}: {wrong}; make it by `vidrestore inspect`")
    return tracks
