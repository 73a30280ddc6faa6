"""The table of layouts agrees with what FFmpeg's scaler finds in the same memory."""

from __future__ import annotations

import av
import numpy as np
import pytest
from native import random_frame

from vidrestore.errors import VideoOpenError
from vidrestore.video.picture.layouts import layout_of, native_format
from vidrestore.video.picture.samples import component_samples, picture_from_av

SAME_SAMPLES = {
    "nv12": "yuv420p",
    "nv21": "yuv420p",
    "nv16": "yuv422p",
    "nv24": "yuv444p",
    "nv42": "yuv444p",
    "p010le": "yuv420p10le",
    "p012le": "yuv420p12le",
    "p016le": "yuv420p16le",
    "p210le": "yuv422p10le",
    "yuyv422": "yuv422p",
    "uyvy422": "yuv422p",
    "yvyu422": "yuv422p",
    "y210le": "yuv422p10le",
    "vuya": "yuva444p",
    "vuyx": "yuv444p",
    "ya8": "gray",
    "rgb24": "gbrp",
    "bgr24": "gbrp",
    "rgb0": "gbrp",
    "bgr0": "gbrp",
    "0rgb": "gbrp",
    "0bgr": "gbrp",
    "rgba": "gbrap",
    "bgra": "gbrap",
    "argb": "gbrap",
    "abgr": "gbrap",
    "rgb48le": "gbrp16le",
    "bgr48le": "gbrp16le",
    "rgba64le": "gbrap16le",
}


@pytest.mark.parametrize("name", SAME_SAMPLES)
def test_components_lie_where_ffmpeg_finds_them(name: str) -> None:
    frame = random_frame(name, 46, 22)
    ours, planar = layout_of(name), layout_of(SAME_SAMPLES[name])
    converted = picture_from_av(frame.reformat(format=planar.format, threads=1))
    picture = picture_from_av(frame)
    for index in range(len(ours.components)):
        found = component_samples(picture, ours, index).numpy() >> ours.shift
        expected = component_samples(converted, planar, index).numpy()
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "name",
    ["pal8", "rgb565le", "x2rgb10le", "gbrpf32le", "grayf16le", "bayer_rggb8", "monob", "xyz12le"],
)
def test_formats_without_separate_samples_are_refused_with_advice(name: str) -> None:
    with pytest.raises(VideoOpenError, match=f"pixel format {name} is not supported.*ffmpeg -i"):
        layout_of(name)


def test_hardware_and_unknown_formats_are_refused() -> None:
    for name in ("cuda", "vaapi", "no_such_format"):
        with pytest.raises(VideoOpenError, match=name):
            layout_of(name)


def test_big_endian_formats_become_little_endian() -> None:
    assert native_format("gbrp10be") == "gbrp10le"
    assert native_format("yuv420p") == "yuv420p"
    assert layout_of("rgb48be") == layout_of("rgb48le")


def test_every_format_of_ffmpeg_has_a_layout_or_a_clear_refusal() -> None:
    known = [name for name in sorted(av.video.format.names) if _answers(name)]
    assert len(known) > 150


def _answers(name: str) -> bool:
    try:
        layout = layout_of(name)
    except VideoOpenError:
        return False
    assert 8 <= layout.bits + layout.shift <= 16 and len(layout.components) in (1, 3)
    return True


@pytest.mark.parametrize(
    ("name", "kept"), [("rgb555le", "bgr0"), ("pal8", "bgr0"), ("xyz12le", "yuv444p16le")]
)
def test_advice_keeps_colours_and_depth(name: str, kept: str) -> None:
    with pytest.raises(VideoOpenError, match=f"-pix_fmt {kept} -c:v ffv1"):
        layout_of(name)
