"""Watch the inputs of a batch: new videos join it once they have not changed for half a minute."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from vidrestore.batch.inputs import list_inputs
from vidrestore.batch.plan import check_videos, plan_new
from vidrestore.batch.state import BatchFolder
from vidrestore.errors import VidRestoreError
from vidrestore.video.sequence.files import is_sequence

__all__ = ["QUIET_S", "Watch"]

QUIET_S = 30.0
"""A file that has not changed for so long is complete."""

_LOOK_EVERY_S = 5.0

_log = logging.getLogger(__name__)


class Watch:
    """Look for new videos where a batch's inputs are.

    Args:
        folder: of the batch.
        short_names: of options in manifests.
        quiet_s: see `QUIET_S`.
        clock: seconds, which only ever go forward.
    """

    def __init__(
        self,
        folder: BatchFolder,
        short_names: Mapping[str, str],
        *,
        quiet_s: float = QUIET_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._short_names = folder, short_names
        self._quiet_s, self._clock = quiet_s, clock
        self._looked_at: float | None = None
        self._seen: dict[str, tuple[int, int, float]] = {}
        """Size, time of change, and since when they were so."""
        self._told: set[str] = set()

    def look(self) -> int:
        """Add what is new and complete, looking every few seconds; the number of videos added."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < _LOOK_EVERY_S:
            return 0
        self._looked_at = now
        settings = self._folder.settings()
        try:
            listed = list_inputs(settings.inputs, self._folder.output, self._short_names)
            quiet = [one for one in listed if self._is_quiet(str(one.source), now)]
            videos = check_videos(self._folder, settings, quiet)
            return len(plan_new(self._folder, settings, videos).new)
        except (VidRestoreError, OSError) as error:
            if str(error) not in self._told:
                self._told.add(str(error))
                _log.warning("nothing new is taken: %s", error)
            return 0

    def _is_quiet(self, path: str, now: float) -> bool:
        try:
            state = _state_of(Path(path))
        except OSError:
            return False
        seen = self._seen.get(path)
        if seen is None or seen[:2] != state:
            self._seen[path] = (*state, now)
            return False
        return now - seen[2] >= self._quiet_s


def _state_of(path: Path) -> tuple[int, int]:
    """Size and time of the last change; of a sequence those of all files of its folder."""
    if not is_sequence(path):
        found = os.stat(path)
        return found.st_size, found.st_mtime_ns
    with os.scandir(path if path.is_dir() else path.parent) as entries:
        files = [entry.stat() for entry in entries]
    return sum(one.st_size for one in files), max((one.st_mtime_ns for one in files), default=0)
