"""Averages of crops along the motion seen in the input, on a device, for many faces at once.

See `temporal_filter` for what is averaged, and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.luma import tensor_luma
from vidrestore.stages._detail_on_device import amplitudes_of
from vidrestore.stages._device_pictures import (
    gaussian_blur,
    places_by_flow,
    reduced_area,
    reflected,
    sampled,
)
from vidrestore.stages._filter_weights import COMPARED_PX, COMPARED_SIGMA
from vidrestore.structs import Face

__all__ = ["LentCrop", "Neighbour", "average", "looks"]

_BOX_PX = 5
"""Side of the box over which differences of inputs are averaged."""


@dataclass(frozen=True, slots=True, eq=False)
class LentCrop:
    """One restored face with what is needed to lend it to its neighbours."""

    face: Face
    crop: Tensor
    """(3, S, S) restored."""
    source: Tensor
    """(3, S, S) as the network saw it."""
    smooth: Tensor
    """(1, COMPARED_PX, COMPARED_PX): blurred luma by which inputs are compared."""
    flows: Tensor | None
    """(2, 2, COMPARED_PX, COMPARED_PX), see `Face.flows`; None at the beginning of a track."""


@dataclass(frozen=True, slots=True, eq=False)
class Neighbour:
    """A crop that lends to another one of its track."""

    crop: LentCrop
    flow: Tensor
    """(2, COMPARED_PX, COMPARED_PX) to it, from the crop before it on the way."""
    is_there: bool
    """Without it the last one on the way stands in, with a weight of 0."""


def looks(crops: Tensor, sources: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 1, COMPARED_PX, COMPARED_PX) by which inputs are compared, and (N, 1) how much finer
    detail restoring changed than the input has.
    """
    small = reduced_area(tensor_luma(sources), COMPARED_PX)
    found = amplitudes_of(torch.cat([crops - sources, sources]))[:, :1]
    changed, source = found.chunk(2)
    return gaussian_blur(small, COMPARED_SIGMA), changed / source.clamp(min=1e-6)


def average(
    own: Sequence[LentCrop],
    ways: Sequence[Sequence[Neighbour]],
    shares: Tensor,
    levels: Tensor,
    kept: Tensor,
) -> tuple[Tensor, Tensor]:
    """What neighbours make of crops.

    Args:
        own: the crops.
        ways: their neighbours to one side, by distance, and then those to the other side.
        shares: (R, 2 N) weight of each neighbour, by distance.
        levels: (N,) differences of the smoothed input from which on crops disagree.
        kept: (N,) share of the input that is not averaged.

    Returns:
        (N, 3, S, S) what is averaged, of the crops alone; and what averaging adds to it.
    """
    kept, levels = kept.view(-1, 1, 1, 1), levels.repeat(2).view(-1, 1, 1, 1)
    single = _less(own, kept)
    change, weights = torch.zeros_like(single), torch.ones_like(single[:, :1])
    smooth = torch.stack([one.smooth for one in own]).repeat(2, 1, 1, 1)
    flow = torch.stack([way[0].flow for way in ways])
    for distance, share in enumerate(shares):
        others = [way[distance].crop for way in ways]
        places = places_by_flow(flow)
        moved = sampled(torch.stack([one.smooth for one in others]), places)
        weight = _agreement(smooth, moved, levels, share.view(-1, 1, 1, 1))
        lent = _moved(_less(others, kept.repeat(2, 1, 1, 1)), flow)
        _add(change, weights, single, lent, weight)
        if distance + 1 < len(shares):
            link = torch.stack([way[distance + 1].flow for way in ways])
            flow = flow + sampled(link, places)
    return single, change.div_(weights)


def _less(crops: Sequence[LentCrop], kept: Tensor) -> Tensor:
    """(N, 3, S, S) what is averaged: crops less a share of the input."""
    pictures = torch.stack([one.crop for one in crops])
    return pictures.addcmul_(torch.stack([one.source for one in crops]), kept, value=-1)


def _moved(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (N, 3, S, S) where they lie in the frames that they are lent to."""
    size = pictures.shape[-1]
    places = places_by_flow(_resized(flow, size))
    return sampled(pictures, places, "bicubic" if size > COMPARED_PX else "bilinear")


def _agreement(smooth: Tensor, moved: Tensor, level: Tensor, share: Tensor) -> Tensor:
    """(N, 1, COMPARED_PX, COMPARED_PX): how alike inputs are once moved, times a share."""
    apart = reflected((smooth - moved).abs_(), _BOX_PX // 2)
    apart = functional.avg_pool2d(apart, _BOX_PX, stride=1).div_(level)
    return share / apart.square_().add_(1).square_()


def _add(change: Tensor, weights: Tensor, single: Tensor, moved: Tensor, weight: Tensor) -> None:
    """Add weighted differences of both neighbours at one distance to a sum, and the weights to
    theirs.
    """
    weight = _resized(weight, single.shape[-1])
    moved.view(2, *single.shape).sub_(single)
    for apart, share in zip(moved.chunk(2), weight.chunk(2), strict=True):
        change.addcmul_(apart, share)
        weights.add_(share)


def _resized(fields: Tensor, size: int) -> Tensor:
    """(N, C, size, size) of fields (N, C, n, n)."""
    if fields.shape[-1] == size:
        return fields
    return functional.interpolate(fields, size=(size, size), mode="bilinear", align_corners=False)
