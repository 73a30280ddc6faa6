"""Open the reader of a job's input."""

from __future__ import annotations

from vidrestore.job import Job
from vidrestore.models.load import resolve_device
from vidrestore.video.read import nvdec
from vidrestore.video.read.hardware import Hardware
from vidrestore.video.read.hardware_reader import HardwareReader
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.source import FrameSource
from vidrestore.video.sequence.source import SequenceReader

__all__ = ["open_reader"]


def open_reader(job: Job, *, keep_damaged: bool | None = None) -> FrameSource:
    """The frames of a job's input.

    Args:
        job: whose input is read.
        keep_damaged: go on, whatever is missing; None for what the job says.
    """
    config = job.config
    keep = config.encode.keep_damaged if keep_damaged is None else keep_damaged
    if job.info.sequence is not None:
        return SequenceReader(job.info, config.decode, job.window, keep_damaged=keep)

    def read(hardware: Hardware | None) -> VideoReader:
        return VideoReader(
            job.info,
            config.decode,
            threads=config.run.threads,
            keep_damaged=keep,
            window=job.window,
            hardware=hardware,
        )

    if config.decode.hardware is None:
        return read(None)
    return HardwareReader(read, nvdec.find_nvdec(resolve_device(config.run.device)))
