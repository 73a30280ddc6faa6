"""Codecs: JPEG for pictures, H.264 and MPEG-2 for frames among their neighbours in time.

Not models of them but the codecs themselves: JPEG (ITU-T T.81) by OpenCV, H.264 (ITU-T H.264, coded
by x264) and MPEG-2 (ITU-T H.262) by FFmpeg through PyAV, as Real-BasicVSR's training has coded
streams (Chan et al., arXiv:2111.12704).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from vidrestore.degradations.pixels import Image, from_bytes, to_bytes
from vidrestore.video.write.x264 import set_x264_threads, x264_options

__all__ = ["PRESETS", "jpeg", "jpeg_bytes", "recode", "video_codec"]

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
"""Presets of x264 that are worth their time here."""
_FLAT_RATE = "mbtree=0"
"""Without macroblock-tree rate control, which gives a clip the less bits the shorter it is: 3 dB
less for one of two frames. What ships learnt from clips coded without it."""
_SMALLEST_PX = 16


def jpeg(image: Image, quality: int) -> Image:
    """Code and decode as a baseline JPEG of ``quality`` 1-100."""
    return from_bytes(jpeg_bytes(to_bytes(image)[..., ::-1], quality)[..., ::-1])


def jpeg_bytes(picture: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    """`jpeg` of a picture that is bytes already.

    Args:
        picture: (H, W, 3) uint8; the first channel is coded as blue, the last as red.
        quality: 1 to 100.
    """
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def video_codec(
    frames: Sequence[Image], codec: str, *, quality: int, preset: str = "veryfast"
) -> list[Image]:
    """Code a short clip as 4:2:0 video and decode it again.

    Args:
        frames: pictures of one size.
        codec: ``h264`` (x264, ``quality`` is its CRF) or ``mpeg2`` (``quality`` is its constant
            quantiser).
        quality: 0-51 for ``h264``, 2-31 for ``mpeg2``; larger is worse.
        preset: x264 preset; decides about B frames, motion search and deblocking.

    Returns:
        The decoded frames, in order.
    """
    return list(recode(frames, codec, quality=quality, preset=preset))


def recode(
    frames: Iterable[Image], codec: str, *, quality: int, preset: str = "veryfast"
) -> Iterator[Image]:
    """`video_codec` for a stream: what the encoder looks ahead is all that is held.

    Frames whose sides are odd or below 16 px are continued at the right and the bottom, and cut
    again.
    """
    encoder: av.VideoCodecContext | None = None
    decoder = _decoder(codec)
    height = width = 0
    for index, image in enumerate(frames):
        if encoder is None:
            height, width = image.shape[:2]
            encoder = _encoder(codec, _fitting(height), _fitting(width), quality, preset)
        for packet in encoder.encode(_to_frame(image, index)):
            yield from _pictures(decoder, packet, height, width)
    if encoder is None:
        return
    for packet in encoder.encode(None):
        yield from _pictures(decoder, packet, height, width)
    yield from _pictures(decoder, None, height, width)


def _pictures(
    decoder: av.VideoCodecContext, packet: Any, height: int, width: int
) -> Iterator[Image]:
    for frame in decoder.decode(packet):
        yield from_bytes(frame.to_ndarray(format="rgb24")[:height, :width])


def _encoder(
    codec: str, height: int, width: int, quality: int, preset: str
) -> av.VideoCodecContext:
    name, options = {
        "h264": (
            "libx264",
            {"crf": str(quality), "preset": preset, **x264_options(_FLAT_RATE)},
        ),
        "mpeg2": ("mpeg2video", {"bf": "2"}),
    }[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = height, width
    encoder.pix_fmt, encoder.time_base, encoder.framerate = "yuv420p", Fraction(1, 25), Fraction(25)
    encoder.options, encoder.thread_count = options, 1
    if codec == "h264":
        set_x264_threads(encoder)
    else:
        encoder.qmin = encoder.qmax = quality
    return encoder


def _decoder(codec: str) -> av.VideoCodecContext:
    decoder = av.CodecContext.create({"h264": "h264", "mpeg2": "mpeg2video"}[codec], "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    return decoder


def _fitting(length: int) -> int:
    return max(_SMALLEST_PX, length + length % 2)


def _to_frame(image: Image, index: int) -> av.VideoFrame:
    data = to_bytes(image)
    beyond = [(0, _fitting(length) - length) for length in image.shape[:2]]
    if any(after for _, after in beyond):
        data = np.pad(data, [*beyond, (0, 0)], mode="edge")
    frame = av.VideoFrame.from_ndarray(data, format="rgb24")
    frame.pts = index
    return frame
