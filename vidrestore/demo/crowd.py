"""A clip of any size with any number of faces, to measure speed with.

The demo's portrait stands in the cells of a grid and sways a little in each, over a textured
background. Same arguments, same frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from vidrestore.demo.clip import portrait
from vidrestore.geometry import compose, compose_similarity
from vidrestore.video.write.x264 import set_x264_threads, x264_options

__all__ = ["crowd_frames", "make_crowd"]

Image = npt.NDArray[np.uint8]

RATE = Fraction(25)
_HEAD = (168.0, 108.0)
"""Middle of the head in the portrait."""
_CELL_PX = 260.0
"""Side of the smallest square that holds the portrait's head with some room, in its pixels."""
_LARGEST = 2.0
"""Enlargement of the portrait at the most; larger faces cost no more."""


def make_crowd(path: Path, width: int, height: int, faces: int, frames: int) -> None:
    """Write the clip as H.264, replacing what is there.

    Args:
        path: an mp4, mov or mkv file.
        width: in pixels, even.
        height: in pixels, even.
        faces: how many.
        frames: length, at 25 frames a second.
    """
    with av.open(str(path), "w") as container:
        options = {"crf": "20", **x264_options()}
        stream = container.add_stream("libx264", rate=RATE, options=options)
        set_x264_threads(stream.codec_context)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index, image in enumerate(crowd_frames(width, height, faces, frames)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = index, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def crowd_frames(width: int, height: int, faces: int, frames: int) -> Iterator[Image]:
    """The pictures of the clip, (height, width, 3) uint8 RGB; see `make_crowd`."""
    background = _background(width, height)
    picture = portrait().astype(np.float32)
    mask = _head_mask(*picture.shape[:2])
    places, scale = _places(width, height, faces)
    for index in range(frames):
        image = background.copy()
        for number, centre in enumerate(places):
            phase = 2 * np.pi * (index / 50 + number / 7)
            sway = 6 * scale * np.array([np.sin(phase), np.cos(1.3 * phase)])
            _draw(image, picture, mask, scale, np.asarray(centre) + sway, 0.05 * np.sin(phase))
        yield np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _places(width: int, height: int, faces: int) -> tuple[list[tuple[float, float]], float]:
    """Middles of the cells, and how much the portrait is enlarged."""
    columns = max(1, min(faces, round(math.sqrt(faces * width / height))))
    rows = math.ceil(faces / columns)
    cell_x, cell_y = width / columns, height / rows
    scale = min(_LARGEST, min(cell_x, cell_y) / _CELL_PX)
    middles = [
        ((number % columns + 0.5) * cell_x, (number // columns + 0.5) * cell_y)
        for number in range(faces)
    ]
    return middles, scale


def _draw(
    image: npt.NDArray[np.float32],
    picture: npt.NDArray[np.float32],
    mask: npt.NDArray[np.float32],
    scale: float,
    centre: npt.NDArray[np.float64],
    angle: float,
) -> None:
    """Draw the head over a part of the image, in place."""
    half = math.ceil(scale * _CELL_PX / 2) + 8
    x0, y0 = np.maximum(0, np.floor(centre - half).astype(int))
    x1, y1 = np.minimum(image.shape[1::-1], np.ceil(centre + half).astype(int))
    to_origin = np.array([[1.0, 0.0, -_HEAD[0]], [0.0, 1.0, -_HEAD[1]]])
    inside = (float(centre[0] - x0), float(centre[1] - y0))
    move = compose(compose_similarity(math.log(scale), angle, inside), to_origin)
    size = (int(x1 - x0), int(y1 - y0))
    head = cv2.warpAffine(picture, move, size, flags=cv2.INTER_CUBIC)
    weight = cv2.warpAffine(mask, move, size, flags=cv2.INTER_LINEAR)[..., None]
    part = image[y0:y1, x0:x1]
    part += weight * (head - part)


def _head_mask(height: int, width: int) -> npt.NDArray[np.float32]:
    y, x = np.mgrid[:height, :width]
    radius = np.hypot((x - _HEAD[0]) / 84, (y - _HEAD[1] + 4) / 100)
    return np.asarray(np.clip((1.04 - radius) / 0.08, 0, 1), np.float32)


def _background(width: int, height: int) -> npt.NDArray[np.float32]:
    """Soft clouds with fine texture, (height, width, 3), 0 to 255."""
    generator = np.random.default_rng(0)
    image = np.full((height, width, 3), 110, np.float32)
    for cell, strength in ((240, 30.0), (48, 15.0), (8, 6.0)):
        coarse = generator.normal(0, strength, (height // cell + 2, width // cell + 2, 1))
        grown = cv2.resize(coarse.astype(np.float32), (width, height))
        image += grown[..., None]
    return np.asarray(np.clip(image, 0, 255), np.float32)
