"""Read the pictures of a sequence as the frames of a video, one a file, in the order of numbers."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

from vidrestore.config import DecodeConfig
from vidrestore.errors import VideoDecodeError
from vidrestore.runtime.words import counted
from vidrestore.structs import Frame, Picture
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.shortfall import Shortfall, refuse_damaged
from vidrestore.video.read.shot_cuts import CutDetector
from vidrestore.video.read.window import Window
from vidrestore.video.sequence.dpx import packing_note, read_header
from vidrestore.video.sequence.pictures import decode_picture, read_head

__all__ = ["SequenceReader"]


class SequenceReader:
    """The frames of a sequence.

    Args:
        info: of the sequence.
        config: how much damage to accept.
        window: the part to read.
        keep_damaged: go on, whatever is missing; `is_damaged` tells.
    """

    def __init__(
        self, info: VideoInfo, config: DecodeConfig, window: Window, *, keep_damaged: bool = False
    ) -> None:
        assert info.sequence is not None
        self.info, self.window = info, window
        self._files = info.sequence.files[window.first_pts or 0 : window.end_pts]
        self._config, self._keep_damaged = config, keep_damaged
        self._repaired = 0
        self._first_broken_s: float | None = None
        self._packing = packing_note(read_header(read_head(self._files[0])))

    def __enter__(self) -> SequenceReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know, so far."""
        assert self.info.sequence is not None
        held, notes = self.info.sequence.held, list[str]()
        if held:
            notes.append(f"{counted(held, 'missing picture')} shown by the one before")
        if self._repaired:
            notes.append(
                f"{counted(self._repaired, 'picture')} that could not be decoded, replaced by "
                "a neighbour"
            )
        if self._packing is not None:
            notes.append(self._packing)
        return tuple(notes)

    @property
    def is_damaged(self) -> bool:
        """Whether more is broken than accepted."""
        return self._shortfall.is_beyond(self._config.max_broken)

    @property
    def _shortfall(self) -> Shortfall:
        return Shortfall("pictures", self._repaired, len(self._files), self._first_broken_s)

    def frames(self) -> Iterator[Frame]:
        """Give the frames from the first on, once.

        Raises:
            VideoDecodeError: more pictures are broken than accepted, or one has another size.
        """
        cuts, last = CutDetector(self._config.cut_threshold), None
        for index in range(len(self._files)):
            picture = self._picture(index)
            repaired = picture is None
            picture = picture or last or self._next_good(index)
            is_cut = (not repaired or index == 0) and cuts.is_cut(picture)
            yield Frame(
                index=index,
                pts=index,
                time_base=self.info.time_base,
                picture=picture,
                display=self.info.display,
                is_cut=is_cut,
                repaired=repaired,
            )
            last = picture

    def _picture(self, index: int) -> Picture | None:
        """A picture; None where it cannot be decoded."""
        path, info = self._files[index], self.info
        try:
            picture = picture_from_av(decode_picture(path))
        except VideoDecodeError:
            self._repaired += 1
            if self._first_broken_s is None:
                self._first_broken_s = float(index * info.time_base)
            if self.is_damaged and not self._keep_damaged:
                refuse_damaged(info.path, [f"{path.name}: {self._shortfall}"],
                               self._config.max_broken)  # fmt: skip
            return None
        form = (picture.width, picture.height, picture.format)
        if form != (info.width, info.height, info.pix_fmt):
            raise VideoDecodeError(
                f"{path}: {form[0]}x{form[1]} {form[2]}, the pictures before it are "
                f"{info.width}x{info.height} {info.pix_fmt}; restore the parts one by one"
            )
        return picture

    def _next_good(self, index: int) -> Picture:
        for path in self._files[index + 1 :]:
            try:
                return picture_from_av(decode_picture(path))
            except VideoDecodeError:
                continue
        raise VideoDecodeError(f"{self.info.path}: no picture of it can be decoded")
