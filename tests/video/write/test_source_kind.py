"""The codec follows the source's kind: lossless stays so, ProRes stays ProRes, 10 bits stay."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native import random_frame
from rewriting import plan_job, rewrite
from videos import make_video, planes_of

from vidrestore.cli.main import main
from vidrestore.errors import VideoWriteError
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.source_kind import LOSSLESS_ENCODERS, codec_order, encoder_profile

CODECS = ("libx264", "libx265", "libvpx-vp9", "libsvtav1", "ffv1", "prores_ks", "dnxhd", "v210")

SOURCES: dict[str, dict[str, Any]] = {
    "ffv1": {"codec": "ffv1", "pix_fmt": "yuv422p10le"},
    "huffyuv": {"codec": "huffyuv", "pix_fmt": "yuv422p"},
    "raw": {"codec": "rawvideo", "pix_fmt": "yuv420p"},
    "prores lt": {"codec": "prores_ks", "pix_fmt": "yuv422p10le", "options": {"profile": "lt"}},
    "prores 4444": {
        "codec": "prores_ks",
        "pix_fmt": "yuva444p10le",
        "options": {"profile": "4444"},
    },
    "dnxhr sq": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p",
        "options": {"profile": "dnxhr_sq"},
        "size": (256, 128),
    },
    "dnxhr hqx": {
        "codec": "dnxhd",
        "pix_fmt": "yuv422p10le",
        "options": {"profile": "dnxhr_hqx"},
        "size": (256, 128),
    },
    "v210": {"codec": "v210", "pix_fmt": "yuv422p10le"},
    "hevc 10": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    "h264 10": {"codec": "libx264", "pix_fmt": "yuv420p10le"},
    "h264 4:2:2": {"codec": "libx264", "pix_fmt": "yuv422p10le"},
    "hevc 8": {"codec": "libx265", "pix_fmt": "yuv420p"},
    "mpeg2": {"codec": "mpeg2video", "pix_fmt": "yuv420p"},
}


def source_of(kind: str, folder: Path) -> Path:
    edited = kind.split()[0] in ("prores", "dnxhr", "v210")
    ending = ".mov" if edited else ".avi" if kind == "huffyuv" else ".mkv"
    return make_video(folder / f"in{ending}", pts=range(3), **SOURCES[kind])


@pytest.mark.parametrize(
    ("kind", "ending", "codec", "profile"),
    [
        ("ffv1", ".mkv", "ffv1", None),
        ("ffv1", ".mp4", "ffv1", None),
        ("huffyuv", ".avi", "ffv1", None),
        ("raw", ".mkv", "ffv1", None),
        ("prores lt", ".mov", "prores", "LT"),
        ("prores lt", ".mkv", "prores", None),
        ("prores 4444", ".mov", "prores", "4444"),
        ("dnxhr sq", ".mov", "dnxhd", "DNXHR SQ"),
        ("dnxhr hqx", ".mov", "dnxhd", "DNXHR HQX"),
        ("v210", ".mov", "v210", None),
        ("hevc 10", ".mp4", "hevc", "Main 10"),
        ("hevc 10", ".webm", "libdav1d", None),
        ("h264 10", ".mkv", "hevc", None),
        ("h264 4:2:2", ".mkv", "h264", None),
        ("hevc 8", ".mp4", "h264", None),
        ("mpeg2", ".webm", "vp9", None),
    ],
)
def test_the_codec_is_of_the_source_s_kind(
    tmp_path: Path, kind: str, ending: str, codec: str, profile: str | None
) -> None:
    source, out = source_of(kind, tmp_path), tmp_path / f"out{ending}"
    rewrite(source, out)
    with av.open(str(out)) as written:
        context = written.streams.video[0].codec_context
        frames = list(written.decode(video=0))
        assert context.name == codec
        assert profile in (None, context.profile)
        assert len(frames) == 3


@pytest.mark.parametrize("kind", ["ffv1", "huffyuv", "raw", "v210"])
def test_what_was_lossless_loses_nothing(tmp_path: Path, kind: str) -> None:
    source = source_of(kind, tmp_path)
    out = tmp_path / f"out{source.suffix}"
    rewrite(source, out)
    with av.open(str(source)) as before, av.open(str(out)) as after:
        pairs = zip(before.decode(video=0), after.decode(video=0), strict=True)
        assert all(planes_of(one) == planes_of(other) for one, other in pairs)


@pytest.mark.parametrize(
    ("kind", "ending", "named"),
    [
        ("ffv1", ".mov", ".mkv"),
        ("raw", ".ts", ".mkv"),
        ("prores lt", ".mp4", ".mov"),
        ("dnxhr sq", ".mkv", ".mov"),
        ("v210", ".webm", ".mov"),
    ],
)
def test_nothing_becomes_lossy_unasked(tmp_path: Path, kind: str, ending: str, named: str) -> None:
    source = source_of(kind, tmp_path)
    with pytest.raises(VideoWriteError, match=rf"for a source in .*write .*\{named}"):
        plan_job(source, tmp_path / f"out{ending}")
    if ending == ".mp4":
        job = plan_job(source, tmp_path / "out.mp4", codec="libx264")
        assert job.output is not None and job.output.codec == "libx264"


@given(st.sampled_from(["ffv1", "utvideo", "dpx", "png", "rawvideo"]), st.permutations(CODECS))
def test_a_lossless_source_is_never_given_a_lossy_codec(source: str, codecs: list[str]) -> None:
    assert set(codec_order(codecs, source, "yuv422p10le")) <= LOSSLESS_ENCODERS


@given(
    st.sampled_from(["", "HQ", "XQ", "DNXHR LB", "DNXHD", "Main 10"]), st.booleans(), st.booleans()
)
def test_profiles_hold_the_format(profile: str, deep: bool, full: bool) -> None:
    fmt = f"yuv{'444' if full else '422'}p{'10le' if deep else ''}"
    prores = encoder_profile("prores_ks", profile, fmt)
    assert prores is not None and prores.startswith("4444") == full
    assert (encoder_profile("dnxhd", profile, fmt) == "dnxhr_444") == full


@pytest.mark.parametrize("fmt", ["yuv444p12le", "yuva444p12le", "yuv422p12le"])
def test_twelve_bits_are_rounded_to_the_nearest_of_ten(fmt: str) -> None:
    from vidrestore.video.picture.samples import picture_from_av

    frame = random_frame(fmt, 34, 18)
    rounded = for_encoder(picture_from_av(frame), fmt.replace("12", "10"))
    for before, after in zip(planes_of(frame), planes_of(rounded), strict=True):
        samples = np.frombuffer(before, np.uint16).astype(int)
        error = np.frombuffer(after, np.uint16).astype(int) * 4 - np.minimum(samples, 1023 * 4)
        assert np.abs(error).max() <= 2


def test_prores_of_four_channels_says_that_it_is_rounded(tmp_path: Path) -> None:
    source = source_of("prores 4444", tmp_path)
    with av.open(str(source)) as read:
        assert next(read.decode(video=0)).format.name == "yuva444p12le"
    notes = rewrite(source, tmp_path / "out.mov")
    assert "12 bits as decoded" in notes[0] and "--codec ffv1" in notes[0]
    assert rewrite(source, tmp_path / "out.mkv", codec="ffv1") == ()
    with av.open(str(tmp_path / "out.mov")) as written:
        assert next(written.decode(video=0)).format.name == "yuva444p12le"


def test_ffv1_is_written_for_archives(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mkv", codec="ffv1", size=(64, 48), pts=range(4))
    rewrite(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as written:
        packets = [packet for packet in written.demux(video=0) if packet.size]
        assert all(packet.is_keyframe for packet in packets)  # each picture by itself
        assert written.streams.video[0].average_rate == Fraction(25)


def test_the_first_line_says_codec_and_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of("ffv1", tmp_path)
    assert main([str(source), str(tmp_path / "out.mkv"), "--dry-run", "--model", "debug"]) == 0
    assert "out.mkv: ffv1, yuv422p10le (lossless, as the source)" in capsys.readouterr().out
