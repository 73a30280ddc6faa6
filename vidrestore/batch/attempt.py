"""One try at one video that is claimed: restore, read back, publish, record.

The output grows in the batch's own folder. It gets its name in the output folder when all checks
have passed and the lease is still held, so a worker that was given up publishes nothing. A try that
is ended goes on with what is there when the video is taken again.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vidrestore.batch.film import Film, Restored, config_of_work
from vidrestore.batch.leases import Lease, LeaseLostError
from vidrestore.batch.sessions import Sessions
from vidrestore.batch.sharing import SharedVideo, is_shared, is_wanted
from vidrestore.batch.state import BatchFolder, Video, read_json, write_json
from vidrestore.config import RestoreConfig
from vidrestore.errors import JobError, VideoWriteError, VidRestoreError
from vidrestore.job import Job, make_job
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.segment import OpenedJob
from vidrestore.records.fixity import sha256_of
from vidrestore.records.page import render_video
from vidrestore.records.record import begin_record, device_of, finish_record
from vidrestore.records.restoring import check_output
from vidrestore.run import Progress, can_be_stopped, run_job
from vidrestore.runtime.cpu_threads import limit_threads
from vidrestore.runtime.output_file import publish
from vidrestore.runtime.utc import utc_now
from vidrestore.structs import Frame, RestoreReport

__all__ = [
    "Here",
    "describe_failure",
    "is_full",
    "keep",
    "published_record",
    "record_failure",
    "restore_claimed",
]

_FULL = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_LOOK_EVERY_S = 1.0
_LEAST_SHARED_SEGMENTS = 2
"""Less than these are not worth going over to segments for."""


def restore_claimed(
    folder: BatchFolder,
    video: Video,
    lease: Lease,
    config: RestoreConfig,
    restore: Callable[[dict[str, Any]], RestoreReport],
) -> RestoreReport:
    """Restore a video under its lease, and give the output its name.

    Args:
        folder: of the batch.
        video: what is claimed.
        lease: of the claim.
        config: its options.
        restore: leaves the growing file, its record and its page, and puts what it knows into the
            record that it is given; see `keep`.

    Raises:
        Exception: it failed; the record says why.
        LeaseLostError: somebody else has taken it over; nothing of it was published.
    """
    growing, final = folder.work_path(video), folder.output / video.output
    growing.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {}
    try:
        record |= begin_record(Path(video.source), config, None)
        report = restore(record)
        final.parent.mkdir(parents=True, exist_ok=True)
        lease.require()
        publish(growing, final, overwrite=config.encode.overwrite)
        return report
    except LeaseLostError:
        raise
    except Exception as error:
        lease.require()
        if isinstance(error, JobError):  # what is stored does not fit together
            folder.remove_work(video)
        record_failure(folder, video, record, describe_failure(error, growing, final))
        raise


class _Wanted(Exception):
    """Another worker has nothing to do, and wants a part of the video."""


class Here:
    """Restore a claimed video in this process: as a whole, or sharing its segments with others.

    Args:
        folder: of the batch.
        video: what is claimed.
        config: its options, the device included.
        sessions: the worker's.
        step: called after each frame, with what is done, and the number of frames that this process
            has restored.
        pause: called where only others are at work.
    """

    def __init__(
        self,
        folder: BatchFolder,
        video: Video,
        config: RestoreConfig,
        sessions: Sessions,
        step: Callable[[str, int], None],
        pause: Callable[[], None],
    ) -> None:
        self._folder, self._video, self._config = folder, video, config
        self._sessions, self._step, self._pause = sessions, step, pause
        self._growing = folder.work_path(video)
        self._frames = 0
        self._begun = time.perf_counter()

    def restore(self, record: dict[str, Any]) -> RestoreReport:
        """Leave growing file, record and page.

        Args:
            record: gets what is known as it becomes known.

        Raises:
            VidRestoreError: for files, weights and models.
        """
        source, work = Path(self._video.source), self._growing.parent
        try:
            if is_shared(work):
                raise _Wanted
            job = make_job(source, self._growing, config_of_work(self._config))
            record |= begin_record(source, self._config, job)
            restored = self._whole(job)
        except _Wanted:
            film = Film(source, self._growing, self._config)
            record |= begin_record(source, self._config, film.job)
            restored = self._by_segments(film)
        keep(self._folder, self._video, record, restored, lambda: self._step("checking", 0))
        return restored.report

    def _whole(self, job: Job) -> Restored:
        session, samples = self._sessions.get(self._config), FaceSamples()
        looked_at = 0.0

        def progress(now: Progress) -> None:
            nonlocal looked_at
            self._frames = now.frames
            self._step("restoring", self._frames)
            if time.monotonic() - looked_at > _LOOK_EVERY_S:
                looked_at = time.monotonic()
                if is_wanted(self._growing.parent) and _is_worth_sharing(job, now):
                    raise _Wanted

        report = run_job(
            job, self._sessions.loader(self._config), progress=progress, samples=samples
        )
        return Restored(job, report, samples, device_of(report, session.restorer))

    def _by_segments(self, film: Film) -> Restored:
        load, begun = self._sessions.loader(self._config), time.perf_counter()
        film.analyse(load, lambda frames: self._step("analysis", self._frames))
        analysed = time.perf_counter()
        shared = SharedVideo(self._growing.parent, film.folder)
        opened = OpenedJob(film.folder, device=self._config.run.device, load=load)
        limit_threads(opened.job.config.run.threads)  # those that the video was begun with
        while film.missing():
            if not shared.work(opened, self._count):
                self._pause()
        self._step("joining", self._frames)
        return film.join(analysed - begun, time.perf_counter() - self._begun)

    def _count(self, frame: Frame) -> None:
        self._frames += 1
        self._step("restoring", self._frames)


def _is_worth_sharing(job: Job, now: Progress) -> bool:
    """Whether a run that is so far has enough left to be shared."""
    if not can_be_stopped(job):
        return False
    if job.expected_frames is None or job.info.average_rate is None:
        return True
    left_s = (job.expected_frames - now.frames) / job.info.average_rate
    return left_s >= _LEAST_SHARED_SEGMENTS * job.config.job.segment_s


def keep(
    folder: BatchFolder,
    video: Video,
    record: dict[str, Any],
    restored: Restored,
    step: Callable[[], None],
) -> None:
    """Read a growing file back, and write its record and page.

    Args:
        folder: of the batch.
        video: which it is of.
        record: what is known.
        restored: what came of the run.
        step: called after each frame.

    Raises:
        VideoWriteError: it is not what was written; what was stored for it is removed.
    """
    growing, final = folder.work_path(video), folder.output / video.output
    framemd5 = folder.file_of("records", video, ".framemd5")
    framemd5.parent.mkdir(parents=True, exist_ok=True)
    done = finish_record(record, restored.report, growing, final, restored.device)
    try:
        fixity = check_output(restored.job, restored.report, framemd5, restored.samples, step)
    except VideoWriteError as error:
        if not is_full(error):
            folder.remove_work(video)
        raise
    _write_record(folder, video, done | {"fixity": fixity}, restored.samples)


def published_record(folder: BatchFolder, video: Video) -> dict[str, Any] | None:
    """The record of a video whose output got its name before its worker died; else None."""
    final, path = folder.output / video.output, folder.file_of("records", video, ".json")
    if not (final.is_file() and path.is_file()):
        return None
    record: dict[str, Any] = read_json(path)
    if record["status"] != "done" or record["output"]["bytes"] != final.stat().st_size:
        return None
    return record if record["fixity"]["output_sha256"] == sha256_of(final) else None


def _write_record(
    folder: BatchFolder, video: Video, record: dict[str, Any], samples: FaceSamples | None
) -> None:
    path = folder.file_of("records", video, ".json")
    page = folder.file_of("pages", video, ".html")
    for one in (path, page):
        one.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
    page.write_text(render_video(record, samples), encoding="utf-8")


def record_failure(folder: BatchFolder, video: Video, record: dict[str, Any], problem: str) -> None:
    """Write the record and page of a video that failed, with what was known by then."""
    record = record | {"status": "failed", "problem": problem, "ended": utc_now()}
    _write_record(folder, video, record, None)


def describe_failure(error: Exception, growing: Path, final: Path) -> str:
    """What is wrong, on one line, with the name of the output that people know."""
    told = str(error).replace(str(growing), str(final))
    if not isinstance(error, VidRestoreError):
        told = f"unexpected error, {type(error).__name__}: {told}"
    return " ".join(told.split())


def is_full(error: BaseException | None) -> bool:
    """Whether an error comes from a disk that is full."""
    return any(getattr(one, "errno", None) in _FULL for one in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
