"""The before/after picture of a run: one frame, and its face enlarged, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.runtime.output_file import write_whole
from vidrestore.structs import Face, Frame
from vidrestore.video.picture.samples import shown_rgb
from vidrestore.visual.label import draw_label

__all__ = ["Preview", "before_after"]

Image = npt.NDArray[np.uint8]


class Preview:
    """Keep the frame whose restored face is largest, and draw it at the end."""

    def __init__(self) -> None:
        self._best: Frame | None = None
        self._size = 0.0

    def consider(self, frame: Frame) -> None:
        """Look at one restored frame; keep at most one alive."""
        size = max((_size(face) for face in frame.faces if face.crop is not None), default=0.0)
        if self._best is None or size > 1.02 * self._size:
            self._best, self._size = frame, size

    def save(self, path: Path, *, inputs: Iterable[Path] = (), overwrite: bool = False) -> None:
        """Write the picture.

        Raises:
            VideoWriteError: if the file cannot be written; see `runtime.output_file`.
        """
        if self._best is None:
            return
        data = cv2.imencode(".png", before_after(self._best)[..., ::-1])[1]
        write_whole(path, data.tobytes(), inputs=inputs, overwrite=overwrite)


def before_after(frame: Frame, *, width: int = 1600) -> Image:
    """Draw `frame` before and after: whole pictures above, the largest face below.

    Returns:
        (H, width, 3) uint8 RGB.
    """
    before = shown_rgb(frame.source or frame.picture, frame.display)
    after = shown_rgb(frame.picture, frame.display)
    half = width // 2
    rows = [_pair(before, after, half)]
    faces = [face for face in frame.faces if face.crop is not None]
    if faces:
        x0, y0, x1, y1 = _around(max(faces, key=_size), before.shape)
        rows.append(_pair(before[y0:y1, x0:x1], after[y0:y1, x0:x1], half))
    drawn: Image = np.concatenate(rows)
    return drawn


def _size(face: Face) -> float:
    x0, y0, x1, y1 = face.box_xyxy
    return float(np.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0)))


def _around(face: Face, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = face.box_xyxy
    margin = 0.25 * max(x1 - x0, y1 - y0)
    low = np.floor([x0 - margin, y0 - margin]).astype(int)
    high = np.ceil([x1 + margin, y1 + margin]).astype(int)
    limit = [shape[1], shape[0]]
    low, high = np.clip(low, 0, np.subtract(limit, 1)), np.clip(high, 1, limit)
    return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _pair(before: Image, after: Image, half: int) -> Image:
    height = max(1, round(before.shape[0] * half / before.shape[1]))
    cells = []
    for image, label in ((before, "before"), (after, "after")):
        shrinks = image.shape[1] > half
        how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        cell = cv2.resize(image, (half, height), interpolation=how)
        draw_label(cell, label, (0, 0), scale=0.8)
        cells.append(cell)
    pair: Image = np.concatenate(cells, axis=1)
    return pair
