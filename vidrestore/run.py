"""What a run does with a job, step by step. A `Session` brings the networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vidrestore.config import RestoreConfig
from vidrestore.errors import UsageError
from vidrestore.geometry import identity
from vidrestore.job import Job
from vidrestore.jobs.backends import settle_backends, unusual_backends
from vidrestore.jobs.hashing import picture_hash
from vidrestore.jobs.networks import Networks
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.samples import FaceSamples
from vidrestore.jobs.whole import Callbacks, restore_whole
from vidrestore.jobs.writers import straight_writer
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import peak_device_memory_mib, resolve_device
from vidrestore.pipeline import restored_frames, tracked_frames
from vidrestore.report import Done, Tally, check_failures, make_report
from vidrestore.runtime.output_file import after_writing
from vidrestore.runtime.printable import well_formed
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.structs import Display, Frame, RestoreReport
from vidrestore.tracks import Tracks, TracksBuilder
from vidrestore.video.picture.samples import picture_from_rgb
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.source import FrameSource
from vidrestore.video.sequence.plan import SEQUENCE
from vidrestore.video.sequence.sink import SequenceWriter
from vidrestore.video.write.sink import FrameSink
from vidrestore.visual.before_after import Preview

__all__ = [
    "Progress",
    "can_be_stopped",
    "give_frames",
    "inspect_job",
    "open_writer",
    "run_job",
    "single_frame",
]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    frames: int
    """Frames done, also by a run that was stopped."""
    total: int | None
    """Frames expected; None where the container does not tell."""
    frames_per_s: float
    seconds_left: float | None
    step: str = "restoring"
    """Or "reading again", of a run that goes on, since the file's damage is counted as a whole;
    "joining" its segments; "checking" the output."""
    share: float | None = None
    """Of another step than "restoring" how far it is, 0 to 1."""


def run_job(
    job: Job,
    load: Callable[[RestoreConfig], Networks],
    *,
    preview: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
    each: Callable[[Frame], None] | None = None,
    source: FrameSource | None = None,
    sink: FrameSink | None = None,
    tell: Callable[[str], None] | None = None,
    samples: FaceSamples | None = None,
) -> RestoreReport:
    """Do a job; see `Session.run`.

    Args:
        job: what to do.
        load: gives the networks; asked once input and output are open.
        preview: a PNG to write with the clearest face before and after.
        progress: called after each frame, and as other steps go on.
        each: called with each frame that was written.
        source: where frames come from instead of the job's file.
        sink: where they go instead of the job's output.
        tell: called with sentences for a person, such as where a stopped run goes on.
        samples: takes in what the output shows of its people, segments stored before included.

    Raises:
        VidRestoreError: for files, weights and models; nothing half-written is left.
    """
    begun = time.perf_counter()
    job = settle_backends(job)
    if tell is not None and (others := unusual_backends(job)):
        tell(others)
    config = job.config
    clock, best = StageClock(), Preview()

    def take(frame: Frame) -> None:
        if preview is not None:
            best.consider(frame)
        if each is not None:
            each(frame)

    if source is None and sink is None and can_be_stopped(job):
        counter = _Counter(job, progress or (lambda _: None))
        callbacks = Callbacks(take, counter.add, counter.step, tell or (lambda _: None))
        whole = restore_whole(job, load, clock, callbacks)
        if samples is not None:
            samples.join(whole.joined.samples)
            samples.hashes = whole.joined.samples.hashes
        device = resolve_device(config.run.device)
        done = Done(
            whole.joined.tally,
            whole.networks.run.name,
            whole.networks.detector.name,
            whole.networks.told_facts(),
            str(device),
            peak_device_memory_mib(device),
            whole.frames_restored,
            time.perf_counter() - whole.loaded,
            whole.joined.codec,
            (*whole.joined.notes, *whole.known.notes),
            whole.joined.damaged or whole.known.damaged,
        )
    else:
        done = _straight(job, load, clock, take, samples, progress, source, sink)
    seconds = time.perf_counter() - begun
    destination = None if job.output is None else job.output.destination
    if preview is not None:
        with after_writing(*([] if destination is None else [destination])):
            best.save(Path(preview), inputs=job.inputs, overwrite=config.encode.overwrite)
    return make_report(job, done, seconds, clock.seconds())


def can_be_stopped(job: Job) -> bool:
    """Whether what is done is stored, so that the job can go on after it was stopped."""
    config, is_named = job.config, job.model is not None and job.detector is not None
    is_video = job.output is not None and job.output.container is not SEQUENCE
    is_file = is_video and job.info.sequence is None and config.encode.sink == "file"
    return is_file and is_named and not config.job.no_resume


class _Counter:
    """Tell of the progress of a run that may go on; its speed is that of restoring now."""

    def __init__(self, job: Job, progress: Callable[[Progress], None]) -> None:
        self._total, self._progress = job.expected_frames, progress
        self._begun: tuple[float, int] | None = None
        """When restoring began, and the frames that were done then."""
        self._frames = 0

    def add(self, frames: int) -> None:
        """Take how many frames are done."""
        self._frames, now = frames, time.perf_counter()
        begun, before = self._begun = self._begun or (now, frames)
        self._progress(_progress(frames, self._total, now - begun, before))

    def step(self, step: str, share: float) -> None:
        """Take how far another step than restoring is."""
        self._begun = None
        self._progress(Progress(self._frames, self._total, 0.0, None, step, share))


def _straight(
    job: Job,
    load: Callable[[RestoreConfig], Networks],
    clock: StageClock,
    each: Callable[[Frame], None],
    samples: FaceSamples | None,
    progress: Callable[[Progress], None] | None,
    source: FrameSource | None,
    sink: FrameSink | None,
) -> Done:
    """Restore and encode all straight into the output; nothing is stored."""
    config, tally = job.config, Tally(job.config.blend.strength)
    with ExitStack() as stack:
        reader = stack.enter_context(source or open_reader(job))
        writer = stack.enter_context(sink or open_writer(job))
        networks = load(config)
        loaded = time.perf_counter()
        frames = restored_frames(
            prefiltered(reader.frames(), job.filters),
            networks.detector,
            networks.run,
            config,
            clock,
            tracks=job.tracks,
            parser=networks.parser,
        )
        stack.callback(frames.close)
        for frame in frames:
            clock.call("encode", lambda frame=frame: writer.write(frame))  # type: ignore[misc]
            tally.add(frame)
            each(frame)
            if samples is not None:
                samples.add(frame)
                samples.hashes.append(int(picture_hash(frame.source or frame.picture), 16))
            if progress is not None:
                seconds = time.perf_counter() - loaded
                progress(_progress(tally.frames, job.expected_frames, seconds))
        check_failures(tally, config)
        clock.call("encode", writer.commit)
    notes = (*writer.notes, *reader.notes, *networks.run.notes)
    damaged = reader.is_damaged or writer.is_damaged
    working_s, device = time.perf_counter() - loaded, resolve_device(config.run.device)
    return Done(
        tally,
        networks.run.name,
        networks.detector.name,
        networks.told_facts(),
        str(device),
        peak_device_memory_mib(device),
        tally.frames,
        working_s,
        writer.codec,
        notes,
        damaged,
    )


def give_frames(job: Job, networks: Networks) -> Generator[Frame, None, None]:
    """Restored frames of a job's input; leaving early closes it."""
    with open_reader(job) as reader:
        frames = restored_frames(
            prefiltered(reader.frames(), job.filters),
            networks.detector,
            networks.run,
            job.config,
            tracks=job.tracks,
            parser=networks.parser,
        )
        try:
            yield from frames
        finally:
            frames.close()


def single_frame(image: npt.NDArray[np.uint8]) -> Frame:
    """A picture (H, W, 3) uint8 RGB as a video of one frame."""
    height, width = image.shape[:2]
    return Frame(
        index=0,
        pts=0,
        time_base=Fraction(1, 25),
        picture=picture_from_rgb(image),
        display=Display(width, height, identity()),
        is_cut=True,
    )


def inspect_job(
    job: Job,
    detector: FaceDetector,
    *,
    each: Callable[[Frame], None] | None,
    progress: Callable[[Progress], None] | None,
) -> Tracks:
    """Find and track the faces of a job's input; see `Session.inspect`."""
    builder, begun = TracksBuilder(), time.perf_counter()
    with open_reader(job) as reader:
        frames = tracked_frames(
            prefiltered(reader.frames(), job.filters), detector, job.config, tracks=job.tracks
        )
        with closing(frames):
            for count, frame in enumerate(frames, start=1):
                builder.add(frame)
                if each is not None:
                    each(frame)
                if progress is not None:
                    seconds = time.perf_counter() - begun
                    progress(_progress(count, job.expected_frames, seconds))
    return builder.finish(
        source=well_formed(str(job.source)), start=job.config.decode.start, detector=detector.name
    )


def open_writer(job: Job) -> AbstractContextManager[FrameSink]:
    """The sink that writes a job's output, which nothing else stores; not entered yet."""
    if job.output is None:
        raise UsageError("this job has no output; plan it with one, or give a sink")
    if job.output.container is SEQUENCE:
        config = job.config
        return SequenceWriter(
            job.output, job.filtered, config.encode, job.window, config.decode.max_broken
        )
    if job.config.encode.sink == "ffmpeg":
        from vidrestore.video.ffmpeg.sink import FfmpegWriter

        return FfmpegWriter(
            job.output, job.filtered, job.config.encode, job.window, inputs=job.inputs
        )
    return straight_writer(job)


def _progress(frames: int, total: int | None, seconds: float, before: int = 0) -> Progress:
    speed = (frames - before) / max(seconds, 1e-9)
    left = None
    if total is not None and frames > before:
        left = max(0, total - frames) / max(speed, 1e-9)
    return Progress(frames, total, speed, left)
