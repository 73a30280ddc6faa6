"""The Python API: `restore_video`, `restore_frames`, `restore_image`, `load_restorer`, `probe`.

Everything the command line does goes through these functions. They report by return value,
`logging` and a progress callback; they never print, exit or seed.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vidrestore.config import RestoreConfig, input_files, resolve_config
from vidrestore.errors import ModelError, UsageError
from vidrestore.geometry import identity
from vidrestore.memory_estimate import check_memory, estimate_memory_mib
from vidrestore.models.interfaces import FaceDetector, RestorerRun
from vidrestore.models.load import load_detector, load_restorer, resolve_device
from vidrestore.models.names import resolve
from vidrestore.pipeline import restored_frames, tracked_frames
from vidrestore.runtime.memory import peak_memory_mib
from vidrestore.runtime.output_file import after_writing, check_outputs
from vidrestore.runtime.printable import well_formed
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.runtime.words import counted
from vidrestore.structs import Display, FaceRecord, Frame, RestoreReport
from vidrestore.tracks import Tracks, TracksBuilder, load_tracks
from vidrestore.video.picture.samples import picture_from_rgb, picture_to_rgb, shown_rgb
from vidrestore.video.read.probe import INTERLACED_WARNING, VideoInfo, probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import OutputPlan, VideoWriter, plan_output
from vidrestore.visual.before_after import Preview

__all__ = [
    "Progress",
    "frame_to_rgb",
    "inspect_video",
    "load_restorer",
    "plan",
    "probe",
    "restore_frames",
    "restore_image",
    "restore_video",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is."""

    frames: int
    """Frames written."""
    total: int | None
    """Frames expected; None where the container does not tell."""
    frames_per_s: float
    seconds_left: float | None


class _Seen(NamedTuple):
    """One face in one frame."""

    frame: int
    score: float
    strength: float
    gated_by: tuple[str, ...]
    restored: bool


@dataclass(slots=True)
class _Tally:
    """Counts what passes by."""

    strength: float = 1.0
    """Of all faces: `blend.strength`."""
    frames: int = 0
    faces: int = 0
    faces_left_alone: int = 0
    faces_beyond_limit: int = 0
    faces_failed: int = 0
    frames_detected: int = 0
    frames_repaired: int = 0
    interlaced: bool = False
    """Whether a frame with a restored face was interlaced."""
    cuts: list[int] = field(default_factory=list)
    tracks: dict[int, list[_Seen]] = field(default_factory=dict)

    def add(self, frame: Frame) -> None:
        self.frames += 1
        self.frames_detected += frame.detected
        self.frames_repaired += frame.repaired
        if frame.is_cut and frame.index:
            self.cuts.append(frame.index)
        self.faces_beyond_limit += frame.faces_ignored
        for face in frame.faces:
            wanted = face.strength * self.strength > 0
            restored = wanted and face.crop is not None
            self.faces += restored
            self.interlaced |= restored and frame.picture.handle.interlaced_frame
            self.faces_failed += wanted and face.crop is None
            self.faces_left_alone += not wanted
            self.faces_beyond_limit += not wanted and "count" in face.gated_by
            seen = _Seen(frame.index, face.score, face.strength, face.gated_by, restored)
            self.tracks.setdefault(face.track_id, []).append(seen)

    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        told = [INTERLACED_WARNING] if self.interlaced else []
        if self.faces_beyond_limit:
            count = counted(self.faces_beyond_limit, "face")
            told.append(f"{count} beyond --max-faces left alone, the smallest of their frames")
        return tuple(told)

    def records(self) -> tuple[FaceRecord, ...]:
        return tuple(
            FaceRecord(
                track_id=track,
                first_frame=seen[0].frame,
                last_frame=seen[-1].frame,
                frames=len(seen),
                mean_score=float(np.mean([one.score for one in seen])),
                restored_frames=sum(one.restored for one in seen),
                mean_strength=float(np.mean([one.strength for one in seen])),
                gated_by=dict(Counter(gate for one in seen for gate in one.gated_by)),
            )
            for track, seen in sorted(self.tracks.items())
        )


def restore_video(
    src: str | Path,
    dst: str | Path,
    *,
    config: RestoreConfig | str | Path | None = None,
    model: str | None = None,
    detector: str | None = None,
    strength: float | None = None,
    device: str | None = None,
    start: float | None = None,
    end: float | None = None,
    crf: float | None = None,
    codec: str | None = None,
    overwrite: bool | None = None,
    tracks: str | Path | None = None,
    per_frame: bool = False,
    preview: str | Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> RestoreReport:
    """Restores the faces of a video into a new file; all else is carried over.

    Keywords left at None keep what `config` says.

    Args:
        src: the video to restore.
        dst: the file to write; its ending chooses the container.
        config: a `RestoreConfig`, the path of a YAML preset, or None for the defaults.
        model: a name from `vidrestore models list`, a weights file, or "auto" (best installed).
        detector: the face detector.
        strength: share of the restored face, 0 to 1.
        device: "auto", "cpu", "cuda", "cuda:1".
        start: first second to restore; only frames in [start, end) come out.
        end: stop before this second.
        crf: constant quality of the encoder.
        codec: video codec, or "auto".
        overwrite: whether an existing `dst` or `preview` is replaced.
        tracks: take the faces of a file by `inspect_video`, which may have been edited.
        per_frame: treat every frame by itself, as restorers of pictures do, for comparison: see
            `config.PER_FRAME`.
        preview: a PNG to write with the clearest face before and after.
        progress: called after each frame, from the calling thread.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models; nothing is left under the name `dst`.
    """
    begun = time.perf_counter()
    resolved = _resolved(
        config,
        model=model,
        detector=detector,
        strength=strength,
        device=device,
        start=start,
        end=end,
        crf=crf,
        codec=codec,
        overwrite=overwrite,
        tracks=tracks,
        per_frame=per_frame,
    )
    check_outputs(
        [Path(path) for path in (dst, preview) if path is not None],
        inputs=input_files(src, resolved),
        overwrite=resolved.encode.overwrite,
    )
    info = probe(src)
    planned = plan_output(info, dst, resolved.encode)
    tight = _check_memory(info, resolved, planned.codec)
    for warning in tight:
        _log.warning("%s", warning)
    clock, tally, best = StageClock(), _Tally(resolved.blend.strength), Preview()
    with ExitStack() as stack:
        reader = stack.enter_context(
            VideoReader(
                src,
                resolved.decode,
                threads=resolved.run.threads,
                keep_damaged=resolved.encode.keep_damaged,
            )
        )
        writer = stack.enter_context(
            VideoWriter(
                dst,
                info,
                resolved.encode,
                start=resolved.decode.start,
                end=resolved.decode.end,
                threads=resolved.run.threads,
                max_broken=resolved.decode.max_broken,
            )
        )
        find, restorer = _load_models(resolved)
        loaded = time.perf_counter()
        frames = restored_frames(reader.frames(), find, restorer, resolved, clock)
        stack.callback(frames.close)
        total = _expected_frames(info, resolved)
        for frame in frames:
            clock.call("encode", lambda frame=frame: writer.write(frame))  # type: ignore[misc]
            tally.add(frame)
            if preview is not None:
                best.consider(frame)
            if progress is not None:
                progress(_progress(tally.frames, total, time.perf_counter() - loaded))
        _check_failures(tally, resolved)
        clock.call("encode", writer.commit)
    ended = time.perf_counter()
    if preview is not None:
        with after_writing(Path(dst)):
            best.save(
                Path(preview),
                inputs=input_files(src, resolved),
                overwrite=resolved.encode.overwrite,
            )
    return RestoreReport(
        source=well_formed(str(src)),
        output=well_formed(str(dst)),
        model=restorer.name,
        detector=find.name,
        device=str(resolve_device(resolved.run.device)),
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
        notes=_unique(
            *info.warnings, *tight, *tally.notes(), *writer.notes, *reader.notes, *restorer.notes
        ),
        damaged=reader.is_damaged or writer.is_damaged,
        config=resolved.record(),
    )


def inspect_video(
    src: str | Path,
    *,
    config: RestoreConfig | str | Path | None = None,
    detector: str | None = None,
    device: str | None = None,
    start: float | None = None,
    end: float | None = None,
    each: Callable[[Frame], None] | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Tracks:
    """Finds and follows the faces of a video as `restore_video` does, and restores nothing.

    Args:
        src: the video.
        config: as for `restore_video`, like the keywords that follow.
        detector: see `restore_video`.
        device: see `restore_video`.
        start: see `restore_video`.
        end: see `restore_video`.
        each: called with each frame, whose faces are tracked, aligned and gated.
        progress: called after each frame.

    Returns:
        The tracks: `Path("tracks.json").write_text(tracks.to_json())` is what
        `restore_video(..., tracks="tracks.json")` takes.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models.
    """
    resolved = _resolved(config, detector=detector, device=device, start=start, end=end)
    info = probe(src)
    _check_memory(info, resolved, None)
    find = load_detector(resolved.detect.detector, device=resolve_device(resolved.run.device))
    builder, total, begun = TracksBuilder(), _expected_frames(info, resolved), time.perf_counter()
    with VideoReader(src, resolved.decode, threads=resolved.run.threads) as reader:
        frames = tracked_frames(reader.frames(), find, resolved)
        with closing(frames):
            for count, frame in enumerate(frames, start=1):
                builder.add(frame)
                if each is not None:
                    each(frame)
                if progress is not None:
                    progress(_progress(count, total, time.perf_counter() - begun))
    return builder.finish(
        source=well_formed(str(src)), start=resolved.decode.start, detector=find.name
    )


def restore_frames(
    src: str | Path,
    *,
    config: RestoreConfig | str | Path | None = None,
    model: str | None = None,
    detector: str | None = None,
    strength: float | None = None,
    device: str | None = None,
    start: float | None = None,
    end: float | None = None,
    tracks: str | Path | None = None,
    per_frame: bool = False,
) -> Iterator[Frame]:
    """Restored frames of a video, one for each that it holds, in order and at their own times.

        for frame in restore_frames("tape.mp4"):
            image = frame_to_rgb(frame)

    Keywords are those of `restore_video`. Leaving the loop early closes the video.

    Raises:
        UsageError: for a bad option.
        VidRestoreError: for files, weights and models.
    """
    resolved = _resolved(
        config,
        model=model,
        detector=detector,
        strength=strength,
        device=device,
        start=start,
        end=end,
        tracks=tracks,
        per_frame=per_frame,
    )
    _check_memory(probe(src), resolved, None)
    return _restore_frames(src, resolved, *_load_models(resolved))


def _restore_frames(
    src: str | Path, config: RestoreConfig, detector: FaceDetector, restorer: RestorerRun
) -> Generator[Frame, None, None]:
    keep = config.encode.keep_damaged
    with VideoReader(src, config.decode, threads=config.run.threads, keep_damaged=keep) as reader:
        frames = restored_frames(reader.frames(), detector, restorer, config)
        try:
            yield from frames
        finally:
            frames.close()


def restore_image(
    image: npt.NDArray[np.uint8],
    *,
    config: RestoreConfig | str | Path | None = None,
    model: str | None = None,
    detector: str | None = None,
    strength: float | None = None,
    device: str | None = None,
) -> npt.NDArray[np.uint8]:
    """Restores the faces of one picture.

    Args:
        image: (H, W, 3) uint8 RGB. It is not changed.
        config: as for `restore_video`, like the keywords that follow.
        model: see `restore_video`.
        detector: see `restore_video`.
        strength: see `restore_video`.
        device: see `restore_video`.

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
    resolved = _resolved(config, model=model, detector=detector, strength=strength, device=device)
    frame = _single_frame(image)
    [restored] = restored_frames(iter([frame]), *_load_models(resolved), resolved)
    return picture_to_rgb(restored.picture)


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


def frame_to_rgb(frame: Frame, *, before: bool = False) -> npt.NDArray[np.uint8]:
    """The frame as a person sees it: (H, W, 3) uint8 RGB, upright, with square pixels.

    Args:
        frame: from `restore_frames`.
        before: show the picture as decoded, without the restored faces.
    """
    picture = frame.source if before and frame.source is not None else frame.picture
    return shown_rgb(picture, frame.display)


def plan(
    src: str | Path, dst: str | Path, *, config: RestoreConfig | str | Path | None = None
) -> tuple[VideoInfo, OutputPlan, RestoreConfig]:
    """Everything that is decided before work starts, as `--dry-run` shows it.

    Raises:
        VidRestoreError: what `restore_video` would raise before it decodes a frame.
    """
    resolved = resolve_config(config)
    info = probe(src)
    if resolved.track.file is not None:
        load_tracks(resolved.track.file)
    planned = plan_output(info, dst, resolved.encode)
    resolve_device(resolved.run.device)
    resolve(resolved.detect.detector, "detector")
    _check_memory(info, resolved, planned.codec)
    return info, planned, resolved


_KEYWORDS = {
    "model": "restore.model",
    "detector": "detect.detector",
    "strength": "blend.strength",
    "device": "run.device",
    "start": "decode.start",
    "end": "decode.end",
    "crf": "encode.crf",
    "codec": "encode.codec",
    "overwrite": "encode.overwrite",
    "tracks": "track.file",
}
"""The functions' keywords and the options they stand for."""


def _resolved(
    config: RestoreConfig | str | Path | None, *, per_frame: bool = False, **keywords: Any
) -> RestoreConfig:
    given = {_KEYWORDS[name]: value for name, value in keywords.items() if value is not None}
    return resolve_config(config, given, per_frame=per_frame)


def _load_models(config: RestoreConfig) -> tuple[FaceDetector, RestorerRun]:
    device = resolve_device(config.run.device)
    detector = load_detector(config.detect.detector, device=device)
    restorer = load_restorer(
        config.restore.model,
        device=device,
        precision=config.restore.precision,
        batch_size=config.restore.batch_size,
        template=config.restore.template,
        value_range=config.restore.value_range,
        channels=config.restore.channels,
    ).start_run(noise=config.restore.noise, style_strength=config.temporal_filter.strength)
    _log.info("model %s, detector %s, on %s", restorer.name, detector.name, device)
    return detector, restorer


def _progress(frames: int, total: int | None, seconds: float) -> Progress:
    speed = frames / max(seconds, 1e-9)
    left = None if total is None else max(0, total - frames) / max(speed, 1e-9)
    return Progress(frames, total, speed, left)


def _expected_frames(info: VideoInfo, config: RestoreConfig) -> int | None:
    """Frames that will come, from what the container says; an estimate for progress only."""
    if info.n_frames_estimate is None or info.duration_s is None:
        return info.n_frames_estimate
    begin = config.decode.start or 0.0
    end = min(config.decode.end or info.duration_s, info.duration_s)
    share = max(0.0, end - begin) / max(info.duration_s, 1e-9)
    return max(1, round(info.n_frames_estimate * share))


def _check_memory(info: VideoInfo, config: RestoreConfig, codec: str | None) -> tuple[str, ...]:
    """A warning if memory is tight.

    Raises:
        NotEnoughMemoryError: If it does not suffice.
    """
    needed = estimate_memory_mib(
        info.picture_bytes,
        info.width * info.height,
        _expected_frames(info, config),
        float(info.average_rate or 25),
        config,
        codec,
        _weights_bytes(config),
    )
    warning = check_memory(needed, f"{info.path} ({info.width}x{info.height})")
    return () if warning is None else (warning,)


def _weights_bytes(config: RestoreConfig) -> int:
    """Of the restorer's file if it is none of the small ones that ship; 0 where not yet known."""
    chosen = resolve(config.restore.model, "restorer")
    if isinstance(chosen, Path):
        return chosen.stat().st_size if chosen.is_file() else 0
    return 0 if chosen.name in ("embedded", "debug") else chosen.bytes or 0


def _unique(*notes: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(notes))


def _check_failures(tally: _Tally, config: RestoreConfig) -> None:
    tried = tally.faces + tally.faces_failed
    if tried and tally.faces_failed / tried > config.run.max_failed_faces:
        raise ModelError(
            f"the network gave no valid numbers for {tally.faces_failed} of "
            f"{counted(tried, 'face')}; try --restore.precision float32 or another --model"
        )
