"""Filters before everything: one frame for each, at its own time, and size and pixels follow."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from interlaced import fields_of, woven, write_frames
from moving_face import pan
from videos import make_video

from vidrestore.cli import main
from vidrestore.config import resolve_config
from vidrestore.errors import UsageError, VideoDecodeError
from vidrestore.job import Job, make_job
from vidrestore.structs import Frame
from vidrestore.video.read.prefilter import prefiltered
from vidrestore.video.read.reader import VideoReader


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variable rate, pixels 16:15."""
    path = tmp_path_factory.mktemp("clips") / "a.mkv"
    pts, base = [0, 3, 4, 9, 10, 11, 30], Fraction(1, 50)
    return make_video(path, pts=pts, time_base=base, sar=Fraction(16, 15))


def planned(source: Path, **decode: object) -> Job:
    config = resolve_config(None, {f"decode.{key}": value for key, value in decode.items()})
    return make_job(source, source.with_name("out.mkv"), config)


def given(source: Path, **decode: object) -> list[Frame]:
    job = planned(source, **decode)
    with VideoReader(job.info, job.config.decode, window=job.window) as reader:
        return list(prefiltered(reader.frames(), job.filters))


@pytest.mark.parametrize(
    ("text", "size", "sar"),
    [
        ("crop=32:24:8:8", (32, 24), Fraction(16, 15)),
        ("scale=32:48", (32, 48), Fraction(32, 15)),
        ("scale=60:44,setsar=1", (60, 44), Fraction(1)),
        ("scale=62:46", (62, 46), Fraction(64 * 46 * 16, 62 * 48 * 15)),
        ("deflicker=size=3", (64, 48), Fraction(16, 15)),
    ],
)
def test_size_and_pixels_follow(
    clip: Path, text: str, size: tuple[int, int], sar: Fraction
) -> None:
    before, frames, job = given(clip), given(clip, prefilter=text), planned(clip, prefilter=text)
    assert job.output is not None
    assert (job.filtered.width, job.filtered.height, job.filtered.sar) == (*size, sar)
    assert (job.output.wanted.size, job.output.wanted.sar) == (size, sar)
    for frame, source in zip(frames, before, strict=True):
        assert (frame.picture.width, frame.picture.height) == size
        assert (frame.pts, frame.time_base, frame.index) == (
            source.pts,
            source.time_base,
            source.index,
        )
        shown = frame.display, job.filtered.display
        assert shown[0].width == shown[1].width and shown[0].height == shown[1].height
        assert np.allclose(shown[0].display_from_coded, shown[1].display_from_coded)


def test_the_pixel_format_stays_unless_it_is_chosen(clip: Path) -> None:
    assert planned(clip, prefilter="curves=vintage").filtered.pix_fmt == "yuv420p"
    assert planned(clip, prefilter="format=gray").filtered.pix_fmt == "gray"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fps=100", "one frame for each"),
        ("decimate", "one frame for each"),
        ("setpts=PTS+1/TB", "changes their times"),
        ("crp=16:16", "did you mean 'crop'"),
        ("crop=640:480", "do not go together"),
        ("crop=16:16,", "name is missing"),
        ("movie=a.mkv", "not for changing pictures"),
        ("metadata=print:file=a.txt", "not for changing pictures"),
    ],
)
def test_what_does_not_work_is_one_line_before_work(
    clip: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=f"^--prefilter '{text[:4]}"):
        planned(clip, prefilter=text)
    assert main([str(clip), str(clip.with_name("out.mp4")), "--prefilter", text]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and told in lines[0]
    assert not clip.with_name("out.mp4").exists()


def test_a_frame_that_filters_drop_later_ends_the_run(clip: Path) -> None:
    with pytest.raises(VideoDecodeError, match=r"gives no frame for the one at 0\.600 s"):
        given(clip, prefilter="select='lt(t,0.5)'")


def test_deinterlacing_gives_one_progressive_frame_for_each(tmp_path: Path) -> None:
    frames = woven(fields_of(pan(12, 5, x=40, y=60), 128, 96), "top")
    source = write_frames(tmp_path / "in.mkv", frames, options={"level": "3"})
    job = planned(source, deinterlace="bwdif")
    assert job.info.first_field == "top" and job.filtered.first_field is None
    out = given(source, deinterlace="bwdif")
    assert [frame.pts * frame.time_base for frame in out] == [Fraction(k, 25) for k in range(6)]
    for frame, interlaced in zip(out, frames, strict=True):
        assert not frame.picture.handle.interlaced_frame
        kept, lines = frame.picture.planes[0].numpy(), interlaced.picture.planes[0].numpy()
        assert np.array_equal(kept[::2], lines[::2])
        assert not np.array_equal(kept[1::2], lines[1::2])


def test_codecs_without_fields_take_what_is_deinterlaced(tmp_path: Path) -> None:
    frames = woven(fields_of(pan(4, 5, x=40, y=60), 128, 96), "top")
    source = write_frames(tmp_path / "in.mkv", frames, options={"level": "3"})
    options = ["--codec", "libx265", "--model", "debug"]
    assert main([str(source), str(tmp_path / "a.mp4"), *options]) == 1
    assert main([str(source), str(tmp_path / "b.mp4"), *options, "--deinterlace", "bwdif"]) == 0
    with av.open(str(tmp_path / "b.mp4")) as container:
        assert [frame.interlaced_frame for frame in container.decode(video=0)] == [False] * 2
