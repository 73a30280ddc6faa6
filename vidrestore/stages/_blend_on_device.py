"""Blending on a device: what `blend.face_changes` gives, for the faces of many frames at once.

Where everything lies is known on the host, so it makes all shapes. What does not depend on a
picture (masks, blurs, matrices) is sent to the device once, and nothing is asked of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import groupby
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.config import BlendConfig
from vidrestore.geometry import compose
from vidrestore.runtime.portions import Portions
from vidrestore.runtime.transfer import arrays_to_device, to_device
from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._device_pictures import sampled
from vidrestore.stages._grain_on_device import draw_grain
from vidrestore.stages._joining import Patch, joined, touching
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._placed_faces import PlacedFace, alike_faces, placed_faces
from vidrestore.stages._tone import places_inside
from vidrestore.structs import Array, Frame
from vidrestore.video.picture.batched_crops import batched_grid, regions_to_rgb
from vidrestore.video.picture.coming_samples import BatchedChanges
from vidrestore.video.picture.samples import luma_region

__all__ = ["BLEND_ADVICE", "blend_portions", "device_changes"]


BLEND_ADVICE = "lower --run.queue-frames or --max-faces, or take another device"


def blend_portions(notes: list[str] | None = None) -> Portions:
    """How many faces are put back at a time; for all frames of a run."""
    return Portions("to put back a face", BLEND_ADVICE, notes=notes)


def device_changes(
    frames: Sequence[Frame], config: BlendConfig, portions: Portions | None = None
) -> Iterator[BatchedChanges]:
    """What blending adds to uploaded frames, on their device; see `blend.face_changes`.

    Args:
        frames: with restored faces.
        config: how.
        portions: how many faces at a time; None for all.

    Raises:
        NotEnoughMemoryError: if the device's memory does not suffice for one face.
    """
    portions = portions or blend_portions()
    placed = placed_faces(frames, config)
    shared = list(_shared(placed))
    touched = {one.number for group in shared for one in group}
    patches: dict[int, Patch] = {}
    for alike in alike_faces(placed):
        for part, weighted, masks in portions(alike, partial(_patches, config=config)):
            alone = [n for n, one in enumerate(part) if one.number not in touched]
            if alone:
                yield _changes([part[n] for n in alone], weighted, masks, alone)
            patches |= {
                one.number: _patch(one, weighted[n], masks[n])
                for n, one in enumerate(part)
                if one.number in touched
            }
    for group in shared:
        yield _joined(group, patches)


def _shared(placed: Sequence[PlacedFace]) -> Iterator[list[PlacedFace]]:
    """Those that touch another one of their frame, in groups."""
    for _, own in groupby(placed, key=lambda one: one.frame):
        faces = list(own)
        for group in touching([one.place.rect for one in faces]):
            if len(group) > 1:
                yield [faces[n] for n in group]


def _changes(
    placed: Sequence[PlacedFace], weighted: Tensor, masks: Tensor, numbers: Sequence[int]
) -> BatchedChanges:
    """Changes of faces that touch no other one, which are some of those put back together."""
    if len(numbers) < len(weighted):
        weighted, masks = (torch.stack([one[n] for n in numbers]) for one in (weighted, masks))
    return BatchedChanges(
        tuple(one.frame for one in placed),
        tuple(one.picture for one in placed),
        tuple(one.place.rect for one in placed),
        weighted,
        masks > 0,
    )


def _patch(one: PlacedFace, weighted: Tensor, mask: Tensor) -> Patch:
    rect = one.place.rect
    part = (..., slice(rect.height), slice(rect.width))
    return Patch(rect, weighted[part], mask[part], one.strength)


def _joined(group: Sequence[PlacedFace], patches: Mapping[int, Patch]) -> BatchedChanges:
    """The change of faces of one frame that touch."""
    change = joined([patches[one.number] for one in group])
    where = ((group[0].frame,), (group[0].picture,), (change.rect,))
    return BatchedChanges(*where, change.residual[None], change.mask[None])


def _patches(
    placed: Sequence[PlacedFace], config: BlendConfig
) -> tuple[Sequence[PlacedFace], Tensor, Tensor]:
    """The same faces, (N, 3, h, w) of what they add to their frames, and (N, h, w) masks."""
    device, is_noisy = placed[0].crop.device, placed[0].kept < 1
    sizes = [(one.place.rect.height, one.place.rect.width) for one in placed]
    height, width = (max(sides) for sides in zip(*sizes, strict=True))
    strengths, losses, down, across = arrays_to_device(
        [
            np.array([one.strength for one in placed])[:, None, None, None],
            np.array([1 - one.kept for one in placed])[:, None, None, None],
            *_fades(placed, (height, width)),
        ],
        device,
    )
    mask = _mask(placed[0].place.size, config.feather, device)
    images = _residuals(placed, config) * (mask * strengths)
    if is_noisy:
        images = torch.cat([images, torch.stack([_as_seen(one) for one in placed])], 1)
    places, images, masks = _reduced(placed, images, mask, (height, width))
    images = sampled(images, places, "bicubic")
    fades = down[:, None, :, None] * across[:, None, None, :]
    masks = sampled(masks, places) * fades
    weighted = images[:, :3] * fades
    if is_noisy:
        lost = masks * strengths * losses
        weighted += _noise_changes(
            placed, weighted, masks * strengths, lost, images[:, 3:], config.grain
        )
    return placed, weighted, masks[:, 0]


def _residuals(placed: Sequence[PlacedFace], config: BlendConfig) -> Tensor:
    """(N, 3, S, S) what restoring changed, less what it had no business to change."""
    crops = torch.stack([one.crop for one in placed])
    sources = torch.stack([one.source for one in placed])
    if config.colour_match:
        size, device = placed[0].place.size, crops.device
        mask = _mask(size, config.feather, device)
        inside = _inside(size, config.feather, device)
        residuals = matched_residual(crops, sources, mask, inside)
    else:
        residuals = crops - sources
    for residual, one in zip(residuals, placed, strict=True):
        if one.face.concealed is not None:
            residual += one.face.concealed
    return residuals


def _as_seen(one: PlacedFace) -> Tensor:
    """(3, S, S) what the frame shows in the crop, with the defects that were concealed."""
    concealed = one.face.concealed
    return one.source if concealed is None else one.source - concealed


def _reduced(
    placed: Sequence[PlacedFace], images: Tensor, mask: Tensor, size: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor]:
    """Where to sample, (N, h, w, 2), and images and masks of which to sample: in boxes of about one
    pixel of the frame, as `geometry.warp_affine` does.
    """
    across, down = placed[0].box
    masks = mask.expand(len(placed), 1, -1, -1)
    if (across, down) != (1, 1):
        rest = (0, -images.shape[-1] % across, 0, -images.shape[-2] % down)
        if any(rest):
            images = functional.pad(images, rest, mode="replicate")
            masks = functional.pad(masks, rest, mode="replicate")
        images = functional.avg_pool2d(images, (down, across))
        masks = functional.avg_pool2d(masks, (down, across))
    share = 1 / np.array(placed[0].box)
    small_from_crop = np.column_stack([np.diag(share), (share - 1) / 2])
    affines = [compose(small_from_crop, one.crop_from_rect) for one in placed]
    return batched_grid(images, affines, size), images, masks


def _fades(placed: Sequence[PlacedFace], size: tuple[int, int]) -> list[Array]:
    """(N, h) and (N, w) weights whose products fade masks out where they leave the picture, and are
    0 beyond the faces' places.
    """
    weights = [np.zeros((len(placed), side)) for side in size]
    for number, one in enumerate(placed):
        rect, fade = one.place.rect, one.place.fade
        for axis, side in enumerate((rect.height, rect.width)):
            weights[axis][number, :side] = 1.0 if fade is None else fade[axis].numpy()
    return weights


def _noise_changes(
    placed: Sequence[PlacedFace],
    weighted: Tensor,
    masks: Tensor,
    lost: Tensor,
    seen: Tensor,
    grain: float,
) -> Tensor:
    """(N, 3, h, w) RGB: see `blend._noise_change`.

    Args:
        placed: faces with noise.
        weighted: (N, 3, h, w) what they add without it.
        masks: (N, 1, h, w), times their strengths.
        lost: (N, 1, h, w) share of what a crop cannot hold that is taken away.
        seen: (N, 3, h, w) what their crops hold.
        grain: share of the recording's grain that is wanted.
    """
    pictures, rects = [one.picture for one in placed], [one.place.rect for one in placed]
    natives = regions_to_rgb(pictures, rects)
    changes = (seen - natives).mul_(lost)
    amounts = (1 - masks * (1 - grain)).square_() - (1 - lost).square_()
    amounts = amounts.clamp_(min=0).sqrt_()
    bases = natives.add(weighted).add_(changes).clamp_(0, 1)
    seeds = [
        (crc32(luma_region(picture, *rect).tobytes()), rect.x0, rect.y0)
        for picture, rect in zip(pictures, rects, strict=True)
    ]
    models = [one.face.noise for one in placed if one.face.noise is not None]
    sizes = [(rect.height, rect.width) for rect in rects]
    return changes.add_(draw_grain(models, amounts[:, 0], bases, pictures[0], sizes, seeds))


@lru_cache(maxsize=8)
def _mask(size: int, feather: float, device: torch.device) -> Tensor:
    """`crop_mask`, sent to a device once."""
    return to_device(crop_mask(size, feather), device)


@lru_cache(maxsize=8)
def _inside(size: int, feather: float, device: torch.device) -> Tensor:
    """`places_inside` of it."""
    return to_device(places_inside(crop_mask(size, feather)), device)
