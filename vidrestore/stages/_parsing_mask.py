"""Where a crop shows the face itself: a soft mask from face parsing, calm over time.

A parser says how surely each place of a crop is face. What it says of neighbouring frames of a
track is averaged with the frame's own, on both sides, so nothing lags; in the crop the head nearly
rests, so no motion has to be followed. Where the pictures differ, as when a hand moves, the frame
keeps its own answer.

The face is then made smaller by the width of the soft border, so that the border lies inside it:
what is not face has a mask of exactly 0.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.errors import ModelError
from vidrestore.luma import BT709
from vidrestore.models.parsing import FaceParser
from vidrestore.stages._mask import smoother_step
from vidrestore.structs import Face, Frame

__all__ = ["Masks", "parsing_masks"]

Masks = tuple[Tensor | None, ...]
"""One for each face of a frame: (S, S) float32 in [0, 1] for a crop of that size; None for a face
without a restored crop."""

_REACH_FRAMES = 2
"""Frames looked ahead and back."""
_MAX_WAITING_FRAMES = 8
"""Frames that may wait for a batch to fill."""
_MASK_PX = 256
"""Side of the masks while they are worked on."""
_COMPARED_PX = 64
"""Side of the copies by which crops are compared: grain is no difference there."""
_NOISE = 0.03
"""Differences of luma below this share of the range are noise."""
_UNSURE, _SURE = 0.25, 0.75
"""Below the first a place is not face, above the second it is."""
_BLUR_PX = 2
"""Reach of each of three box blurs, which together are nearly a Gaussian."""
_SHRINK_PX = 3 * _BLUR_PX + 1
"""One pixel more than the blurs reach, for the enlarging to the crop's size."""


def parsing_masks(frames: Iterable[Frame], parser: FaceParser) -> Iterator[tuple[Frame, Masks]]:
    """Add to each frame the masks of its restored faces; two frames later.

    Args:
        frames: with `source_crop` and `crop` of their faces, in order.
        parser: tells face from what is not.

    Raises:
        ModelError: if the parser's answer has another shape or range.
    """
    window: deque[_Slot] = deque()
    ready = 0
    for slot in _parsed(frames, parser):
        if slot.frame is not None and slot.frame.is_cut:
            while ready < len(window):
                yield _finished(window, ready)
                ready += 1
            window.clear()
            ready = 0
        window.append(slot)
        if len(window) - ready > _REACH_FRAMES:
            yield _finished(window, ready)
            if ready == _REACH_FRAMES:
                window.popleft()
            else:
                ready += 1
    while ready < len(window):
        yield _finished(window, ready)
        ready += 1


@dataclass(slots=True, eq=False)
class _Part:
    """What was found in one crop."""

    track_id: int
    size: int
    """Side of the crop in pixels."""
    share: Tensor
    """(_MASK_PX, _MASK_PX) in [0, 1]: how surely a place is face."""
    luma: Tensor
    """(_COMPARED_PX, _COMPARED_PX) of the input."""


@dataclass(slots=True, eq=False)
class _Slot:
    """A frame that waits, or has been given and is still a neighbour of others."""

    frame: Frame | None
    """None once it has been given: its picture is not kept alive."""
    parts: tuple[_Part | None, ...]
    """One for each of its faces."""


def _parsed(frames: Iterable[Frame], parser: FaceParser) -> Iterator[_Slot]:
    """Parse crops of several frames together."""
    waiting: list[Frame] = []
    crops = 0
    for frame in frames:
        waiting.append(frame)
        crops += sum(map(_is_restored, frame.faces))
        if not crops or crops >= parser.batch_size or len(waiting) >= _MAX_WAITING_FRAMES:
            yield from _parse(waiting, parser)
            waiting, crops = [], 0
    yield from _parse(waiting, parser)


def _is_restored(face: Face) -> bool:
    return face.crop is not None and face.source_crop is not None


def _parse(frames: Sequence[Frame], parser: FaceParser) -> Iterator[_Slot]:
    crops = [
        face.source_crop
        for frame in frames
        for face in frame.faces
        if face.crop is not None and face.source_crop is not None
    ]
    shares = iter(_shares(torch.stack(crops), parser) if crops else ())
    for frame in frames:
        yield _Slot(
            frame,
            tuple(
                _part(face, next(shares)) if _is_restored(face) else None for face in frame.faces
            ),
        )


def _shares(crops: Tensor, parser: FaceParser) -> Tensor:
    """(N, _MASK_PX, _MASK_PX): the parser's answer, the least of each pixel's places."""
    shares = parser(crops).float().cpu()
    if shares.ndim != 3 or len(shares) != len(crops):
        raise ModelError(
            f"face parsing {parser.name}: answers {tuple(shares.shape)} to {len(crops)} crops; "
            "one (T, T) for each is needed"
        )
    if not bool(((shares >= 0) & (shares <= 1)).all()):
        raise ModelError(f"face parsing {parser.name}: answers with values outside 0 to 1")
    return 1 - functional.adaptive_max_pool2d(1 - shares[:, None], _MASK_PX)[:, 0]


def _part(face: Face, share: Tensor) -> _Part:
    assert face.source_crop is not None
    small = functional.interpolate(
        face.source_crop[None].float().cpu(), size=(_COMPARED_PX, _COMPARED_PX), mode="area"
    )[0]
    weights = small.new_tensor(BT709)
    luma = torch.tensordot(weights, small, 1)
    return _Part(face.track_id, face.source_crop.shape[-1], share, luma)


def _finished(window: Sequence[_Slot], place: int) -> tuple[Frame, Masks]:
    """A frame with its masks, once its neighbours are there."""
    slot = window[place]
    frame, slot.frame = slot.frame, None
    assert frame is not None
    masks = tuple(
        None if part is None else _soft(_averaged(window, place, part), part.size)
        for part in slot.parts
    )
    return frame, masks


def _averaged(window: Sequence[_Slot], place: int, own: _Part) -> Tensor:
    """The share of face, averaged over the neighbours that look alike."""
    total, weights = own.share.clone(), torch.ones_like(own.share)
    for other, distance in _neighbours(window, place, own.track_id):
        fade = math.cos(math.pi / 2 * distance / (_REACH_FRAMES + 1)) ** 2
        apart = (other.luma - own.luma).abs()
        alike = fade / (1 + (apart / _NOISE) ** 2) ** 2
        weight = _resized(alike, _MASK_PX)
        total += weight * other.share
        weights += weight
    return total / weights


def _neighbours(window: Sequence[_Slot], place: int, track_id: int) -> Iterator[tuple[_Part, int]]:
    """The same face in the frames around, and how far off they are; not beyond a gap."""
    for step in (1, -1):
        for distance in range(1, _REACH_FRAMES + 1):
            at = place + step * distance
            parts = window[at].parts if 0 <= at < len(window) else ()
            found = next((p for p in parts if p is not None and p.track_id == track_id), None)
            if found is None:
                break
            yield found, distance


def _soft(share: Tensor, size: int) -> Tensor:
    """(size, size): 1 well inside the face, 0 on all that is not face."""
    face = smoother_step((share - _UNSURE) / (_SURE - _UNSURE))[None, None]
    for across, down in ((_SHRINK_PX, 0), (0, _SHRINK_PX)):
        window = (2 * down + 1, 2 * across + 1)
        face = -functional.max_pool2d(-face, window, stride=1, padding=(down, across))
    for _ in range(3):
        face = functional.avg_pool2d(
            face, 2 * _BLUR_PX + 1, stride=1, padding=_BLUR_PX, count_include_pad=False
        )
    return _resized(face[0, 0], size).clamp_(0, 1)


def _resized(field: Tensor, size: int) -> Tensor:
    return functional.interpolate(
        field[None, None], size=(size, size), mode="bilinear", align_corners=False
    )[0, 0]
