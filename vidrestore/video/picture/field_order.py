"""Which field of a frame is the earlier one, as the frame's flags say it.

PyAV tells whether a frame is interlaced, but neither reads nor writes the order of its fields;
FFmpeg's filters do.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import av

from vidrestore.video.picture.filter_graph import FilterGraph

__all__ = ["FieldOrder", "field_order_of", "with_field_order"]

FieldOrder: TypeAlias = Literal["top", "bottom"]
"""The field that is shown first: that of the even lines, from 0, or that of the odd lines."""


def field_order_of(frame: av.VideoFrame) -> FieldOrder | None:
    """The order that the flags of a frame tell; None for a progressive frame."""
    if not frame.interlaced_frame:
        return None
    graph = FilterGraph(frame, "select='eq(interlace_type,TOPFIRST)'")
    graph.push(frame)
    return "bottom" if graph.pull() is None else "top"


def with_field_order(frame: av.VideoFrame, order: FieldOrder | None) -> av.VideoFrame:
    """The same samples, not copied, in a frame whose flags tell an order, or (None) progressive."""
    graph = FilterGraph(frame, f"setfield=mode={_MODES[order]}")
    graph.push(frame)
    flagged = graph.pull()
    assert flagged is not None
    flagged.colorspace, flagged.color_range = frame.colorspace, frame.color_range
    return flagged


_MODES: dict[FieldOrder | None, str] = {"top": "tff", "bottom": "bff", None: "prog"}
