"""Faces of a picture that touch share one change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from vidrestore.video.picture.residual import Change
from vidrestore.video.picture.samples import Rect

__all__ = ["Patch", "joined", "joined_changes", "touching"]


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """One face's part in a picture."""

    rect: Rect
    weighted: Tensor
    """(3, h, w) RGB residual, times mask and strength."""
    mask: Tensor
    """(h, w) in [0, 1]."""
    strength: float
    """In (0, 1]."""


def joined_changes(patches: list[Patch]) -> list[Change]:
    """What patches add to their picture, in rectangles that do not touch."""
    groups = touching([patch.rect for patch in patches])
    return [joined([patches[number] for number in group]) for group in groups]


def touching(rects: Sequence[Rect]) -> list[list[int]]:
    """Numbers of rectangles in groups that overlap, directly or through others."""
    groups: list[list[int]] = []
    for number, rect in enumerate(rects):
        near = [group for group in groups if any(_overlap(rect, rects[n]) for n in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append([member for group in near for member in group] + [number])
    return groups


def _overlap(a: Rect, b: Rect) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def joined(group: Sequence[Patch]) -> Change:
    """One change of all; at every level of strength, masks that overlap count for no more than one
    whole mask, so that a weak face takes little from its neighbour.
    """
    rect = Rect(
        min(patch.rect.x0 for patch in group),
        min(patch.rect.y0 for patch in group),
        max(patch.rect.x1 for patch in group),
        max(patch.rect.y1 for patch in group),
    )
    if len(group) == 1:
        return Change(rect, group[0].weighted, group[0].mask > 0)
    one = group[0].mask
    residual = one.new_zeros(3, rect.height, rect.width)
    masks = one.new_zeros(len(group), rect.height, rect.width)
    for patch, mask in zip(group, masks, strict=True):
        rows = slice(patch.rect.y0 - rect.y0, patch.rect.y1 - rect.y0)
        columns = slice(patch.rect.x0 - rect.x0, patch.rect.x1 - rect.x0)
        residual[:, rows, columns] += patch.weighted
        mask[rows, columns] = patch.mask
    share = _share_of_sum(masks, [patch.strength for patch in group])
    return Change(rect, residual * share, masks.sum(0) > 0)


def _share_of_sum(masks: Tensor, strengths: Sequence[float]) -> Tensor:
    """(h, w) in (0, 1]: what is kept of the sum of overlapping changes; 1 up to one whole mask.

    A level of strength is covered by the faces that are at least as strong, together at most once:
    with masks m by falling strength s, the whole may count for the sum over k of
    (s_k - s_k+1) min(1, m_1 + ... + m_k).

    Args:
        masks: (N, h, w) in [0, 1].
        strengths: of each, in (0, 1].
    """
    order = sorted(range(len(strengths)), key=lambda k: -strengths[k])
    below = [*(strengths[k] for k in order[1:]), 0.0]
    covered, whole, total = (torch.zeros_like(masks[0]) for _ in range(3))
    for k, next_strength in zip(order, below, strict=True):
        covered += masks[k]
        whole += (strengths[k] - next_strength) * covered.clamp(max=1)
        total += strengths[k] * masks[k]
    return torch.where(covered > 1, whole / total, 1.0)
