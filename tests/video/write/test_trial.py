"""What would fail at the end of the work is refused, or mended, before it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rewriting import plan_job, rewrite
from videos import Audio, make_video, packets_of

from vidrestore.errors import VideoWriteError
from vidrestore.runtime.output_file import check_outputs

UNNAMED = Audio("pcm_s16le", seconds=0.5, layout="stereo")
"""AVI does not name the channels of PCM."""


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("capture") / "capture.avi"
    return make_video(path, codec="mjpeg", pix_fmt="yuvj420p", pts=range(10), audio=[UNNAMED])


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".m4v"])
def test_channels_without_names_get_their_usual_places(
    capture: Path, tmp_path: Path, ending: str
) -> None:
    out = tmp_path / f"out{ending}"
    rewrite(capture, out)
    with av.open(str(out)) as written:
        expected = {"stereo"} if ending != ".mkv" else {"stereo", "2 channels"}
        assert written.streams.audio[0].codec_context.layout.name in expected
    assert [data for _, data in packets_of(out, 1)] == [data for _, data in packets_of(capture, 1)]


def test_a_trial_leaves_nothing(capture: Path, tmp_path: Path) -> None:
    assert plan_job(capture, tmp_path / "out.mp4").output is not None
    assert list(tmp_path.iterdir()) == []


def test_what_only_the_end_of_a_file_refuses_is_told_before_work(tmp_path: Path) -> None:
    sound = Audio("pcm_s16le", seconds=0.5, layout="4 channels")
    source = make_video(tmp_path / "a.avi", codec="mjpeg", pix_fmt="yuvj420p", audio=[sound])
    with pytest.raises(VideoWriteError, match=r"cannot be written to \.mp4.*write \.mkv"):
        plan_job(source, tmp_path / "out.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]
    assert plan_job(source, tmp_path / "out.mkv").output is not None


@pytest.fixture(scope="module")
def ntsc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interlaced 4:2:0 whose lines are not a multiple of four, as of capture cards (720x486)."""
    path = tmp_path_factory.mktemp("ntsc") / "ntsc.mkv"
    return make_video(path, codec="mpeg2video", size=(64, 54), pts=range(4), interlaced=True)


def test_fields_of_odd_lines_take_a_codec_that_holds_them(ntsc: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    rewrite(ntsc, out)
    with av.open(str(out)) as written:
        assert written.streams.video[0].codec_context.name == "ffv1"
        assert [frame.height for frame in written.decode(video=0)] == [54] * 4


@pytest.mark.parametrize(("ending", "codec"), [(".mov", "auto"), (".mkv", "libx264")])
def test_fields_that_no_codec_holds_are_refused_before_work(
    ntsc: Path, tmp_path: Path, ending: str, codec: str
) -> None:
    with pytest.raises(VideoWriteError, match=r"interlaced yuv420p at 64x54; .*(\.mkv|ffv1)"):
        plan_job(ntsc, tmp_path / f"out{ending}", codec=codec)


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9"])
def test_codecs_without_fields_are_refused_for_interlaced(tmp_path: Path, codec: str) -> None:
    source = make_video(tmp_path / "a.mkv", pts=range(3), interlaced=True)
    with pytest.raises(VideoWriteError, match=f"{codec} cannot hold inter.*add --codec libx264"):
        plan_job(source, tmp_path / "out.mkv", codec=codec)


@given(st.text(st.sampled_from("nü日😀"), min_size=1, max_size=260))
def test_names_are_tried_as_long_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    out = tmp_path_factory.getbasetemp() / f"{name}.mp4"
    if len(out.name.encode()) <= 255:
        check_outputs([out])
    else:
        with pytest.raises(VideoWriteError, match="too long for this folder"):
            check_outputs([out])


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_the_longest_name_is_written(capture: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"{'n' * (255 - len(ending))}{ending}"
    rewrite(capture, out)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
