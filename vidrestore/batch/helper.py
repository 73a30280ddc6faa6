"""What a worker without a video of its own does: segments of videos that others hold."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

from vidrestore.batch.sessions import Sessions
from vidrestore.batch.sharing import SharedVideo, is_shared, want
from vidrestore.batch.state import BatchFolder, Video
from vidrestore.config import RestoreConfig
from vidrestore.jobs.segment import OpenedJob
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.runtime.cpu_threads import limit_threads

__all__ = ["Helper"]

_log = logging.getLogger(__name__)


class Helper:
    """Take segments of videos in work.

    Args:
        folder: of the batch.
        sessions: the worker's.
        config_of: the options of a video on the worker's device.
        step: called after each frame, with the video, and as `attempt.Step`.
    """

    def __init__(
        self,
        folder: BatchFolder,
        sessions: Sessions,
        config_of: Callable[[Video], RestoreConfig],
        step: Callable[[Video, str, int, float | None], None],
    ) -> None:
        self._folder, self._sessions = folder, sessions
        self._config_of, self._step = config_of, step
        self._frames: dict[str, int] = {}
        """Restored so far, by video."""
        self._left_alone: set[str] = set()
        """Videos whose segments this worker cannot restore."""

    def help(self) -> bool:
        """Restore segments of a video; ask for a part of another one where there is none.

        Returns:
            Whether any was restored.
        """
        unshared = []
        for video in self._in_work():
            if not is_shared(self._folder.work_path(video).parent):
                unshared.append(video)
            elif self._help_with(video):
                return True
        if unshared:  # the one begun last has most left, as a rule
            chosen = max(unshared, key=lambda video: video.attempts[-1].begun)
            want(self._folder.work_path(chosen).parent)
        return False

    def _in_work(self) -> Iterator[Video]:
        """Videos that others hold."""
        for key in sorted(path.name for path in (self._folder.root / "work").iterdir()):
            if key not in self._left_alone and self._folder.leases.holder(key) is not None:
                video = self._folder.read(key)
                if video.status == "waiting" and video.attempts:
                    yield video

    def _help_with(self, video: Video) -> bool:
        growing = self._folder.work_path(video)
        config = self._config_of(video)
        job = job_folder(growing, config.job.work)
        store = FolderStore(job)
        segments = store.read("segments")
        if segments is None or len(store.stored_segments()) == len(segments["first_frames"]):
            return False
        try:
            load = self._sessions.loader(config)
            opened = OpenedJob(job, device=config.run.device, load=load)
            limit_threads(opened.job.config.run.threads)
            return SharedVideo(growing.parent, job).work(opened, lambda frame: self._count(video))
        except Exception as error:  # the holder does it itself, or fails for the same reason
            if self._is_there(video, job):
                self._left_alone.add(video.id)
                _log.warning("no help with %s: %s", video.output, error)
            return False

    def _is_there(self, video: Video, job: Path) -> bool:
        """Whether the video is still in work, so that an error means something."""
        return job.is_dir() and self._folder.leases.holder(video.id) is not None

    def _count(self, frame_of: Video) -> None:
        self._frames[frame_of.id] = self._frames.get(frame_of.id, 0) + 1
        self._step(frame_of, "restoring", self._frames[frame_of.id], None)
