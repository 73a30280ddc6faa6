"""Everything about the output that can go wrong, settled before any work is done.

`plan_output(info, destination, config)` answers which codec and layout the picture gets and what
becomes of every other stream, or says why the output cannot be made and what would help.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from vidrestore.config import EncodeConfig
from vidrestore.errors import (
    UsageError,
    VideoDecodeError,
    VideoWriteError,
    VidRestoreError,
    nearest,
)
from vidrestore.runtime.output_file import check_outputs
from vidrestore.runtime.words import counted
from vidrestore.video.boundary import av_boundary, read_packets, wind
from vidrestore.video.container import mp4
from vidrestore.video.ffmpeg.arguments import check_arguments
from vidrestore.video.ffmpeg.choice import ffmpeg_choice
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.write.codecs import CodecChoice, NoCodecError, choose_codec
from vidrestore.video.write.containers import Container, container_of
from vidrestore.video.write.losses import picture_losses, tag_losses
from vidrestore.video.write.profiles import Wanted, apply_profile, converting_profiles
from vidrestore.video.write.refusal import Option, Refusal, advise
from vidrestore.video.write.source_kind import PICTURES
from vidrestore.video.write.stream_plan import StreamPlan, plan_streams

__all__ = ["OutputPlan", "plan_output"]

_SPEEDS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)

_LONG_WAIT_S = 10
"""A first frame later than this is no offset that somebody meant."""


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """How the output is written."""

    destination: Path
    container: Container
    codec: str
    """FFmpeg's name of the encoder."""
    pix_fmt: str
    """The format it is fed with: as decoded, an equal layout, or rounded to 10 bits."""
    why: str
    """Why `auto` took this codec, in a few words; '' where there is no special reason."""
    wanted: Wanted
    """Size, shape of pixels and colours of the picture that is written: as decoded, or as a profile
    asks."""
    streams: tuple[StreamPlan, ...]
    """In the input's order."""
    with_chapters: bool
    clock_s: Fraction
    """Subtracted from all times: a broadcast's clock, which only MPEG-TS carries on; else 0."""
    covers: Mapping[int, tuple[str, str, bytes]]
    """Cover art that becomes an attachment: (name, MIME type, data) by the input's stream."""
    notes: tuple[str, ...]
    """What a person should know: streams dropped."""
    statement: str = ""
    """What the file's tags say about its being restored; '' for nothing."""

    def action(self, index: int) -> str:
        """What becomes of the input's stream `index`."""
        return next(stream.action for stream in self.streams if stream.index == index)


def plan_output(
    info: VideoInfo,
    destination: str | Path,
    config: EncodeConfig,
    source: InputContainer | None = None,
) -> OutputPlan:
    """Settle how `info`'s video is written to `destination`, without writing anything.

    Args:
        info: what `probe` found.
        destination: where it goes; its ending names the container.
        config: codec, quality, what may be dropped.
        source: the open input, which is read on; None opens it again.

    Raises:
        UsageError: if the codec, the preset or the quality does not exist.
        VideoWriteError: if it cannot be written there, or the container cannot hold all of it.
    """
    if source is None and info.carrier is not None:
        with open_input(info.carrier) as opened:
            return plan_output(info, destination, config, opened)
    check_arguments(config)
    destination = Path(destination)
    container_of(destination)
    check_outputs([destination], inputs=[info.path], overwrite=config.overwrite)
    layout_of(info.pix_fmt)

    def attempt(ending: str, changed: EncodeConfig) -> OutputPlan:
        return _settle(info, destination.with_suffix(ending), changed, source)

    try:
        return _settle(info, destination, config, source)
    except Refusal as refusal:
        ways = advise(refusal, destination.suffix, config, attempt)
        ways += _progressive_way(info, destination, config, source)
        raise VideoWriteError(f"{refusal}; {ways}") from refusal


def _progressive_way(
    info: VideoInfo, destination: Path, config: EncodeConfig, source: InputContainer | None
) -> str:
    """One more way out of a refusal, where a progressive picture would not be refused."""
    if not info.interlaced:
        return ""
    try:
        _settle(replace(info, interlaced=False), destination, config, source)
    except VidRestoreError:
        return ""
    return ", or make it progressive with --deinterlace bwdif"


def _settle(
    info: VideoInfo, destination: Path, config: EncodeConfig, source: InputContainer | None
) -> OutputPlan:
    """As `plan_output`, without advice.

    Raises:
        UsageError: as `plan_output`.
        Refusal: the container cannot hold something.
    """
    container = container_of(destination)
    config, wanted = apply_profile(info, config)
    is_ours = config.sink == "file"
    if is_ours:
        choice = _choose(info, wanted, destination, container, config)
        _check_quality(choice.codec, config)
    else:
        choice = ffmpeg_choice(info, destination, config)
    _check_turn(info, destination, container)
    streams, notes = plan_streams(source, info, destination, container, config)
    with_chapters = bool(info.chapters) and container.chapters
    if info.chapters and not with_chapters:
        if "chapters" not in config.drop:
            raise Refusal(
                f"{destination}: {destination.suffix} cannot hold the "
                f"{counted(len(info.chapters), 'chapter')}",
                [("drop", "chapters")],
            )
        notes.append(f"{counted(len(info.chapters), 'chapter')} left out")
    if "12" in info.pix_fmt and choice.pix_fmt == info.pix_fmt.replace("12", "10"):
        notes.append(
            f"12 bits as decoded ({info.pix_fmt}) are rounded to the 10 that {choice.codec} "
            "writes; --codec ffv1 keeps them"
        )
    if container.muxer == "avi" and choice.codec in ("libx264", "libx265"):
        notes.append(
            "AVI has no times for pictures in H.264 and HEVC, so that some players show them a "
            "frame late; .mkv and .mp4 have"
        )
    notes += wanted.notes
    notes += picture_losses(info, choice.codec, container.muxer, through_pipe=not is_ours)
    notes += tag_losses(info, container.muxer)
    clock_s = _broadcast_clock_s(info, container)
    if clock_s:
        notes.append(f"times begin at 0 instead of {float(clock_s):.3f} s, the broadcast's clock")
    return OutputPlan(
        destination=destination,
        container=container,
        codec=choice.codec,
        pix_fmt=choice.pix_fmt,
        why=choice.why,
        wanted=wanted,
        streams=tuple(streams),
        with_chapters=with_chapters,
        clock_s=clock_s,
        covers=_read_covers(source, info, streams),
        notes=tuple(notes),
    )


def _choose(
    info: VideoInfo,
    wanted: Wanted,
    destination: Path,
    container: Container,
    config: EncodeConfig,
) -> CodecChoice:
    if info.interlaced and (wanted.encoder_profile or "").startswith("dnxhr"):
        raise Refusal(f"{destination}: DNxHR has no interlaced pictures")
    try:
        return choose_codec(
            container,
            wanted.pix_fmt,
            *wanted.size,
            config.codec,
            interlaced=info.interlaced,
            source_codec=info.codec if info.sequence is None else PICTURES,
        )
    except NoCodecError as error:
        others = [name for name in (*container.codecs, "auto") if name != config.codec]
        options: list[Option] = [("codec", name) for name in others]
        if config.profile is None:
            options = [("profile", name) for name in converting_profiles(config.codec)] + options
        raise Refusal(f"{destination}: {error.what}", options) from error


def _broadcast_clock_s(info: VideoInfo, container: Container) -> Fraction:
    """Where the times of a recorded broadcast begin: hours, which players would wait in MP4."""
    if container.muxer == "mpegts" or info.start_s < _LONG_WAIT_S or _begins_late(info):
        return Fraction(0)
    return math.floor(info.start_s / info.time_base) * info.time_base


def _begins_late(info: VideoInfo) -> bool:
    """Whether an edit list lets the file begin late; fragments of MP4 go on with a live clock."""
    is_mp4 = info.container.startswith("mov")
    return is_mp4 and mp4.find_box(mp4.read_movie(info.path), b"mvex") is None


def _check_quality(codec: str, config: EncodeConfig) -> None:
    if codec in ("libx264", "libx265", "libsvtav1") and config.speed not in _SPEEDS:
        raise UsageError(
            f"unknown speed {config.speed!r}; use one of {', '.join(_SPEEDS)}"
            + nearest(config.speed, _SPEEDS)
        )
    if config.crf is None:
        return
    options = av.CodecContext.create(codec, "w").supported_options.private
    crf = next((option for option in options if option.name == "crf"), None)
    if crf is None:
        raise UsageError(f"codec {codec} has no --crf; leave it out")
    most = {"libx264": 51, "libx265": 51}.get(codec, min(crf.max, 63))
    if config.crf > most:
        raise UsageError(f"--crf {config.crf:g} is too much for {codec}: 0 to {most:g}")


def _check_turn(info: VideoInfo, destination: Path, container: Container) -> None:
    if (info.rotation or info.mirrored) and not container.rotation:
        how = f"turned by {info.rotation}°" if info.rotation else "mirrored"
        raise Refusal(
            f"{destination}: the picture is {how} for showing, which {destination.suffix} cannot "
            "tell players"
        )


def _read_covers(
    source: InputContainer | None, info: VideoInfo, plans: Sequence[StreamPlan]
) -> dict[int, tuple[str, str, bytes]]:
    """(name, MIME type, data) of cover art that goes into the file as an attachment."""
    wanted = {
        stream.index: stream
        for planned, stream in zip(plans, info.streams, strict=True)
        if planned.action == "attach" and stream.is_cover
    }
    found: dict[int, tuple[str, str, bytes]] = {}
    if not wanted or source is None:
        return found
    with av_boundary(VideoDecodeError, f"{info.path}: cannot be read"):
        wind(source, 0)
    for packet in read_packets(source, *(source.streams[index] for index in wanted)):
        index = packet.stream.index
        if packet.size and index not in found:
            kind = "png" if wanted[index].codec == "png" else "jpeg"
            name = wanted[index].metadata.get("filename", f"cover.{kind[:3]}")
            mime = wanted[index].metadata.get("mimetype", f"image/{kind}")
            found[index] = (name.replace(".jpe", ".jpg"), mime, bytes(packet))
        if len(found) == len(wanted):
            break
    return found
