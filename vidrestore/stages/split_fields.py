"""Split: an interlaced frame becomes two, one for each field, at its own time.

Between here and `weave_fields`, fields are a sequence of twice the rate of deinterlaced pictures,
so that a network sees no combs, and what filters over time sees the motion from field to field.

Which frames are interlaced is told by their flags, and where these lie, by what the face looks like
beside the frames before and after (`idet`): film in an interlaced recording is restored as whole
frames, and fields in a recording that is flagged progressive are restored as fields.

Faces were found and followed in whole frames, which show a moving face between the places it has in
both fields: half a field before the time of the later one. So alignments move a quarter of the way
to those of the frames before and after.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from vidrestore.geometry import apply, invert
from vidrestore.stages._windows import by_shot
from vidrestore.structs import Array, Face, Field, Frame
from vidrestore.video.picture.field_order import FieldOrder, field_order_of
from vidrestore.video.picture.fields import Seen, deinterlaced_fields, look_at_scan
from vidrestore.video.picture.samples import Rect, aligned_rect

__all__ = ["REACH", "split_fields"]

REACH = 6
"""Frames before and after whose looks count too."""
_FIRST_LINES: dict[FieldOrder, tuple[int, int]] = {"top": (0, 1), "bottom": (1, 0)}

_LEAST_LOOKS = 3
"""Fewer looks than this tell nothing against flags."""
_OVERRULES = 4
"""One order is told where it was seen so many times more often than the other, and nearly all
frames are alike where one kind was seen so many times more often than the other."""
_TELECINED = 3
"""Where film became video, two of five frames hold two film frames; so one interlaced frame for so
many progressive ones is a sign of fields."""
_HALF_FIELD = 0.25
"""Of the way to the next frame, from the whole frame's time to the later field's."""


def split_fields(frames: Iterable[Frame]) -> Generator[Frame, None, None]:
    """Give two frames, one for each field, for every interlaced frame with a face to restore.

    Args:
        frames: with aligned and gated faces, in order.

    Yields:
        The same frames in order, `REACH + 1` frames later, with their `scan`; those that are split
        as two with a `field`, whose faces are aligned at its time.
    """
    yield from by_shot(frames, _Window)


class _Window:
    """The frames of one shot that are near enough to matter."""

    def __init__(self) -> None:
        self._before: Frame | None = None
        """The frame given last."""
        self._frames: deque[Frame] = deque()
        """Not yet given, oldest first."""
        self._looks: deque[Seen] = deque()
        """Of those, the newest one excepted."""
        self._past: deque[Seen] = deque(maxlen=REACH)
        """Of those given last."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Take the next frame; give the one whose window is complete."""
        self._look(frame)
        self._frames.append(frame)
        if len(self._looks) > REACH:
            yield from self._give()

    def finish(self) -> Iterator[Frame]:
        """Give the rest."""
        self._look(None)
        while self._frames:
            yield from self._give()

    def _look(self, after: Frame | None) -> None:
        """Look at the newest frame, now that the one after it is known."""
        if self._frames:
            before = self._frames[-2] if len(self._frames) > 1 else self._before
            self._looks.append(_looks_like(before, self._frames[-1], after))

    def _give(self) -> Iterator[Frame]:
        frame, look = self._frames.popleft(), self._looks.popleft()
        after = self._frames[0] if self._frames else None
        ahead = list(self._looks)[:REACH]
        flagged = field_order_of(frame.picture.handle)
        order = _order(flagged, look, [*self._past, look, *ahead])
        frame = replace(frame, scan=order or "progressive")
        if order is None or not _restorable(frame):
            yield frame
        else:
            yield from _split(self._before, frame, after, order)
        self._past.append(look)
        self._before = frame


def _restorable(frame: Frame) -> list[Face]:
    return [face for face in frame.faces if face.strength > 0 and face.crop_from_frame is not None]


def _looks_like(before: Frame | None, frame: Frame, after: Frame | None) -> Seen:
    """How the faces of a frame look beside its neighbours."""
    faces = _restorable(frame)
    if not faces or before is None or after is None:
        return None
    boxes = np.stack([face.box_xyxy for face in faces])
    low, high = boxes[:, :2].min(0), boxes[:, 2:].max(0)
    corners = np.array([low, high, [low[0], high[1]], [high[0], low[1]]])
    coded = apply(invert(frame.display.display_from_coded), corners)
    (x0, y0), (x1, y1) = np.floor(coded.min(0)).astype(int), np.ceil(coded.max(0)).astype(int)
    rect = _from_even_line(aligned_rect(frame.picture, int(x0), int(y0), int(x1), int(y1)))
    return look_at_scan(before.picture, frame.picture, after.picture, rect)


def _from_even_line(rect: Rect) -> Rect:
    """A crop that begins with a line of the top field, in planes of chroma too."""
    return Rect(rect.x0, rect.y0 // 4 * 4, rect.x1, rect.y1)


def _order(flagged: FieldOrder | None, look: Seen, near: Sequence[Seen]) -> FieldOrder | None:
    """The order of a frame's fields; None for a progressive frame.

    Args:
        flagged: what its flags say.
        look: how it looks.
        near: how it and the frames around it look.
    """
    counts = Counter(near)
    order = _seen_order(counts) or flagged
    if order is None:
        return None
    interlaced, progressive = counts["top"] + counts["bottom"], counts["progressive"]
    if interlaced >= max(_LEAST_LOOKS, _OVERRULES * progressive):
        return order
    if progressive >= max(_LEAST_LOOKS, _OVERRULES * interlaced):
        return None
    if look is not None:
        return None if look == "progressive" else order
    return order if interlaced > progressive or (flagged and interlaced == progressive) else None


def _seen_order(counts: Counter[Seen]) -> FieldOrder | None:
    """The order that was seen so often that flags do not count; None where there is none."""
    orders: tuple[FieldOrder, FieldOrder] = ("top", "bottom")
    for order, other in (orders, orders[::-1]):
        least = max(_LEAST_LOOKS, _OVERRULES * counts[other])
        if counts[order] >= least and _TELECINED * counts[order] >= counts["progressive"]:
            return order
    return None


def _split(
    before: Frame | None, frame: Frame, after: Frame | None, order: FieldOrder
) -> Iterator[Frame]:
    """The earlier and the later field."""
    pictures = deinterlaced_fields(
        None if before is None else before.picture,
        frame.picture,
        None if after is None else after.picture,
        order,
    )
    step = _step(before, frame, after)
    for is_later in (False, True):
        share = _HALF_FIELD if is_later else -_HALF_FIELD
        yield replace(
            frame,
            pts=2 * frame.pts + is_later * step,
            time_base=frame.time_base / 2,
            picture=pictures[is_later],
            is_cut=frame.is_cut and not is_later,
            faces=tuple(_moved(face, before, after, share) for face in frame.faces),
            field=Field(_FIRST_LINES[order][is_later], is_later, frame),
        )


def _step(before: Frame | None, frame: Frame, after: Frame | None) -> int:
    """Ticks from a frame to the next one, or from the one before where it is the last."""
    if after is not None:
        return after.pts - frame.pts
    return 1 if before is None else frame.pts - before.pts


def _moved(face: Face, before: Frame | None, after: Frame | None, share: float) -> Face:
    """A face with its alignment `share` of the way to the next frame (below 0: to the one before).

    Where the face is not in that frame, it goes on as it came from, or goes to, the other one.
    """
    if face.crop_from_frame is None:
        return face
    near, far = (after, before) if share > 0 else (before, after)
    here = invert(face.crop_from_frame)
    for frame, weight in ((near, abs(share)), (far, -abs(share))):
        there = _alignment(frame, face.track_id)
        if there is not None:
            moved = here + weight * (invert(there) - here)
            return replace(face, crop_from_frame=invert(moved))
    return face


def _alignment(frame: Frame | None, track: int) -> Array | None:
    if frame is None:
        return None
    return next((face.crop_from_frame for face in frame.faces if face.track_id == track), None)
