"""Join the segments of a job: their packets and the copied streams, muxed once."""

from __future__ import annotations

import base64
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av

from vidrestore.errors import JobError, VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.known import KnownAnalysis
from vidrestore.jobs.plan import job_of
from vidrestore.jobs.samples import FaceSamples
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
    samples: FaceSamples
    """What all segments show."""
    codec: str
    notes: tuple[str, ...]
    damaged: bool
    """Whether more of a copied stream is missing than accepted."""
    origins: tuple[Mapping[str, Any], ...] = ()
    """By what each segment was restored, in order; see `Restoring`."""
    segment_seconds: float = 0.0
    """That restoring took, all segments together."""


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
    store: FolderStore,
    job: Job,
    known: KnownAnalysis,
    borders: Sequence[int],
    lock: OutputLock,
    step: Callable[[float], None] = lambda share: None,
) -> Joined:
    """Write the output of stored segments.

    Args:
        store: of the job.
        job: what is done.
        known: its analysis.
        borders: the first frame of every segment.
        lock: of the output, held.
        step: called now and then with the share that is done; what it raises ends the work.

    Raises:
        JobError: a segment is missing, or has other headers than the file.
        VidRestoreError: the output cannot be written.
    """
    assert job.output is not None
    missing = [n for n in range(len(borders)) if not store.segment(n).exists()]
    if missing:
        raise JobError(f"{store.folder}: segment {missing[0]} of {len(borders)} is not restored")
    for path in sorted(store.folder.glob("segments/*.differs.json")):
        raise JobError(str((store.read(f"segments/{path.stem}") or {}).get("problem", path)))
    tally, notes = Tally(job.config.blend.strength), []
    samples, differing = FaceSamples(job.config.blend.strength), dict[int, str]()
    files = []
    for number in range(len(borders)):
        file = PacketFile(store.segment(number))
        files.append(file)
        tally.join(Tally.from_plain(file.record["tally"]))
        samples.join(FaceSamples.from_plain(file.record.pop("samples")))  # it is large
        differing |= dict(file.record["differing"])
        notes += file.record["notes"]
    samples.hashes = _decoded_hashes(known, differing)
    origins = tuple(file.record["origin"] for file in files)
    notes += _check_kinds(job, origins)
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
            step(frames / len(known) / 2)
        if frames != len(known):
            raise JobError(f"{store.folder}: holds {frames} of {len(known)} frames; add --restart")
        writer.finish()
        _check_borders(writer.temporary, borders, frames, job.output.destination, step)
        writer.publish()
        all_notes = (*writer.notes, *dict.fromkeys(notes))
        return Joined(
            tally,
            samples,
            writer.codec,
            all_notes,
            writer.is_damaged,
            origins,
            sum(file.record["seconds"] for file in files),
        )


def _decoded_hashes(known: KnownAnalysis, differing: Mapping[int, str]) -> array[int]:
    """The hash of every frame as it was decoded for restoring.

    Args:
        known: the analysis.
        differing: hashes of the frames that were decoded otherwise than in it.
    """
    hashes = (differing.get(n) or known.picture_hash(n) for n in range(len(known)))
    return array("I", (int(one, 16) for one in hashes))


def _check_kinds(job: Job, origins: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to tell where segments come from several kinds of device.

    Raises:
        JobError: `job.same_device` asks for one kind.
    """
    kinds = Counter(str(one["device"]) for one in origins)
    if len(kinds) < 2:
        return []
    told = ", ".join(f"{count} on {kind}" for kind, count in sorted(kinds.items()))
    if job.config.job.same_device:
        raise JobError(f"segments come from several kinds of device ({told}); add --restart")
    return [f"segments were restored on several kinds of device, which may round apart: {told}"]


def _check_borders(
    path: Path,
    borders: Sequence[int],
    frames: int,
    output: Path,
    step: Callable[[float], None],
) -> None:
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
                step((1 + border / frames) / 2)
    except AV_ERRORS as error:
        raise VideoWriteError(f"{output}: the joined file cannot be read back") from error
