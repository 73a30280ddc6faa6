"""Send decoded frames through FFmpeg's filters: one frame out for each in, at its own time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np

from vidrestore.errors import VideoDecodeError
from vidrestore.geometry import display_from_coded
from vidrestore.structs import Display, Frame, Picture
from vidrestore.video.boundary import AV_ERRORS, reason_of
from vidrestore.video.picture.filter_graph import FilterGraph
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.filter_trial import last_filter, shape_after

__all__ = ["prefiltered"]

_UNTAGGED = (0, 2, 3)
"""Matrix coefficients of H.273 that tell nothing: RGB or unset, unspecified, reserved."""

_MOST_HELD = 256
"""Frames that filters may hold back."""


def prefiltered(frames: Iterable[Frame], filters: Iterable[str]) -> Iterator[Frame]:
    """Frames with the pictures that filters make of them.

    Args:
        frames: decoded, in order.
        filters: graphs, one after the other, from `filter_trial.filters_of`.

    Raises:
        VideoDecodeError: a filter fails, or does not give one frame for each.
    """
    for text in filters:
        frames = _filtered(frames, text)
    return iter(frames)


def _filtered(frames: Iterable[Frame], text: str) -> Generator[Frame, None, None]:
    line: _Line | None = None
    for frame in frames:
        line = line or _Line(frame, text)
        yield from line.send(frame)
    if line is not None:
        yield from line.finish()


class _Line:
    """A graph, and the frames whose pictures it holds."""

    def __init__(self, frame: Frame, text: str) -> None:
        self._text = text
        self._waiting: deque[Frame] = deque()
        handle, stretch = frame.picture.handle, _stretch(frame.display)
        sar = Fraction(stretch).limit_denominator(10_000)
        last = last_filter(text, frame.picture.format)
        self._graph = FilterGraph(handle, text, last, time_base=frame.time_base, sar=sar)
        self._sar = shape_after(handle, text, sar)

    def send(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give those that are ready."""
        self._waiting.append(frame)
        if len(self._waiting) > _MOST_HELD:
            raise self._error(f"holds back more than {_MOST_HELD} frames")
        handle = frame.picture.handle
        handle.pts, handle.time_base = frame.pts, frame.time_base
        yield from self._pass(frame)

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        yield from self._pass(None)
        if self._waiting:
            raise self._error("gives no frame for the one")

    def _pass(self, frame: Frame | None) -> Iterator[Frame]:
        try:
            self._graph.push(None if frame is None else frame.picture.handle)
            given = list(iter(self._graph.pull, None))
        except AV_ERRORS as error:
            raise self._error(f"fails ({reason_of(error)})") from error
        for one in given:
            now = self._waiting[0] if self._waiting else None
            if now is None or _time_s(one) != now.pts * now.time_base:
                raise self._error("does not give one frame for each, at the same time")
            self._waiting.popleft()
            picture = _like(one, now.picture)
            display = _display(now.display, picture.width, picture.height, self._sar)
            yield replace(now, picture=picture, display=display)

    def _error(self, what: str) -> VideoDecodeError:
        at_s = self._waiting[0].pts * self._waiting[0].time_base if self._waiting else 0
        return VideoDecodeError(f"--prefilter '{self._text}': {what} at {float(at_s):.3f} s")


def _time_s(frame: av.VideoFrame) -> Fraction | None:
    return None if frame.pts is None else frame.pts * Fraction(frame.time_base or 1)


def _like(frame: av.VideoFrame, before: Picture) -> Picture:
    """A filtered frame as a picture; what was not tagged is guessed as before, whatever its size is
    now.
    """
    source = before.handle
    if int(source.colorspace) in _UNTAGGED and not frame.format.is_rgb:
        frame.colorspace = source.colorspace
    if not int(source.color_range):
        frame.color_range = source.color_range
    picture = picture_from_av(frame)
    is_alike = "rgb" not in (picture.matrix, before.matrix)
    guessed = is_alike and int(frame.colorspace) in _UNTAGGED
    return replace(picture, matrix=before.matrix) if guessed else picture


def _stretch(display: Display) -> float:
    """Width over height of a pixel."""
    across, down = np.linalg.norm(display.display_from_coded[:, :2], axis=0)
    return float(across / down)


def _display(before: Display, width: int, height: int, sar: Fraction) -> Display:
    """How a picture of another size is shown, turned as the one before."""
    linear = before.display_from_coded[:, :2]
    turn = linear / np.linalg.norm(linear, axis=0)
    shown, shown_width, shown_height = display_from_coded(
        width, height, sar=float(sar), matrix=turn
    )
    return Display(shown_width, shown_height, shown)
