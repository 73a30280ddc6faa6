"""NVIDIA's encoders can be asked for by name; where there is none, a line says what to do."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from clips import empty_frames, write_clip
from gpu import needs_cuda

from vidrestore import restore_video
from vidrestore.cli.main import main
from vidrestore.config import resolve_config
from vidrestore.errors import VideoWriteError
from vidrestore.video.write.codecs import choose_codec
from vidrestore.video.write.containers import container_of
from vidrestore.video.write.encoder_options import nvenc_options

ENCODERS = ["h264_nvenc", "hevc_nvenc", "av1_nvenc"]
SIZE = (320, 240)


def why_not(codec: str) -> str | None:
    """Why the encoder does not open here; None where it does."""
    try:
        choose_codec(container_of("a.mkv"), "yuv420p", *SIZE, codec)
    except VideoWriteError as error:
        return str(error)
    return None


@pytest.mark.parametrize("codec", ENCODERS)
def test_its_options_are_those_of_the_build(codec: str) -> None:
    context = av.CodecContext.create(codec, "w")
    known = {one.name: one for one in context.supported_options.private}
    generic = {one.name for one in context.supported_options.generic}
    for speed in ("ultrafast", "medium", "placebo"):
        for name, value in nvenc_options(codec, None, speed).items():
            assert name in known or name in generic
            words = {choice.name for choice in known[name].choices} if name in known else set()
            assert not words or value in words
    assert nvenc_options(codec, 30, "slow")["cq"] == "30"


def test_without_one_a_line_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if why_not("h264_nvenc") is None:
        pytest.skip("this machine has NVENC")
    clip = write_clip(tmp_path / "in.mkv", empty_frames(2, width=SIZE[0], height=SIZE[1]))
    options = ["--model", "debug", "--codec", "h264_nvenc"]
    assert main([str(clip), str(tmp_path / "out.mp4"), *options]) == 1
    told = capsys.readouterr().err
    assert "codec h264_nvenc does not open here: it needs a GPU that has it" in told
    assert "--codec libx264" in told and len(told.splitlines()) == 1
    assert not (tmp_path / "out.mp4").exists()


@needs_cuda()
@pytest.mark.cuda
@pytest.mark.parametrize("codec", ENCODERS)
def test_a_card_encodes(codec: str, tmp_path: Path) -> None:
    why = why_not(codec)
    if why is not None:  # as on GPUs of data centres, which have no encoder
        pytest.skip(f"this card has no {codec}: {why}")
    images = empty_frames(30, width=SIZE[0], height=SIZE[1])
    clip = write_clip(tmp_path / "in.mkv", images)
    for crf in (20, 40):
        values = {"restore.model": "debug", "encode.codec": codec, "encode.crf": crf}
        report = restore_video(clip, tmp_path / f"{crf}.mkv", config=resolve_config(None, values))
        assert report.codec == codec and report.frames == 30
    with av.open(str(tmp_path / "20.mkv")) as container:
        assert [frame.pts for frame in container.decode(video=0)] == [40 * i for i in range(30)]
    assert (tmp_path / "20.mkv").stat().st_size > (tmp_path / "40.mkv").stat().st_size
