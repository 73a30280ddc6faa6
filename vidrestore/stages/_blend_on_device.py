"""Blending on a device: what `blend.face_changes` gives, for all faces of a frame at once.

Where everything lies is known on the host, so it makes all shapes. What does not depend on a
picture (masks, blurs, matrices) is sent to the device once, and nothing is asked of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from vidrestore.config import BlendConfig
from vidrestore.geometry import averaging_box, compose, invert
from vidrestore.noise import kept_share
from vidrestore.runtime.portions import Portions
from vidrestore.runtime.transfer import to_device
from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._grain_on_device import draw_grain
from vidrestore.stages._joining import Patch, joined_changes
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._place import Place, place_of
from vidrestore.stages._tone import places_inside
from vidrestore.structs import Array, Face, Frame
from vidrestore.video.picture.batched_crops import batched_grid, regions_to_rgb
from vidrestore.video.picture.residual import Change
from vidrestore.video.picture.samples import luma_region

__all__ = ["BLEND_ADVICE", "blend_portions", "device_changes"]


BLEND_ADVICE = "lower --run.queue-frames or --max-faces, or take another device"


@dataclass(frozen=True, slots=True, eq=False)
class _Placed:
    """A face that will be put back."""

    face: Face
    crop: Tensor
    source: Tensor
    place: Place
    strength: float
    """In (0, 1]."""
    crop_from_rect: Array
    box: tuple[int, int]
    """Pixels of the crop, across and down, that become one of the frame."""

    @property
    def kept(self) -> float:
        """Share of the input's finest detail that is kept."""
        return 1.0 if self.face.noise is None else kept_share(self.face.noise)


def blend_portions(notes: list[str] | None = None) -> Portions:
    """How many faces are put back at a time; for all frames of a run."""
    return Portions("to put back a face", BLEND_ADVICE, notes=notes)


def device_changes(
    frame: Frame, config: BlendConfig, portions: Portions | None = None
) -> list[Change]:
    """What blending adds to an uploaded frame, on its device; see `blend.face_changes`.

    Args:
        frame: with restored faces.
        config: how.
        portions: how many faces at a time; None for all.

    Raises:
        NotEnoughMemoryError: if the device's memory does not suffice for one face.
    """
    portions = portions or blend_portions()
    placed = [one for face in frame.faces if (one := _placed(face, frame, config)) is not None]
    patches: list[Patch | None] = [None] * len(placed)
    for box in sorted({one.box for one in placed}):
        numbers = [number for number, one in enumerate(placed) if one.box == box]
        alike = [placed[number] for number in numbers]
        found = portions(alike, partial(_patches, frame=frame, config=config))
        for number, patch in zip(numbers, chain.from_iterable(found), strict=True):
            patches[number] = patch
    return joined_changes([patch for patch in patches if patch is not None])


def _placed(face: Face, frame: Frame, config: BlendConfig) -> _Placed | None:
    strength = config.strength * face.strength
    place = place_of(face, frame.picture, config) if strength > 0 else None
    if place is None or face.crop is None or face.source_crop is None:
        return None
    crop_from_rect = invert(place.rect_from_crop)
    box = averaging_box(crop_from_rect)
    return _Placed(face, face.crop, face.source_crop, place, strength, crop_from_rect, box)


def _patches(placed: Sequence[_Placed], frame: Frame, config: BlendConfig) -> list[Patch]:
    """Parts of faces whose crops are reduced alike."""
    device = placed[0].crop.device
    strengths = np.array([one.strength for one in placed], np.float32)
    strength = to_device(strengths, device)[:, None, None, None]
    mask = _mask(placed[0].place.size, config.feather, device)
    weighted = _residuals(placed, config) * (mask * strength)
    seen = [_as_seen(one) for one in placed] if any(one.kept < 1 for one in placed) else []
    images = torch.cat([weighted, torch.stack(seen)], 1) if seen else weighted
    rects = [one.place.rect for one in placed]
    size = (max(rect.height for rect in rects), max(rect.width for rect in rects))
    places, images, masks = _reduced(placed, images, mask, size)
    images = _sampled(images, places, "bicubic")
    fades = _fades(placed, size, device)
    masks = _sampled(masks, places, "bilinear")[:, 0] * fades
    weighted = images[:, :3] * fades[:, None]
    if seen:
        weighted = weighted + _noise_changes(
            placed, frame, weighted, masks * strength[:, 0], images[:, 3:], config.grain
        )
    return [
        Patch(
            rect,
            weighted[place, :, : rect.height, : rect.width],
            masks[place, : rect.height, : rect.width],
            one.strength,
        )
        for place, (rect, one) in enumerate(zip(rects, placed, strict=True))
    ]


def _residuals(placed: Sequence[_Placed], config: BlendConfig) -> Tensor:
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


def _as_seen(one: _Placed) -> Tensor:
    """(3, S, S) what the frame shows in the crop, with the defects that were concealed."""
    concealed = one.face.concealed
    return one.source if concealed is None else one.source - concealed


def _reduced(
    placed: Sequence[_Placed], images: Tensor, mask: Tensor, size: tuple[int, int]
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


def _sampled(images: Tensor, places: Tensor, mode: str) -> Tensor:
    return functional.grid_sample(
        images, places, mode=mode, padding_mode="border", align_corners=False
    )


def _fades(placed: Sequence[_Placed], size: tuple[int, int], device: torch.device) -> Tensor:
    """(N, h, w) weights that fade masks out where they leave the picture; 0 beyond their places."""
    weights = np.zeros((len(placed), sum(size)), np.float32)
    for line, one in zip(weights, placed, strict=True):
        rect, fade = one.place.rect, one.place.fade
        down, across = (1.0, 1.0) if fade is None else (fade[0].numpy(), fade[1].numpy())
        line[: rect.height] = down
        line[size[0] : size[0] + rect.width] = across
    sent = to_device(weights, device)
    return sent[:, : size[0], None] * sent[:, None, size[0] :]


def _noise_changes(
    placed: Sequence[_Placed],
    frame: Frame,
    weighted: Tensor,
    masks: Tensor,
    seen: Tensor,
    grain: float,
) -> Tensor:
    """(N, 3, h, w) RGB: see `blend._noise_change`; 0 for faces without noise."""
    rects = [one.place.rect for one in placed]
    natives = regions_to_rgb([frame.picture] * len(placed), rects)
    losses = np.array([1 - one.kept for one in placed], np.float32)
    lost = masks[:, None] * to_device(losses, masks.device)[:, None, None, None]
    changes = lost * (seen - natives)
    left, all_masks = 1 - lost, masks[:, None]
    amounts = (1 - all_masks * (1 - grain)).square() - left.square()
    amounts = amounts.clamp(min=0).sqrt()
    bases = (natives + weighted + changes).clamp(0, 1)
    for number, (rect, one) in enumerate(zip(rects, placed, strict=True)):
        if one.kept < 1 and one.face.noise is not None:
            part = (..., slice(rect.height), slice(rect.width))
            seed = (crc32(luma_region(frame.picture, *rect).tobytes()), rect.x0, rect.y0)
            changes[number][part] += draw_grain(
                one.face.noise, amounts[number, 0][part], bases[number][part], frame.picture, seed
            )
    return changes


@lru_cache(maxsize=8)
def _mask(size: int, feather: float, device: torch.device) -> Tensor:
    """`crop_mask`, sent to a device once."""
    return to_device(crop_mask(size, feather), device)


@lru_cache(maxsize=8)
def _inside(size: int, feather: float, device: torch.device) -> Tensor:
    """`places_inside` of it."""
    return to_device(places_inside(crop_mask(size, feather)), device)
