"""Interlaced pictures of a face that moves by known affines, with the fields they are made of.

moves = pan(24, 6)                       # one affine a field
fields = fields_of(moves, 320, 240)      # progressive, 50 a second
frames = woven(fields, "top")            # interlaced, 25 a second
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt
from av.codec.context import Flags
from moving_face import Moves, moving_face

from vidrestore.structs import Frame, Picture
from vidrestore.video.picture.field_order import FieldOrder, with_field_order
from vidrestore.video.picture.samples import copy_picture, picture_from_av

__all__ = ["field_shift", "fields_of", "frame_moves", "telecined", "whole", "woven", "write_frames"]


def fields_of(moves: Moves, width: int, height: int, *, blur: float = 0.0, noise: float = 0.0,
              format: str = "yuv420p") -> list[Frame]:  # fmt: skip
    """A picture for each field, 50 a second, blurred and with noise as asked."""
    rng = np.random.default_rng(5)
    frames = moving_face(moves, width, height, noise=0.0, fps=50)
    return [
        replace(frame, picture=picture_from_av(_degraded(frame.picture, blur, noise, rng, format)))
        for frame in frames
    ]


def _degraded(
    picture: Picture, blur: float, noise: float, rng: np.random.Generator, format: str
) -> av.VideoFrame:
    rgb = picture.handle.to_ndarray(format="rgb24").astype(np.float32)
    rgb = cv2.GaussianBlur(rgb, (0, 0), blur) if blur else rgb
    rgb = rgb + rng.normal(0, noise, rgb.shape) if noise else rgb
    image = np.rint(rgb).clip(0, 255).astype(np.uint8)
    return av.VideoFrame.from_ndarray(image, "rgb24").reformat(format=format)


def woven(fields: Sequence[Frame], order: FieldOrder, flags: FieldOrder | str | None = "own",
          *, fps: int = 25) -> list[Frame]:  # fmt: skip
    """Interlaced frames of two fields each.

    Args:
        fields: in order of time.
        order: which lines the earlier field of a frame has.
        flags: what frames are flagged as: 'own' for their order, None for progressive.
        fps: frames a second.
    """
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return _timed([_pair(*pair, order) for pair in pairs], fields, flags, order, fps)


def whole(fields: Sequence[Frame], flags: FieldOrder | None) -> list[Frame]:
    """Progressive frames, every second of the fields' pictures, flagged as asked."""
    return _timed([copy_picture(one.picture) for one in fields[::2]], fields, flags, "top", 25)


def telecined(fields: Sequence[Frame], flags: FieldOrder | None) -> list[Frame]:
    """Film (every second of the fields' pictures) as video: of each four frames five, of which the
    third and the fourth hold two frames.
    """
    film, pictures = fields[::2], []
    for a, b, c, d in zip(film[::4], film[1::4], film[2::4], film[3::4], strict=True):
        for pair in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            pictures.append(_pair(*pair, "top"))
    return _timed(pictures, fields, flags, "top", 30)


def _pair(earlier: Frame, later: Frame, order: FieldOrder) -> Picture:
    picture = copy_picture(earlier.picture)
    first = 1 if order == "top" else 0
    for plane, other in zip(picture.planes, later.picture.planes, strict=True):
        plane.numpy()[first::2] = other.numpy()[first::2]
    return picture


def _timed(pictures: Sequence[Picture], fields: Sequence[Frame], flags: FieldOrder | str | None,
           order: FieldOrder, fps: int) -> list[Frame]:  # fmt: skip
    frames = []
    for index, picture in enumerate(pictures):
        told = order if flags == "own" else flags
        handle = with_field_order(picture.handle, told)  # type: ignore[arg-type]
        frames.append(
            replace(fields[0], index=index, pts=index, time_base=Fraction(1, fps),
                    picture=picture_from_av(handle), is_cut=index == 0)
        )  # fmt: skip
    return frames


def frame_moves(moves: Moves) -> Moves:
    """Where whole frames show a face that moves from field to field: in the middle."""
    return [(a + b) / 2 for a, b in zip(moves[::2], moves[1::2], strict=True)]


def write_frames(path: Path, frames: Sequence[Frame], codec: str = "ffv1", *,
                 options: dict[str, str] | None = None) -> Path:  # fmt: skip
    """Encode frames with their flags."""
    first = frames[0].picture
    fields = any(frame.picture.handle.interlaced_frame for frame in frames)
    rate = round(1 / frames[0].time_base)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, rate=rate, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, first.format
        stream.codec_context.thread_count = 1
        if fields:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        for frame in frames:
            handle = frame.picture.handle
            handle.pts, handle.time_base, handle.pict_type = frame.pts, frame.time_base, 0
            out.mux(stream.encode(handle))
        out.mux(stream.encode(None))
    return path


def field_shift(luma: npt.NDArray[np.uint8]) -> float:
    """By how many pixels the odd lines are to the right of the even ones.

    Args:
        luma: (H, W) of the part that moves, from an even line on.
    """
    even, odd = luma[0::2].astype(float), luma[1::2].astype(float)
    lines = min(len(even) - 1, len(odd))
    between = (even[:lines] + even[1 : lines + 1]) / 2
    window = np.hanning(lines)[:, None] * np.hanning(luma.shape[1])[None]
    (shift, _), _ = cv2.phaseCorrelate(between, odd[:lines], window)
    return float(shift)
