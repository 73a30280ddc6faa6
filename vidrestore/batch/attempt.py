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
    "Step",
    "describe_failure",
    "is_full",
    "keep",
    "published_record",
    "record_failure",
    "restore_claimed",
]

Step = Callable[[str, int, float | None], None]
"""Told what is done, the number of frames that this process has restored, and of another step than
restoring how far it is, 0 to 1, or None; what it raises ends the work."""

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
        step: called after each frame, and now and then in between.
        pause: called where only others are at work.
    """

    def __init__(
        self,
        folder: BatchFolder,
        video: Video,
        config: RestoreConfig,
        sessions: Sessions,
        step: Step,
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
            job = make_job(
                source, self._growing, config_of_work(self._config), watch=self._tell_of("opening")
            )
            record |= begin_record(source, self._config, job)
            restored = self._whole(job)
        except _Wanted:
            film = Film(source, self._growing, self._config, self._tell_of("opening"))
            record |= begin_record(source, self._config, film.job)
            restored = self._by_segments(film)
        keep(self._folder, self._video, record, restored, self._tell_of("checking"))
        return restored.report

    def _tell_of(self, what: str) -> Callable[[float], None]:
        """What tells how far another step than restoring is."""
        return lambda share: self._step(what, self._frames, share)

    def _whole(self, job: Job) -> Restored:
        session, samples = self._sessions.get(self._config), FaceSamples()
        looked_at = 0.0

        def progress(now: Progress) -> None:
            nonlocal looked_at
            self._frames = now.frames
            self._step(now.step, self._frames, now.share)
            if time.monotonic() - looked_at > _LOOK_EVERY_S:
                looked_at = time.monotonic()
                wanted = now.step != "joining" and is_wanted(self._growing.parent)
                if wanted and _is_worth_sharing(job, now):
                    raise _Wanted

        report = run_job(
            job, self._sessions.loader(self._config), progress=progress, samples=samples
        )
        return Restored(job, report, samples, device_of(report, session.restorer))

    def _by_segments(self, film: Film) -> Restored:
        load, begun = self._sessions.loader(self._config), time.perf_counter()
        film.analyse(load, self._told_analysis(film.job.expected_frames))
        analysed = time.perf_counter()
        shared = SharedVideo(self._growing.parent, film.folder)
        opened = OpenedJob(film.folder, device=self._config.run.device, load=load)
        limit_threads(opened.job.config.run.threads)  # those that the video was begun with
        while film.missing():
            if not shared.work(opened, self._count):
                self._pause()
        spent = time.perf_counter() - self._begun
        return film.join(analysed - begun, spent, self._tell_of("joining"))

    def _told_analysis(self, total: int | None) -> Callable[[int], None]:
        def tell(frames: int) -> None:
            self._step("analysis", self._frames, min(frames / total, 1.0) if total else None)

        return tell

    def _count(self, frame: Frame) -> None:
        self._frames += 1
        self._step("restoring", self._frames, None)


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
    step: Callable[[float], None],
) -> None:
    """Read a growing file back, and write its record and page.

    Args:
        folder: of the batch.
        video: which it is of.
        record: what is known.
        restored: what came of the run.
        step: called now and then with the share that is done.

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
