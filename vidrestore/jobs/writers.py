"""Open the writer of a job's output, a video."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vidrestore.job import Job
from vidrestore.jobs.segments import Borders
from vidrestore.jobs.store import FolderStore, job_folder
from vidrestore.runtime.output_file import check_outputs
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.video.write.writer import VideoWriter

__all__ = ["open_video_writer", "straight_writer"]


@contextmanager
def straight_writer(job: Job) -> Iterator[VideoWriter]:
    """The writer of a run that stores nothing; what a stopped run stored goes once it is done."""
    assert job.output is not None
    config, output = job.config, job.output.destination
    check_outputs([output], inputs=job.inputs, overwrite=config.encode.overwrite)
    lock = OutputLock(output)
    lock.acquire()
    try:
        with open_video_writer(job, lock=lock) as writer:
            yield writer
        FolderStore(job_folder(output, config.job.work)).remove()
    finally:
        lock.release()


def open_video_writer(job: Job, *, lock: OutputLock | None = None) -> VideoWriter:
    """The writer of a job's video, which encodes segment by segment; not entered yet.

    Args:
        job: with an output that is a video.
        lock: of the output, held; None lets the writer take it.
    """
    assert job.output is not None
    return VideoWriter(
        job.output,
        job.filtered,
        job.config.encode,
        window=job.window,
        threads=job.config.run.threads,
        max_broken=job.config.decode.max_broken,
        inputs=job.inputs,
        begins_segment=Borders(job.config.job.segment_s).begins_with,
        lock=lock,
    )
