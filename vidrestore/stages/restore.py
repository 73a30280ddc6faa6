"""Restore: aligned crops of many frames and faces go through the network in batches.

Crops wait until `collect` of them are there, or the block of frames is over, then the network runs;
frames leave in their order as soon as all their crops are done. The adapter pads every call to one
batch size, so the number collected changes no pixel. A network may still round differently at
another place in the batch. So blocks begin at fixed numbers of frames: wherever a run begins, a
crop has the same company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from vidrestore.geometry import compose, similarity_from_points, warp_affine
from vidrestore.models.interfaces import CropKey, RestorerRun
from vidrestore.models.restorers.network import NetworkRun, Restored
from vidrestore.models.runners.runner import reproducible
from vidrestore.runtime.portions import Portions
from vidrestore.stages._windows import ends_batch
from vidrestore.structs import Array, Face, Frame, Picture
from vidrestore.video.picture.batched_crops import crop_rect, cut_crops
from vidrestore.video.picture.samples import region_to_rgb

__all__ = [
    "block_frames",
    "crop_aligned",
    "crop_face",
    "is_restorable",
    "restore",
    "with_source_crops",
]

MAX_WAITING_FRAMES = 32
"""Frames that may wait for a batch to fill, so that memory stays bounded where faces are rare."""


def restore(frames: Iterable[Frame], restorer: RestorerRun, *, collect: int = 0) -> Iterator[Frame]:
    """Add `source_crop` and `crop` to every face that has an alignment.

    A face for which the network gives no valid numbers keeps `crop=None`. Crops of uploaded
    pictures are cut and stay on the device; their frames leave once the next batch has begun.

    Args:
        frames: with `Face.crop_from_frame` set.
        restorer: a run of the network.
        collect: crops gathered before the network runs; 0 takes the restorer's batch size.

    Raises:
        ModelError, NotEnoughMemoryError: if a device's memory does not suffice for one face.
    """
    portions = Portions(
        "to cut out a face",
        "lower --run.queue-frames, or take another device",
        notes=restorer.notes,
    )
    begun: Callable[[], Iterator[Frame]] | None = None
    for waiting, keys in _batches(frames, restorer, collect):
        if any(frame.picture.uploaded for frame in waiting):
            after = _begin_on_device(waiting, keys, restorer, portions)
        else:
            after = partial(_run, waiting, keys, restorer)
        if begun is not None:
            yield from begun()
        begun = after
        if not keys or not any(frame.picture.uploaded for frame in waiting):
            yield from begun()
            begun = None
    if begun is not None:
        yield from begun()


def _batches(
    frames: Iterable[Frame], restorer: RestorerRun, collect: int
) -> Iterator[tuple[list[Frame], list[CropKey]]]:
    """Frames whose crops are restored together, and whose each crop is."""
    block = block_frames(restorer.batch_size, collect)
    collect = collect or restorer.batch_size
    waiting: list[Frame] = []
    shot = 0
    keys: list[CropKey] = []
    for frame in frames:
        shot += frame.is_cut
        on_host = frame.picture.uploaded is None
        waiting.append(with_source_crops(frame, restorer.size) if on_host else frame)
        moment = frame.index + (0.5 if frame.field is not None and frame.field.is_later else 0)
        cut_out = filter(_is_cut if on_host else is_restorable, waiting[-1].faces)
        keys += [CropKey(shot, face.track_id, moment) for face in cut_out]
        if not keys or len(keys) >= collect or ends_batch(frame, block):
            yield waiting, keys
            waiting, keys = [], []
    if waiting:
        yield waiting, keys


def is_restorable(face: Face) -> bool:
    """Whether a face has an alignment and a strength."""
    return face.crop_from_frame is not None and face.strength > 0


def _is_cut(face: Face) -> bool:
    return face.source_crop is not None


def block_frames(batch_size: int, collect: int = 0) -> int:
    """Frames whose crops may share a call of the network: from a multiple of it to the next."""
    return 1 if batch_size == 1 else min(max(batch_size, collect), MAX_WAITING_FRAMES)


def crop_face(picture: Picture, crop_from_frame: Array, size: int) -> Tensor:
    """The aligned crop (3, size, size), RGB in [0, 1]; beyond the picture its edge repeats."""
    region, (x0, y0, _, _) = region_to_rgb(picture, *crop_rect(picture, crop_from_frame, size))
    frame_from_region = np.array([[1.0, 0.0, x0], [0.0, 1.0, y0]])
    matrix = compose(crop_from_frame, frame_from_region)
    return warp_affine(region[None], matrix, (size, size))[0].clamp_(0, 1)


def crop_aligned(frame: Frame, landmarks: Array, template: Array, size: int) -> Tensor:
    """The crop (3, size, size) in which landmarks lie as in a template; see `crop_face`.

    Args:
        frame: where the face is.
        landmarks: (5, 2) in display pixels.
        template: (5, 2) in pixels of the crop.
        size: side of the crop.
    """
    to_crop = similarity_from_points(template, landmarks)
    matrix = compose(to_crop, frame.display.display_from_coded)
    return crop_face(frame.picture, matrix, size)


def with_source_crops(frame: Frame, size: int) -> Frame:
    """Cut out every face that has an alignment and a strength, unless that is done."""

    def cut(face: Face) -> Face:
        if face.source_crop is not None or not is_restorable(face):
            return face
        assert face.crop_from_frame is not None
        return replace(face, source_crop=crop_face(frame.picture, face.crop_from_frame, size))

    return replace(frame, faces=tuple(map(cut, frame.faces))) if frame.faces else frame


def _run(waiting: list[Frame], keys: Sequence[CropKey], restorer: RestorerRun) -> Iterator[Frame]:
    sources = [f.source_crop for frame in waiting for f in frame.faces if f.source_crop is not None]
    restored = iter(_restore_all(sources, tuple(keys), restorer))
    for frame in waiting:
        faces = tuple(
            face if face.source_crop is None else replace(face, crop=next(restored))
            for face in frame.faces
        )
        yield replace(frame, faces=faces)


def _restore_all(
    sources: list[Tensor], keys: Sequence[CropKey], restorer: RestorerRun
) -> Iterator[Tensor | None]:
    begin = 0
    while begin < len(sources):
        end = begin + restorer.batch_size
        for crop in restorer(torch.stack(sources[begin:end]), keys[begin:end]):
            # The largest amount is NaN where any is: a tenth of the time of asking each.
            yield crop if bool(torch.isfinite(crop.abs().amax())) else None
        begin = end


def _begin_on_device(
    waiting: list[Frame], keys: Sequence[CropKey], restorer: RestorerRun, portions: Portions
) -> Callable[[], Iterator[Frame]]:
    """Cut crops and begin to restore them; the result gives the frames."""
    assert isinstance(restorer, NetworkRun), "pictures are uploaded for such restorers alone"
    cut_out = [(frame.picture, f) for frame in waiting for f in frame.faces if is_restorable(f)]
    if not cut_out:
        return lambda: iter(waiting)
    with reproducible(restorer.device):
        parts = portions(cut_out, partial(_cut_on_device, size=restorer.size))
    sources = parts[0] if len(parts) == 1 else torch.cat(parts)
    for source, (_, face) in zip(sources, cut_out, strict=True):
        if face.concealed is not None:
            source += face.concealed
    started, begin = [], 0
    while begin < len(sources):
        end = begin + restorer.batch_size
        started.append(restorer.start(sources[begin:end], tuple(keys[begin:end])))
        begin = end
    return partial(_told, waiting, sources, started)


def _cut_on_device(faces: Sequence[tuple[Picture, Face]], size: int) -> Tensor:
    """(N, 3, size, size) crops of aligned faces of uploaded pictures."""
    places = [face.crop_from_frame for _, face in faces if face.crop_from_frame is not None]
    return cut_crops([picture for picture, _ in faces], places, size)


def _told(
    waiting: list[Frame], sources: Tensor, parts: Sequence[Callable[[], Restored]]
) -> Iterator[Frame]:
    crops: list[Tensor | None] = []
    for part in parts:
        restored = part()
        crops += [
            crop if valid else None
            for crop, valid in zip(restored.crops, restored.valid, strict=True)
        ]
    pairs = zip(sources, crops, strict=True)
    for frame in waiting:
        faces = []
        for face in frame.faces:
            if is_restorable(face):
                source, crop = next(pairs)
                face = replace(face, source_crop=source, crop=crop)
            faces.append(face)
        yield replace(frame, faces=tuple(faces))
