"""What interlaced recording leaves behind: combs, and lines lost by bad deinterlacing.

A frame's fields are its even rows (the top field) and its odd ones; rows count from 0. How fields
come to be and what deinterlacers make of them: de Haan and Bellers 1998, "Deinterlacing, an
overview" (doi:10.1109/5.705528), whose line repetition, line averaging and vertical filter are
`double_lines`, `interpolate_lines` and `blend_fields`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from vidrestore.degradations.pixels import Image

__all__ = ["blend_fields", "comb", "double_lines", "interpolate_lines", "weave_fields"]


def weave_fields(top: Image, bottom: Image) -> Image:
    """Even rows of one picture, odd rows of another: what moves between them gets a comb."""
    woven = top.copy()
    woven[1::2] = bottom[1::2]
    return woven


def comb(
    frames: Iterable[Image], *, top_first: bool = True, pulldown: bool = False
) -> Iterator[Image]:
    """Frames whose second field is that of the frame after; the last one stays as it is.

    Args:
        frames: the stream; one frame is looked ahead.
        top_first: whether the even rows come first in time.
        pulldown: comb only two frames of five, as telecined film has them (3:2 pulldown of frames
            A B C D gives A, B, B/C, C/D, D).
    """
    before: Image | None = None
    for index, frame in enumerate(frames, start=-1):
        if before is not None:
            if pulldown and index % 5 not in (2, 3):
                yield before
            else:
                yield weave_fields(before, frame) if top_first else weave_fields(frame, before)
        before = frame
    if before is not None:
        yield before


def double_lines(image: Image, *, keep_top: bool) -> Image:
    """Keep one field and show each of its lines twice: half the vertical detail, with stairs."""
    height = image.shape[0]
    field = image[0 if keep_top or height == 1 else 1 :: 2]
    return np.ascontiguousarray(_twice(field, height))


def interpolate_lines(image: Image, *, keep_top: bool) -> Image:
    """Keep one field; its missing lines become the mean of those above and below ("bob")."""
    out = image.copy()
    first = 1 if keep_top else 0
    above = np.concatenate([image[1:2], image[:-1]]) if len(image) > 1 else image
    below = np.concatenate([image[1:], image[-2:-1]]) if len(image) > 1 else image
    out[first::2] = (above[first::2] + below[first::2]) / 2
    return out


def blend_fields(image: Image) -> Image:
    """Mix the fields, rows weighted 1/4, 1/2, 1/4: combs turn into double images."""
    above = np.concatenate([image[1:2], image[:-1]]) if len(image) > 1 else image
    below = np.concatenate([image[1:], image[-2:-1]]) if len(image) > 1 else image
    return np.asarray((above + 2 * image + below) / 4, dtype=np.float32)


def _twice(field: Image, height: int) -> Image:
    doubled = np.repeat(field, 2, axis=0)[:height]
    missing = height - len(doubled)
    return np.concatenate([doubled, doubled[-1:].repeat(missing, axis=0)]) if missing else doubled
