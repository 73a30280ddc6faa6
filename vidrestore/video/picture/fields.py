"""The two fields of an interlaced picture: told, taken apart and put together again.

An interlaced camera takes the even lines of a frame (the top field) and its odd lines (the bottom
field) at two moments, half a frame apart. Here a frame's lines can be seen as two whole pictures,
one at the time of each field: a field's own lines as they are, the others estimated by FFmpeg's
`bwdif`. A field's own lines are those of every plane, also of 4:2:0, whose lines of chroma belong
to fields by turns as those of luma do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal, TypeAlias

import av
import numpy as np
import numpy.typing as npt

from vidrestore.structs import Picture
from vidrestore.video.picture.chroma import Rect
from vidrestore.video.picture.field_order import FieldOrder
from vidrestore.video.picture.filter_graph import FilterGraph
from vidrestore.video.picture.layouts import layout_of
from vidrestore.video.picture.samples import copy_picture, luma_region, picture_from_av

__all__ = [
    "Seen",
    "combing",
    "deinterlaced_fields",
    "look_at_scan",
    "top_field",
    "with_changed_fields",
]

Seen: TypeAlias = Literal["progressive", "top", "bottom"] | None
"""How pictures look that follow each other: of one moment each, or of two with that field first;
None where they do not tell, as where nothing moves."""

_COMBED = 0.6
"""Of `combing`, from which on a picture surely holds two moments."""

_SEEN: dict[str, Seen] = {"progressive": "progressive", "tff": "top", "bff": "bottom"}


def deinterlaced_fields(
    before: Picture | None, picture: Picture, after: Picture | None, order: FieldOrder
) -> tuple[Picture, Picture]:
    """Both fields of a picture as whole pictures, the earlier one first.

    Args:
        before: the picture before it in the same shot; None where there is none.
        picture: the interlaced picture.
        after: the picture after it, likewise.
        order: which field is the earlier one.
    """
    parity = {"top": "tff", "bottom": "bff"}[order]
    text = f"bwdif=mode=send_field:parity={parity}:deint=all"
    given = _filtered(before, picture, after, text, f"format={picture.format}")
    first = 0 if before is None else 2
    return _like(given[first], picture), _like(given[first + 1], picture)


def look_at_scan(
    before: Picture | None, picture: Picture, after: Picture | None, rect: Rect
) -> Seen:
    """How a picture was taken, by FFmpeg's `idet`, which compares it with its neighbours.

    Film that became video shows fields twice, and `idet` takes whole frames beside those for
    interlaced ones; so a picture without combs is progressive.

    Args:
        before: the picture before it in the same shot; None where there is none.
        picture: what to look at.
        after: the picture after it, likewise.
        rect: the part that is looked at, in pixels.
    """
    if before is None or after is None or rect.width < 8 or rect.height < 8:
        return None
    text = f"crop=w={rect.width}:h={rect.height}:x={rect.x0}:y={rect.y0}:exact=1,idet"
    looked_at = _filtered(before, picture, after, text)[1]
    seen = _SEEN.get(str(looked_at.metadata.get("lavfi.idet.single.current_frame")))
    if seen in ("top", "bottom") and combing(luma_region(picture, *rect)) < _COMBED:
        return "progressive"
    return seen


def combing(luma: npt.NDArray[np.uint8]) -> float:
    """How much lines differ from the ones beside them, over how much from those two away.

    Args:
        luma: (H, W), five lines or more.

    Returns:
        0.4 to 0.55 for sharp and soft pictures, up to 1 for noise, more for combs; a field that
        is moved by a quarter of a pixel adds 0.1.
    """
    lines = luma.astype(np.int16)
    here = 2 * lines[2:-2]
    beside = np.abs(lines[1:-3] - here + lines[3:-1]).mean()
    away = np.abs(lines[:-4] - here + lines[4:]).mean()
    return float(beside / max(away, 1e-6))


def with_changed_fields(
    picture: Picture, fields: Iterable[tuple[int, Picture, Picture]]
) -> Picture:
    """A copy of an interlaced picture in which fields have their own changes.

    Args:
        picture: stays as it is.
        fields: first line of the field, 0 or 1; its deinterlaced picture; the same, changed. Only
            the difference of these is taken, and only on the field's own lines.
    """
    whole, layout = copy_picture(picture), layout_of(picture.format)
    most = ((1 << layout.bits) - 1) << layout.shift
    for first_line, before, after in fields:
        lines = slice(first_line, None, 2)
        for plane, old, new in zip(whole.planes, before.planes, after.planes, strict=True):
            own, was, now = (one.numpy()[lines] for one in (plane, old, new))
            changed = was != now  # a few formats are rounded on the way to the deinterlacer
            added = own[changed].astype(np.int32) + now[changed] - was[changed].astype(np.int32)
            own[changed] = added.clip(0, most)
    return whole


def top_field(picture: Picture) -> Picture:
    """The lines of the top field alone, half as many; shares the samples."""
    lines = tuple(plane[::2] for plane in picture.planes)
    return replace(picture, planes=lines, height=(picture.height + 1) // 2)


def _filtered(
    before: Picture | None, picture: Picture, after: Picture | None, text: str, last: str = "null"
) -> list[av.VideoFrame]:
    """What a graph gives for a picture and its neighbours."""
    graph = FilterGraph(picture.handle, text, last)
    given = []
    for one in (before, picture, after):
        if one is not None:
            graph.push(one.handle)
    graph.push(None)
    while (frame := graph.pull()) is not None:
        given.append(frame)
    return given


def _like(frame: av.VideoFrame, picture: Picture) -> Picture:
    """A filtered frame as a picture, with the tags of another one, which graphs settle anew."""
    frame.colorspace, frame.color_range = picture.handle.colorspace, picture.handle.color_range
    return picture_from_av(frame)
