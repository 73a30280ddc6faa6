"""Puts restored faces back into their frames.

Only the difference between the restored and the seen crop travels: colour-matched, weighted by the
feathered mask and the strength, carried back to the frame's pixels and added to its native samples.
What no mask covers stays as it was decoded, bit for bit, and a strength of 0 changes nothing. With
the mask "parsing" the feathered mask is multiplied by that of the face itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from zlib import crc32

import torch
from torch import Tensor

from vidrestore.config import BlendConfig
from vidrestore.geometry import warp_affine
from vidrestore.models.parsing import FaceParser
from vidrestore.models.runners.runner import reproducible
from vidrestore.noise import drawn_grain, kept_share
from vidrestore.runtime.portions import Portions, enough_memory
from vidrestore.stages._blend_on_device import BLEND_ADVICE, blend_portions, device_changes
from vidrestore.stages._colour_match import matched_residual
from vidrestore.stages._joining import Patch, joined_changes
from vidrestore.stages._mask import crop_mask
from vidrestore.stages._parsing_mask import Masks, parsing_masks
from vidrestore.stages._place import Place, place_of
from vidrestore.stages._windows import BATCH_FRAMES, ends_batch
from vidrestore.structs import Face, Frame, Picture
from vidrestore.video.picture.coming_samples import ComingSamples, samples_to_come
from vidrestore.video.picture.residual import Change, changed_picture
from vidrestore.video.picture.samples import Rect, luma_region, region_to_rgb

__all__ = ["blend", "face_changes", "face_mask"]

_BEHIND_FRAMES = 16
"""Frames that wait for their changed samples to come from a device, which works on meanwhile: the
network's next batch comes before them there, and to wait for it would leave the device without
work."""


def blend(
    frames: Iterable[Frame],
    config: BlendConfig,
    parser: FaceParser | None = None,
    *,
    notes: list[str] | None = None,
) -> Iterator[Frame]:
    """Replace `picture` by one with its restored faces; the old one stays as `source`.

    Args:
        frames: whose faces have `crop`, `source_crop` and `crop_from_frame`; others stay as they
            are. Faces of uploaded pictures are put back on the device.
        config: how.
        parser: for the mask "parsing"; not used for others.
        notes: takes what a person should know.

    Yields:
        The same frames in the same order; those without a restored face as they came. With a
        parser they come two frames later, from a device some batches of `BATCH_FRAMES` later.

    Raises:
        ValueError: if `config` needs a parser and there is none.
        NotEnoughMemoryError: if a device's memory does not suffice for one face.
    """
    portions = blend_portions(notes)
    coming: deque[tuple[Frame, ComingSamples | None]] = deque()
    for batch in _batches(_masked(frames, config, parser)):
        coming += _begun(batch, config, portions)
        while coming and (coming[0][1] is None or len(coming) > _BEHIND_FRAMES):
            yield _received(*coming.popleft())
    while coming:
        yield _received(*coming.popleft())


def _batches(frames: Iterable[tuple[Frame, Masks]]) -> Iterator[list[tuple[Frame, Masks]]]:
    """Frames, and their masks, whose faces are put back together: one by one on the host."""
    waiting: list[tuple[Frame, Masks]] = []
    for frame, masks in frames:
        if waiting and frame.is_cut:
            yield waiting
            waiting = []
        waiting.append((frame, masks))
        is_first_on_host = len(waiting) == 1 and frame.picture.uploaded is None
        if is_first_on_host or ends_batch(frame, BATCH_FRAMES):
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _begun(
    batch: Sequence[tuple[Frame, Masks]], config: BlendConfig, portions: Portions
) -> Iterator[tuple[Frame, ComingSamples | None]]:
    """Frames that are done, and those whose changed samples are on their way."""
    sent = [frame for frame, _ in batch if frame.picture.uploaded is not None]
    coming = _coming(sent, config, portions) if sent else {}
    number = 0
    for frame, masks in batch:
        if frame.picture.uploaded is not None:
            # The planes on the device have served.
            yield replace(frame, picture=replace(frame.picture, uploaded=None)), coming.get(number)
            number += 1
        else:
            changes = face_changes(frame, config, masks)
            done = _with(frame, changed_picture(frame.picture, changes)) if changes else frame
            yield done, None


def _coming(
    frames: Sequence[Frame], config: BlendConfig, portions: Portions
) -> dict[int, ComingSamples]:
    """Changed samples of uploaded frames, by their number."""
    uploaded = frames[0].picture.uploaded
    assert uploaded is not None
    with (
        enough_memory("to put back the faces of some frames", BLEND_ADVICE),
        reproducible(uploaded.tensors[0].device),
    ):
        return samples_to_come(device_changes(frames, config, portions))


def _received(frame: Frame, coming: ComingSamples | None) -> Frame:
    """A frame with its changed samples, once they are on the host."""
    return frame if coming is None else _with(frame, coming.picture(frame.picture))


def _with(frame: Frame, changed: Picture) -> Frame:
    return replace(frame, picture=changed, source=frame.picture)


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
    return joined_changes(patches)


def face_mask(face: Face, picture: Picture, config: BlendConfig) -> tuple[Tensor, Rect]:
    """Where a face may change its picture.

    Returns:
        (h, w) float32 in [0, 1], and the rectangle of coded pixels it covers; empty for a face
        without a restored crop or outside the picture.
    """
    place = place_of(face, picture, config)
    if place is None:
        return torch.zeros(0, 0), Rect(0, 0, 0, 0)
    return _in_frame(crop_mask(place.size, config.feather)[None], place, "bilinear")[0], place.rect


def _patch(face: Face, frame: Frame, config: BlendConfig, own_mask: Tensor | None) -> Patch | None:
    strength = config.strength * face.strength
    place = place_of(face, frame.picture, config) if strength > 0 else None
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
    return Patch(place.rect, weighted, in_frame, strength)


def _noise_change(
    face: Face, frame: Frame, place: Place, weighted: Tensor, mask: Tensor, grain: float
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


def _in_frame(layers: Tensor, place: Place, mode: str) -> Tensor:
    """(C, h, w): layers of the crop, (C, S, S), at the pixels of the place."""
    shape = (place.rect.height, place.rect.width)
    warped = warp_affine(layers[None], place.rect_from_crop, shape, mode=mode)[0]
    if place.fade is None:
        return warped
    down, across = place.fade
    return warped * (down[:, None] * across)
