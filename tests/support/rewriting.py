"""A whole run without networks: every frame read goes to the writer as it is."""

from __future__ import annotations

from pathlib import Path

from vidrestore.config import resolve_config
from vidrestore.job import Job, make_job
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter

__all__ = ["plan_job", "rewrite"]


def plan_job(source: Path, destination: Path, **encode: object) -> Job:
    """What is decided before work; `encode` holds options of that stage."""
    config = resolve_config({"encode": {"speed": "ultrafast", **encode}})
    return make_job(source, destination, config, own_restorer=True, own_detector=True)


def rewrite(source: Path, destination: Path, **encode: object) -> tuple[str, ...]:
    """Write `source` to `destination`, and give the notes of the writer."""
    job = plan_job(source, destination, **encode)
    assert job.output is not None
    with (
        VideoReader(job.info, job.config.decode, threads=1, window=job.window) as reader,
        VideoWriter(job.output, job.info, job.config.encode, window=job.window) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
        return writer.notes
