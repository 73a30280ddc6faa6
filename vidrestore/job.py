"""A job: one input and what becomes of it, everything that is decided before work.

    job = make_job("tape.mp4", "restored.mp4", config)

It is made once, from one opening of the input, printed by `--dry-run`, and taken by reader, writer
and report. Making it loads no network and decodes no more than a frame. A small file is written as
the output will be, and removed, so that what cannot be written is refused before work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from av.container import InputContainer

import vidrestore
from vidrestore.config import RestoreConfig, input_files, sound_file
from vidrestore.errors import UsageError
from vidrestore.memory_estimate import check_memory, estimate_memory_mib
from vidrestore.models.names import require_installed, resolve
from vidrestore.models.zoo import ModelSpec
from vidrestore.runtime.output_file import check_outputs
from vidrestore.runtime.printable import well_formed
from vidrestore.tracks import Tracks, load_tracks
from vidrestore.video.read.filter_trial import filters_of, try_filters
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.probe import read_info
from vidrestore.video.read.scan import with_scan
from vidrestore.video.read.window import Window, change_warnings, window_of
from vidrestore.video.sequence.files import is_sequence
from vidrestore.video.sequence.info import sequence_info, sequence_window
from vidrestore.video.sequence.plan import SEQUENCE, plan_sequence
from vidrestore.video.write.offsets import offset_notes
from vidrestore.video.write.plan import OutputPlan, plan_output
from vidrestore.video.write.trial import empty_frames, try_output

__all__ = ["Job", "expected_frames", "make_job"]


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Everything that is decided before work."""

    source: Path
    config: RestoreConfig
    info: VideoInfo
    """What the input holds."""
    filters: tuple[str, ...]
    """FFmpeg's filters that every frame is sent through first, as `decode` asks for them."""
    filtered: VideoInfo
    """`info`, with the picture as the filters leave it: what is restored and written."""
    window: Window
    """The part of it that is restored."""
    output: OutputPlan | None
    """How the output is written; None where frames are only given."""
    tracks: Tracks | None
    """Faces that are known already; None where they are detected."""
    model: ModelSpec | Path | None
    """The restorer's row of the zoo or its weights file; None for a network that was given."""
    detector: ModelSpec | Path | None
    """The detector's."""
    expected_frames: int | None
    """From what the container says, for progress; None where it does not."""
    inputs: tuple[Path, ...]
    """All files that are read; none of them is ever replaced."""
    warnings: tuple[str, ...]
    """What a person should know before work."""


def make_job(
    source: str | Path,
    destination: str | Path | None,
    config: RestoreConfig,
    *,
    tracks: Tracks | None = None,
    extra_outputs: Sequence[Path] = (),
    own_restorer: bool = False,
    own_detector: bool = False,
    again: bool = False,
    watch: Callable[[float], None] | None = None,
) -> Job:
    """Decide everything about one input.

    Args:
        source: the video.
        destination: the file to write; None to give frames only.
        config: the resolved configuration.
        tracks: faces that are known already; else those of `track.file`, if it names one.
        extra_outputs: other files that the run writes.
        own_restorer: whether a restorer was given, so that `restore.model` does not count.
        own_detector: whether a detector was given, so that `detect.detector` does not count.
        again: whether the job was made before, so that the output need not be tried.
        watch: called with the share that was read of a video without an index, which takes long.

    Raises:
        UsageError: for tracks that cannot be used, unknown codecs and models.
        VidRestoreError: for files: what is missing, exists already or does not fit.
        NotEnoughMemoryError: if the memory that is free does not suffice.
    """
    source = Path(source)
    inputs = tuple(input_files(source, config))
    is_file = destination is not None and not is_sequence(Path(destination))
    outputs = [*([Path(destination)] if is_file else []), *extra_outputs]  # type: ignore[arg-type]
    check_outputs(outputs, inputs=inputs, overwrite=config.encode.overwrite or again)
    model = None if own_restorer else resolve(config.restore.model, "restorer")
    detector = None if own_detector else resolve(config.detect.detector, "detector")
    if config.blend.mask == "parsing":
        require_installed(config.blend.parser, "parsing")
    if tracks is None and config.track.file is not None:
        tracks = load_tracks(config.track.file)
    with ExitStack() as opened:
        container = None if is_sequence(source) else opened.enter_context(open_input(source))
        info, window, changes = _look(source, container, config, watch)
        config, decoder = _settle_decoder(info, window, config, again)
        filters = filters_of(info, config.decode)
        filtered = try_filters(info, filters)
        planned = _plan(filtered, destination, config, container)
        if planned is not None and container is not None and window.first_s is None:
            late = offset_notes(planned, info, container)
            planned = replace(planned, notes=(*planned.notes, *late))
        if planned is not None:
            planned = replace(planned, statement=_statement(config, model, tracks))
        expected = expected_frames(info, config)
        tight = _check_memory(filtered, config, planned, expected, model)
        if planned is not None and planned.container is not SEQUENCE and not again:
            _try(planned, filtered, config, window, container, inputs)
    return Job(
        source=source,
        config=config,
        info=info,
        filters=filters,
        filtered=filtered,
        window=window,
        output=planned,
        tracks=tracks,
        model=model,
        detector=detector,
        expected_frames=expected,
        inputs=inputs,
        warnings=(*info.warnings, *changes, *decoder, *tight),
    )


def _try(
    planned: OutputPlan,
    info: VideoInfo,
    config: RestoreConfig,
    window: Window,
    container: InputContainer | None,
    inputs: Sequence[Path],
) -> None:
    """Write a small file as the output will be, and remove it."""
    if config.encode.sink == "file":
        try_output(planned, info, config.encode, window, container, inputs)
        return
    from vidrestore.video.ffmpeg.sink import try_ffmpeg

    frames = empty_frames(planned, info)
    try_ffmpeg(planned, info, config.encode, window, frames, inputs)


def _look(
    source: Path,
    container: InputContainer | None,
    config: RestoreConfig,
    watch: Callable[[float], None] | None,
) -> tuple[VideoInfo, Window, tuple[str, ...]]:
    """What the input holds, the part that is restored, and warnings.

    Raises:
        UsageError: a sound file is named beside a video that has its own.
    """
    sound = sound_file(config.encode)
    if container is None:
        info = sequence_info(source, config.decode, sound)
        return info, sequence_window(info, config.decode), ()
    if sound is not None:
        raise UsageError(
            f"--audio {sound}: a sound file goes with a sequence of pictures only; the sound of "
            f"{source} is kept; copy, flac or pcm say how"
        )
    info = read_info(container, source, watch)
    window = window_of(info, config.decode.start, config.decode.end, container)
    info = with_scan(info, container, window.first_s, window.end_s)
    changes = change_warnings(info, window, deinterlaced=config.decode.deinterlace is not None)
    if changes or info.changes:
        from vidrestore.video.read.pictures import info_in  # which imports torch

        info = info_in(info, window)
    return info, window, changes


def _settle_decoder(
    info: VideoInfo, window: Window, config: RestoreConfig, again: bool
) -> tuple[RestoreConfig, tuple[str, ...]]:
    """The configuration without a hardware decoder that cannot be taken, and what is told of it."""
    if config.decode.hardware is None:
        return config, ()
    from vidrestore.models.load import resolve_device  # these import torch
    from vidrestore.video.read import nvdec
    from vidrestore.video.read.hardware import HardwareDoubt
    from vidrestore.video.read.hardware_trial import try_hardware

    try:
        found = nvdec.find_nvdec(resolve_device(config.run.device))
        nvdec.check_input(info)
        if not again:
            try_hardware(info, window, found, config.run.threads)
    except HardwareDoubt as doubt:
        decode = config.decode.model_copy(update={"hardware": None})
        told = f"decoded on the CPU, not by NVDEC: {doubt}"
        return config.model_copy(update={"decode": decode}), (told,)
    return config, (nvdec.CONCEALS,)


def _plan(
    info: VideoInfo,
    destination: str | Path | None,
    config: RestoreConfig,
    container: InputContainer | None = None,
) -> OutputPlan | None:
    if destination is None:
        return None
    is_folder = info.sequence is not None and not Path(destination).suffix
    if is_folder or is_sequence(Path(destination)):
        return plan_sequence(info, Path(destination), config.encode, container)
    return plan_output(info, destination, config.encode, container)


def _statement(config: RestoreConfig, model: ModelSpec | Path | None, tracks: Tracks | None) -> str:
    """What the output's tags say; '' where nothing is restored, as far as that is known."""
    is_left_alone = tracks is not None and not any(one.strength for one in tracks.tracks)
    if config.blend.strength == 0 or is_left_alone:
        return ""
    name = model.name if isinstance(model, ModelSpec) else well_formed(model.name) if model else ""
    named = name or "a network of one's own"
    return (
        f"faces restored by vidrestore {vidrestore.__version__}, {named}, "
        f"strength {config.blend.strength:g}"
    )


def expected_frames(info: VideoInfo, config: RestoreConfig) -> int | None:
    """Frames that will come, from what the container says; an estimate for progress only."""
    if info.n_frames_estimate is None or info.duration_s is None:
        return info.n_frames_estimate
    begin = config.decode.start or 0.0
    end = min(config.decode.end or info.duration_s, info.duration_s)
    share = max(0.0, end - begin) / max(info.duration_s, 1e-9)
    return max(1, round(info.n_frames_estimate * share))


def _check_memory(
    info: VideoInfo,
    config: RestoreConfig,
    planned: OutputPlan | None,
    expected: int | None,
    model: ModelSpec | Path | None,
) -> tuple[str, ...]:
    """A warning if memory is tight.

    Raises:
        NotEnoughMemoryError: if it does not suffice.
    """
    needed = estimate_memory_mib(
        info.picture_bytes,
        info.width * info.height,
        expected,
        float(info.average_rate or 25),
        config,
        None if planned is None else planned.codec,
        _weights_bytes(model),
        interlaced=info.interlaced,
    )
    warning = check_memory(needed, f"{info.path} ({info.width}x{info.height})")
    return () if warning is None else (warning,)


def _weights_bytes(model: ModelSpec | Path | None) -> int:
    """Of the restorer's file if it is none of the small ones that ship; 0 where not yet known."""
    if isinstance(model, Path):
        return model.stat().st_size if model.is_file() else 0
    if model is None or model.name in ("embedded", "debug"):
        return 0
    return model.bytes or 0
