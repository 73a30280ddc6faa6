"""Small clips that tests make: the demo's portrait, moved, in any codec and pixel format."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
import torch

from vidrestore.demo.clip import sharp_frames

Image = npt.NDArray[np.uint8]


def face_frames(count: int, *, width: int = 320, height: int = 240) -> list[Image]:
    """The moved portrait, (height, width, 3) uint8 RGB, a little blurred."""
    size = (width, height)
    return [
        cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (3, 3), 0.8)
        for image in sharp_frames(count)
    ]


def empty_frames(count: int, *, width: int = 320, height: int = 240) -> list[Image]:
    """A moving gradient without a face."""
    y, x = np.mgrid[0:height, 0:width]
    return [
        np.stack([(x + 2 * i) % 256, (y + i) % 256, (x + y) // 3 % 256], -1).astype(np.uint8)
        for i in range(count)
    ]


def write_clip(
    path: Path,
    images: Iterable[Image],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int = 25,
    options: dict[str, str] | None = None,
) -> Path:
    """Encodes RGB pictures; H.264 at crf 18 unless told otherwise."""
    images = list(images)
    options = options if options is not None else ({"crf": "18"} if codec == "libx264" else {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=pix_fmt)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def decoded_planes(path: Path) -> list[list[torch.Tensor]]:
    """Every frame's planes as copies, from PyAV alone."""
    with av.open(str(path)) as container:
        return [
            [_samples(plane, frame.format) for plane in frame.planes]
            for frame in container.decode(video=0)
        ]


def _samples(plane: av.video.plane.VideoPlane, pix_fmt: av.VideoFormat) -> torch.Tensor:
    """(H, W), or (H, W, C) where several components share the plane."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height]
    parts = 4 if pix_fmt.name == "bgr0" else 1
    wide = any(component.bits > 8 for component in pix_fmt.components)
    row_bytes = plane.width * parts * (2 if wide else 1)
    samples = np.ascontiguousarray(rows[:, :row_bytes]).view(np.uint16 if wide else np.uint8)
    shape = (plane.height, plane.width) + ((parts,) if parts > 1 else ())
    return torch.from_numpy(samples.reshape(shape).copy())


def frame_times(path: Path) -> list[Fraction]:
    """Presentation times in seconds of all frames."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]
