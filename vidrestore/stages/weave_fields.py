"""Weave: both fields of a frame, restored one by one, become one frame again.

Only the lines of a field take its change, and of these only what changed: all other samples stay as
they were decoded, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import replace

from vidrestore.structs import Face, Frame
from vidrestore.video.picture.fields import with_changed_fields

__all__ = ["weave_fields"]


def weave_fields(frames: Iterable[Frame]) -> Generator[Frame, None, None]:
    """Put the fields of `split_fields` together; other frames pass.

    Args:
        frames: blended, in order.

    Yields:
        One frame for each that entered `split_fields`, in order, at its own time.
    """
    earlier: Frame | None = None
    for frame in frames:
        if frame.field is None:
            yield frame
        elif not frame.field.is_later:
            earlier = frame
        else:
            assert earlier is not None, "both fields of a frame follow each other"
            yield _woven(earlier, frame)
            earlier = None


def _woven(earlier: Frame, later: Frame) -> Frame:
    assert later.field is not None
    whole = later.field.frame
    faces = tuple(map(_whole_face, whole.faces, earlier.faces, later.faces))
    changed = [
        (one.field.first_line, one.source, one.picture)
        for one in (earlier, later)
        if one.field is not None and one.source is not None
    ]
    if not changed:
        return replace(whole, faces=faces)
    picture = with_changed_fields(whole.picture, changed)
    return replace(whole, faces=faces, picture=picture, source=whole.picture)


def _whole_face(face: Face, earlier: Face, later: Face) -> Face:
    """A face where it is in the whole frame, with the crops of the earlier field; it counts as
    failed where one of the fields failed.
    """
    moved = (earlier.crop_from_frame, later.crop_from_frame)
    return replace(
        face,
        crops_from_fields=tuple(one for one in moved if one is not None),
        source_crop=earlier.source_crop,
        concealed=earlier.concealed,
        crop=None if later.crop is None else earlier.crop,
    )
