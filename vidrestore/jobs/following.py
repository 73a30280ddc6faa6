"""What gives the frames of an analysis their faces, and goes on from what it put down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from vidrestore.config import RestoreConfig
from vidrestore.models.interfaces import FaceDetector
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.stages.apply_tracks import KnownTracks
from vidrestore.stages.detect import Looker
from vidrestore.stages.track import Tracker
from vidrestore.structs import Frame

__all__ = ["Follower", "Given", "Seeker"]


class Follower(Protocol):
    """What gives frames their faces, and can go on from what it put down."""

    def add(self, frame: Frame) -> Iterator[Frame]: ...

    def finish(self) -> Iterator[Frame]: ...

    def state(self) -> dict[str, Any]: ...

    def go_on(self, state: dict[str, Any], frames: dict[int, Frame]) -> None: ...


class Seeker:
    """Detect and track."""

    def __init__(self, detector: FaceDetector, config: RestoreConfig, clock: StageClock) -> None:
        self._looker = Looker(detector, config.detect)
        self._tracker = Tracker(config.track)
        self._clock = clock

    def add(self, frame: Frame) -> Iterator[Frame]:
        seen = self._clock.call("detect", lambda: self._looker.see(frame), inside="track")
        yield from self._tracker.add(seen)

    def finish(self) -> Iterator[Frame]:
        yield from self._tracker.finish()

    def state(self) -> dict[str, Any]:
        tracker = self._tracker.state()
        return {"frames": tracker["frames"], "tracker": tracker, "looker": self._looker.state()}

    def go_on(self, state: dict[str, Any], frames: dict[int, Frame]) -> None:
        self._tracker.go_on(state["tracker"], frames)
        self._looker.go_on(state["looker"])


class Given:
    """Put known tracks in the place of both."""

    def __init__(self, known: KnownTracks) -> None:
        self._known = known

    def add(self, frame: Frame) -> Iterator[Frame]:
        yield self._known.apply(frame)

    def finish(self) -> Iterator[Frame]:
        yield from ()

    def state(self) -> dict[str, Any]:
        return {"frames": []}

    def go_on(self, state: dict[str, Any], frames: dict[int, Frame]) -> None:
        pass
