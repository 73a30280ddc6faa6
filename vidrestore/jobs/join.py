"""Join the segments of a job: their packets and the copied streams, muxed once."""

from __future__ import annotations

import base64
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from vidrestore.errors import JobError, VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.plan import job_of
from vidrestore.jobs.store import FolderStore
from vidrestore.jobs.writers import open_video_writer
from vidrestore.report import Tally, check_failures
from vidrestore.runtime.output_lock import OutputLock
from vidrestore.video.boundary import AV_ERRORS
from vidrestore.video.write.packet_file import PacketFile

__all__ = ["Joined", "join", "join_segments"]


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of joining."""

    tally: Tally
    """Of all segments."""
    codec: str
    notes: tuple[str, ...]
    damaged: bool
    """Whether more of a copied stream is missing than accepted."""


def join(folder: Path) -> Joined:
    """Join the segments of a job, give the output its name, and remove the folder.

    Raises:
        JobError: a segment is missing.
        VidRestoreError: the output cannot be written.
    """
    job, store = job_of(folder), FolderStore(folder)
    summary, segments = store.read("analysis"), store.read("segments")
    if summary is None or segments is None or job.output is None:
        raise JobError(f"{folder}: its analysis is not complete")
    known = KnownAnalysis(store, summary, job.info.time_base)
    lock = OutputLock(job.output.destination)
    lock.acquire()
    try:
        joined = join_segments(store, job, known, segments["first_frames"], lock)
    finally:
        lock.release()
    store.remove()
    return joined


def join_segments(
    store: FolderStore, job: Job, known: KnownAnalysis, borders: Sequence[int], lock: OutputLock
) -> Joined:
    """Write the output of stored segments.

    Args:
        store: of the job.
        job: what is done.
        known: its analysis.
        borders: the first frame of every segment.
        lock: of the output, held.

    Raises:
        JobError: a segment is missing, or has other headers than the file.
        VidRestoreError: the output cannot be written.
    """
    assert job.output is not None
    missing = [n for n in range(len(borders)) if not store.segment(n).exists()]
    if missing:
        raise JobError(f"{store.folder}: segment {missing[0]} of {len(borders)} is not restored")
    files = [PacketFile(store.segment(number)) for number in range(len(borders))]
    tally, notes = Tally(job.config.blend.strength), []
    for file in files:
        tally.join(Tally.from_plain(file.record["tally"]))
        notes += file.record["notes"]
    check_failures(tally, job.config)
    with open_video_writer(job, lock=lock) as writer:
        frames = 0
        for number, (first, file) in enumerate(zip(borders, files, strict=True)):
            if file.record["first"] != first or frames != first:
                raise JobError(f"{store.segment(number)}: holds other frames; add --restart")
            if base64.b64decode(file.record["extradata"]) != writer.encoder.extradata:
                raise JobError(f"{store.segment(number)}: has other headers; add --restart")
            writer.write_segment(file.record["times"], file.packets())
            writer.encoder.lost_captions += file.record["lost_captions"]
            writer.encoder.unmarked += file.record["unmarked"]
            frames += len(file.record["times"])
        if frames != len(known):
            raise JobError(f"{store.folder}: holds {frames} of {len(known)} frames; add --restart")
        writer.finish()
        _check_borders(writer.temporary, borders, frames, job.output.destination)
        writer.publish()
        all_notes = (*writer.notes, *dict.fromkeys(notes))
        return Joined(tally, writer.codec, all_notes, writer.is_damaged)


def _check_borders(path: Path, borders: Sequence[int], frames: int, output: Path) -> None:
    """Look whether the finished file holds all frames, and can be decoded across each border.

    Raises:
        VideoWriteError: it does not, or cannot.
    """
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stamps = [one.pts for one in container.demux(stream) if one.size]
        if len(stamps) != frames:
            raise VideoWriteError(f"{output}: holds {len(stamps)} of {frames} frames")
        shown = sorted(pts for pts in stamps if pts is not None)
        if len(shown) != frames:
            return  # a container without times of presentation
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            for border in borders[1:]:
                container.seek(shown[border], stream=stream)  # where an encoder began
                seen = (frame.pts for frame in container.decode(stream))
                for pts in seen:
                    if pts is not None and bisect_left(shown, pts) >= border:
                        break
                else:
                    raise VideoWriteError(f"{output}: cannot be decoded at frame {border}")
    except AV_ERRORS as error:
        raise VideoWriteError(f"{output}: the joined file cannot be read back") from error
