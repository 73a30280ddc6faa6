"""How far a batch is: counts over all videos, frames, and the time that is left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vidrestore.batch.state import BatchFolder, Video

__all__ = ["Overview", "Watcher", "describe_work"]

_STEADY_S = 5.0
"""No speed is told before."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A batch at one moment."""

    videos: int
    done: int
    failed: int
    in_work: int
    waiting: int
    frames: int
    """Restored so far, those of videos in work included."""
    frames_total: int | None
    """Of all videos that have not failed; None while that of some is not known."""
    frames_per_s: float
    """Since this watcher began."""
    seconds_left: float | None
    doing: tuple[str, ...] = ()
    """What each worker does, such as "restoring" or "reading again 34%"."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Watcher:
    """Look at a batch again and again; only what may have changed is read anew."""

    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._seen: dict[str, tuple[int, Video]] = {}
        """By id: the number of its highest lease, and the video as it was then."""
        self._begun = time.monotonic()
        self._frames_at_begin: int | None = None

    @property
    def videos(self) -> list[Video]:
        """All videos, as they were seen last."""
        return [video for _, video in self._seen.values()]

    @property
    def failed(self) -> list[Video]:
        """The videos that have failed."""
        return [video for video in self.videos if video.status == "failed"]

    def look(self) -> Overview:
        """The batch now."""
        ids, highest = self._folder.ids(), self._folder.leases.highest()
        self._seen = {key: self._read(key, highest.get(key, 0)) for key in ids}
        status = Counter(video.status for video in self.videos)
        left = [video for video in self.videos if video.status == "waiting"]
        in_work = sum(
            self._folder.leases.holder(video.id) is not None
            for video in left
            if video.id in highest
        )
        now = sum(video.frames_written for video in self.videos if video.status != "waiting")
        told = [told for _, told in self._folder.told_by_workers()]
        now += _frames_in_work(told, {video.id: video.frames for video in left})
        if self._frames_at_begin is None:
            self._frames_at_begin = now
        seconds = time.monotonic() - self._begun
        speed = (now - self._frames_at_begin) / max(seconds, 1e-9)
        total = self._total(left)
        can_tell = total is not None and speed > 0 and seconds > _STEADY_S
        return Overview(
            videos=len(self._seen),
            done=status["done"],
            failed=status["failed"],
            in_work=in_work,
            waiting=len(left) - in_work,
            frames=now,
            frames_total=total,
            frames_per_s=round(speed, 3),
            seconds_left=round(max(0, total - now) / speed, 1) if can_tell and total else None,
            doing=tuple(map(describe_work, told)),
        )

    def _read(self, key: str, highest: int) -> tuple[int, Video]:
        """A video and the number of its highest lease, at least as new."""
        seen = self._seen.get(key)
        if seen is None or seen[0] != highest or (highest and seen[1].status == "waiting"):
            return highest, self._folder.read(key)
        return seen

    def _total(self, left: list[Video]) -> int | None:
        if any(video.frames is None for video in left if video.planned):
            return None
        done = sum(video.frames_written for video in self.videos if video.status != "waiting")
        return done + sum(video.frames or 0 for video in left)


def describe_work(told: Mapping[str, Any]) -> str:
    """What a worker does, in words, by what it told."""
    share = told.get("share")
    return f"{told['does']} {share:.0%}" if share is not None else str(told["does"])


def _frames_in_work(told: Iterable[Mapping[str, Any]], most: Mapping[str, int | None]) -> int:
    """What workers tell, together for each video; some may have died and left their part.

    Args:
        told: by each.
        most: frames of each video that has not ended.
    """
    frames: Counter[str] = Counter()
    for one in told:
        if one["video"] in most:
            frames[one["video"]] += int(one["frames"])
    return sum(min(count, most[key] or count) for key, count in frames.items())
