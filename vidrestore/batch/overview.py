"""How far a batch is: counts over all videos, frames, and the time that is left."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from vidrestore.batch.state import BatchFolder, Video, read_json
from vidrestore.errors import VidRestoreError

__all__ = ["Overview", "Watcher"]

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

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Watcher:
    """Look at a batch again and again; what is done or failed is read once."""

    def __init__(self, folder: BatchFolder) -> None:
        self._folder = folder
        self._ended: dict[str, Video] = {}
        self._begun = time.monotonic()
        self._frames_at_begin: int | None = None

    @property
    def failed(self) -> list[Video]:
        """The videos that have failed."""
        return [video for video in self._ended.values() if video.status == "failed"]

    def look(self) -> Overview:
        """The batch now."""
        left = [
            video
            for video in map(self._read, self._folder.ids())
            if video is not None and video.status == "waiting"
        ]
        in_work = sum(self._folder.leases.holder(video.id) is not None for video in left)
        status = Counter(video.status for video in self._ended.values())
        now = sum(video.frames_written for video in self._ended.values())
        now += self._frames_in_work({video.id: video.frames for video in left})
        if self._frames_at_begin is None:
            self._frames_at_begin = now
        seconds = time.monotonic() - self._begun
        speed = (now - self._frames_at_begin) / max(seconds, 1e-9)
        total = self._total(left)
        can_tell = total is not None and speed > 0 and seconds > _STEADY_S
        return Overview(
            videos=len(self._ended) + len(left),
            done=status["done"],
            failed=status["failed"],
            in_work=in_work,
            waiting=len(left) - in_work,
            frames=now,
            frames_total=total,
            frames_per_s=round(speed, 3),
            seconds_left=round(max(0, total - now) / speed, 1) if can_tell and total else None,
        )

    def forget(self, key: str) -> None:
        """Read a video anew, for it is tried again."""
        self._ended.pop(key, None)

    def _read(self, key: str) -> Video | None:
        if key in self._ended:
            return self._ended[key]
        video = self._folder.read(key)
        if video.status != "waiting":
            self._ended[key] = video
        return video

    def _frames_in_work(self, most: Mapping[str, int | None]) -> int:
        """What workers tell, together for each video; some may have died and left their part.

        Args:
            most: frames of each video that has not ended.
        """
        frames: Counter[str] = Counter()
        for path in (self._folder.root / "workers").glob("*.json"):
            with contextlib.suppress(VidRestoreError, KeyError, TypeError):
                told = read_json(path)
                if told["video"] in most:
                    frames[told["video"]] += int(told["frames"])
        return sum(min(count, most[key] or count) for key, count in frames.items())

    def _total(self, left: list[Video]) -> int | None:
        if any(video.frames is None for video in left if video.planned):
            return None
        done = sum(video.frames_written for video in self._ended.values())
        return done + sum(video.frames or 0 for video in left)
