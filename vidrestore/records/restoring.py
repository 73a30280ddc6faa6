"""A run together with what an archive keeps of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from vidrestore.errors import VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.samples import FaceSamples
from vidrestore.records.fixity import read_back
from vidrestore.records.record import begin_record, device_of, finish_record, fixity_record
from vidrestore.run import Progress, run_job
from vidrestore.session import Session, networks_of
from vidrestore.structs import RestoreReport

__all__ = ["check_output", "restore_with_record"]


def restore_with_record(
    session: Session,
    job: Job,
    framemd5: Path,
    preview: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[RestoreReport, dict[str, Any]]:
    """Do a job and read its output back.

    Args:
        session: which does it.
        job: with an output.
        framemd5: where the checksums of frames go.
        preview: see `Session.video`.
        progress: see `Session.video`.
        tell: see `Session.run`.

    Returns:
        What was done, and {"record": what an archive keeps}.

    Raises:
        VidRestoreError: as `Session.run`, or the output is not what was written.
    """
    assert job.output is not None
    output, samples = job.output.destination, FaceSamples(job.config.blend.strength)
    record = begin_record(job.source, job.config, job)
    report = run_job(
        job,
        partial(networks_of, session),
        preview=preview,
        progress=progress,
        tell=tell,
        samples=samples,
    )
    record = finish_record(record, report, output, output, device_of(report, session.restorer))

    def step(share: float) -> None:
        if progress is not None:
            progress(Progress(report.frames, report.frames, 0.0, None, "checking", share))

    fixity = check_output(job, report, framemd5, samples, step)
    return report, {"record": record | {"fixity": fixity}}


def check_output(
    job: Job,
    report: RestoreReport,
    framemd5: Path,
    samples: FaceSamples,
    step: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Read an output back; its checksums, and how it differs from the input.

    Args:
        job: by which it was written.
        report: of the run.
        framemd5: where the checksums of frames go.
        samples: of the run.
        step: called after each frame, and on the way through both files, with the share that is
            done; what it raises ends the reading.

    Raises:
        VideoWriteError: it is not what was written.
    """
    assert job.output is not None
    output = job.output.destination
    total = max(report.frames, 1)
    frames, difference = read_back(
        output, framemd5, job, samples, lambda count: step(min(0.8 * count / total, 0.8))
    )
    if frames != report.frames:
        raise VideoWriteError(
            f"{output}: {report.frames} frames were written and {frames} can be decoded; "
            "restore it anew, or with another --codec"
        )
    if difference is not None and difference.outside_faces:
        raise VideoWriteError(
            f"{output}: {difference.outside_faces} frames differ from the input outside of "
            "restored faces; restore it anew, or with another --codec"
        )
    return fixity_record(
        job.source, output, frames, difference, framemd5.name, lambda share: step(0.8 + share / 5)
    )
