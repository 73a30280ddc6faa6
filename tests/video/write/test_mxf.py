"""MXF: the codecs of broadcast and archives, PCM sound, timecode and reel, as others read them."""

from __future__ import annotations

import json
import re
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from clips import decoded_planes
from rewriting import plan_job, rewrite
from videos import Audio, make_video, packets_of

from vidrestore.errors import VideoWriteError
from vidrestore.video.read.probe import probe

SOUND = [Audio("pcm_s16le", seconds=0.4, layout="stereo"), Audio("pcm_s24le", seconds=0.4)]
TAPE = {"metadata": {"timecode": "10:00:00:00"}, "video_metadata": {"reel_name": "A001"}}
SMALL = {"size": (96, 64), "pts": range(10)}

SOURCES: dict[str, dict[str, Any]] = {
    "prores_ks": {"codec": "prores_ks", "pix_fmt": "yuv422p10le"},
    "dnxhd": {"codec": "dnxhd", "pix_fmt": "yuv422p", "size": (256, 128),
              "options": {"profile": "dnxhr_hq"}},
    "libx264": {"codec": "libx264"},
}  # fmt: skip


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "in.mov"
    return make_video(path, **(SMALL | SOURCES["prores_ks"] | TAPE), audio=SOUND)  # type: ignore[arg-type]


def read_by_ffprobe(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-count_packets", "-show_streams"]
    found: dict[str, Any] = json.loads(subprocess.check_output([*command, str(path)]))
    return found


@pytest.mark.parametrize("codec", SOURCES)
def test_each_kind_of_source_is_written(codec: str, tmp_path: Path, system_ffmpeg: str) -> None:
    source = make_video(tmp_path / "in.mov", **(SMALL | SOURCES[codec]), audio=SOUND)
    rewrite(source, tmp_path / "out.mxf")
    picture, *sounds = read_by_ffprobe(tmp_path / "out.mxf")["streams"]
    assert picture["codec_name"] == probe(source).codec
    assert (picture["nb_read_packets"], picture["r_frame_rate"]) == ("10", "25/1")
    assert [one["codec_name"] for one in sounds] == ["pcm_s16le", "pcm_s24le"]
    assert [one["channels"] for one in sounds] == [2, 1]


@pytest.mark.parametrize("codec", ["ffv1", "mpeg2video"])
def test_codecs_that_are_asked_for(codec: str, tape: Path, tmp_path: Path) -> None:
    source = tape
    if codec == "mpeg2video":
        source = make_video(tmp_path / "in.mkv", **SMALL, audio=SOUND)  # type: ignore[arg-type]
    rewrite(source, tmp_path / "out.mxf", codec=codec)
    with av.open(str(tmp_path / "out.mxf")) as written:
        assert written.streams.video[0].codec_context.codec.canonical_name == codec
    planes = decoded_planes(tmp_path / "out.mxf")
    assert len(planes) == 10
    for one, other in zip(decoded_planes(source), planes, strict=True):
        difference = (one[0].float() - other[0].float()).abs().mean()
        assert difference == 0 if codec == "ffv1" else difference < 3


def test_sound_timecode_and_reel_arrive(tape: Path, tmp_path: Path) -> None:
    rewrite(tape, tmp_path / "out.mxf")
    written = probe(tmp_path / "out.mxf")
    assert (written.timecode, written.reel_name) == ("10:00:00:00", "A001")
    for index in (1, 2):
        before = b"".join(data for _, data in packets_of(tape, index))
        after = b"".join(data for _, data in packets_of(tmp_path / "out.mxf", index))
        assert after.rstrip(b"\0") == before.rstrip(b"\0")
    rewrite(tmp_path / "out.mxf", tmp_path / "back.mov")
    assert probe(tmp_path / "back.mov").reel_name == "A001"


def test_sound_that_is_longer_than_the_picture_is_told(tmp_path: Path) -> None:
    longer = [Audio("pcm_s16le", seconds=1.0)]
    source = make_video(tmp_path / "in.mkv", **SMALL, audio=longer)  # type: ignore[arg-type]
    (note,) = rewrite(source, tmp_path / "out.mxf")
    assert re.match(r"0\.5\d s of audio stream 1 .* after the last picture left out", note)


def test_two_runs_give_the_same_bytes(tape: Path, tmp_path: Path) -> None:
    for name in ("a.mxf", "b.mxf"):
        rewrite(tape, tmp_path / name)
    assert (tmp_path / "a.mxf").read_bytes() == (tmp_path / "b.mxf").read_bytes()


def test_other_sound_is_refused_or_converted(tmp_path: Path) -> None:
    source = make_video(tmp_path / "in.mp4", **SMALL, audio=[Audio("aac", seconds=0.4)])  # type: ignore[arg-type]
    with pytest.raises(VideoWriteError, match=r"cannot hold audio stream 1 .*--audio pcm"):
        plan_job(source, tmp_path / "out.mxf")
    notes = rewrite(source, tmp_path / "out.mxf", audio="pcm")
    assert notes == (
        "audio stream 1 (aac) is converted to pcm_s24le, its decoded fractions rounded to 24 bits",
    )


def test_sound_that_comes_first_in_the_input_is_written(tmp_path: Path, system_ffmpeg: str) -> None:
    first = make_video(tmp_path / "in.mkv", **SMALL, audio=SOUND[:1])  # type: ignore[arg-type]
    turned = tmp_path / "turned.mkv"
    command = [system_ffmpeg, "-v", "error", "-i", str(first), "-map", "0:1", "-map", "0:0"]
    subprocess.run([*command, "-c", "copy", str(turned)], check=True)
    rewrite(turned, tmp_path / "out.mxf")
    assert [one.type for one in probe(tmp_path / "out.mxf").streams] == ["video", "audio"]


def test_a_rate_that_mxf_does_not_know_is_refused_before_work(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mkv", size=(96, 64), pts=range(5), rate=13, time_base=Fraction(1, 13)
    )
    with pytest.raises(VideoWriteError, match=r"cannot be written to \.mxf .*write \.mkv"):
        plan_job(source, tmp_path / "out.mxf")
    assert not (tmp_path / "out.mxf").exists()
