"""The chain on one screen: decode → detect → track → align → gate → measure_noise →
split_fields → conceal → upload → restore → temporal_filter → blend → weave_fields.

Each stage is a generator that pulls from the one before. Decoding and encoding overlap with the
networks through `prefetch`; no stage knows of threads. A run that stores what it finds does the
same stages: all at once, or `analysed_frames` up to the noise and `restored_from_analysis` the
rest, from any frame on. However the run ends, stages are closed from the last to the first, so that
no thread and no open file is left behind.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Protocol

from vidrestore.config import RestoreConfig
from vidrestore.memory_estimate import QUEUE_BYTES
from vidrestore.models.interfaces import FaceDetector, RestorerRun
from vidrestore.models.parsing import FaceParser
from vidrestore.models.templates import landmark_template
from vidrestore.runtime.memory import give_back_freed_memory
from vidrestore.runtime.prefetch import prefetch
from vidrestore.runtime.stage_clock import StageClock
from vidrestore.stages.align import align
from vidrestore.stages.apply_tracks import apply_tracks
from vidrestore.stages.blend import blend
from vidrestore.stages.conceal import conceal
from vidrestore.stages.detect import detect
from vidrestore.stages.gate import gate
from vidrestore.stages.measure_noise import measure_noise
from vidrestore.stages.restore import restore
from vidrestore.stages.split_fields import split_fields
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.track import track
from vidrestore.stages.upload import section_device, upload
from vidrestore.stages.weave_fields import weave_fields
from vidrestore.structs import Array, Frame
from vidrestore.tracks import Tracks

__all__ = [
    "Analysis",
    "analysed_frames",
    "restored_frames",
    "restored_from_analysis",
    "tracked_frames",
]

_GIVE_BACK_FRAMES = 40
"""What the heap holds between blocks in use adds up to a fourth of a run's memory; taking it anew
so often costs less than a hundredth of the time."""


def restored_frames(
    decoded: Iterable[Frame],
    detector: FaceDetector,
    restorer: RestorerRun,
    config: RestoreConfig,
    clock: StageClock | None = None,
    *,
    tracks: Tracks | None = None,
    parser: FaceParser | None = None,
) -> Generator[Frame, None, None]:
    """Restore decoded frames; one leaves for each that enters, in order, at its own time.

    Args:
        decoded: frames of a source.
        detector: finds the faces, unless tracks are given.
        restorer: a run of the network.
        config: options of every stage.
        clock: books the time of each stage.
        tracks: faces that are known already.
        parser: for the mask "parsing" of blending.
    """
    with ExitStack() as closing:
        stage = _Stages(clock or StageClock(), closing)
        frames = _tracked(stage, decoded, detector, config, restorer.template, tracks)
        frames = stage.in_thread("tracking", frames, config.run.queue_frames, name="track")
        if config.restore.measure_noise:
            frames = stage("measure_noise", measure_noise(frames, restorer.size))
        yield from _giving_memory_back(_restored(stage, frames, restorer, config, parser))


class Analysis(Protocol):
    """What is known of a video, or found as its frames come by."""

    def with_faces(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        """Give decoded frames their faces; some at the beginning may be left out."""
        ...

    def with_noise(self, frames: Iterable[Frame]) -> Iterable[Frame]:
        """Give aligned and gated frames the noise around their faces, if it is measured."""
        ...


def analysed_frames(
    decoded: Iterable[Frame],
    analysis: Analysis,
    config: RestoreConfig,
    template: Array,
    clock: StageClock | None = None,
) -> Generator[Frame, None, None]:
    """Decoded frames with their faces, and the noise around them if it is measured.

    Args:
        decoded: frames of a source.
        analysis: follows faces and measures noise.
        config: options of every stage.
        template: of the restorer's crops, in their pixels.
        clock: books the time of each stage.
    """
    with ExitStack() as closing:
        stage = _Stages(clock or StageClock(), closing)
        frames = _followed(stage, decoded, analysis, config)
        if config.restore.measure_noise:
            frames = _aligned(stage, frames, config, template)
        yield from stage("measure_noise", analysis.with_noise(frames))


def restored_from_analysis(
    decoded: Iterable[Frame],
    analysis: Analysis,
    restorer: RestorerRun,
    config: RestoreConfig,
    clock: StageClock | None = None,
    *,
    crops_from: int = 0,
    parser: FaceParser | None = None,
) -> Generator[Frame, None, None]:
    """Restore decoded frames with what an analysis has found or finds; see `restored_frames`.

    Args:
        decoded: frames, from any one on.
        analysis: knows faces and noise, or finds them now.
        restorer: a run of the network.
        config: options of every stage.
        clock: books the time of each stage.
        crops_from: number of the first frame whose faces are restored; those before lead in.
        parser: for the mask "parsing" of blending.
    """
    with ExitStack() as closing:
        stage = _Stages(clock or StageClock(), closing)
        frames = _followed(stage, decoded, analysis, config)
        frames = _aligned(stage, frames, config, restorer.template)
        frames = stage.in_thread("tracking", frames, config.run.queue_frames, name="track")
        frames = stage("measure_noise", analysis.with_noise(frames))
        frames = stage("leave out", _left_alone_before(frames, crops_from))
        yield from _giving_memory_back(_restored(stage, frames, restorer, config, parser))


def _followed(
    stage: _Stages, decoded: Iterable[Frame], analysis: Analysis, config: RestoreConfig
) -> Generator[Frame, None, None]:
    return stage("track", analysis.with_faces(_decoded(stage, decoded, config)))


def _decoded(stage: _Stages, decoded: Iterable[Frame], config: RestoreConfig) -> Iterator[Frame]:
    frames = stage("decode", decoded)
    frames = stage.in_thread("decode", frames, config.run.queue_frames, name="decode")
    return _giving_memory_back(frames)


def _giving_memory_back(frames: Iterable[Frame]) -> Iterator[Frame]:
    for number, frame in enumerate(frames):
        if number % _GIVE_BACK_FRAMES == 0:
            give_back_freed_memory()
        yield frame


def _left_alone_before(frames: Iterable[Frame], first: int) -> Iterator[Frame]:
    for frame in frames:
        if frame.index < first and frame.faces:
            faces = tuple(replace(face, strength=0.0) for face in frame.faces)
            frame = replace(frame, faces=faces)
        yield frame


def _restored(
    stage: _Stages,
    frames: Generator[Frame, None, None],
    restorer: RestorerRun,
    config: RestoreConfig,
    parser: FaceParser | None,
) -> Generator[Frame, None, None]:
    frames = stage("split_fields", split_fields(frames))
    if config.restore.conceal_defects:
        frames = stage("conceal", conceal(frames, restorer.size))
    device, why_not = section_device(restorer, config.blend)
    if why_not is not None:
        restorer.notes.append(why_not)
    on_device = device is not None
    if device is not None:
        with_flows = config.temporal_filter.strength > 0 and config.temporal_filter.reach_frames > 0
        sent = upload(frames, device, restorer.size, with_flows=with_flows)
        frames = stage("upload", sent)
        frames = stage.in_thread("upload", frames, config.run.queue_frames, name="upload")
    frames = stage("restore", restore(frames, restorer, collect=config.run.collect_faces))
    filtered = temporal_filter(
        frames, config.temporal_filter, on_device=on_device, notes=restorer.notes
    )
    frames = stage("temporal_filter", filtered)
    frames = stage("blend", blend(frames, config.blend, parser, notes=restorer.notes))
    frames = stage("weave_fields", weave_fields(frames))
    return stage.in_thread("faces", frames, config.run.queue_frames, name="restore")


def tracked_frames(
    decoded: Iterable[Frame],
    detector: FaceDetector,
    config: RestoreConfig,
    *,
    tracks: Tracks | None = None,
) -> Generator[Frame, None, None]:
    """Decoded frames with their faces tracked, aligned to FFHQ crops of 512 px and gated."""
    with ExitStack() as closing:
        stage = _Stages(StageClock(), closing)
        template = landmark_template("ffhq", 512)
        yield from _tracked(stage, decoded, detector, config, template, tracks)


class _Stages:
    """A chain of generators: books the time of each, and closes all when it ends."""

    def __init__(self, clock: StageClock, closing: ExitStack) -> None:
        self._clock, self._closing = clock, closing
        self._before: str | None = None
        """The stage added last, from which the next one pulls."""

    def __call__(self, name: str, frames: Iterable[Frame]) -> Generator[Frame, None, None]:
        timed = self._clock.timed(name, frames, self._before)
        for generator in (frames, timed):
            if isinstance(generator, Generator):
                self._closing.callback(generator.close)
        self._before = name
        return timed

    def in_thread(
        self, what: str, frames: Iterable[Frame], depth: int, *, name: str
    ) -> Generator[Frame, None, None]:
        """The stages so far run ahead in a thread; what is booked from here is the wait for it."""
        self._before = None
        ahead = prefetch(frames, depth, name=name, weigh=_picture_bytes, most=QUEUE_BYTES)
        return self(f"wait for {what}", ahead)


def _picture_bytes(frame: Frame) -> int:
    """Of the pictures that a frame holds, as decoded and as restored."""
    pictures = (frame.picture, frame.source)
    return sum(plane.nbytes for one in pictures if one is not None for plane in one.planes)


def _tracked(
    stage: _Stages,
    decoded: Iterable[Frame],
    detector: FaceDetector,
    config: RestoreConfig,
    template: Array,
    tracks: Tracks | None,
) -> Generator[Frame, None, None]:
    frames = _decoded(stage, decoded, config)
    if tracks is not None:
        name = str(config.track.file or "given")
        frames = stage("track", apply_tracks(frames, tracks, config.decode.start, name))
    else:
        frames = stage("detect", detect(frames, detector, config.detect))
        frames = stage("track", track(frames, config.track))
    return _aligned(stage, frames, config, template)


def _aligned(
    stage: _Stages, frames: Iterable[Frame], config: RestoreConfig, template: Array
) -> Generator[Frame, None, None]:
    frames = stage("align", align(frames, config.align, template))
    return stage(
        "gate", gate(frames, config.gate, config.detect.min_face_px, config.detect.max_faces)
    )
