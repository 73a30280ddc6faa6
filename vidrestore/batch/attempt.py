"""One try at one video that is claimed: restore, read back, publish, record.

The output grows in the batch's own folder. It gets its name in the output folder when all checks
have passed and the lease is still held, so a worker that was given up publishes nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrestore.batch.leases import Lease, LeaseLostError
from vidrestore.batch.state import BatchFolder, Video, read_json, write_json
from vidrestore.config import RestoreConfig, resolve_config
from vidrestore.errors import VidRestoreError
from vidrestore.job import Job, make_job
from vidrestore.records.fixity import sha256_of
from vidrestore.records.page import render_video
from vidrestore.records.record import begin_record, finish_record
from vidrestore.records.restoring import check_output
from vidrestore.records.samples import FaceSamples
from vidrestore.run import Progress
from vidrestore.runtime.output_file import publish
from vidrestore.runtime.utc import utc_now
from vidrestore.session import Session
from vidrestore.structs import RestoreReport

__all__ = ["Sessions", "describe_failure", "published_record", "record_failure", "restore_claimed"]

_OF_NETWORKS = {"restore": ("noise", "measure_noise", "conceal_defects"), "detect": ("detector",)}


class Sessions:
    """The session of a worker: networks stay loaded from video to video while they are the same."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._key: dict[str, Any] | None = None

    def get(self, config: RestoreConfig) -> Session:
        """A session whose networks are those of `config`."""
        of_run = set(_OF_NETWORKS["restore"])
        key = config.restore.model_dump(exclude=of_run) | {
            "detector": config.detect.detector,
            "detector_backend": config.detect.backend,
            "device": config.run.device,
        }
        if self._session is None or key != self._key:
            self.close()
            self._session, self._key = Session(config), key
        return self._session

    def close(self) -> None:
        """Let go of the networks."""
        if self._session is not None:
            self._session.close()
            self._session = None


@dataclass(frozen=True, slots=True)
class _Done:
    """What a run left."""

    report: RestoreReport
    record: dict[str, Any]
    samples: FaceSamples
    job: Job


def restore_claimed(
    folder: BatchFolder,
    video: Video,
    lease: Lease,
    config: RestoreConfig,
    sessions: Sessions,
    progress: Callable[[Progress], None],
    step: Callable[[], None],
) -> RestoreReport:
    """Restore a video under its lease, and write its record and page.

    Args:
        folder: of the batch.
        video: what is claimed.
        lease: of the claim.
        config: its options.
        sessions: the worker's.
        progress: called after each frame that is restored.
        step: called after each frame that is read back.

    Raises:
        Exception: it failed; the record says why.
        LeaseLostError: somebody else has taken it over; nothing of it was published.
    """
    source, final = Path(video.source), folder.output / video.output
    growing = folder.work_path(video)
    growing.parent.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {}
    try:
        record = begin_record(source, config, None)
        done = _restore(video, growing, config, sessions, progress, record)
        framemd5 = folder.file_of("records", video, ".framemd5")
        framemd5.parent.mkdir(parents=True, exist_ok=True)
        fixity = check_output(done.job, done.report, framemd5, done.samples, step)
        record = done.record | {"fixity": fixity}
        record["output"]["path"] = record["report"]["output"] = str(final)
        _write_record(folder, video, record, done.samples)
        final.parent.mkdir(parents=True, exist_ok=True)
        lease.require()
        publish(growing, final, overwrite=config.encode.overwrite)
        return done.report
    except LeaseLostError:
        raise
    except Exception as error:
        lease.require()
        record_failure(folder, video, record, describe_failure(error, growing, final))
        raise
    finally:
        if lease.is_held():
            shutil.rmtree(growing.parent, ignore_errors=True)


def published_record(folder: BatchFolder, video: Video) -> dict[str, Any] | None:
    """The record of a video whose output got its name before its worker died; else None."""
    final, path = folder.output / video.output, folder.file_of("records", video, ".json")
    if not (final.is_file() and path.is_file()):
        return None
    record: dict[str, Any] = read_json(path)
    if record["status"] != "done" or record["output"]["bytes"] != final.stat().st_size:
        return None
    return record if record["fixity"]["output_sha256"] == sha256_of(final) else None


def _restore(
    video: Video,
    growing: Path,
    config: RestoreConfig,
    sessions: Sessions,
    progress: Callable[[Progress], None],
    record: dict[str, Any],
) -> _Done:
    """Restore into the growing file; what is known is put into `record` as it becomes known."""
    source = Path(video.source)
    of_work = resolve_config(config, {"encode.overwrite": True, "job.restart": True})
    job = make_job(source, growing, of_work)
    record |= begin_record(source, config, job)
    session, samples = sessions.get(config), FaceSamples(config.blend.strength)
    report = session.run(job, progress=progress, each=samples.add)
    finished = finish_record(record, report, growing, growing, session.restorer)
    return _Done(report, finished, samples, job)


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
