"""Dust and scratches that live for one frame, found by comparing a picture with both neighbours.

The neighbours are moved along dense optical flow. What differs from both of them in the same
direction, by clearly more than noise and by more than a small shift could explain, while the two
agree with each other, is a defect: the spike detection index of Kokaram (Motion Image Restoration,
1998), with the range of a small neighbourhood as in rank-ordered differences (Nadenau and Mitra
1997). Candidates are held back where they are large, or where what lies around them does not match
either: there the flow has failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["SMALL_PX", "Motion", "find_defects", "moved", "steady_light"]

_Floats = npt.NDArray[np.float32]

SMALL_PX = 256
"""Side of the copies on which defects are found."""
_BROAD_SIGMA = 12.0
"""Differences broader than this are light that flickers, in pixels of the copies."""
_LEAST, _CLEAR = 0.1, 6.0
"""A defect stands out by this share of the range, and by this multiple of the noise."""
_VARIED, _VARIED_SIGMA = 1.0, 4.0
"""In places of much contrast a defect stands out by so many of their standard deviations more."""
_GROWN = 0.4
"""Around such a core a defect reaches to where it stands out by this share of the threshold."""
_MOST_LIGHT = 0.06
"""More than this is no change of light, as a share of the range."""
_RANGE_PX = 5
"""Side of the neighbourhood whose range of values is no defect."""
_LARGEST = 0.012
"""Share of the picture that a single defect may cover."""
_RING_PX = 5
"""Width of the surroundings that have to match."""
_MATCH = 0.6
"""Most that they may differ by, as a share of the threshold."""
_SOFT_SIGMA = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Motion:
    """A neighbour, and where its places are."""

    luma: _Floats
    """(SMALL_PX, SMALL_PX) in [0, 1]."""
    flow: _Floats
    """(SMALL_PX, SMALL_PX, 2) from this frame's places to the neighbour's."""


def find_defects(luma: _Floats, before: Motion, after: Motion) -> _Floats | None:
    """Find what is there in this frame alone.

    Args:
        luma: (SMALL_PX, SMALL_PX) of this frame, in [0, 1].
        before: the frame before.
        after: the frame after.

    Returns:
        (SMALL_PX, SMALL_PX) in [0, 1], soft at the edges; None where there is nothing.
    """
    moved_before, moved_after = (_matched(luma, moved(m.luma, m.flow)) for m in (before, after))
    apart = np.abs(moved_before - moved_after)
    excess = np.maximum(
        luma - np.maximum(_highest(moved_before), _highest(moved_after)),
        np.minimum(_lowest(moved_before), _lowest(moved_after)) - luma,
    )
    differences = luma - moved_before, luma - moved_after
    spike = np.minimum(np.abs(differences[0]), np.abs(differences[1]))
    spike[differences[0] * differences[1] <= 0] = 0
    noise = 1.4826 * float(np.median(np.abs(differences[0])))
    threshold = max(_LEAST, _CLEAR * noise)
    varied = _deviation(0.5 * (moved_before + moved_after))
    core = (excess > threshold + _VARIED * varied) & (apart < 0.5 * spike)
    if not core.any():
        return None
    worst = np.maximum(np.abs(differences[0]), np.abs(differences[1]))
    kept = _components(core, spike > _GROWN * threshold, worst, threshold)
    if not kept.any():
        return None
    grown = cv2.dilate(kept, np.ones((3, 3), np.uint8)).astype(np.float32)
    return np.asarray(np.clip(cv2.GaussianBlur(grown, (0, 0), _SOFT_SIGMA) * 1.5, 0, 1), np.float32)


def _components(
    core: npt.NDArray[np.bool_], spikes: npt.NDArray[np.bool_], worst: _Floats, threshold: float
) -> npt.NDArray[np.uint8]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(spikes.astype(np.uint8))
    kept = np.zeros(core.shape, np.uint8)
    for label in np.unique(labels[core & spikes]):
        if label == 0 or stats[label, cv2.CC_STAT_AREA] > _LARGEST * core.size:
            continue
        one = (labels == label).astype(np.uint8)
        near = cv2.dilate(one, np.ones((5, 5), np.uint8))
        ring = cv2.dilate(near, np.ones((2 * _RING_PX + 1,) * 2, np.uint8)) - near
        around = worst[(ring > 0) & ~spikes]
        if around.size and float(around.mean()) < _MATCH * threshold:
            kept |= one
    return kept


def moved(picture: _Floats, flow: _Floats) -> _Floats:
    """A neighbour's picture (S, S[, C]) as it lies in this frame; flow in pixels of `SMALL_PX`."""
    size = picture.shape[0]
    if flow.shape[0] != size:
        flow = cv2.resize(flow, (size, size)) * (size / flow.shape[0])
    places = cv2.add(_grid(size), flow)
    found = cv2.remap(picture, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found, np.float32)


@lru_cache(maxsize=4)
def _grid(size: int) -> _Floats:
    """(size, size, 2): x and y of every pixel; treat as read-only."""
    return np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 2), axis=-1)


def steady_light(difference: _Floats, defects: _Floats) -> _Floats:
    """What light changed between two pictures, without what a defect adds.

    Args:
        difference: (S, S, 3) between pictures that lie alike.
        defects: (SMALL_PX, SMALL_PX) in [0, 1], not 1 throughout.

    Returns:
        (S, S, 3): the broad part of the difference.
    """
    size = difference.shape[0]
    small = cv2.resize(difference, (SMALL_PX, SMALL_PX), interpolation=cv2.INTER_AREA)
    clear = (1 - defects)[..., None]
    light = cv2.GaussianBlur(small * clear, (0, 0), _BROAD_SIGMA)
    light /= np.maximum(cv2.GaussianBlur(clear, (0, 0), _BROAD_SIGMA), 1e-3)[..., None]
    return np.asarray(cv2.resize(light, (size, size)), np.float32)


def _matched(luma: _Floats, neighbour: _Floats) -> _Floats:
    """A neighbour in this frame's light."""
    difference = np.clip(luma - neighbour, -_MOST_LIGHT, _MOST_LIGHT)
    return np.asarray(neighbour + cv2.GaussianBlur(difference, (0, 0), _BROAD_SIGMA), np.float32)


def _deviation(picture: _Floats) -> _Floats:
    """Local standard deviation."""
    mean, square = (cv2.GaussianBlur(p, (0, 0), _VARIED_SIGMA) for p in (picture, picture**2))
    return np.asarray(np.sqrt(np.maximum(square - mean**2, 0)), np.float32)


def _highest(picture: _Floats) -> _Floats:
    return np.asarray(cv2.dilate(picture, np.ones((_RANGE_PX, _RANGE_PX), np.uint8)), np.float32)


def _lowest(picture: _Floats) -> _Floats:
    return np.asarray(cv2.erode(picture, np.ones((_RANGE_PX, _RANGE_PX), np.uint8)), np.float32)
