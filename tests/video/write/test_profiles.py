"""One word for an output: codec, quality, size, pixel format, sound; and what wins over it."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import numpy as np
import pytest
from native import random_frame
from rewriting import plan_job, rewrite
from videos import Audio, make_video, planes_of

from vidrestore.config import EncodeConfig
from vidrestore.errors import VideoWriteError
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.probe import probe
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.encoder_options import encoder_options
from vidrestore.video.write.profiles import PROFILES


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sources")
    few: dict[str, Any] = {"pts": range(3), "size": (256, 128)}
    sound = [Audio("pcm_s16le", seconds=0.3)]
    return {
        "plain": make_video(folder / "plain.mkv", audio=sound, **few),
        "rgb": make_video(folder / "rgb.mkv", codec="ffv1", pix_fmt="bgr0", **few),
        "large": make_video(
            folder / "large.mp4", pts=range(2), size=(960, 720), sar=Fraction(4, 3)
        ),
        "fields": make_video(folder / "fields.mkv", codec="mpeg2video", interlaced=True, **few),
    }


def test_a_codec_that_does_not_hold_the_samples_names_profiles_that_convert(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out.mov"
    with pytest.raises(VideoWriteError, match="cannot hold bgr0") as told:
        plan_job(sources["rgb"], out, codec="prores_ks")
    names = re.findall(r"--profile (\w+)", str(told.value))
    assert names == ["prores_hq", "prores_4444xq"]
    for name in names:
        job = plan_job(sources["rgb"], out, codec="prores_ks", profile=name)
        assert job.output is not None and job.output.codec == "prores_ks"


def test_every_profile_is_an_option_and_an_encoder() -> None:
    words = {
        word
        for part in get_args(EncodeConfig.model_fields["profile"].annotation)
        for word in get_args(part)
    }
    assert words == set(PROFILES)
    assert all(av.Codec(profile.codec, "w") for profile in PROFILES.values())


@pytest.mark.parametrize(
    ("profile", "kind", "ending", "codec", "told", "pix_fmt"),
    [
        ("access", "plain", ".mp4", "h264", None, "yuv420p"),
        ("access", "rgb", ".mp4", "h264", None, "yuv420p"),
        ("ffv1", "plain", ".mkv", "ffv1", None, "yuv420p"),
        ("prores_hq", "plain", ".mov", "prores", "HQ", "yuv422p10le"),
        ("prores_hq", "fields", ".mov", "prores", "HQ", "yuv422p10le"),
        ("prores_4444xq", "rgb", ".mov", "prores", "XQ", "yuv444p12le"),
        ("dnxhr_hqx", "plain", ".mov", "dnxhd", "DNXHR HQX", "yuv422p10le"),
        ("proxy", "large", ".mp4", "h264", None, "yuv420p"),
    ],
)
def test_a_profile_writes_what_it_says(
    sources: dict[str, Path],
    tmp_path: Path,
    profile: str,
    kind: str,
    ending: str,
    codec: str,
    told: str | None,
    pix_fmt: str,
) -> None:
    out = tmp_path / f"out{ending}"
    notes = rewrite(sources[kind], out, profile=profile)
    with av.open(str(out)) as written:
        context = written.streams.video[0].codec_context
        frames = list(written.decode(video=0))
        assert (context.name, frames[0].format.name) == (codec, pix_fmt)
        assert told in (None, context.profile)
        assert len(frames) == (2 if kind == "large" else 3)
    found, before = probe(out), probe(sources[kind])
    shape = Fraction(found.width, found.height) * found.sar
    assert shape == Fraction(before.width, before.height) * before.sar
    assert (found.height == 540) == (profile == "proxy")
    assert bool(notes) == (profile != "ffv1" and (profile, kind) != ("access", "plain"))


def test_rgb_becomes_yuv_with_its_colours(sources: dict[str, Path], tmp_path: Path) -> None:
    rewrite(sources["rgb"], tmp_path / "out.mov", profile="prores_4444xq")
    colours = []
    for path in (sources["rgb"], tmp_path / "out.mov"):
        with av.open(str(path)) as file:
            colours.append(next(file.decode(video=0)).to_ndarray(format="rgb24").astype(int))
    assert np.abs(colours[0] - colours[1]).mean() < 2
    assert probe(tmp_path / "out.mov").colour.space == 1


@pytest.mark.parametrize(
    ("options", "codec", "crf"),
    [
        ({"profile": "access"}, "libx264", "20"),
        ({"profile": "access", "crf": 30}, "libx264", "30"),
        ({"profile": "access", "codec": "libx265"}, "libx265", "18"),
        ({"profile": "proxy", "codec": "libx264"}, "libx264", "28"),
        ({"profile": "prores_hq", "codec": "libx264", "crf": 12}, "libx264", "12"),
    ],
)
def test_codec_wins_over_the_profile_and_crf_over_both(
    sources: dict[str, Path], tmp_path: Path, options: dict[str, Any], codec: str, crf: str
) -> None:
    job = plan_job(sources["plain"], tmp_path / "out.mov", **options)
    assert job.output is not None
    assert job.output.codec == codec
    assert encoder_options(job.output, job.info, job.config.encode)["crf"] == crf


def test_fields_are_not_mixed_when_chroma_gets_more_lines() -> None:
    frame = random_frame("yuv420p", 32, 32)
    planes = [np.frombuffer(plane, np.uint8).copy() for plane in planes_of(frame)]
    for plane, array in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[0::2], rows[1::2] = 60, 180  # each field is flat
        plane.update(rows.tobytes())
        assert array.size
    changed = for_encoder(picture_from_av(frame), "yuv422p10le", interlaced=True)
    for data, width in zip(planes_of(changed), (32, 16, 16), strict=True):
        rows16 = np.frombuffer(data, np.uint16).reshape(32, width).astype(int)
        assert np.abs(rows16[0::2] - 240).max() <= 4
        assert np.abs(rows16[1::2] - 720).max() <= 4
