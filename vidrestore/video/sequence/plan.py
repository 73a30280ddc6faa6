"""Settle, before work, how frames are written as numbered pictures, and sound beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError, VideoOpenError, VideoWriteError
from vidrestore.runtime.output_file import is_same_file
from vidrestore.video.ffmpeg.arguments import check_arguments
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.opening import open_input
from vidrestore.video.sequence.files import ENDINGS, pattern_of
from vidrestore.video.sequence.pictures import fitting_picture_format
from vidrestore.video.sequence.sound import plan_sound, sound_file_names
from vidrestore.video.write.containers import Container
from vidrestore.video.write.losses import tag_losses
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.profiles import as_decoded

__all__ = ["SEQUENCE", "before_number", "folder_of", "plan_sequence"]

SEQUENCE = Container("image2", tuple(dict.fromkeys(ENDINGS.values())), negative_times=True)
"""Numbered pictures as a container."""

_RGB_OF_DEPTH = {8: "rgb24", 10: "gbrp10be", 12: "gbrp12be", 16: "rgb48be"}
"""What YUV of each depth becomes: one picture file format holds no chroma at its own place."""


def plan_sequence(
    info: VideoInfo,
    destination: Path,
    config: EncodeConfig,
    source: InputContainer | None = None,
) -> OutputPlan:
    """Settle how frames are written as pictures, and sound beside them, before work.

    Args:
        info: the input, as probed.
        destination: a pattern or a folder.
        config: what is left out, how sound is converted, whether files are replaced.
        source: the open file that holds the sound; None opens it.

    Raises:
        UsageError: it is asked for FFmpeg, or to leave out a stream that is not there.
        VideoWriteError: the kind of file cannot hold the samples, or outputs exist already.
    """
    if source is None and info.carrier is not None:
        with open_input(info.carrier) as opened:
            return plan_sequence(info, destination, config, opened)
    check_arguments(config)
    if config.sink == "ffmpeg":
        raise UsageError(f"{destination}: pictures are not written by --sink ffmpeg; leave it out")
    ending = _ending(info, destination)
    codec = ENDINGS[ending]
    pix_fmt, notes = _picture_format(info, destination, codec)
    streams, told = plan_sound(source, info, config, before_number(destination))
    notes += told
    notes += ["chapters left out: pictures hold none"] if info.chapters else []
    sounds = sound_file_names(streams, before_number(destination)).values()
    notes += tag_losses(info, codec, with_sound=bool(sounds))
    _check_place(info, destination, overwrite=config.overwrite)
    _check_sounds(info, [folder_of(destination) / name for name in sounds], config.overwrite)
    return OutputPlan(
        destination=destination,
        container=SEQUENCE,
        codec=codec,
        pix_fmt=pix_fmt,
        why="",
        wanted=as_decoded(info),
        streams=tuple(streams),
        with_chapters=False,
        clock_s=Fraction(0),
        covers={},
        notes=tuple(notes),
    )


def _ending(info: VideoInfo, destination: Path) -> str:
    if destination.suffix.lower() in ENDINGS:
        try:
            pattern_of(destination)
        except VideoOpenError as error:
            raise VideoWriteError(str(error)) from error
        return destination.suffix.lower()
    if destination.suffix or info.sequence is None:
        raise VideoWriteError(
            f"{destination}: name the pictures by a pattern, such as {destination}/frame_%06d.dpx "
            f"({', '.join(ENDINGS)})"
        )
    return info.sequence.ending


def _picture_format(info: VideoInfo, destination: Path, codec: str) -> tuple[str, list[str]]:
    """The format that the files hold, and a note where samples have to be converted for it."""
    fitting = fitting_picture_format(codec, info.pix_fmt)
    if fitting is not None:
        return fitting, []
    form = av.VideoFormat(info.pix_fmt)
    if codec == "mjpeg":
        own = info.pix_fmt.replace("yuv4", "yuvj4")
        fitting = fitting_picture_format(codec, own) or "yuvj444p"
        fitting = fitting if info.bit_depth == 8 else None
    elif not form.is_rgb and form.is_planar and len(form.components) == 3:
        fitting = fitting_picture_format(codec, _RGB_OF_DEPTH.get(info.bit_depth, ""))
    if fitting is None:
        raise VideoWriteError(
            f"{destination}: {destination.suffix} holds no {info.pix_fmt} ({info.bit_depth} bit) "
            "without loss; write .dpx, or a video such as .mkv with --codec ffv1"
        )
    return fitting, [f"{info.pix_fmt} is converted to {fitting} for {codec}"]


def _check_place(info: VideoInfo, destination: Path, *, overwrite: bool) -> None:
    is_folder = destination.suffix.lower() not in ENDINGS
    folder = folder_of(destination)
    if not folder.absolute().parent.is_dir():
        raise VideoWriteError(f"the folder {folder.parent} does not exist; create it first")
    if info.sequence is not None and folder.exists():
        sources = {one.parent.resolve() for one in info.sequence.files}
        if folder.resolve() in sources and (is_folder or destination == info.path):
            raise VideoWriteError(f"{destination} is the input itself; choose another folder")
    held = [] if not folder.is_dir() else _existing(folder, destination, is_folder=is_folder)
    if held and not overwrite:
        raise VideoWriteError(
            f"{destination}: {held[0].name} exists there; choose another name, or add --overwrite"
        )


def folder_of(destination: Path) -> Path:
    """Give the folder that the pictures lie in."""
    return destination.parent if destination.suffix.lower() in ENDINGS else destination


def before_number(destination: Path) -> str:
    """Give what the names of a pattern's pictures begin with; '' for a folder."""
    return destination.name.split("%")[0] if destination.suffix.lower() in ENDINGS else ""


def _check_sounds(info: VideoInfo, sounds: Sequence[Path], overwrite: bool) -> None:
    for path in sounds:
        if info.carrier is not None and is_same_file(path, info.carrier):
            raise VideoWriteError(f"{path} is the input itself; choose another folder")
        if os.path.lexists(path) and not overwrite:
            raise VideoWriteError(f"{path} exists; choose another name, or add --overwrite")


def _existing(folder: Path, destination: Path, *, is_folder: bool) -> list[Path]:
    before = "" if is_folder else destination.name.split("%")[0]
    endings = ENDINGS if is_folder else {destination.suffix.lower()}
    return sorted(
        one
        for one in folder.iterdir()
        if one.suffix.lower() in endings and one.name.startswith(before) and one.name[0] != "."
    )
