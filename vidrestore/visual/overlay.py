"""What `vidrestore inspect --video` writes: the video with every face's box, landmarks and number.

A full line is a face that the detector saw in that very frame, a thin one was carried there by
flow; it pales as the face is held back, and the label says by what.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.errors import NotEnoughMemoryError, VideoWriteError
from vidrestore.geometry import apply, compose, invert
from vidrestore.runtime.memory import is_out_of_memory
from vidrestore.runtime.output_file import OutputFile
from vidrestore.structs import Face, Frame
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.video.write.x264 import set_x264_threads, x264_options
from vidrestore.visual.label import draw_label
from vidrestore.visual.palette import get_rgb

__all__ = ["OverlayWriter", "drawn"]

Image = npt.NDArray[np.uint8]

_CROP_PX = 512


def drawn(frame: Frame) -> Image:
    """The frame as a person sees it, (H, W, 3) uint8 RGB, with its faces drawn in."""
    image = shown_rgb(frame.source or frame.picture, frame.display)
    for face in frame.faces:
        _draw(image, face, frame)
    for face in frame.faces:  # after all lines, which would cross the text
        _label(image, face)
    if frame.is_cut and frame.index:
        draw_label(image, "cut", (0, image.shape[0]))
    return image


def _draw(image: Image, face: Face, frame: Frame) -> None:
    colour = _colour(face)
    width = max(1, round(min(image.shape[:2]) / 300)) * (2 if face.detected else 1)
    low, high = np.rint(face.box_xyxy).astype(int).reshape(2, 2).tolist()
    cv2.rectangle(image, low, high, colour, width, cv2.LINE_AA)
    if face.crop_from_frame is not None:
        display_from_crop = compose(frame.display.display_from_coded, invert(face.crop_from_frame))
        corners = np.array([[0, 0], [_CROP_PX, 0], [_CROP_PX, _CROP_PX], [0, _CROP_PX]])
        square = np.rint(apply(display_from_crop, corners - 0.5)).astype(np.int32)
        cv2.polylines(image, [square], True, colour, 1, cv2.LINE_AA)
    for x, y in np.rint(face.landmarks).astype(int).tolist():
        cv2.circle(image, (x, y), width + 1, colour, -1, cv2.LINE_AA)


def _label(image: Image, face: Face) -> None:
    text = f"{face.track_id}  {face.strength:.2f}" + "".join(f" {g}" for g in face.gated_by)
    draw_label(image, text, (face.box_xyxy[0], face.box_xyxy[1] - 4), plate=_colour(face))


def _colour(face: Face) -> tuple[int, ...]:
    """The person's colour, paler the more the face is held back."""
    pale = 0.35 + 0.65 * face.strength
    return tuple(round(pale * c + (1 - pale) * 128) for c in get_rgb(face.track_id))


_MUXERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


class OverlayWriter:
    """Write drawn frames as H.264; the file appears under its name when all is done.

    with OverlayWriter(Path("overlay.mp4")) as writer:
        inspect_video("tape.mp4", each=writer.add)
    """

    def __init__(self, path: Path, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> None:
        """Open nothing yet.

        Args:
            path: the file to write.
            inputs: files that are never replaced.
            overwrite: whether a file of that name is replaced.

        Raises:
            VideoWriteError: the container is unknown.
        """
        self._path = path
        self._output = OutputFile(path, inputs=inputs, overwrite=overwrite)
        self._container: av.container.OutputContainer | None = None
        self._stream: av.VideoStream | None = None
        self._start = 0
        if path.suffix.lower() not in _MUXERS:
            raise VideoWriteError(f"{path}: an overlay is an .mp4, .mov or .mkv file")

    def __enter__(self) -> Self:
        self._output.__enter__()
        return self

    def add(self, frame: Frame) -> None:
        """Draw and encode the next frame."""
        image = drawn(frame)
        height, width = image.shape[:2]
        image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        video = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")
        try:
            container, stream = self._open(image, frame.time_base)
            video.pts, video.time_base = frame.pts - self._start, frame.time_base
            container.mux(stream.encode(video))
        except (av.FFmpegError, OSError) as error:
            if is_out_of_memory(error):
                raise NotEnoughMemoryError(f"overlay {self._path}: out of memory") from error
            raise VideoWriteError(f"overlay {self._path}: {error}") from error

    def _open(
        self, image: Image, time_base: Fraction
    ) -> tuple[av.container.OutputContainer, av.VideoStream]:
        if self._container is None or self._stream is None:
            self._container = av.open(
                str(self._output.temporary), "w", format=_MUXERS[self._path.suffix.lower()]
            )
            options = {"crf": "20", **x264_options()}
            self._stream = self._container.add_stream("libx264", options=options)
            set_x264_threads(self._stream.codec_context)
            self._stream.height, self._stream.width = image.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = time_base
        return self._container, self._stream

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self._container is not None and self._stream is not None:
                if kind is None:
                    self._container.mux(self._stream.encode(None))
                self._container.close()
                if kind is None:
                    self._output.publish()
        except (av.FFmpegError, OSError) as problem:
            if isinstance(problem, VideoWriteError):
                raise
            raise VideoWriteError(f"overlay {self._path}: {problem}") from problem
        finally:
            self._output.abandon()
