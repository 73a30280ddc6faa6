"""Streams that begin late, in containers without times: there all of them begin together."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from av.container import InputContainer

from vidrestore.video.read.info import VideoInfo
from vidrestore.video.write.containers import CONSTANT_RATE
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.stream_plan import stream_name

__all__ = ["offset_notes"]

_HEARD_S = Fraction(3, 100)
"""Picture and sound that lie apart by less go together."""


def offset_notes(plan: OutputPlan, source: VideoInfo, opened: InputContainer) -> Iterator[str]:
    """What a person should know of streams whose late beginning gets lost.

    Args:
        plan: how the output is written, from the beginning of the input.
        source: the input, as probed.
        opened: the input, open.
    """
    if plan.container.muxer not in CONSTANT_RATE:
        return
    kept = {one.index for one in plan.streams if one.action in ("encode", "copy", "convert")}
    starts_s = {
        stream.index: stream.start_time * stream.time_base
        for stream in opened.streams
        if stream.index in kept and stream.type in ("audio", "video")
        if stream.start_time is not None and stream.time_base is not None
    }
    first_s = min(starts_s.values(), default=Fraction(0))
    for info in source.streams:
        late_s = starts_s.get(info.index, first_s) - first_s
        if late_s > _HEARD_S:
            yield (
                f"{stream_name(info)} begins {float(late_s):.3f} s late, which "
                f"{plan.destination.suffix} cannot tell: it will begin at once; .mkv and .mov keep "
                "picture and sound together"
            )
