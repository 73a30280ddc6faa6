"""A worker: claims one video after the other and restores it, until all are done or failed.

Any number of workers, on any machines that share the folder, do a batch together. One that finds
no video to claim helps with those in work (`helper`), and waits where it cannot, since others may
die.
"""

from __future__ import annotations

import contextlib
import os
import platform
import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from vidrestore.batch.attempt import (
    Here,
    describe_failure,
    is_full,
    published_record,
    record_failure,
    restore_claimed,
)
from vidrestore.batch.helper import Helper
from vidrestore.batch.leases import Lease, LeaseLostError
from vidrestore.batch.sessions import Sessions
from vidrestore.batch.state import Attempt, BatchFolder, Status, Video, write_json
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import OutputInUseError
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.records.record import begin_record
from vidrestore.runtime.cpu_threads import limit_threads, used_threads
from vidrestore.runtime.memory import give_back_freed_memory
from vidrestore.runtime.utc import utc_now
from vidrestore.structs import RestoreReport

__all__ = ["FullDiskError", "Stopped", "Worker"]

_LOOK_EVERY_S = 2.0
"""How often a worker without a video looks for one."""

_TELL_EVERY_S = 1.0


class Stopped(BaseException):
    """The worker was asked to end."""


class FullDiskError(Exception):
    """No video can be written: all would fail."""


class Worker:
    """One worker of a batch.

    Args:
        folder: of the batch.
        device: that the networks run on.
        threads: CPU threads; 0 for all, unless the batch's options say it.
        should_stop: asked after every frame.
        waits: whether to go on when all videos are done, since more may come.
    """

    def __init__(
        self,
        folder: BatchFolder,
        device: str = "auto",
        *,
        threads: int = 0,
        should_stop: Callable[[], bool] = lambda: False,
        waits: bool = False,
    ) -> None:
        self.done = self.failed = 0
        self._folder, self._device = folder, device
        self._threads = threads or used_threads()
        self._should_stop, self._waits = should_stop, waits
        self._settings = folder.settings()
        self._sessions = Sessions()
        self._helper = Helper(folder, self._sessions, self._config_of, self._step)
        self._ended: set[str] = set()
        self._told_at = 0.0
        self._name = f"{os.getpid()}-{secrets.token_hex(3)}"

    def run(self) -> None:
        """Work until all videos are done or failed.

        Raises:
            Stopped: the worker was asked to end; its video waits for another one.
            FullDiskError: the disk is full; its video waits.
        """
        try:
            while True:
                worked, open_left = self._pass()
                worked = worked or self._helper.help()
                if not worked and not open_left and not self._waits:
                    return
                if not worked:
                    self._pause()
        finally:
            self._sessions.close()
            self._file.unlink(missing_ok=True)

    def run_one(self, key: str) -> None:
        """Work on one video until it is done, failed, or held by another; networks stay loaded."""
        try:
            while self._try(key, most_before=self._settings.max_attempts):
                pass
        finally:
            self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self._folder.root / "workers" / f"{self._name}.json"

    def _pass(self) -> tuple[bool, bool]:
        """Go once over all videos; those that failed before come last.

        Returns:
            Whether any was worked on, and whether some are neither done nor failed.
        """
        worked = False
        for most_before in range(self._settings.max_attempts + 1):
            for key in self._folder.ids():
                if key not in self._ended:
                    worked |= self._try(key, most_before)
        return worked, any(key not in self._ended for key in self._folder.ids())

    def _try(self, key: str, most_before: int) -> bool:
        """Claim a video and work on it; whether it was so.

        Args:
            key: its id.
            most_before: a video with more attempts is left for later.
        """
        self._check_stop()
        video = self._folder.read(key)
        if video.status != "waiting":
            self._ended.add(key)
            return False
        if video.attempts_made > most_before:
            return False
        lease = self._folder.leases.claim(key)
        if lease is None:
            return False
        with lease:
            self._folder.remove_left_behind(key, lease)
            video = self._folder.read(key)  # as its last holder left it
            if video.status == "waiting":
                with contextlib.suppress(LeaseLostError):
                    self._attempt(video, lease)
                give_back_freed_memory()
                return True
        return False

    def _attempt(self, video: Video, lease: Lease) -> None:
        if video.attempts and (record := published_record(self._folder, video)):
            self._finish(video, lease, video.attempts[-1], record["report"]["frames"])
            return
        stored = self._stored_segments(video)
        if video.attempts and video.attempts[-1].seconds is None:  # it died without a word
            last = video.attempts[-1]
            last = replace(last, counts=stored <= last.segments)
            video = replace(video, attempts=(*video.attempts[:-1], last))
        if video.attempts_made >= self._settings.max_attempts:
            self._give_up(video, lease)
            return
        begun = Attempt(
            utc_now(),
            lease.holder.host.name,
            lease.holder.process,
            self._device,
            segments=stored,
        )
        tried = replace(video, attempts=(*video.attempts, begun))
        self._folder.write(tried, lease)
        started = time.monotonic()
        try:
            report = self._restore(video, lease)
        except LeaseLostError:
            raise
        except Exception as error:
            if isinstance(error, OutputInUseError) or is_full(error):
                self._folder.write(video, lease)  # no attempt: it is not to blame
                if is_full(error):
                    raise FullDiskError(str(error)) from error
                self._pause()
                return
            final = self._folder.output / video.output
            told = describe_failure(error, self._folder.work_path(video), final)
            self._fail(tried, lease, time.monotonic() - started, told)
        except BaseException:  # asked to end: no attempt either
            self._folder.write(video, lease)
            raise
        else:
            seconds = time.monotonic() - started
            if report.damaged:
                told = f"{video.source} is damaged; the output holds what there is"
                self._fail(tried, lease, seconds, told, is_last=True)
            else:
                ended = replace(begun, seconds=round(seconds, 3))
                self._finish(tried, lease, ended, report.frames)

    def _stored_segments(self, video: Video) -> int:
        config = self._folder.config_of(video, self._settings)
        job = job_folder(self._folder.work_path(video), config.job.work)
        return len(FolderStore(job).stored_segments())

    def _give_up(self, video: Video, lease: Lease) -> None:
        """End a video whose last attempt died without a word."""
        config = self._folder.config_of(video, self._settings)
        record = begin_record(Path(video.source), config, None)
        record_failure(self._folder, video, record, video.problems[-1])
        self._folder.write(replace(video, status="failed"), lease)
        self._folder.remove_work(video)
        self._ended.add(video.id)
        self.failed += 1

    def _restore(self, video: Video, lease: Lease) -> RestoreReport:
        config = self._config_of(video)
        limit_threads(config.run.threads)
        return restore_claimed(
            self._folder, video, lease, config, lambda record: self._make(video, config, record)
        )

    def _make(self, video: Video, config: RestoreConfig, record: dict[str, Any]) -> RestoreReport:
        """Leave growing file, record and page of a claimed video."""
        step = partial(self._step, video)
        here = Here(self._folder, video, config, self._sessions, step, self._pause)
        return here.restore(record)

    def _config_of(self, video: Video) -> RestoreConfig:
        """A video's options, on this worker's device.

        Networks on a CPU round by their number of threads, so that it is said, and holds for all
        who share the video.
        """
        config = self._folder.config_of(video, self._settings)
        own = {"run.device": self._device} if self._device != "auto" else {}
        threads = config.run.threads or self._threads
        return resolve_config(config, own | {"run.threads": threads})

    def _finish(self, video: Video, lease: Lease, last: Attempt, frames: int) -> None:
        attempts = (*video.attempts[:-1], replace(last, seconds=last.seconds or 0.0))
        warnings = video.warnings if video.planned else ()  # else it was refused, and is mended
        done = replace(
            video, status="done", attempts=attempts, frames_written=frames, warnings=warnings
        )
        self._folder.write(done, lease)
        self._folder.remove_work(video)
        self._ended.add(video.id)
        self.done += 1

    def _fail(
        self, tried: Video, lease: Lease, seconds: float, reason: str, *, is_last: bool = False
    ) -> None:
        last = replace(tried.attempts[-1], seconds=round(seconds, 3), problem=reason)
        attempts = (*tried.attempts[:-1], last)
        is_last = is_last or sum(one.counts for one in attempts) >= self._settings.max_attempts
        status: Status = "failed" if is_last else "waiting"
        self._folder.write(replace(tried, attempts=attempts, status=status), lease)
        if is_last:
            self._folder.remove_work(tried)
            self._ended.add(tried.id)
            self.failed += 1

    def _step(self, video: Video, what: str, frames: int, share: float | None) -> None:
        self._check_stop()
        self._tell(video, what, frames, share)

    def _check_stop(self) -> None:
        if self._should_stop():
            raise Stopped

    def _pause(self) -> None:
        until = time.monotonic() + _LOOK_EVERY_S
        while (left := until - time.monotonic()) > 0:
            self._check_stop()
            time.sleep(min(0.2, left))

    def _tell(self, video: Video, what: str, frames: int, share: float | None) -> None:
        """Say how far the worker is, about once a second; see `overview.Told`."""
        now = time.monotonic()
        if now - self._told_at < _TELL_EVERY_S:
            return
        self._told_at = now
        with contextlib.suppress(OSError):
            record = {
                "video": video.id,
                "does": what,
                "share": share if share is None else round(share, 3),
                "frames": frames,
                "host": platform.node(),
                "process": os.getpid(),
                "device": self._device,
                "told": utc_now(),
            }
            temporary = self._file.with_name(f".{self._name}.tmp")
            write_json(self._file, record, temporary=temporary)
