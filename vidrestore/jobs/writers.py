"""Open the writer of a job's output."""

from __future__ import annotations

from vidrestore.job import Job
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.video.write.writer import VideoWriter

__all__ = ["open_video_writer"]


def open_video_writer(
    job: Job, *, lock: OutputLock | None = None, borders: frozenset[int] = frozenset()
) -> VideoWriter:
    """The writer of a job's video; not entered yet.

    Args:
        job: with an output that is a video.
        lock: of the output, held; None lets the writer take it.
        borders: numbers of the frames at which a segment begins, besides the first frame.
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
        borders=borders,
        lock=lock,
    )
