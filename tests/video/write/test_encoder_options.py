"""Settings that encoders and muxers understand, and that do not depend on the machine."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native import random_frame
from videos import make_video, planes_of

from vidrestore.config import EncodeConfig
from vidrestore.video.picture.samples import picture_from_av
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.probe import probe
from vidrestore.video.write.conversion import for_encoder
from vidrestore.video.write.encoder_options import (
    encoder_options,
    has_constant_rate,
    master_parameters,
    muxer_options,
    set_threads,
)
from vidrestore.video.write.plan import OutputPlan, plan_output

ENDINGS = {"libx264": ".mp4", "libx265": ".mkv", "libvpx-vp9": ".webm", "ffv1": ".mkv"}
BT2020 = tuple(
    Fraction(one).limit_denominator(50000)
    for one in (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329)
)


@pytest.fixture(scope="module")
def info(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    return probe(make_video(tmp_path_factory.mktemp("options") / "in.mkv", pts=range(3)))


def planned(info: VideoInfo, codec: str, ending: str) -> tuple[OutputPlan, EncodeConfig]:
    config = EncodeConfig(codec=codec, speed="ultrafast")
    return plan_output(info, info.path.with_name(f"out{ending}"), config), config


@pytest.mark.parametrize("codec", ENDINGS)
def test_encoders_take_every_option(info: VideoInfo, codec: str) -> None:
    plan, config = planned(info, codec, ENDINGS[codec])
    bright = replace(info, mastering=(*BT2020, Fraction(1, 100), Fraction(1000)))
    options = encoder_options(plan, replace(bright, light_level=(1000, 400)), config)
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = 64, 48, plan.pix_fmt
    context.time_base, context.options = Fraction(1, 25), options
    set_threads(context, codec, 1)
    context.open()
    assert options and not context.options  # What an encoder does not know is left over.


def test_quality_is_the_usual_one_or_as_asked(info: VideoInfo) -> None:
    plan, config = planned(info, "libx264", ".mp4")
    assert encoder_options(plan, info, config)["crf"] == "16"
    assert encoder_options(plan, info, config.model_copy(update={"crf": 21.5}))["crf"] == "21.5"
    lossless, config = planned(info, "ffv1", ".mkv")
    assert "crf" not in encoder_options(lossless, info, config)


def test_hdr_metadata_is_told_in_the_standards_units(info: VideoInfo) -> None:
    bright = replace(info, mastering=(*BT2020, Fraction(1, 200), Fraction(1000)))
    plan, config = planned(info, "libx265", ".mkv")
    told = encoder_options(plan, replace(bright, light_level=(900, 300)), config)["x265-params"]
    assert "max-cll=900,300" in told
    assert (
        "master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,50)"
        in told
    )


def test_avi_has_no_pictures_out_of_order_and_a_constant_rate(info: VideoInfo) -> None:
    plan, config = planned(info, "libx264", ".avi")
    assert encoder_options(plan, info, config)["bf"] == "0"
    assert has_constant_rate(plan, info)
    assert not has_constant_rate(planned(info, "libx264", ".mp4")[0], info)


@pytest.mark.parametrize(("codec", "threads"), [("libx264", 4), ("libx265", 4), ("ffv1", 3)])
def test_only_encoders_whose_bytes_stay_follow_the_wanted_threads(codec: str, threads: int) -> None:
    context = av.CodecContext.create(codec, "w")
    assert isinstance(context, av.VideoCodecContext)
    set_threads(context, codec, 3)
    assert context.thread_count == threads


@given(st.integers(1, 10**7))
def test_mp4_can_tell_the_inputs_times(info: VideoInfo, ticks: int) -> None:
    plan, _ = planned(info, "libx264", ".mp4")
    scale = int(muxer_options(plan, replace(info, time_base=Fraction(1, ticks)))["movie_timescale"])
    assert scale >= 1000
    assert scale % ticks == 0 or ticks > 10**6


def test_unusual_tags_are_kept_in_mp4_and_matroska_gives_equal_bytes(info: VideoInfo) -> None:
    mp4, mkv = planned(info, "libx264", ".mp4")[0], planned(info, "libx264", ".mkv")[0]
    plain, odd = (replace(info, metadata={key: "x"}) for key in ("title", "tape"))
    assert muxer_options(mp4, plain)["movflags"] == "+faststart"
    assert muxer_options(mp4, odd)["movflags"] == "+faststart+use_metadata_tags"
    assert muxer_options(mkv, plain)["fflags"] == "+bitexact"


def test_an_equal_layout_holds_the_same_numbers(tmp_path: Path) -> None:
    frame = random_frame("nv12", 32, 16)
    picture = picture_from_av(frame)
    assert for_encoder(picture, "nv12") is picture.handle
    luma, blue, red = planes_of(for_encoder(picture, "yuv420p"))
    chroma = np.frombuffer(planes_of(frame)[1][: 16 * 2 * 8], np.uint8)
    assert luma == planes_of(frame)[0]
    assert (blue, red) == (chroma[::2].tobytes(), chroma[1::2].tobytes())


def test_svt_av1_tells_the_master_in_its_own_stream(info: VideoInfo, tmp_path: Path) -> None:
    bright = replace(
        info, mastering=(*BT2020, Fraction(1, 200), Fraction(1000)), light_level=(1000, 400)
    )
    assert master_parameters("libsvtav1", bright) == [
        "mastering-display=G(0.17000,0.79700)B(0.13100,0.04600)R(0.70800,0.29200)"
        "WP(0.31270,0.32900)L(1000.00000,0.00500)",
        "content-light=1000,400",
    ]
    parameters = ":".join(["lp=2", *master_parameters("libsvtav1", bright)])
    path = make_video(
        tmp_path / "out.ivf",  # which tells nothing of it
        codec="libsvtav1",
        size=(64, 64),
        pts=range(3),
        options={"preset": "12", "svtav1-params": parameters},
    )
    told = probe(path)
    assert told.light_level == (1000, 400)
    assert told.mastering is not None
    expected = map(float, bright.mastering or ())
    assert list(map(float, told.mastering)) == pytest.approx(list(expected), abs=1e-3)


def test_unknown_codecs_are_shown_by_their_codes(shared: Path) -> None:
    found = probe(shared / "media" / "h265_with_metadata_track.mp4")
    assert found.streams[0].codec == "mett"
