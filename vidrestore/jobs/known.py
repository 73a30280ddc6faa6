"""What an analysis found, for restoring: faces, cuts, times and noise, read as they are needed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from typing import Any

from vidrestore.jobs.chunks import NoiseKey, StoredChunks
from vidrestore.jobs.store import FolderStore
from vidrestore.plain import noise_from_plain, noise_to_plain
from vidrestore.structs import Face, Frame, NoiseModel

__all__ = ["KnownAnalysis", "is_measured", "with_known_noise"]


class KnownAnalysis:
    """A complete analysis.

    Args:
        store: where its chunks are.
        summary: what the store holds as "analysis".
        time_base: of the frames' times, in seconds.
    """

    def __init__(self, store: FolderStore, summary: Mapping[str, Any], time_base: Fraction) -> None:
        self.time_base = time_base
        self.pts: Sequence[int] = list(accumulate(summary["pts"]))
        """Of every frame, in the reader's units."""
        self.cuts: Sequence[int] = summary["cuts"]
        """Frames at which a shot begins, rising, without frame 0."""
        self.notes: tuple[str, ...] = tuple(summary["notes"])
        self.damaged: bool = summary["damaged"]
        self._repaired = set(summary["repaired"])
        self._noise = {
            (shot, track): noise_from_plain(model) for shot, track, model in summary["noise"]
        }
        self._chunks = StoredChunks(store, [first for first, _ in summary["chunks"]])

    @staticmethod
    def summary(
        *,
        pts: Sequence[int],
        chunks: Sequence[tuple[int, int]],
        cuts: Sequence[int],
        repaired: Sequence[int],
        noise: Mapping[NoiseKey, NoiseModel | None],
        notes: Sequence[str],
        damaged: bool,
    ) -> dict[str, Any]:
        """Give the record that tells that an analysis is complete."""
        steps = [now - before for before, now in zip([0, *pts], pts, strict=False)]
        return {
            "pts": steps,
            "chunks": [list(one) for one in chunks],
            "cuts": list(cuts),
            "repaired": list(repaired),
            "noise": [[*key, noise_to_plain(model)] for key, model in noise.items()],
            "notes": list(notes),
            "damaged": damaged,
        }

    def __len__(self) -> int:
        """How many frames there are."""
        return len(self.pts)

    def is_cut(self, frame: int) -> bool:
        """Whether a shot begins with a frame."""
        return self.shot(frame) == frame

    def is_repaired(self, frame: int) -> bool:
        """Whether a frame repeats the one before, as it could not be decoded."""
        return frame in self._repaired

    def shot(self, frame: int) -> int:
        """The first frame of a frame's shot."""
        place = bisect_right(self.cuts, frame)
        return self.cuts[place - 1] if place else 0

    def picture_hash(self, frame: int) -> str:
        """Of the decoded picture; see `vidrestore.jobs.hashing`."""
        return self._chunks.picture_hash(frame)

    def with_faces(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give decoded frames their faces."""
        for frame in frames:
            yield self._chunks.of(frame.index).apply(frame)

    def with_noise(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give aligned and gated frames the noise around their faces."""
        for frame in frames:
            yield with_known_noise(frame, self.shot(frame.index), self._noise)


def with_known_noise(frame: Frame, shot: int, noise: Mapping[NoiseKey, NoiseModel | None]) -> Frame:
    """Give the faces of a frame that will be restored the noise that was measured around them.

    Args:
        frame: aligned and gated.
        shot: the first frame of its shot.
        noise: of all tracks.
    """
    faces = tuple(
        replace(face, noise=noise.get((shot, face.track_id))) if is_measured(face) else face
        for face in frame.faces
    )
    return replace(frame, faces=faces) if faces else frame


def is_measured(face: Face) -> bool:
    """Whether the noise around a face counts."""
    return face.crop_from_frame is not None and face.strength > 0
