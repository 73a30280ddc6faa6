"""Send pictures through FFmpeg's filters.

    graph = FilterGraph(frame, "setfield=mode=tff")
    graph.push(frame)
    changed = graph.pull()

A graph is made for frames of one size and format; it copies samples only where a filter does.
"""

from __future__ import annotations

from fractions import Fraction

import av
import av.filter
from av.filter.context import FilterContext

from vidrestore.errors import nearest
from vidrestore.video.picture.filter_text import FilterCall, parse_filters

__all__ = ["FilterError", "FilterGraph"]

_UNKNOWN_MATRIX, _RESERVED_MATRIX = 2, 3
"""`MatrixCoefficients` of H.273; FFmpeg's filters refuse the reserved one."""


class FilterError(ValueError):
    """A graph cannot be made of a text; the message says why."""


class FilterGraph:
    """A graph with one way in and one way out.

    Args:
        frame: one of those that will be sent, which tells their size, format and tags.
        text: as FFmpeg's `-vf` takes it.
        last: one more filter at the end, such as 'format=yuv420p'.
        time_base: of the times of frames; that of `frame` where it is None.
        sar: width of a pixel over its height.
        rate: frames per second, where it is constant; some filters ask for it.

    Raises:
        FilterError: the text is none, or a filter refuses its options or the pictures.
    """

    def __init__(
        self,
        frame: av.VideoFrame,
        text: str,
        last: str = "null",
        *,
        time_base: Fraction | None = None,
        sar: Fraction = Fraction(1),
        rate: Fraction | None = None,
    ) -> None:
        self._graph = av.filter.Graph()
        self._graph.threads = 1
        base = time_base or frame.time_base or Fraction(1)
        tag = int(frame.colorspace)
        options = {
            "video_size": f"{frame.width}x{frame.height}",
            "pix_fmt": frame.format.name,
            "time_base": f"{base.numerator}/{base.denominator}",
            "sar": f"{sar.numerator}/{sar.denominator}",
            "colorspace": str(_UNKNOWN_MATRIX if tag == _RESERVED_MATRIX else tag),
            "range": str(int(frame.color_range)),
        }
        if rate:
            options["frame_rate"] = f"{rate.numerator}/{rate.denominator}"
        self._source = self._graph.add("buffer", **options)
        self._sink = self._graph.add("buffersink")
        end = self._added(FilterCall(*last.partition("=")[::2]))
        end.link_to(self._sink)
        self._link(text, end)
        try:
            self._graph.configure()
        except (av.FFmpegError, ValueError) as error:
            raise FilterError(f"its filters do not go together ({_reason(error)})") from error

    def push(self, frame: av.VideoFrame | None) -> None:
        """Send a frame, which stays as it is, or (None) say that there are no more."""
        self._source.push(frame)

    def pull(self) -> av.VideoFrame | None:
        """Take the next frame; None where it asks for more, or at the end."""
        try:
            given = self._sink.pull()
        except (av.BlockingIOError, EOFError):
            return None
        assert isinstance(given, av.VideoFrame)
        return given

    def _link(self, text: str, end: FilterContext) -> None:
        """Add the filters of a text, between the source and the last filter."""
        try:
            chains = parse_filters(text)
        except ValueError as error:
            raise FilterError(str(error)) from error
        given: dict[str, tuple[FilterContext, int]] = {"in": (self._source, 0)}
        asked: dict[str, tuple[FilterContext, int]] = {}
        for number, chain in enumerate(chains):
            free: tuple[FilterContext, int] | None = None
            for call in chain:
                context = self._added(call)
                for place, label in enumerate(call.inputs):
                    asked[_new(label, asked)] = (context, place)
                if not call.inputs and free is not None:
                    free[0].link_to(context, free[1], 0)
                elif not call.inputs:
                    if number:
                        raise FilterError(f"{call.name} needs a label for what it takes")
                    asked[_new("in", asked)] = (context, 0)
                for place, label in enumerate(call.outputs):
                    given[_new(label, given)] = (context, place)
                free = None if call.outputs else (context, 0)
            if free is not None:
                given[_new("out", given)] = free
        asked[_new("out", asked)] = (end, 0)
        for label in (*given, *asked):
            if (label in given) != (label in asked):
                raise FilterError(f"label {label!r} leads nowhere")
        for label, (context, place) in given.items():
            following, at = asked[label]
            try:
                context.link_to(following, place, at)
            except (av.FFmpegError, ValueError) as error:
                raise FilterError(f"label {label!r} cannot be linked") from error

    def _added(self, call: FilterCall) -> FilterContext:
        if call.name not in av.filter.filters_available:
            known = sorted(av.filter.filters_available)
            raise FilterError(f"no filter {call.name!r} here{nearest(call.name, known)}")
        try:
            return self._graph.add(call.name, call.options or None)
        except (av.FFmpegError, ValueError) as error:
            raise FilterError(
                f"filter {call.name} does not take {call.options!r} ({_reason(error)})"
            ) from error


def _new(label: str, known: dict[str, tuple[FilterContext, int]]) -> str:
    if label in known:
        raise FilterError(f"label {label!r} is there twice")
    return label


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
