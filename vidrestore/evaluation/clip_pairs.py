"""Find clips, degrade them, and pair each with its degraded version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vidrestore.datasets.names import distinct_names
from vidrestore.errors import DataError
from vidrestore.evaluation.faces import Progress, space_evenly
from vidrestore.evaluation.protocols import Protocol

__all__ = ["VIDEO_ENDINGS", "Pair", "degrade_clips", "find_clips", "has_clips", "name_pairs"]

VIDEO_ENDINGS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m4v")


@dataclass(frozen=True, slots=True)
class Pair:
    """A clip and what was made of it."""

    name: str
    truth: Path
    degraded: Path


def has_clips(data: Path) -> bool:
    """Whether data is a video, or a folder with one."""
    return bool(_clips_of(data))


def find_clips(data: Path, limit: int | None = None) -> list[Path]:
    """A video, or those of a folder by name; at most `limit` of them, evenly spaced.

    Raises:
        DataError: there is none.
    """
    clips = _clips_of(data)
    if not clips:
        raise DataError(f"data {data}: neither pictures nor videos in it")
    return [clips[index] for index in space_evenly(len(clips), limit or len(clips))]


def _clips_of(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    return sorted(path for path in data.rglob("*") if path.suffix.lower() in VIDEO_ENDINGS)


def degrade_clips(
    clips: Sequence[Path],
    protocol: Protocol,
    folder: Path,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[Pair]:
    """Degrade clips by a protocol into a folder; clip number i by the seed (seed, i)."""
    names = distinct_names([c.stem for c in clips], [c.as_posix() for c in clips])
    pairs = []
    for index, (name, clip) in enumerate(zip(names, clips, strict=True)):
        out = folder / f"{index}_{clip.stem}.mkv"
        protocol.video(clip, out, seed=seed, index=index)
        if progress is not None:
            progress("clips degraded", index + 1, len(clips))
        pairs.append(Pair(name, clip, out))
    return pairs


def name_pairs(files: Sequence[tuple[Path, Path]]) -> list[Pair]:
    """Pairs of truth and degraded clip, called by their truths, or by both where two have one."""
    names = distinct_names(
        [truth.stem for truth, _ in files],
        [f"{truth.stem}: {degraded.stem}" for truth, degraded in files],
        [f"{truth.as_posix()}: {degraded.as_posix()}" for truth, degraded in files],
    )
    return [Pair(name, *pair) for name, pair in zip(names, files, strict=True)]
