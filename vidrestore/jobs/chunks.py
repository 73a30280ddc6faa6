"""Chunks of an analysis: what was found in some frames.

    analysis/00000.json    frames [first, end): times, hashes, tracks; noise

Tracks are in the format of a tracks file (`vidrestore.track_file`). A chunk that begins within a
track holds the frame before once more, since places are written as differences.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from vidrestore.errors import JobError
from vidrestore.jobs.store import FolderStore
from vidrestore.plain import noise_from_plain, noise_to_plain
from vidrestore.structs import Face, Frame, NoiseModel
from vidrestore.tracks import Tracks, TracksBuilder

__all__ = ["Chunk", "ChunkBuilder", "NoiseKey", "StoredChunks", "load_chunk", "write_chunk"]

_CHUNKS_KEPT = 4

NoiseKey = tuple[int, int]
"""First frame of the shot, and track."""


@dataclass(slots=True)
class Chunk:
    """What was found in the frames [first, end)."""

    first: int
    end: int
    pts: list[int]
    """In the reader's units."""
    hashes: list[str]
    """Of the decoded pictures; see `vidrestore.jobs.hashing`."""
    repaired: set[int]
    ignored: dict[int, int]
    """Faces beyond `detect.max_faces`, by frame, where there are any."""
    tracks: Tracks
    noise: dict[NoiseKey, NoiseModel | None]
    """What was measured since the chunk before."""
    _faces: dict[int, tuple[Face, ...]] | None = field(default=None, repr=False)
    _looked: set[int] = field(default_factory=set, repr=False)

    def apply(self, frame: Frame) -> Frame:
        """Give a decoded frame, of those of the chunk, what was found in it."""
        if self._faces is None:
            self._faces = self.tracks.faces_by_frame()
            self._looked = set(self.tracks.detected_frames)
        return replace(
            frame,
            faces=self._faces.get(frame.index, ()),
            detected=frame.index in self._looked,
            faces_ignored=self.ignored.get(frame.index, 0),
        )

    @property
    def cuts(self) -> list[int]:
        """Frames at which a shot begins, without frame 0."""
        return [cut for cut in self.tracks.cuts if cut >= self.first]


class ChunkBuilder:
    """Gather a chunk.

    Args:
        first: number of its first frame.
        before: the frame before, as settled; None at the video's beginning.
    """

    def __init__(self, first: int, before: Frame | None) -> None:
        self.first, self.end = first, first
        self._pts: list[int] = []
        self._hashes: list[str] = []
        self._repaired: set[int] = set()
        self._ignored: dict[int, int] = {}
        self._strengths: dict[int, float] = {}
        self._tracks = TracksBuilder()
        self.last = before
        if before is not None:  # whose own motion leads from a frame that is not here
            faces = tuple(replace(face, motion=None) for face in before.faces)
            self._add_faces(replace(before, faces=faces))

    def add(self, frame: Frame, picture_hash: str) -> None:
        """Take the next settled frame."""
        self._pts.append(frame.pts)
        self._hashes.append(picture_hash)
        if frame.repaired:
            self._repaired.add(frame.index)
        if frame.faces_ignored:
            self._ignored[frame.index] = frame.faces_ignored
        self._add_faces(frame)
        self.end, self.last = frame.index + 1, frame

    def finish(self, noise: Mapping[NoiseKey, NoiseModel | None]) -> Chunk:
        """Close the chunk."""
        tracks = self._tracks.finish(source="", start=None, detector="")
        for track in tracks.tracks:
            track.strength = self._strengths[track.id]
        return Chunk(
            self.first,
            self.end,
            self._pts,
            self._hashes,
            self._repaired,
            self._ignored,
            tracks,
            dict(noise),
        )

    def _add_faces(self, frame: Frame) -> None:
        self._tracks.add(frame)
        self._strengths |= {face.track_id: face.strength for face in frame.faces}


def write_chunk(chunk: Chunk) -> dict[str, Any]:
    """Give a chunk as a record."""
    return {
        "first": chunk.first,
        "end": chunk.end,
        "pts": list(_steps(chunk.pts)),
        "hashes": " ".join(chunk.hashes),
        "repaired": sorted(chunk.repaired),
        "ignored": sorted(chunk.ignored.items()),
        "tracks": chunk.tracks.to_record(),
        "noise": [[*key, noise_to_plain(model)] for key, model in chunk.noise.items()],
    }


def load_chunk(store: FolderStore, number: int) -> Chunk:
    """Read a chunk that is stored.

    Raises:
        JobError: it is not there.
    """
    record = store.read(f"analysis/{number:05d}")
    if record is None:
        raise JobError(f"chunk {number} of the analysis is missing; add --restart")
    return Chunk(
        record["first"],
        record["end"],
        list(accumulate(record["pts"])),
        record["hashes"].split(),
        set(record["repaired"]),
        dict(record["ignored"]),
        Tracks.from_record(record["tracks"]),
        {(shot, track): noise_from_plain(model) for shot, track, model in record["noise"]},
    )


class StoredChunks:
    """Chunks that are read when they are asked for; a few are kept.

    Args:
        store: where they are.
        firsts: the first frame of each, rising.
    """

    def __init__(self, store: FolderStore, firsts: Sequence[int]) -> None:
        self._store, self._firsts = store, firsts
        self._chunks: dict[int, Chunk] = {}
        self._turn = threading.Lock()

    def of(self, frame: int) -> Chunk:
        """The chunk that holds a frame.

        Raises:
            JobError: it is missing.
        """
        number = bisect_right(self._firsts, frame) - 1
        with self._turn:  # decoding and restoring ask from a thread each
            if number not in self._chunks:
                while len(self._chunks) >= _CHUNKS_KEPT:
                    del self._chunks[next(iter(self._chunks))]
                self._chunks[number] = load_chunk(self._store, number)
            return self._chunks[number]

    def picture_hash(self, frame: int) -> str:
        """Of the decoded picture; see `vidrestore.jobs.hashing`."""
        chunk = self.of(frame)
        return chunk.hashes[frame - chunk.first]


def _steps(numbers: list[int]) -> Iterator[int]:
    before = 0
    for number in numbers:
        yield number - before
        before = number
