"""The codec that holds a picture unchanged, by container, format and size."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import pytest
from native import random_frame

from vidrestore.errors import UsageError, VideoWriteError
from vidrestore.video.write.codecs import choose_codec, equal_layouts, fitting_format
from vidrestore.video.write.containers import AUTO_ORDER, CONTAINERS, container_of


@pytest.mark.parametrize(
    ("suffix", "pix_fmt", "size", "codec"),
    [
        (".mp4", "yuv420p", (64, 48), "libx264"),
        (".mp4", "yuv420p", (63, 47), "libvpx-vp9"),
        (".mp4", "yuv444p", (63, 47), "libx264"),
        (".mp4", "gray", (64, 48), "libx265"),
        (".mov", "yuv422p10le", (64, 48), "libx264"),
        (".mov", "yuv422p12le", (64, 48), "libx265"),
        (".mkv", "gray16le", (64, 48), "ffv1"),
        (".mkv", "yuva444p10le", (64, 48), "ffv1"),
        (".mkv", "rgb24", (64, 48), "libx265"),
        (".webm", "yuv420p", (64, 48), "libvpx-vp9"),
        (".ts", "yuv420p", (64, 48), "libx264"),
        (".avi", "yuv420p", (63, 47), "ffv1"),
    ],
)
def test_auto_takes_the_first_that_fits(
    suffix: str, pix_fmt: str, size: tuple[int, int], codec: str
) -> None:
    assert choose_codec(CONTAINERS[suffix], pix_fmt, *size).codec == codec


def _as_decoded(codec: str, frame: av.VideoFrame) -> str:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=25, width=frame.width, height=frame.height)
        stream.pix_fmt = frame.format.name
        if codec == "libx265":
            stream.options = {"x265-params": "log-level=none:pools=1"}
        if frame.format.is_rgb:
            stream.codec_context.colorspace = 0
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    file.seek(0)
    with av.open(file) as source:
        return next(source.decode(video=0)).format.name


@pytest.mark.parametrize("codec", AUTO_ORDER)
def test_a_format_that_a_codec_is_said_to_hold_comes_back(codec: str) -> None:
    held = 0
    for fmt in (
        *(
            "yuv420p",
            "yuv422p",
            "yuv444p",
            "yuv440p",
            "gray",
            "gbrp",
            "bgr0",
            "yuv411p",
            "gray16le",
        ),
        *("yuv420p10le", "yuv422p10le", "yuv444p10le", "gray10le", "gbrp10le"),
        *("yuv420p12le", "yuv422p12le", "yuv444p12le", "yuva444p10le"),
    ):
        if fitting_format(codec, fmt, 64, 64) == fmt:
            held += 1
            assert _as_decoded(codec, random_frame(fmt, 64, 64)) == fmt, fmt
    assert held >= (2 if codec == "libsvtav1" else 5)


def test_what_nothing_holds_names_what_does() -> None:
    with pytest.raises(VideoWriteError, match=r"gray at 64x48; these do: libx265 in \.mp4"):
        choose_codec(CONTAINERS[".webm"], "gray", 64, 48)


def test_a_named_codec_that_cannot_hold_the_format_is_refused() -> None:
    with pytest.raises(VideoWriteError, match=r"libx264 cannot hold yuv420p at 63x47.*libvpx-vp9"):
        choose_codec(CONTAINERS[".mkv"], "yuv420p", 63, 47, "libx264")
    with pytest.raises(VideoWriteError, match="libx264 cannot hold gray"):
        choose_codec(CONTAINERS[".mkv"], "gray", 64, 48, "libx264")


def test_a_named_codec_that_the_container_does_not_take_is_refused() -> None:
    with pytest.raises(VideoWriteError, match=r"\.webm does not take codec libx264"):
        choose_codec(CONTAINERS[".webm"], "yuv420p", 64, 48, "libx264")


def test_unknown_codecs_suggest_near_ones() -> None:
    with pytest.raises(UsageError, match=r"did you mean.*libx264"):
        choose_codec(CONTAINERS[".mp4"], "yuv420p", 64, 48, "libx263")
    with pytest.raises(UsageError, match="no video codec"):
        choose_codec(CONTAINERS[".mp4"], "yuv420p", 64, 48, "aac")


def test_other_encoders_can_be_named() -> None:
    choice = choose_codec(CONTAINERS[".mov"], "yuv422p10le", 64, 48, "prores_ks")
    assert (choice.codec, choice.pix_fmt) == ("prores_ks", "yuv422p10le")


def test_unknown_endings_are_refused() -> None:
    with pytest.raises(VideoWriteError, match=r"\.mp5.*did you mean '\.mp4'"):
        container_of(Path("out.mp5"))
    with pytest.raises(VideoWriteError, match="no file ending"):
        container_of(Path("out"))


def test_equal_layouts_are_the_same_numbers_in_another_order() -> None:
    assert equal_layouts("nv12")[:2] == ("nv12", "yuv420p")
    assert "bgr0" in equal_layouts("rgb24")
    assert equal_layouts("pal8") == ("pal8",)
    for name in ("yuv420p", "nv12"):
        assert "yuvj420p" not in equal_layouts(name), "that one claims full range"
