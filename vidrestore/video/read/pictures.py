"""Decode a video stream into one picture for every time: holes are filled, times always rise.

    pictures = PictureStream(info, window)
    for one in pictures.pictures(container, stream):
        one.pts, one.picture

A picture that cannot be decoded is replaced by the one before it; one at the end of the file is
first tried again without threads, since a decoder that works on several at once gives all of them
up when one is damaged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import av
from av.container import InputContainer
from av.stream import Discard
from av.video.stream import VideoStream

from vidrestore.errors import VideoDecodeError
from vidrestore.structs import Picture
from vidrestore.video.boundary import av_boundary, wind
from vidrestore.video.picture.field_order import with_field_order
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.changes import split_advice
from vidrestore.video.read.frame_format import with_format
from vidrestore.video.read.hardware import Hardware, HardwareDoubt, Surfaces
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.ledger import READ_WHOLE, Ledger
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.packets import Decoded, PacketDecoder
from vidrestore.video.read.window import Window

__all__ = ["PictureStream", "TimedPicture", "info_in", "new_ledger", "nominal_step", "open_stream"]

_STARTS_ANYWHERE = ("mpegts", "mpeg")
"""Formats whose files may begin in the middle of a group of pictures."""

_SEEK_BACK_S = (0, 2, 10, 60)
"""How far before the wanted time to begin, until a key frame lies before it."""

_MOST_TRIED_AGAIN = 64
"""Most frames that a decoder can hold when the file ends: its threads and its reordering."""


@dataclass(frozen=True, slots=True)
class _Untimed:
    """A picture whose time may be missing, or go back."""

    pts: int | None
    picture: Picture
    repaired: bool
    silent: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class TimedPicture:
    """A picture at its time."""

    pts: int
    picture: Picture
    repaired: bool
    """Whether it stands for one that could not be decoded."""
    silent: Sequence[int] = ()
    """Times of packets before it that promise no picture."""


class PictureStream:
    """The pictures of one video stream in a window, and what became of them.

    Args:
        info: what `probe` found of the file.
        window: the part to read.
        threads: for decoding; 0 takes all.
        hardware: decodes in the place of software, and doubts what is not whole.
    """

    def __init__(
        self,
        info: VideoInfo,
        window: Window,
        threads: int = 0,
        hardware: Hardware | None = None,
    ) -> None:
        self.info, self.window, self.threads = info, window, threads
        self._surfaces = None if hardware is None else Surfaces(hardware, info)
        self.ledger: Ledger | None = None
        """Of the packets read; another one after each try to seek."""
        self.damaged = 0
        """Pictures that the decoder gave, with errors concealed."""
        self.shifted = 0
        """Pictures whose times went back, and were moved."""
        self.skipped_at_start = 0
        """Pictures before the first one that could be decoded, which nobody promised."""
        self.unanswered = 0
        """Pictures that the chunks of an AVI file promise and that no place tells of."""
        self.reached_end_of_window = False
        self.next_pts: int | None = None
        """When the pictures would have gone on behind the window's end, at most that end."""

    def pictures(self, container: InputContainer, stream: VideoStream) -> Iterator[TimedPicture]:
        """Give the pictures of the window, times strictly increasing.

        Args:
            container: the open file.
            stream: its video stream, from `open_stream`.

        Raises:
            VideoDecodeError: the file cannot be read, or the picture changes in size or format.
            HardwareDoubt: software may give other pictures.
        """
        last: int | None = None
        step = nominal_step(self.info)
        joins = deque(round(one.at_s / self.info.time_base) for one in self.info.clock.joins)
        items, ahead = self._filled(container, stream), deque[_Untimed]()
        while (one := ahead.popleft() if ahead else next(items, None)) is not None:
            pts, silent = one.pts, one.silent
            if pts is None:
                pts = 0 if last is None else last + step
            elif last is not None and pts <= last:
                if self._surfaces is not None:
                    raise HardwareDoubt("times go back")
                self.shifted += 1
                ahead.extend(islice(items, 1 - len(ahead)))
                pts = last + _late_step(last, ahead[0].pts if ahead else None, step)
            if joins and pts >= joins[0]:  # what lies before the join is no gap
                joins.popleft()
                silent = (*silent, pts - step)
            last = pts
            if self.window.end_pts is not None and pts >= self.window.end_pts:
                self.reached_end_of_window = True
                self.next_pts = min(pts, self.window.end_pts)
                return
            if self.window.holds(pts):
                yield TimedPicture(pts, one.picture, one.repaired, silent)

    def _filled(self, container: InputContainer, stream: VideoStream) -> Iterator[_Untimed]:
        """Pictures with holes filled by the picture before, else the one after them."""
        before: Picture | None = None
        for decoder, decoded in self.decoded(container, stream):
            frame = decoded.frame
            if frame is not None and self._is_beyond(decoded.pts):
                if before is None:
                    self.reached_end_of_window = True
                    return
                now: Picture | None = before  # of any format; it is not wanted
            elif frame is not None and self._is_other_before(frame, decoded.pts):
                continue
            else:
                now = before if frame is None else self._picture(frame)
            self.damaged += decoded.is_corrupt
            if now is None:
                continue
            lost = decoded.skipped
            if before is None and not self._promised(decoder):
                self.skipped_at_start += sum(self.window.holds(pts) for pts in lost)
                lost = []
            again = frame is None and 0 < len(lost) <= _MOST_TRIED_AGAIN
            found = self._decode_again(lost) if again else {}
            for pts in lost:
                before = self._picture(found[pts]) if pts in found else before or now
                yield _Untimed(pts, before, pts not in found)
            before = now if frame is not None else before
            if frame is not None:
                yield _Untimed(decoded.pts, now, False, decoded.silent)
            self.unanswered = decoder.unanswered

    def _is_beyond(self, pts: int | None) -> bool:
        end = self.window.end_pts
        return pts is not None and end is not None and pts >= end

    def _is_other_before(self, frame: av.VideoFrame, pts: int | None) -> bool:
        """Whether a frame of another format lies before the window."""
        first, info = self.window.first_pts, self.info
        is_before = pts is not None and first is not None and pts < first
        return is_before and (frame.width, frame.height) != (info.width, info.height)

    def _decode_again(self, lost: list[int]) -> dict[int, av.VideoFrame]:
        """Pictures at the end of the file by their times, decoded one after the other."""
        with open_input(self.info.path) as container:
            stream = open_stream(container, self.info, self.threads, "SLICE")
            clock = self.info.clock
            if not clock.joins:
                with self._met():
                    wind(container, lost[0], stream)
            ledger = Ledger(container, self.info.path, from_start=False, clock=clock)
            decoder = PacketDecoder(container, stream, ledger)
            return {
                one.pts: one.frame
                for one in decoder.pictures()
                if one.frame is not None and one.pts is not None and one.pts in lost
            }

    def _promised(self, decoder: PacketDecoder) -> bool:
        """Whether pictures before the first good one should have been there."""
        if decoder.key_packets_skipped > 1:
            return True
        return decoder.errors > 0 and self.info.container not in _STARTS_ANYWHERE

    def _picture(self, frame: av.VideoFrame) -> Picture:
        if self._surfaces is not None:
            return self._surfaces.picture(frame)
        info = self.info
        if info.only_container_tells_fields and not frame.interlaced_frame:
            frame = with_field_order(frame, info.first_field)
        picture = picture_from_av(frame)
        if (picture.width, picture.height, picture.format) != (
            info.width,
            info.height,
            info.pix_fmt,
        ):
            at_s = (frame.pts or 0) * info.time_base - info.start_s
            raise VideoDecodeError(
                f"{info.path}: the picture changes from {info.width}x{info.height} {info.pix_fmt} "
                f"to {picture.width}x{picture.height} {picture.format} at {float(at_s):.3f} s; "
                + split_advice(at_s)
            )
        return picture

    def decoded(
        self, container: InputContainer, stream: VideoStream
    ) -> Iterator[tuple[PacketDecoder, Decoded]]:
        """The decoder's answers from a key frame before the window on."""
        first = None if self.info.clock.joins else self.window.first_pts
        for back_s in _SEEK_BACK_S if first is not None else (0,):
            if first is not None:
                target = first - round(back_s / self.info.time_base)
                with self._met():
                    wind(container, target, stream)
            self.ledger = new_ledger(container, self.info, self.window)
            decoder, answers = self._begin(container, stream, self.ledger)
            start = next(answers, None)
            begins = start is not None and start.frame is not None and start.pts
            if first is None or back_s == _SEEK_BACK_S[-1] or (begins and begins <= first):
                break
        if start is not None:
            yield decoder, start
        for decoded in answers:
            yield decoder, decoded

    def _begin(
        self, container: InputContainer, stream: VideoStream, ledger: Ledger
    ) -> tuple[PacketDecoder, Iterator[Decoded]]:
        surfaces = self._surfaces
        if surfaces is None:
            decoder = PacketDecoder(container, stream, ledger)
            return decoder, decoder.pictures()
        decoder = PacketDecoder(container, stream, ledger, surfaces.open(stream))
        return decoder, surfaces.answers(decoder)

    def _met(self) -> AbstractContextManager[None]:
        return av_boundary(VideoDecodeError, f"{self.info.path}: cannot be read")


def info_in(info: VideoInfo, window: Window) -> VideoInfo:
    """What `probe` found, with the picture's format as it is where a window begins.

    Only of a file whose format changes is that looked at.
    """
    if window.first_pts is None or not info.changes:
        return info
    pictures = PictureStream(info, window, threads=1)
    with open_input(info.path) as container:
        stream = open_stream(container, info, 1, "SLICE")
        for _, decoded in pictures.decoded(container, stream):
            frame, pts = decoded.frame, decoded.pts
            if frame is not None and pts is not None and window.holds(pts):
                return with_format(info, stream, frame)
    return info


def open_stream(
    container: InputContainer, info: VideoInfo, threads: int, threading: str = "AUTO"
) -> VideoStream:
    """Choose the video stream of an open file, with its decoder's threads; others are discarded.

    Args:
        container: the open file.
        info: what `probe` found of it.
        threads: for decoding; 0 takes all.
        threading: FFmpeg's way to share the work, "SLICE" for pictures one after the other.
    """
    stream = container.streams[info.stream_index]
    assert isinstance(stream, VideoStream)
    for other in container.streams:
        if other.index != stream.index and container.format.name not in READ_WHOLE:
            other.discard = Discard.all
    stream.thread_type = threading
    stream.codec_context.thread_count = threads
    return stream


def new_ledger(container: InputContainer, info: VideoInfo, window: Window) -> Ledger:
    """Begin an account of the packets of a window."""
    from_start = window.first_s is None
    return Ledger(container, info.path, from_start=from_start, end_s=window.end_s, clock=info.clock)


def _late_step(last: int, following: int | None, step: int) -> int:
    """Ticks from a picture to one whose time is before it.

    Where a single time is wrong, those after it stay as they are; so it goes half way to the next.
    """
    room = step if following is None or following <= last else min(step, (following - last) // 2)
    return room or step


def nominal_step(info: VideoInfo) -> int:
    """Ticks from frame to frame, as the header tells."""
    rate = info.average_rate or Fraction(25)
    return max(1, round(1 / (rate * info.time_base)))
