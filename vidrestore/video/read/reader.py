"""Read the frames of a video: every one once, at its own time, with its own samples.

    with VideoReader("in.mp4", DecodeConfig()) as reader:
        for frame in reader.frames():
            ...

Frames that cannot be decoded are replaced by the last good one, so that there is one frame out for
every frame in; they are counted, and past a bound the reading fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType

from av.container import InputContainer
from av.video.stream import VideoStream

from vidrestore.config import DecodeConfig
from vidrestore.errors import VideoDecodeError
from vidrestore.structs import Frame
from vidrestore.video.read.damage import frames_beyond_end
from vidrestore.video.read.hardware import Hardware
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.ledger import Ledger
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.pictures import (
    PictureStream,
    info_in,
    new_ledger,
    nominal_step,
    open_stream,
)
from vidrestore.video.read.probe import probe
from vidrestore.video.read.promise import missing_frames
from vidrestore.video.read.shortfall import FrameTimes, Shortfall, refuse_damaged
from vidrestore.video.read.shot_cuts import CutDetector
from vidrestore.video.read.window import Window, window_of

__all__ = ["VideoReader"]


class VideoReader:
    """The frames of one video stream, in order of presentation.

    Args:
        source: the file, or what `probe` found of it.
        config: which part to read, and how much damage to accept.
        threads: for decoding; 0 takes all.
        keep_damaged: go on, whatever is missing; `is_damaged` tells.
        window: the part to read, where it is known; else from `config`.
        hardware: decodes in the place of software, see `hardware_reader`.

    Raises:
        VideoOpenError: if the file cannot be read, or nothing lies between start and end.
        VideoDecodeError: if more of it is known to be lost than accepted.
    """

    def __init__(
        self,
        source: str | Path | VideoInfo,
        config: DecodeConfig,
        threads: int = 0,
        *,
        keep_damaged: bool = False,
        window: Window | None = None,
        hardware: Hardware | None = None,
    ) -> None:
        self._config = config
        self._threads = threads
        self._keep_damaged = keep_damaged
        self.info: VideoInfo = source if isinstance(source, VideoInfo) else probe(source)
        self.window: Window = window or window_of(self.info, config.start, config.end)
        if window is None:
            self.info = info_in(self.info, self.window)
        self.frames_read = 0
        """Frames given so far, repaired ones included."""
        self.frames_repaired = 0
        """Frames that could not be decoded and repeat a neighbour."""
        self.frames_lost = 0
        """Frames that the file promises and does not give."""
        self._lost_at_s: float | None = None
        self._times = FrameTimes(nominal_step(self.info))
        self._pictures = PictureStream(self.info, self.window, threads, hardware)
        self._opened = open_input(self.info.path)
        self._container: InputContainer | None = self._opened.__enter__()
        try:
            self._first_ledger = new_ledger(self._container, self.info, self.window)
            self._stream: VideoStream | None = open_stream(self._container, self.info, threads)
            self.frames_lost = frames_beyond_end(self._stream, self.info, self.window)
            if self._ledger.cut_off and not self.frames_lost:
                self.frames_lost = self._missing_by_packets()
            self._check_damage(self._expected_frames())
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; frames that were read stay valid."""
        if self._container is not None:
            self._container = None
            self._stream = None
            self._opened.__exit__(None, None, None)

    @property
    def _ledger(self) -> Ledger:
        """The account of the packets, so far."""
        return self._pictures.ledger or self._first_ledger

    @property
    def frames_damaged(self) -> int:
        """Frames that the decoder gave, with errors concealed."""
        return self._pictures.damaged

    @property
    def shortfall(self) -> Shortfall:
        """Frames that are missing or repeat a neighbour, so far."""
        return Shortfall(
            "frames",
            self.frames_lost + self.frames_repaired,
            max(self.frames_read + self.frames_lost, 1),
            self._lost_at_s,
        )

    @property
    def is_damaged(self) -> bool:
        """Whether more is missing than accepted, or nobody can know how much."""
        ledger = self._ledger
        unknown = ledger.has_cut_index or ledger.lost_streams > 0
        unknown |= ledger.unread > self._config.max_broken
        return unknown or self.shortfall.is_beyond(self._config.max_broken)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was lost, damaged or moved so far."""
        pictures = self._pictures
        moved = pictures.skipped_at_start or pictures.shifted
        return not (
            self.shortfall.missing or self.frames_damaged or moved or self._ledger.is_suspect
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of damage, so far."""
        ledger, at = self._ledger, self._lost_at_s
        ends_early = ledger.broke_off or ledger.cut_off or ledger.shrank_by > 0
        first = f", the first at {at:.3f} s" if at is not None else ""
        told = (
            (self.frames_repaired, "that could not be decoded, replaced by a neighbour"),
            (self.frames_damaged, "decoded with errors"),
            (
                self.frames_lost,
                f"missing because the file ends early{first}"
                if ends_early
                else f"missing that the file promises{first}",
            ),
            (self._pictures.skipped_at_start, "skipped before the first whole picture"),
            (self._pictures.shifted, "moved, for their times went back (parts doubled or joined)"),
        )
        notes = [f"{n} frame{'' if n == 1 else 's'} {what}" for n, what in told if n]
        already_told = ends_early and self.frames_lost > 0
        notes += self.info.clock.notes(self.info.start_s)
        return (*notes, *ledger.notes(self.info.start_s, already_told=already_told))

    def frames(self) -> Iterator[Frame]:
        """Give the frames from the first on, until `close`; to be called once.

        Raises:
            VideoDecodeError: if more of the video is broken than accepted, or nothing of it can be
                decoded.
        """
        container, stream = self._container, self._stream
        assert container is not None and stream is not None, "the reader is closed"
        cuts = CutDetector(self._config.cut_threshold)
        for one in self._pictures.pictures(container, stream):
            self.frames_repaired += one.repaired
            self._check_damage(self._expected_frames())
            is_cut = (not one.repaired or self.frames_read == 0) and cuts.is_cut(one.picture)
            frame = Frame(
                index=self.frames_read,
                pts=one.pts - self.window.shift,
                time_base=self.info.time_base,
                picture=one.picture,
                display=self.info.display,
                is_cut=is_cut,
                repaired=one.repaired,
            )
            self.frames_read += 1
            self._times.add(one.pts, one.silent)
            yield frame
            if self._container is None:  # reading on from a closed file would crash
                return
        if self._pictures.next_pts is not None and self._times.frames:
            self._times.end(self._pictures.next_pts)
        self._check_end()

    def _expected_frames(self) -> int:
        """Frames that the window should have, as far as the file tells."""
        info, window = self.info, self.window
        total = info.n_frames_estimate or 0
        if total and info.duration_s and (window.first_pts or window.end_pts):
            first = float((window.first_s or info.start_s) - info.start_s)
            end = float((window.end_s or info.start_s) - info.start_s) or info.duration_s
            total = round(total * max(0.0, min(1.0, (end - first) / info.duration_s)))
        return total

    def _missing_by_packets(self) -> int:
        """Frames missing in a file that is cut off, from its packets alone."""
        with open_input(self.info.path) as container:
            ledger = new_ledger(container, self.info, self.window)
            stream = open_stream(container, self.info, self._threads)
            packets = ledger.packets([stream])
            pts = [one.pts if one.pts is not None else one.dts for one in packets]
            times = FrameTimes(nominal_step(self.info))
            for one in sorted(one for one in pts if one is not None and self.window.holds(one)):
                times.add(one)
            return self._compare(container, stream, ledger, times)[0] if times.frames else 0

    @property
    def _wanted_s(self) -> Fraction:
        """Where the part begins that was asked for, on the container's clock."""
        return self.info.start_s + Fraction(repr(float(self._config.start or 0)))

    def _missing_before_window(self) -> int:
        """Frames between the time that was asked for and the first one, in a damaged file."""
        step, first_s = self._times.step, self.window.first_s
        if first_s is None or not step or self.info.container.startswith("mov"):
            return 0
        missing = int((first_s - self._wanted_s) / (step * self.info.time_base))
        if missing < 1 or not self._times.is_steady:
            return 0
        with open_input(self.info.path) as container:
            ledger = Ledger(container, self.info.path, end_s=first_s, clock=self.info.clock)
            for packet in ledger.packets([container.streams[self.info.stream_index]]):
                if packet.dts is not None and packet.dts * packet.time_base > first_s:
                    break
            return missing if ledger.times_count else 0

    def _compare(
        self, container: InputContainer, stream: VideoStream, ledger: Ledger, times: FrameTimes
    ) -> tuple[int, Fraction]:
        return missing_frames(
            container,
            stream,
            ledger,
            times,
            end_s=self.window.end_s,
            to_window_end=self._pictures.reached_end_of_window,
        )

    def _check_damage(self, expected: int) -> None:
        """Give up as soon as it is sure that too much is broken; 0 expected means unknown."""
        so_far = self.shortfall
        total = max(expected, so_far.promised)
        if expected and so_far.missing > self._config.max_broken * total:
            self._give_up(replace(so_far, promised=total, so_far=True))

    def _check_end(self) -> None:
        if self.frames_read == 0:
            if self._pictures.reached_end_of_window:
                raise VideoDecodeError(
                    f"{self.info.path}: no frame before {self._config.end} s; the picture begins "
                    "later, choose a later --end"
                )
            raise VideoDecodeError(f"{self.info.path}: no frame of it can be decoded")
        assert self._container is not None and self._stream is not None
        missing, at_s = self._compare(self._container, self._stream, self._ledger, self._times)
        before = self._missing_before_window()
        missing, at_s = missing + before, self._wanted_s if before else at_s
        missing = max(missing, self._pictures.unanswered)
        self.frames_lost = max(self.frames_lost, missing)
        if self.frames_lost:
            self._lost_at_s = max(0.0, float(at_s - self.info.start_s))
        if self.is_damaged:
            self._give_up(self.shortfall)

    def _give_up(self, shortfall: Shortfall) -> None:
        if not self._keep_damaged:
            told = [str(shortfall)] if shortfall.missing else []
            told += self._ledger.notes(self.info.start_s)
            refuse_damaged(self.info.path, told, self._config.max_broken)
