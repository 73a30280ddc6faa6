"""Checksums of files and frames, and what of the picture differs between input and output.

`framemd5` is FFmpeg's own format: `ffmpeg -i FILE -map 0:v:0 -enc_time_base -1 -f framemd5 -` gives
the same lines.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.errors import VideoOpenError, VideoWriteError
from vidrestore.job import Job
from vidrestore.jobs.hashing import picture_hash
from vidrestore.jobs.readers import open_reader
from vidrestore.jobs.samples import FaceSamples
from vidrestore.structs import Picture
from vidrestore.video.boundary import av_boundary
from vidrestore.video.read.opening import open_input
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.streams import select_video
from vidrestore.video.write.codecs import equal_layouts
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.plan import OutputPlan
from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS

__all__ = ["Difference", "is_comparable", "read_back", "sha256_of"]

_BLOCK_BYTES = 1 << 22

_SPAN_FRAMES = 25
"""Frames that share their list of rectangles."""

_JOINED_PX = 8
"""Changed samples nearer than this are one rectangle."""

Mask = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the pictures of a lossless output differ from the input's."""

    frames: int
    identical: int
    """Frames whose samples are all those of the input."""
    rectangles: tuple[tuple[int, int, tuple[tuple[int, int, int, int], ...]], ...]
    """(first frame, last frame, rectangles as x, y, width, height in coded pixels): outside of
    these, no sample of these frames differs. Frames that are not listed are identical."""
    unrepeatable: int
    """Frames of a damaged input that were decoded to other samples when it was read again, so that
    nothing can be said of them: neither identical nor listed."""
    outside_faces: int | None
    """Frames with a difference outside of the regions of restored faces; None if not checked."""


def sha256_of(path: Path, step: Callable[[float], None] = lambda share: None) -> str:
    """The checksum of a file.

    Args:
        path: of the file.
        step: called now and then with the share that was read; what it raises ends the reading.

    Raises:
        VideoOpenError: it cannot be read.
    """
    digest, read = hashlib.sha256(), 0
    try:
        with path.open("rb", buffering=0) as file:
            size = max(os.fstat(file.fileno()).st_size, 1)
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                read += len(block)
                step(min(read / size, 1.0))
        return digest.hexdigest()
    except OSError as error:
        raise VideoOpenError(f"{path}: cannot be read ({error.strerror})") from error


def is_comparable(plan: OutputPlan, pix_fmt: str, size: tuple[int, int]) -> bool:
    """Whether an output holds every sample of an input of this format and size as it was."""
    return (
        plan.codec in LOSSLESS_ENCODERS
        and plan.wanted.size == size
        and plan.pix_fmt in equal_layouts(pix_fmt)
    )


def read_back(
    written: Path,
    framemd5: Path,
    job: Job | None = None,
    samples: FaceSamples | None = None,
    step: Callable[[int], None] = lambda count: None,
) -> tuple[int, Difference | None]:
    """Decode a file that was written: store its frames' checksums, compare it with the input.

    Args:
        written: the file.
        framemd5: where the checksums go.
        job: by which it was written; None compares nothing.
        samples: what the run showed: where faces were restored, and the hashes of decoded frames.
        step: called after each frame, with their number; what it raises ends the reading.

    Returns:
        The number of its frames, and how they differ from the input's; None where the output is
        lossy or of another format or size, so that all samples may differ.

    Raises:
        VideoWriteError: the file cannot be decoded, or has fewer or more frames than the input.
    """
    frames = _decoded(written, framemd5)
    comparison = None
    if job is not None and job.output is not None:
        size = (job.filtered.width, job.filtered.height)
        if is_comparable(job.output, job.filtered.pix_fmt, size):
            comparison = _Comparison(job.output, samples)
    count = 0
    if comparison is None or job is None:
        for _ in frames:
            count += 1
            step(count)
        return count, None
    with open_reader(job) as reader:
        for before, after in zip_longest(prefiltered(reader.frames(), job.filters), frames):
            if before is None or after is None:
                raise VideoWriteError(
                    f"{written}: has not as many frames as were read; restore it anew"
                )
            comparison.add(before.picture, after)
            count += 1
            step(count)
    return count, comparison.finish()


def _decoded(path: Path, framemd5: Path) -> Iterator[av.VideoFrame]:
    """The frames of a file, whose checksums are written as they pass."""
    with (
        open_input(path) as container,
        av.open(str(framemd5), "w", format="framemd5", options={"fflags": "+bitexact"}) as sums,
        av_boundary(VideoWriteError, f"{path}: cannot be decoded again"),
    ):
        source = select_video(container, path)
        source.thread_type = "AUTO"
        target: Any = None
        for frame in container.decode(source):
            if target is None:
                target = sums.add_stream("rawvideo", rate=source.average_rate or 25)
                target.width, target.height = frame.width, frame.height
                target.pix_fmt = frame.format.name
                target.time_base = target.codec_context.time_base = source.time_base
                if source.sample_aspect_ratio:
                    target.sample_aspect_ratio = source.sample_aspect_ratio
            sums.mux(target.encode(frame))
            yield frame


class _Comparison:
    """Compare frame by frame; rectangles are gathered over spans of frames."""

    def __init__(self, plan: OutputPlan, samples: FaceSamples | None) -> None:
        self._plan, self._samples = plan, samples
        self._regions = [] if samples is None else samples.regions()
        self._frames = self._identical = self._unrepeatable = self._outside = 0
        self._spans: list[tuple[int, int, tuple[tuple[int, int, int, int], ...]]] = []
        self._mask: Mask | None = None
        self._first = 0

    def add(self, before: Picture, after: av.VideoFrame) -> None:
        index, self._frames = self._frames, self._frames + 1
        if not self._is_repeated(before, index):
            self._unrepeatable += 1
            self._end_span(index)
            return
        mask = _changed(for_encoder(before, self._plan.pix_fmt), after)
        if mask is None:
            self._identical += 1
            self._end_span(index)
            return
        self._outside += self._is_outside(mask, index)
        if self._mask is None:
            self._mask, self._first = mask, index
        else:
            self._mask |= mask
        if index - self._first + 1 == _SPAN_FRAMES:
            self._end_span(index + 1)

    def finish(self) -> Difference:
        self._end_span(self._frames)
        return Difference(
            self._frames,
            self._identical,
            tuple(self._spans),
            self._unrepeatable,
            None if self._samples is None else self._outside,
        )

    def _is_repeated(self, picture: Picture, index: int) -> bool:
        """Whether a frame was decoded to the same samples as in the run."""
        known = () if self._samples is None else self._samples.hashes
        return index >= len(known) or known[index] == int(picture_hash(picture), 16)

    def _is_outside(self, mask: Mask, index: int) -> bool:
        if self._samples is None:
            return False
        rest = mask.copy()
        boxes = self._regions[index] if index < len(self._regions) else ()
        for x0, y0, x1, y1 in np.maximum(boxes, 0) if len(boxes) else ():
            rest[y0:y1, x0:x1] = 0
        return bool(rest.any())

    def _end_span(self, end: int) -> None:
        if self._mask is not None:
            self._spans.append((self._first, end - 1, _rectangles(self._mask)))
            self._mask = None


def _rectangles(mask: Mask) -> tuple[tuple[int, int, int, int], ...]:
    """x, y, width and height of boxes that hold all changed samples."""
    joined = cv2.dilate(mask, np.ones((2 * _JOINED_PX + 1,) * 2, np.uint8))
    count, labels = cv2.connectedComponents(joined)
    found = []
    for label in range(1, count):
        x, y, width, height = cv2.boundingRect(((labels == label) & (mask > 0)).astype(np.uint8))
        found.append((int(x), int(y), int(width), int(height)))
    return tuple(sorted(found))


def _changed(one: av.VideoFrame, other: av.VideoFrame) -> Mask | None:
    """(H, W), 1 where a sample of any plane differs; None where none does."""
    if _layout(one) != _layout(other):
        raise VideoWriteError(f"the output was decoded as {_layout(other)}, not {_layout(one)}")
    mask: Mask | None = None
    for index, (mine, others) in enumerate(zip(one.planes, other.planes, strict=True)):
        width_bytes = mine.width * _pixel_bytes(one.format, index, len(one.planes))
        differs = _bytes_of(mine, width_bytes) != _bytes_of(others, width_bytes)
        if differs.any():
            samples = differs.reshape(mine.height, mine.width, -1)[..., _used(one.format.name)]
            small = samples.any(2).astype(np.uint8)
            if not small.any():
                continue
            size = (one.width, one.height)
            large: Mask = cv2.resize(small, size, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
            mask = large if mask is None else mask | large
    return mask


def _layout(frame: av.VideoFrame) -> tuple[str, int, int]:
    """The format, without the claim of full range that `yuvj420p` makes, and the size."""
    return frame.format.name.replace("yuvj", "yuv"), frame.width, frame.height


def _used(pix_fmt: str) -> slice:
    """Which bytes of a pixel count: not those of bgr0 that mean nothing."""
    return slice(1, None) if pix_fmt[0] == "0" else slice(None, -1 if pix_fmt[-1] == "0" else None)


def _bytes_of(plane: av.video.plane.VideoPlane, width: int) -> npt.NDArray[np.uint8]:
    data: npt.NDArray[np.uint8] = np.frombuffer(memoryview(plane), np.uint8)
    return data[: plane.height * plane.line_size].reshape(plane.height, -1)[:, :width]


def _pixel_bytes(pix_fmt: av.VideoFormat, plane: int, planes: int) -> int:
    if planes == 1:
        return max(1, pix_fmt.padded_bits_per_pixel // 8)
    parts = [part for part in pix_fmt.components if part.plane == plane]
    return len(parts) * ((parts[0].bits + 7) // 8)
