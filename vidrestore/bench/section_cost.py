"""What all that lies around the network asks of a device and of the host, for each frame.

    cost = measure_section(n_faces=1)
    print(cost.kernels, cost.uploads)

From uploaded planes to changed samples, frames go through the stages as on a GPU, on torch's "meta"
device: tensors there have a shape and no content, so that every kernel is counted and none is run.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from vidrestore.config import BlendConfig, TemporalFilterConfig
from vidrestore.geometry import identity, invert
from vidrestore.models.cost import DEVICES, Device, Operation, OperationCounter
from vidrestore.stages._blend_on_device import device_changes
from vidrestore.stages._windows import BATCH_FRAMES
from vidrestore.stages.temporal_filter import temporal_filter
from vidrestore.stages.upload import upload
from vidrestore.structs import ComponentNoise, Display, Face, Frame, NoiseModel, Picture
from vidrestore.video.picture.batched_crops import cut_crops
from vidrestore.video.picture.coming_samples import pack_samples
from vidrestore.video.picture.samples import picture_from_av

__all__ = ["SectionCost", "SectionCounter", "describe_section", "measure_section", "quick_sampling"]

_META = torch.device("meta")
_CROPS = 16
"""That a call of the network takes, and are cut out together."""
_UPLOADS = {"aten::_to_copy", "aten::copy_"}
_ASKS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::_linalg_check_errors"}
_VIEWS = frozenset(
    f"aten::{name}"
    for name in (
        *("alias", "as_strided", "detach", "expand", "permute", "select", "slice", "split"),
        *("split_with_sizes", "squeeze", "t", "transpose", "unbind", "unfold", "unsqueeze"),
        *("view", "_unsafe_view", "empty", "new_empty", "empty_like"),
    )
)
"""What starts no kernel."""


class SectionCounter:
    """Count kernels and uploads while `mode` is active.

    What makes the host wait for a value, or mixes tensors of host and device other than by an
    upload, fails.
    """

    def __init__(self) -> None:
        self.kernels: Counter[str] = Counter()
        """By name."""
        self.uploads = self.uploaded_bytes = 0
        self.mode = OperationCounter(self._check)

    def _check(self, name: str, given: list[Any], made: list[Any]) -> None:
        tensors = [part for part in (*given, *made) if isinstance(part, Tensor)]
        on_host = [one for one in tensors if not one.is_meta]
        if len(on_host) == len(tensors):
            return
        assert name not in _ASKS, f"{name} makes the host wait"
        if on_host:
            assert name in _UPLOADS, f"{name} mixes host and device"
            self.uploads += 1
            self.uploaded_bytes += sum(one.nbytes for one in on_host)
        elif name not in _VIEWS:
            self.kernels[name] += 1


@dataclass(frozen=True, slots=True)
class SectionCost:
    """What a frame asks for, on average."""

    n_faces: int
    kernels: float
    uploads: float
    """Without those of `upload`: its planes, and the flow of each face."""
    returned_bytes: float
    """Changed samples that come back."""
    traffic_bytes: float
    """Of the device's memory, if nothing stays in a cache between kernels."""
    host_ms: float
    """Of Python and torch's front end on the meta device, which for some operations takes longer to
    work out a shape than a launch takes: to be compared, on one machine. 0 where it was not timed.
    """

    def ms_on(self, device: Device) -> float:
        """Least time on a device, by its memory."""
        return 1e3 * self.traffic_bytes / device.bandwidth


def measure_section(
    n_faces: int,
    *,
    frames: int = 2 * BATCH_FRAMES,
    width: int = 1920,
    height: int = 1080,
    crop_px: int = 512,
    has_grain: bool = True,
    timed: int = 0,
) -> SectionCost:
    """Count what frames ask for.

    Args:
        n_faces: in each frame, at most 8.
        frames: to count.
        width: of the frames, in pixels.
        height: likewise.
        crop_px: side of the network's crops.
        has_grain: whether noise was measured around the faces, so that grain is drawn.
        timed: runs in which the host's time is measured.
    """
    made = _frames(frames, n_faces, (width, height), crop_px, has_grain)
    sent, counter = list(upload(made, _META, crop_px)), SectionCounter()
    with quick_sampling():
        _run(sent[:1], crop_px)  # What does not depend on pictures is sent once.
        with counter.mode:
            returned = _run(sent, crop_px)
        begun = time.process_time()
        for _ in range(timed):
            _run(sent, crop_px)
        seconds = (time.process_time() - begun) / max(1, timed)
    return SectionCost(
        n_faces,
        sum(counter.kernels.values()) / frames,
        counter.uploads / frames,
        returned / frames,
        sum(map(_traffic, counter.mode.operations)) / frames,
        1e3 * seconds / frames,
    )


@contextmanager
def quick_sampling() -> Iterator[None]:
    """Give `grid_sample` on the meta device at once what has its shape: torch works it out by a
    thousand operations, in thousands of times what a launch takes.
    """
    library = torch.library.Library("aten", "IMPL")  # type: ignore[no-untyped-call]
    library.impl(  # type: ignore[no-untyped-call]
        "grid_sampler_2d", _sampled_shape, "Meta", allow_override=True
    )
    try:
        yield
    finally:
        library._destroy()  # type: ignore[no-untyped-call]


def _sampled_shape(pictures: Tensor, places: Tensor, *_: object) -> Tensor:
    return pictures.new_empty(*pictures.shape[:2], *places.shape[1:3])


def describe_section(cost: SectionCost) -> str:
    """The cost as a line for a person."""
    faces = "1 face" if cost.n_faces == 1 else f"{cost.n_faces} faces"
    least = ", ".join(f"{device.name} {cost.ms_on(device):.2f} ms" for device in DEVICES.values())
    return (
        f"around it, a frame of 1920x1080 with {faces}: {cost.kernels:.0f} kernels, "
        f"{cost.uploads:.1f} uploads, {cost.returned_bytes / 1e6:.2f} MB back; "
        f"least time by memory: {least}"
    )


def _traffic(operation: Operation) -> int:
    return 0 if operation.name in _VIEWS else operation.bytes


def _run(sent: Sequence[Frame], crop_px: int) -> int:
    """All but the network; gives the bytes that come back."""
    filtered = temporal_filter(_restored(sent, crop_px), TemporalFilterConfig(), on_device=True)
    returned, batch = 0, list[Frame]()
    for frame in filtered:
        batch.append(frame)
        if len(batch) == BATCH_FRAMES:
            returned += sum(pack_samples(one)[1].nbytes for one in _changes(batch))
            batch = []
    return returned


def _changes(frames: Sequence[Frame]) -> Iterable[Any]:
    return device_changes(frames, BlendConfig())


def _restored(frames: Sequence[Frame], size: int) -> Iterator[Frame]:
    """With crops as a network would leave them."""
    together = max(1, _CROPS // max(1, len(frames[0].faces)))
    for begin in range(0, len(frames), together):
        part = frames[begin : begin + together]
        faces = [(frame.picture, face) for frame in part for face in frame.faces]
        affines = [one.crop_from_frame for _, one in faces if one.crop_from_frame is not None]
        crops = iter(cut_crops([picture for picture, _ in faces], affines, size))
        for frame in part:
            pairs = [(face, next(crops)) for face in frame.faces]
            done = (replace(face, source_crop=crop, crop=crop) for face, crop in pairs)
            yield replace(frame, faces=tuple(done))


def _frames(
    count: int, n_faces: int, size: tuple[int, int], crop_px: int, has_grain: bool
) -> list[Frame]:
    """Frames of faces beside one another, which move, as `measure_noise` leaves them."""
    width, height = size
    picture = _picture(width, height)
    one = ComponentNoise(np.array([0.1, 0.6]), np.array([0.01, 0.02]), np.ones((1, 1)))
    noise = NoiseModel((one,) * 3, detail=0.9, unrest=0.02) if has_grain else None
    display = Display(width, height, identity())
    step = min(width / 4, height / 2) / crop_px
    frames = []
    for index in range(count):
        faces = []
        for track in range(n_faces):
            column, row = track % 4, track // 4
            shift = [width * column / 4 + index % 16, height * row / 2 + index % 16]
            frame_from_crop = np.column_stack([np.diag([0.9 * step] * 2), shift])
            crop_from_frame = invert(frame_from_crop)
            box, points = np.zeros(4), np.zeros((5, 2))
            face = Face(box, points, 1.0, track, crop_from_frame=crop_from_frame, noise=noise)
            faces.append(face)
        frame = Frame(index, index, Fraction(1, 25), picture, display, index == 0, tuple(faces))
        frames.append(replace(frame, picture=replace(picture)))
    return frames


def _picture(width: int, height: int) -> Picture:
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    return picture_from_av(frame)
