"""A session: networks loaded once, used for many inputs.

    with Session(model="gfpgan-1.4", device="cuda") as session:
        for tape in tapes:
            session.video(tape, tape.with_suffix(".restored.mp4"))

A network is loaded when it is first needed. What a run remembers belongs to the run: ten videos
through one session give, each, the bytes of ten separate runs, also at the same time from several
threads, which take turns on the networks.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

import numpy as np
import numpy.typing as npt

from vidrestore.config import ConfigLike, RestoreConfig, resolve_config
from vidrestore.errors import UsageError, nearest
from vidrestore.geometry import identity
from vidrestore.job import Job, make_job
from vidrestore.models.interfaces import FaceDetector, FaceRestorer, RestorerRun
from vidrestore.models.load import load_detector, load_restorer, resolve_device
from vidrestore.models.parsing import FaceParser, load_parser
from vidrestore.pipeline import restored_frames, tracked_frames
from vidrestore.report import Tally, check_failures
from vidrestore.runtime.memory import peak_memory_mib
from vidrestore.runtime.output_file import after_writing
from vidrestore.runtime.printable import well_formed
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.structs import Display, Frame, RestoreReport
from vidrestore.tracks import Tracks, TracksBuilder
from vidrestore.video.picture.samples import picture_from_rgb, picture_to_rgb
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.read.source import FrameSource
from vidrestore.video.sequence.sink import SEQUENCE, SequenceWriter
from vidrestore.video.sequence.source import SequenceReader
from vidrestore.video.write.sink import FrameSink
from vidrestore.video.write.writer import VideoWriter
from vidrestore.visual.before_after import Preview

__all__ = ["Options", "Progress", "Session", "resolve_options"]

_log = logging.getLogger(__name__)


class Options(TypedDict, total=False):
    """The keywords of daily use; each stands for a field of the configuration, see `OPTION_FIELDS`.

    One that is None or left out keeps what the configuration says.
    """

    model: str | Path | None
    """A name from `vidrestore models list`, a weights file, or "auto" (best installed)."""
    detector: str | Path | None
    """The face detector, by name or weights file."""
    device: str | None
    """"auto", "cpu", "cuda", "cuda:1"."""
    strength: float | None
    """Share of the restored face, 0 to 1."""
    start: float | None
    """First second to restore; only frames in [start, end) come out."""
    end: float | None
    """Stop before this second."""
    crf: float | None
    """Constant quality of the encoder."""
    codec: str | None
    """Video codec, or "auto"."""
    overwrite: bool | None
    """Whether existing outputs are replaced."""
    per_frame: bool
    """Treat every frame by itself, as restorers of pictures do; see `config.PER_FRAME`."""


OPTION_FIELDS = {
    "model": "restore.model",
    "detector": "detect.detector",
    "strength": "blend.strength",
    "device": "run.device",
    "start": "decode.start",
    "end": "decode.end",
    "crf": "encode.crf",
    "codec": "encode.codec",
    "overwrite": "encode.overwrite",
}
"""The fields of the configuration that the keywords stand for."""


def resolve_options(config: ConfigLike, options: Mapping[str, Any]) -> RestoreConfig:
    """The configuration with the keywords of `Options` applied.

    Raises:
        TypeError: a keyword does not exist; the nearest one is named.
        UsageError: a value is wrong.
    """
    known = (*OPTION_FIELDS, "per_frame")
    for name in options:
        if name not in known:
            raise TypeError(f"unexpected keyword {name!r}{nearest(name, known)}")
    given = {
        OPTION_FIELDS[name]: str(value) if isinstance(value, Path) else value
        for name, value in options.items()
        if name in OPTION_FIELDS and value is not None
    }
    per_frame = bool(options.get("per_frame"))
    return resolve_config(config, given, per_frame=per_frame)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    frames: int
    """Frames written."""
    total: int | None
    """Frames expected; None where the container does not tell."""
    frames_per_s: float
    seconds_left: float | None


class Session:
    """Networks loaded once and what they are used for; a context manager.

    Args:
        config: a `RestoreConfig`, a mapping as in a preset, a preset's name or path, or None for
            the defaults.
        restorer: a restorer of one's own in place of `model`: `adapt_restorer(network, ...)` makes
            one of a network.
        face_detector: a detector of one's own in place of `detector`.
        options: see `Options`.

    Raises:
        UsageError: for a bad option, or a network without an adapter.
    """

    def __init__(
        self,
        config: ConfigLike = None,
        *,
        restorer: FaceRestorer | None = None,
        face_detector: FaceDetector | None = None,
        **options: Unpack[Options],
    ) -> None:
        self.config = resolve_options(config, options)
        _require_restorer(restorer)
        self._restorer, self._own_restorer = restorer, restorer is not None
        self._detector, self._own_detector = face_detector, face_detector is not None
        self._parsers: dict[str, FaceParser] = {}
        self._closed = False
        self._loading = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the networks; the session cannot be used afterwards."""
        self._closed = True
        self._restorer = self._detector = None
        self._parsers = {}

    @property
    def restorer(self) -> FaceRestorer:
        """The restorer, loaded when first asked for.

        Raises:
            VidRestoreError: for weights and models.
        """
        with self._loading:
            self._require_open()
            if self._restorer is None:
                self._restorer = load_restorer(
                    self.config.restore.model,
                    device=resolve_device(self.config.run.device),
                    precision=self.config.restore.precision,
                    batch_size=self.config.restore.batch_size,
                    template=self.config.restore.template,
                    value_range=self.config.restore.value_range,
                    channels=self.config.restore.channels,
                )
                _log.info("model %s", self._restorer.name)
            return self._restorer

    @property
    def detector(self) -> FaceDetector:
        """The detector, loaded when first asked for.

        Raises:
            VidRestoreError: for weights and models.
        """
        with self._loading:
            self._require_open()
            if self._detector is None:
                device = resolve_device(self.config.run.device)
                self._detector = load_detector(self.config.detect.detector, device=device)
                _log.info("detector %s, on %s", self._detector.name, device)
            return self._detector

    def _parser(self, config: RestoreConfig) -> FaceParser | None:
        """The face parser, loaded when first needed; None where no mask asks for one."""
        if config.blend.mask != "parsing":
            return None
        with self._loading:
            if config.blend.parser not in self._parsers:
                device = resolve_device(self.config.run.device)
                self._parsers[config.blend.parser] = load_parser(config.blend.parser, device=device)
            return self._parsers[config.blend.parser]

    def plan(
        self,
        src: str | Path,
        dst: str | Path | None = None,
        *,
        tracks: Tracks | str | Path | None = None,
        extra_outputs: tuple[Path, ...] = (),
        **options: Unpack[Options],
    ) -> Job:
        """Decide everything about one input before work; see `make_job`."""
        config, known = self._of_run(tracks, options)
        return make_job(
            src,
            dst,
            config,
            tracks=known,
            extra_outputs=extra_outputs,
            own_restorer=self._own_restorer,
            own_detector=self._own_detector,
        )

    def video(
        self,
        src: str | Path,
        dst: str | Path,
        *,
        tracks: Tracks | str | Path | None = None,
        preview: str | Path | None = None,
        progress: Callable[[Progress], None] | None = None,
        **options: Unpack[Options],
    ) -> RestoreReport:
        """Restore the faces of a video into a new file; all else is carried over.

        Args:
            src: the video to restore.
            dst: the file to write; its ending chooses the container.
            tracks: take these faces, of `inspect`, or of a file by it, which may have been edited.
            preview: a PNG to write with the clearest face before and after.
            progress: called after each frame, from the calling thread.
            options: see `Options`; `model`, `detector` and `device` are the session's.

        Raises:
            UsageError: for a bad option.
            VidRestoreError: for files, weights and models; nothing is left under the name `dst`.
        """
        extra = () if preview is None else (Path(preview),)
        job = self.plan(src, dst, tracks=tracks, extra_outputs=extra, **options)
        return self.run(job, preview=preview, progress=progress)

    def run(
        self,
        job: Job,
        *,
        preview: str | Path | None = None,
        progress: Callable[[Progress], None] | None = None,
        source: FrameSource | None = None,
        sink: FrameSink | None = None,
    ) -> RestoreReport:
        """Do a job that was planned.

        Args:
            job: from `plan`.
            preview: see `video`.
            progress: see `video`.
            source: where frames come from instead of the job's file.
            sink: where they go instead of the job's output.

        Raises:
            VidRestoreError: for files, weights and models; nothing half-written is left.
        """
        begun = time.perf_counter()
        config = job.config
        clock, tally, best = StageClock(), Tally(config.blend.strength), Preview()
        with ExitStack() as stack:
            reader = stack.enter_context(source or _reader(job))
            writer = stack.enter_context(sink or _writer(job))
            run, parser = self._start(config), self._parser(config)
            loaded = time.perf_counter()
            frames = restored_frames(
                reader.frames(),
                self.detector,
                run,
                config,
                clock,
                tracks=job.tracks,
                parser=parser,
            )
            stack.callback(frames.close)
            for frame in frames:
                clock.call("encode", lambda frame=frame: writer.write(frame))  # type: ignore[misc]
                tally.add(frame)
                if preview is not None:
                    best.consider(frame)
                if progress is not None:
                    seconds = time.perf_counter() - loaded
                    progress(_progress(tally.frames, job.expected_frames, seconds))
            check_failures(tally, config)
            clock.call("encode", writer.commit)
        ended = time.perf_counter()
        destination = None if job.output is None else job.output.destination
        if preview is not None:
            with after_writing(*([] if destination is None else [destination])):
                best.save(Path(preview), inputs=job.inputs, overwrite=config.encode.overwrite)
        return RestoreReport(
            source=well_formed(str(job.source)),
            output="" if destination is None else well_formed(str(destination)),
            model=run.name,
            detector=self.detector.name,
            device=str(resolve_device(config.run.device)),
            codec=writer.codec,
            frames=tally.frames,
            faces=tally.faces,
            faces_left_alone=tally.faces_left_alone,
            faces_beyond_limit=tally.faces_beyond_limit,
            faces_failed=tally.faces_failed,
            frames_detected=tally.frames_detected,
            frames_repaired=tally.frames_repaired,
            seconds=ended - begun,
            frames_per_s=tally.frames / max(ended - loaded, 1e-9),
            stage_seconds={name: round(value, 4) for name, value in clock.seconds().items()},
            peak_memory_mib=peak_memory_mib(),
            tracks=tally.records(),
            cuts=tuple(tally.cuts),
            notes=_unique(*job.warnings, *tally.notes(), *writer.notes, *reader.notes, *run.notes),
            damaged=reader.is_damaged or writer.is_damaged,
            config=config.record(),
        )

    def frames(
        self,
        src: str | Path,
        *,
        tracks: Tracks | str | Path | None = None,
        **options: Unpack[Options],
    ) -> Generator[Frame, None, None]:
        """Restored frames of a video, one for each that it holds, in order and at their own times.

        Leaving the loop early closes the video. Arguments and errors are those of `video`.
        """
        job = self.plan(src, tracks=tracks, **options)
        parser = self._parser(job.config)
        return _give_frames(job, self.detector, self._start(job.config), parser)

    def image(
        self, image: npt.NDArray[np.uint8], **options: Unpack[Options]
    ) -> npt.NDArray[np.uint8]:
        """Restore the faces of one picture.

        Args:
            image: (H, W, 3) uint8 RGB. It is not changed.
            options: see `Options`.

        Returns:
            (H, W, 3) uint8 RGB. Samples away from faces are those of `image`.

        Raises:
            UsageError: if `image` has another shape or type, or for a bad option.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise UsageError(
                "image: needs shape (height, width, 3) of uint8 RGB, "
                f"got {image.shape} of {image.dtype}"
            )
        config, _ = self._of_run(None, options)
        frame, parser = iter([_single_frame(image)]), self._parser(config)
        run = self._start(config)
        [restored] = restored_frames(frame, self.detector, run, config, parser=parser)
        return picture_to_rgb(restored.picture)

    def inspect(
        self,
        src: str | Path,
        *,
        each: Callable[[Frame], None] | None = None,
        progress: Callable[[Progress], None] | None = None,
        **options: Unpack[Options],
    ) -> Tracks:
        """Find and track the faces of a video as `video` does, and restore nothing.

        Args:
            src: the video.
            each: called with each frame, whose faces are tracked, aligned and gated.
            progress: called after each frame.
            options: see `Options`.

        Returns:
            The tracks, for `video(..., tracks=...)`, or as a file: `tracks.to_json()`.

        Raises:
            UsageError: for a bad option.
            VidRestoreError: for files, weights and models.
        """
        config, _ = self._of_run(None, options)
        job = make_job(src, None, config, own_restorer=True, own_detector=self._own_detector)
        builder, begun = TracksBuilder(), time.perf_counter()
        with _reader(job) as reader:
            frames = tracked_frames(reader.frames(), self.detector, config, tracks=job.tracks)
            with closing(frames):
                for count, frame in enumerate(frames, start=1):
                    builder.add(frame)
                    if each is not None:
                        each(frame)
                    if progress is not None:
                        seconds = time.perf_counter() - begun
                        progress(_progress(count, job.expected_frames, seconds))
        return builder.finish(
            source=well_formed(str(src)), start=config.decode.start, detector=self.detector.name
        )

    def _of_run(
        self, tracks: Tracks | str | Path | None, options: Mapping[str, Any]
    ) -> tuple[RestoreConfig, Tracks | None]:
        """The configuration of one run, and tracks that were given as an object.

        Raises:
            UsageError: an option would need other networks than the session's.
        """
        self._require_open()
        config = resolve_options(self.config, options)
        for name in ("model", "detector", "device"):
            if options.get(name) is not None:
                raise UsageError(f"{name}: is the session's own; open another Session for another")
        if isinstance(tracks, Tracks):
            return config, tracks
        if tracks is not None:
            config = resolve_config(config, {"track.file": tracks})
        return config, None

    def _start(self, config: RestoreConfig) -> RestorerRun:
        return self.restorer.start_run(
            noise=config.restore.noise, style_strength=config.temporal_filter.strength
        )

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("this session is closed; open another")


def _require_restorer(restorer: object) -> None:
    """Refuse a bare network, whose sizes and value range nobody knows."""
    if restorer is not None and not isinstance(restorer, FaceRestorer):
        raise UsageError(
            f"restorer: a {type(restorer).__name__} does not say its size, template, value range "
            "and channel order; wrap it: adapt_restorer(network, size=..., template=..., ...)"
        )


def _reader(job: Job) -> FrameSource:
    if job.info.sequence is not None:
        return SequenceReader(
            job.info, job.config.decode, job.window, keep_damaged=job.config.encode.keep_damaged
        )
    return VideoReader(
        job.info,
        job.config.decode,
        threads=job.config.run.threads,
        keep_damaged=job.config.encode.keep_damaged,
        window=job.window,
    )


def _writer(job: Job) -> FrameSink:
    if job.output is None:
        raise UsageError("this job has no output; plan it with one, or give a sink")
    if job.output.container is SEQUENCE:
        return SequenceWriter(job.output, job.info, job.config.encode, job.window)
    return VideoWriter(
        job.output,
        job.info,
        job.config.encode,
        window=job.window,
        threads=job.config.run.threads,
        max_broken=job.config.decode.max_broken,
        inputs=job.inputs,
    )


def _give_frames(
    job: Job, detector: FaceDetector, run: RestorerRun, parser: FaceParser | None
) -> Generator[Frame, None, None]:
    with _reader(job) as reader:
        frames = restored_frames(
            reader.frames(), detector, run, job.config, tracks=job.tracks, parser=parser
        )
        try:
            yield from frames
        finally:
            frames.close()


def _single_frame(image: npt.NDArray[np.uint8]) -> Frame:
    height, width = image.shape[:2]
    return Frame(
        index=0,
        pts=0,
        time_base=Fraction(1, 25),
        picture=picture_from_rgb(image),
        display=Display(width, height, identity()),
        is_cut=True,
    )


def _progress(frames: int, total: int | None, seconds: float) -> Progress:
    speed = frames / max(seconds, 1e-9)
    left = None if total is None else max(0, total - frames) / max(speed, 1e-9)
    return Progress(frames, total, speed, left)


def _unique(*notes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))
