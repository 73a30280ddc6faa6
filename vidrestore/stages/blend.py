"""Puts restored faces back into their frames.

Only the difference between the restored and the seen crop travels: colour-matched, weighted by the
feathered mask and the strength, carried back to the frame's pixels and added to its native samples.
What no mask covers stays as it was decoded, bit for bit, and a strength of 0 changes nothing. With
the mask "parsing" the feathered mask is multiplied by that of the face itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from vidrestore.config import BlendConfig
from vidrestore.geometry import apply, compose, invert, warp_affine
from vidrestore.models.parsing import FaceParser
from vidrestore.noise import drawn_grain, kept_share
from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._mask import border_fade, crop_mask, support
from vidrestore.stages._parsing_mask import Masks, parsing_masks
from vidrestore.structs import Array, Face, Frame, Picture
from vidrestore.video.picture.residual import Change, changed_picture
from vidrestore.video.picture.samples import Rect, aligned_rect, luma_region, region_to_rgb

__all__ = ["blend", "face_changes", "face_mask"]


def blend(
    frames: Iterable[Frame], config: BlendConfig, parser: FaceParser | None = None
) -> Iterator[Frame]:
    """Replace `picture` by one with its restored faces; the old one stays as `source`.

    Args:
        frames: whose faces have `crop`, `source_crop` and `crop_from_frame`; others stay as they
            are.
        config: how.
        parser: for the mask "parsing"; not used for others.

    Yields:
        The same frames in the same order; those without a restored face as they came. With a
        parser they come two frames later.

    Raises:
        ValueError: if `config` needs a parser and there is none.
    """
    for frame, masks in _masked(frames, config, parser):
        changes = face_changes(frame, config, masks)
        if changes:
            changed = changed_picture(frame.picture, changes)
            yield replace(frame, picture=changed, source=frame.picture)
        else:
            yield frame


def _masked(
    frames: Iterable[Frame], config: BlendConfig, parser: FaceParser | None
) -> Iterator[tuple[Frame, Masks]]:
    if config.mask == "crop" or config.strength == 0:
        return ((frame, ()) for frame in frames)
    if parser is None:
        raise ValueError(f"blend.mask {config.mask} needs a parser")
    return parsing_masks(frames, parser)


def face_changes(frame: Frame, config: BlendConfig, masks: Masks = ()) -> list[Change]:
    """What blending adds to a frame; faces that touch share one change.

    `video.residual.planes_mask` tells from it which samples may change.

    Args:
        frame: with restored faces.
        config: how.
        masks: what to multiply the mask of each face with; empty for nothing.
    """
    patches = [
        patch
        for face, own in zip_longest(frame.faces, masks)
        if (patch := _patch(face, frame, config, own)) is not None
    ]
    return [_joined(group) for group in _touching(patches)]


def face_mask(face: Face, picture: Picture, config: BlendConfig) -> tuple[Tensor, Rect]:
    """Where a face may change its picture.

    Returns:
        (h, w) float32 in [0, 1], and the rectangle of coded pixels it covers; empty for a face
        without a restored crop or outside the picture.
    """
    place = _place(face, picture, config)
    if place is None:
        return torch.zeros(0, 0), Rect(0, 0, 0, 0)
    return _in_frame(crop_mask(place.size, config.feather)[None], place, "bilinear")[0], place.rect


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Where a crop lies in a picture."""

    size: int
    """Side of the crop in pixels."""
    rect: Rect
    """What the mask may cover of the picture, not empty."""
    rect_from_crop: Array
    """(2, 3) affine from crop pixels to those of `rect`."""
    fade: Tensor | None
    """(h, w) weights that fade the mask out where it leaves the picture; None for all ones."""


@dataclass(frozen=True, slots=True, eq=False)
class _Patch:
    """One face's part in a picture."""

    rect: Rect
    weighted: Tensor
    """(3, h, w) RGB residual, times mask and strength."""
    mask: Tensor
    """(h, w) in [0, 1]."""
    strength: float
    """In (0, 1]."""


def _patch(face: Face, frame: Frame, config: BlendConfig, own_mask: Tensor | None) -> _Patch | None:
    strength = config.strength * face.strength
    place = _place(face, frame.picture, config) if strength > 0 else None
    if place is None or face.crop is None or face.source_crop is None:
        return None
    crop = face.crop.float()
    source = face.source_crop.to(crop)
    mask = crop_mask(place.size, config.feather).to(crop.device)
    if own_mask is not None:
        mask = mask * own_mask.to(crop.device)
        if not bool(mask.any()):
            return None
    residual = matched_residual(crop, source, mask) if config.colour_match else crop - source
    if face.concealed is not None:
        residual = residual + face.concealed.to(residual)
    weighted = _in_frame(residual * (mask * strength), place, "bicubic")
    in_frame = _in_frame(mask[None], place, "bilinear")[0]
    if face.noise is not None:
        amount = in_frame * strength
        weighted = weighted + _noise_change(face, frame, place, weighted, amount, config.grain)
    return _Patch(place.rect, weighted, in_frame, strength)


def _noise_change(
    face: Face, frame: Frame, place: _Place, weighted: Tensor, mask: Tensor, grain: float
) -> Tensor:
    """(3, h, w) RGB: what takes the noise away that no crop can hold, and draws grain instead.

    The difference of two crops cannot cancel noise finer than their pixels. Under the mask m a
    share s of what a crop cannot hold is kept, so the noise of the input is left
    c = 1 - m (1 - s) times; grain fills it up to 1 - m + m g times, where g is the grain wanted.
    """
    assert face.noise is not None
    kept = kept_share(face.noise)
    if kept == 1:
        return torch.zeros_like(weighted)
    native, _ = region_to_rgb(frame.picture, *place.rect)
    seen = _in_frame(_as_seen(face), replace(place, fade=None), "bicubic")
    change = (1 - kept) * mask * (seen - native)
    left = 1 - mask * (1 - kept)
    amount = ((1 - mask + mask * grain).square() - left.square()).clamp(min=0).sqrt()
    base = (native + weighted + change).clamp(0, 1)
    # Samples tell a frame from others, wherever a run begins; a picture shown twice stays as it is.
    seed = (crc32(luma_region(frame.picture, *place.rect).tobytes()), place.rect.x0, place.rect.y0)
    return change + drawn_grain(face.noise, amount, base, frame.picture, place.rect, seed)


def _as_seen(face: Face) -> Tensor:
    """(3, S, S) what the frame shows in the crop, with the defects that were concealed."""
    assert face.source_crop is not None
    source = face.source_crop.float()
    return source if face.concealed is None else source - face.concealed.to(source)


def _place(face: Face, picture: Picture, config: BlendConfig) -> _Place | None:
    if face.crop is None or face.crop_from_frame is None:
        return None
    size = face.crop.shape[-1]
    frame_from_crop = invert(face.crop_from_frame)
    x0, y0, x1, y1 = support(size)
    corners = apply(frame_from_crop, [[x0, y0], [x1, y0], [x0, y1], [x1, y1]])
    low, high = corners.min(0), corners.max(0)
    # One pixel more, since a sample next to the mask may still see its edge.
    left, top = np.floor(low).astype(int) - 1
    right, bottom = np.ceil(high).astype(int) + 2
    rect = aligned_rect(picture, int(left), int(top), int(right), int(bottom))
    if not rect.width or not rect.height:
        return None
    rect_from_frame = np.array([[1.0, 0.0, -rect.x0], [0.0, 1.0, -rect.y0]])
    widest = 0.5 * config.feather * size * np.linalg.norm(frame_from_crop[:, :2], axis=1)
    return _Place(
        size,
        rect,
        rect_from_crop=compose(rect_from_frame, frame_from_crop),
        fade=_fade(picture, rect, low, high, widest),
    )


def _fade(picture: Picture, rect: Rect, low: Array, high: Array, widest: Array) -> Tensor | None:
    """As wide as the part of the mask that lies outside, up to `widest` (x, y) pixels."""
    left, top = np.clip(-0.5 - low, 0, widest)
    right, bottom = np.clip(high - [picture.width - 0.5, picture.height - 0.5], 0, widest)
    if max(left, top, right, bottom) == 0:
        return None
    across = border_fade(rect.width, rect.x0, picture.width, left, right)
    down = border_fade(rect.height, rect.y0, picture.height, top, bottom)
    return down[:, None] * across


def _in_frame(layers: Tensor, place: _Place, mode: str) -> Tensor:
    """(C, h, w) on the CPU: layers of the crop, (C, S, S), at the pixels of the place."""
    shape = (place.rect.height, place.rect.width)
    warped = warp_affine(layers[None], place.rect_from_crop, shape, mode=mode)[0].cpu()
    return warped if place.fade is None else warped * place.fade


def _touching(patches: list[_Patch]) -> list[list[_Patch]]:
    """Patches in groups whose rectangles overlap, directly or through others."""
    groups: list[list[_Patch]] = []
    for patch in patches:
        near = [group for group in groups if any(_overlap(patch.rect, p.rect) for p in group)]
        groups = [group for group in groups if not any(group is other for other in near)]
        groups.append([member for group in near for member in group] + [patch])
    return groups


def _overlap(a: Rect, b: Rect) -> bool:
    return a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1


def _joined(group: list[_Patch]) -> Change:
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
    residual = torch.zeros(3, rect.height, rect.width)
    masks = torch.zeros(len(group), rect.height, rect.width)
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
