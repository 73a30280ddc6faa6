"""A trial before work: a whole small file, written as the real one will be.

Encoders and containers refuse some things only when they are opened with all their settings, or at
the very end of a file. So one is written with two empty pictures and the first packets of the other
streams, through the same writer, beside the final name, and removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError, VidRestoreError
from vidrestore.structs import Frame, Picture
from vidrestore.video.boundary import reason_of, wind
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.write.plan import OutputPlan, plan_output
from vidrestore.video.write.writer import VideoWriter

__all__ = ["empty_frames", "try_output"]


def try_output(
    plan: OutputPlan,
    source: VideoInfo,
    config: EncodeConfig,
    window: Window,
    opened: InputContainer | None,
    inputs: Iterable[Path] = (),
) -> None:
    """Write a small file as `plan` says, and remove it.

    Args:
        plan: how the output is written.
        source: the input, as probed.
        config: quality and preset of the encoder.
        window: the part of the input that will be written.
        opened: the input, open; it is read on, and some of its streams are discarded afterwards.
            None for a sequence of pictures.
        inputs: other files that are never replaced.

    Raises:
        VideoWriteError: if such a file cannot be written, or another run writes it.
    """
    try:
        _write_and_remove(plan, source, config, window, opened, tuple(inputs))
    except VideoWriteError as error:
        if not isinstance(error.__cause__, _OF_THE_FORMAT):
            raise
        ways = _ways_out(plan, source, config, window, opened)
        raise VideoWriteError(
            f"{plan.destination}: {plan.codec} with the streams of this input cannot be written "
            f"to {plan.destination.suffix} ({reason_of(error.__cause__)}); {ways}"
        ) from error


_OF_THE_FORMAT = (
    *(av.ArgumentError, av.PatchWelcomeError, av.ExternalError, av.InvalidDataError),
    *(av.UndefinedError, av.BugError, av.ExperimentalError, av.NotImplementedError, ValueError),
)
"""What encoders and containers raise about what they are given; others are the system's."""

_OTHER_WAYS = ((".mkv", "auto"), (".mov", "auto"), (".mp4", "auto"), (".mkv", "ffv1"))


def _ways_out(
    plan: OutputPlan,
    source: VideoInfo,
    config: EncodeConfig,
    window: Window,
    opened: InputContainer | None,
) -> str:
    """Other endings and codecs, tried as well."""
    found: dict[tuple[str, str], str] = {}
    for ending, codec in _OTHER_WAYS:
        other = plan.destination.with_suffix(ending)
        told = ending if codec == "auto" else f"{ending} with --codec {codec}"
        other_config = config.model_copy(update={"codec": codec, "crf": None})
        try:
            other_plan = plan_output(source, other, other_config, opened)
            _write_and_remove(other_plan, source, other_config, window, opened, ())
        except VidRestoreError:
            continue
        found.setdefault((ending, other_plan.codec), told)
    return f"write {' or '.join(found.values())}" if found else "leave streams out with --drop"


def _write_and_remove(
    plan: OutputPlan,
    source: VideoInfo,
    config: EncodeConfig,
    window: Window,
    opened: InputContainer | None,
    inputs: tuple[Path, ...],
) -> None:
    if opened is not None:
        with contextlib.suppress(av.FFmpegError):
            wind(opened, 0)
    with VideoWriter(plan, source, config, window=window, inputs=inputs, opened=opened) as writer:
        writer.try_out(empty_frames(plan, source))


def empty_frames(plan: OutputPlan, source: VideoInfo) -> Iterator[Frame]:
    """Two black frames such as the input's, for a trial."""
    first = round(plan.clock_s / source.time_base)
    step = max(1, round(1 / ((source.average_rate or Fraction(25)) * source.time_base)))
    for index in range(2):
        yield Frame(
            index=index,
            pts=first + index * step,
            time_base=source.time_base,
            picture=_empty_picture(source),
            display=source.display,
        )


def _empty_picture(source: VideoInfo) -> Picture:
    handle = av.VideoFrame(source.width, source.height, source.pix_fmt)
    for plane in handle.planes:
        plane.update(bytes(plane.buffer_size))
    return Picture(
        planes=(),
        format=source.pix_fmt,
        width=source.width,
        height=source.height,
        full_range=source.colour.range == 2,
        matrix="bt709",
        handle=handle,
    )
