"""Upload: what restoring needs of a frame goes to the device ahead.

On CUDA, faces are cut out, restored, filtered over time and brought into the frame's samples on the
device, and only changed samples come back. This stage sends the planes of frames with a face to
restore, once, unless they were decoded there, and the optical flow between the crops of a track,
which is sought on the host: so nothing that comes later waits for the host. It runs in a thread of
its own, beside the device.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.config import BlendConfig
from vidrestore.geometry import compose
from vidrestore.models.interfaces import RestorerRun
from vidrestore.models.restorers.network import NetworkRun
from vidrestore.runtime.portions import enough_memory
from vidrestore.runtime.transfer import Uploaded, Uploader
from vidrestore.stages._filter_weights import COMPARED_PX, luma_bytes, reduced_luma
from vidrestore.stages._windows import by_shot
from vidrestore.stages.restore import crop_face, is_restorable
from vidrestore.structs import Face, Frame, Picture

__all__ = ["section_device", "upload"]


def section_device(
    restorer: RestorerRun, config: BlendConfig
) -> tuple[torch.device | None, str | None]:
    """Where faces are cut out, filtered and put back.

    Args:
        restorer: a run of the network.
        config: how faces are put back.

    Returns:
        The device, None for the host; and for a network on CUDA why not there, None otherwise.
    """
    device = getattr(restorer, "device", None)
    if device is None or torch.device(device).type != "cuda":
        return None, None
    if not isinstance(restorer, NetworkRun):
        return (
            None,
            f"faces are cut out and put back on the CPU: {restorer.name} is a run of its own",
        )
    if config.mask == "parsing":
        return None, "faces are cut out and put back on the CPU: blend.mask parsing works there"
    return restorer.device, None


def upload(
    frames: Iterable[Frame], device: torch.device, size: int, *, with_flows: bool = True
) -> Generator[Frame, None, None]:
    """Send frames with a face to restore to a device.

    Args:
        frames: with `Face.crop_from_frame` set, in order. Where defects were concealed, faces have
            a `source_crop`, which is cut out again on the device.
        device: where to.
        size: side of the crops in pixels.
        with_flows: whether to seek flow between crops too.

    Yields:
        The same frames in order, with `Picture.uploaded` and `Face.flows`.

    Raises:
        NotEnoughMemoryError: if the device's memory does not suffice for a frame.
    """
    uploader = Uploader(device)
    yield from by_shot(frames, lambda: _Shot(uploader, size, with_flows))


class _Shot:
    """Frames of one shot, sent as they come."""

    def __init__(self, uploader: Uploader, size: int, with_flows: bool) -> None:
        self._uploader, self._size, self._with_flows = uploader, size, with_flows
        self._flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: dict[int, npt.NDArray[np.uint8]] = {}
        """Reduced crops of the frame before, by track."""

    def add(self, frame: Frame) -> Iterator[Frame]:
        """Send a frame."""
        if not any(map(is_restorable, frame.faces)):
            self._before = {}
            picture = frame.picture
            held = picture.decoded is not None  # and nobody wants it
            yield replace(frame, picture=replace(picture, decoded=None)) if held else frame
            return
        small: dict[int, npt.NDArray[np.uint8]] = {}
        with enough_memory("to send a frame", "lower --run.queue-frames, or take another device"):
            sent = self._sent_planes(frame.picture)
            faces = tuple(
                self._sent(face, frame.picture, small) if is_restorable(face) else face
                for face in frame.faces
            )
        self._before = small
        picture = replace(frame.picture, uploaded=sent, decoded=None)
        yield replace(frame, picture=picture, faces=faces)

    def finish(self) -> Iterator[Frame]:
        """Nothing is held back."""
        return iter(())

    def _sent_planes(self, picture: Picture) -> Uploaded:
        if picture.decoded is not None and self._uploader.reaches(picture.decoded):
            return picture.decoded
        return self._uploader(*picture.planes)

    def _sent(self, face: Face, picture: Picture, small: dict[int, npt.NDArray[np.uint8]]) -> Face:
        """A face with what it needs on the device; adds its reduced crop to `small`."""
        flows = None
        if self._with_flows:
            own = small[face.track_id] = _reduced(face, picture, self._size)
            before = self._before.get(face.track_id)
            if before is not None:
                found = np.stack(
                    [self._flow.calc(before, own, None), self._flow.calc(own, before, None)]
                )
                flows = self._uploader(torch.from_numpy(found.transpose(0, 3, 1, 2)))
        concealed = face.concealed
        if concealed is not None:
            [concealed] = self._uploader(concealed).take()
        return replace(face, source_crop=None, concealed=concealed, flows=flows)


def _reduced(face: Face, picture: Picture, size: int) -> npt.NDArray[np.uint8]:
    """(COMPARED_PX, COMPARED_PX) luma of what the network sees, made on the host."""
    if face.source_crop is not None:
        source = face.source_crop
    else:
        assert face.crop_from_frame is not None
        share = COMPARED_PX / size
        reduced = np.array([[share, 0, (share - 1) / 2], [0, share, (share - 1) / 2]])
        source = crop_face(picture, compose(reduced, face.crop_from_frame), COMPARED_PX)
    return luma_bytes(reduced_luma(source.numpy().transpose(1, 2, 0)))
