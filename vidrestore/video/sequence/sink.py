"""Write frames as numbered pictures: `out_%06d.dpx`, or a folder with the input's own names.

The sound goes into files beside them (`sound.py`). All of it grows in a hidden folder beside its
place and moves there at `commit`.
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

from vidrestore.config import DecodeConfig, EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.structs import Frame, Picture
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.shortfall import Shortfall, refuse_damaged
from vidrestore.video.read.window import Window
from vidrestore.video.sequence.dpx import with_fields_of, with_timecode
from vidrestore.video.sequence.files import pattern_of
from vidrestore.video.sequence.pictures import encode_picture, read_head
from vidrestore.video.sequence.plan import before_number, folder_of
from vidrestore.video.sequence.sound import SoundFiles, sound_file_names
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.timecode import advance_timecode

__all__ = ["SequenceWriter"]


_MATRICES = {
    "bt709": Colorspace.ITU709,
    "bt601": Colorspace.ITU601,
    "bt2020": Colorspace.BT2020,
    "smpte240m": Colorspace.SMPTE240M,
    "fcc": Colorspace.FCC,
}
"""Of YUV, by `Picture.matrix`."""


class SequenceWriter:
    """A sequence that is written.

    Args:
        plan: from `plan_sequence`.
        source: the input, as probed.
        config: whether pictures that exist are replaced.
        window: the part of the input that is written.
        max_broken: share of a stream of sound that may be missing, as in `DecodeConfig`.
    """

    def __init__(
        self,
        plan: OutputPlan,
        source: VideoInfo,
        config: EncodeConfig,
        window: Window,
        max_broken: float | None = None,
    ) -> None:
        self._max_broken = DecodeConfig().max_broken if max_broken is None else max_broken
        self.plan, self._source, self._config, self._window = plan, source, config, window
        self._count = 0
        self._sounds = sound_file_names(plan.streams, before_number(plan.destination))
        self._sound: SoundFiles | None = None
        self._begin_s = Fraction(0)
        self._heard: list[str] = []
        self._shortfalls: list[Shortfall] = []
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
        return (*self.plan.notes, *varies, *self._heard, *map(str, self._shortfalls))

    @property
    def is_damaged(self) -> bool:
        """Whether more of the sound is missing than accepted; known once committed."""
        return any(one.is_beyond(self._max_broken) for one in self._shortfalls)

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
        if self._sound is not None:
            self._sound.close()
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
        self._write_sound(frame.pts * frame.time_base)

    def _write_sound(self, until_s: Fraction) -> None:
        if not self._sounds:
            return
        assert self._temporary is not None
        with self._told():
            if self._sound is None:
                self._begin_s = until_s
                origin_s = until_s + (self._window.first_s or 0)  # a part's times begin at 0
                self._sound = SoundFiles(
                    self.plan, self._source, self._sounds, self._temporary, self._window, origin_s
                )
            self._sound.advance(until_s - self._begin_s)

    def _finish_sound(self) -> None:
        """Write the rest of the sound and compare it with what the input promised."""
        if self._sound is None:
            return
        with self._told():
            self._sound.advance(None)
            self._heard, self._shortfalls = self._sound.account()
            self._sound.close()
        if self.is_damaged and not self._config.keep_damaged:
            refuse_damaged(self._source.path, self._shortfalls, self._max_broken)

    def commit(self) -> None:
        """Move pictures and sound to their place.

        Raises:
            VideoWriteError: that fails, or no frame was written.
            VideoDecodeError: too much of the sound is missing in the input.
        """
        if not self._count:
            raise VideoWriteError(f"{self.plan.destination}: no frame was written")
        assert self._temporary is not None
        self._finish_sound()
        with self._told():
            self._folder.mkdir(exist_ok=True)
            for number in range(self._count):
                (self._temporary / self._name(number)).replace(self._folder / self._name(number))
            for name in self._sounds.values():
                (self._temporary / name).replace(self._folder / name)

    @property
    def _folder(self) -> Path:
        return folder_of(self.plan.destination)

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
        except (av.FFmpegError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise VideoWriteError(
                f"{self.plan.destination}: cannot be written ({reason}); check the space "
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
