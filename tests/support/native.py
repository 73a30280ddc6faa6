"""Random pictures of any pixel format, for tests on native samples."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np

from vidrestore.video.picture.layouts import layout_of

_PLANAR = (
    "yuv420p yuv422p yuv444p yuv440p yuv411p yuv410p yuvj420p yuvj444p yuv420p9le yuv420p10le "
    "yuv422p10le yuv444p12le yuv420p14le yuv444p16le gray gray10le gray16le gbrp gbrp10le gbrp12le "
    "gbrp16le yuva420p yuva444p10le gbrap gbrap12le yuv444p10msble"
)
_INTERLEAVED = (
    "nv12 nv21 nv16 nv24 nv42 p010le p012le p016le p210le p416le nv20le rgb24 bgr24 rgb0 bgr0 0rgb "
    "0bgr rgba bgra argb abgr rgb48le bgr48le rgba64le ya8 ya16le yuyv422 uyvy422 yvyu422 y210le "
    "vuya vuyx"
)
FORMATS = [*_PLANAR.split(), *_INTERLEAVED.split()]


def random_frame(
    format_name: str, width: int, height: int, *, seed: int = 0, low: float = 0.0, high: float = 1.0
) -> av.VideoFrame:
    """Samples between `low` and `high` of the format's largest value; padding and alpha as well."""
    layout = layout_of(format_name)
    frame = av.VideoFrame(width, height, layout.format)
    random = np.random.default_rng(seed)
    most = (1 << layout.bits) - 1
    for plane in frame.planes:
        samples = np.frombuffer(plane, np.uint8 if layout.sample_bytes == 1 else np.uint16)
        drawn = random.integers(int(low * most), int(high * most) + 1, samples.size)
        samples[:] = drawn << layout.shift
    frame.pts = 1234
    frame.time_base = Fraction(1, 30000)
    return frame
