"""Write frames as numbered pictures: `out_%06d.dpx`, or a folder with the input's own names.

All pictures grow in a hidden folder beside their place and move there at `commit`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from av.video.reformatter import Colorspace

from vidrestore.config import EncodeConfig
from vidrestore.errors import UsageError, VideoOpenError, VideoWriteError
from vidrestore.structs import Frame, Picture
from vidrestore.video.ffmpeg.arguments import check_arguments
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.window import Window
from vidrestore.video.sequence.dpx import with_fields_of, with_timecode
from vidrestore.video.sequence.files import ENDINGS, pattern_of
from vidrestore.video.sequence.pictures import encode_picture, fitting_picture_format, read_head
from vidrestore.video.write.containers import Container
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.losses import tag_losses
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.profiles import as_decoded
from vidrestore.video.write.stream_plan import StreamPlan, stream_name
from vidrestore.video.write.timecode import advance_timecode

__all__ = ["SEQUENCE", "SequenceWriter", "plan_sequence"]

SEQUENCE = Container("image2", tuple(dict.fromkeys(ENDINGS.values())), negative_times=True)
"""Numbered pictures as a container."""

_MATRICES = {
    "bt709": Colorspace.ITU709,
    "bt601": Colorspace.ITU601,
    "bt2020": Colorspace.BT2020,
    "smpte240m": Colorspace.SMPTE240M,
    "fcc": Colorspace.FCC,
}
"""Of YUV, by `Picture.matrix`."""

_RGB_OF_DEPTH = {8: "rgb24", 10: "gbrp10be", 12: "gbrp12be", 16: "rgb48be"}
"""What YUV of each depth becomes: one picture file format holds no chroma at its own place."""


def plan_sequence(info: VideoInfo, destination: Path, config: EncodeConfig) -> OutputPlan:
    """Settle how frames are written as pictures, before work.

    Raises:
        UsageError: it is asked for FFmpeg.
        VideoWriteError: the kind of file cannot hold the samples, or pictures exist already.
    """
    check_arguments(config)
    if config.sink == "ffmpeg":
        raise UsageError(f"{destination}: pictures are not written by --sink ffmpeg; leave it out")
    ending = _ending(info, destination)
    codec = ENDINGS[ending]
    pix_fmt, notes = _picture_format(info, destination, codec)
    if info.sequence is None or len(info.streams) > 1:
        left = [one for one in info.streams if one.index != info.stream_index]
        notes += [f"{stream_name(one)} left out: pictures hold no other streams" for one in left]
        notes += ["chapters left out: pictures hold none"] if info.chapters else []
    notes += tag_losses(info, codec)
    _check_place(info, destination, overwrite=config.overwrite)
    return OutputPlan(
        destination=destination,
        container=SEQUENCE,
        codec=codec,
        pix_fmt=pix_fmt,
        why="",
        wanted=as_decoded(info),
        streams=tuple(
            StreamPlan(one.index, "encode" if one.index == info.stream_index else "drop")
            for one in info.streams
        ),
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
    folder = destination if is_folder else destination.parent
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


def _existing(folder: Path, destination: Path, *, is_folder: bool) -> list[Path]:
    before = "" if is_folder else destination.name.split("%")[0]
    endings = ENDINGS if is_folder else {destination.suffix.lower()}
    return sorted(
        one
        for one in folder.iterdir()
        if one.suffix.lower() in endings and one.name.startswith(before) and one.name[0] != "."
    )


class SequenceWriter:
    """A sequence that is written.

    Args:
        plan: from `plan_sequence`.
        source: the input, as probed.
        config: whether pictures that exist are replaced.
        window: the part of the input that is written.
    """

    def __init__(
        self, plan: OutputPlan, source: VideoInfo, config: EncodeConfig, window: Window
    ) -> None:
        self.plan, self._source, self._config, self._window = plan, source, config, window
        self._count = 0
        self._last_pts: int | None = None
        self._steps: set[int] = set()
        self._temporary: Path | None = None
        self._committed = False

    @property
    def codec(self) -> str:
        """FFmpeg's name of the picture's codec."""
        return self.plan.codec

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""
        uneven = len(self._steps) > 1 and max(self._steps) > 1.5 * min(self._steps)
        varies = ["times vary in the input; pictures have none"] if uneven else []
        return (*self.plan.notes, *varies)

    @property
    def is_damaged(self) -> bool:
        """Never: nothing is copied."""
        return False

    def __enter__(self) -> SequenceWriter:
        parent = self._folder.absolute().parent
        with self._told():
            self._temporary = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=parent))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def write(self, frame: Frame) -> None:
        """Write a frame as the next picture.

        Raises:
            VideoWriteError: the disk is full, or times do not increase.
        """
        if self._last_pts is not None:
            if frame.pts <= self._last_pts:
                raise VideoWriteError(f"frame {frame.index} does not come after the one before")
            self._steps.add(frame.pts - self._last_pts)
        self._last_pts = frame.pts
        picture = _converted(frame.picture, self.plan.pix_fmt)
        data = encode_picture(picture, self.codec, self.plan.pix_fmt)
        if self.codec == "dpx":
            data = self._with_header(data)
        assert self._temporary is not None
        with self._told():
            (self._temporary / self._name(self._count)).write_bytes(data)
        self._count += 1

    def commit(self) -> None:
        """Move the pictures to their place.

        Raises:
            VideoWriteError: that fails, or no frame was written.
        """
        if not self._count:
            raise VideoWriteError(f"{self.plan.destination}: no frame was written")
        assert self._temporary is not None
        with self._told():
            self._folder.mkdir(exist_ok=True)
            for number in range(self._count):
                (self._temporary / self._name(number)).replace(self._folder / self._name(number))

    @property
    def _folder(self) -> Path:
        destination = self.plan.destination
        return destination.parent if destination.suffix else destination

    def _name(self, count: int) -> str:
        """The name of a picture: the input's own number, or counted from 1."""
        sequence, destination = self._source.sequence, self.plan.destination
        index = (self._window.first_pts or 0) + count
        if not destination.suffix:
            assert sequence is not None
            return sequence.name_of(index)
        return pattern_of(destination) % (
            count + 1 if sequence is None else sequence.numbers[index]
        )

    def _with_header(self, data: bytes) -> bytes:
        """A DPX picture with the fields of the input's header, or the timecode of its frame."""
        source, count = self._source, self._count
        if source.sequence is not None:
            file = source.sequence.files[(self._window.first_pts or 0) + count]
            return with_fields_of(data, read_head(file))
        data = with_fields_of(data, None)
        if source.timecode is None or source.average_rate is None:
            return data
        first_s = self._window.first_s
        skipped = 0 if first_s is None else round((first_s - source.start_s) * source.average_rate)
        return with_timecode(
            data, advance_timecode(source.timecode, skipped + count, source.average_rate)
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise VideoWriteError(
                f"{self.plan.destination}: cannot be written ({error.strerror}); check the space "
                "and permissions of its folder"
            ) from error


def _converted(picture: Picture, pix_fmt: str) -> av.VideoFrame:
    """The samples in a format of RGB, gray or JPEG's YUV."""
    target = av.VideoFormat(pix_fmt)
    is_yuv = picture.matrix in _MATRICES and not av.VideoFormat(picture.format).is_rgb
    if not is_yuv or (picture.full_range and pix_fmt.startswith("yuvj")):
        return for_encoder(picture, pix_fmt)
    matrix = _MATRICES[picture.matrix]
    frame: av.VideoFrame = picture.handle
    return frame.reformat(
        format=target.name,
        src_color_range="JPEG" if picture.full_range else "MPEG",
        dst_color_range="JPEG",
        src_colorspace=matrix,
        dst_colorspace=matrix,
    )
