"""What belongs to the picture and is not among its samples: kept, or named before work."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from rewriting import plan_job, rewrite

from vidrestore.video.picture.side_data import known_side_data, side_data_names


def captioned(path: Path) -> int:
    with av.open(str(path)) as video:
        return sum("A53_CC" in side_data_names(frame) for frame in video.decode(video=0))


def test_side_data_that_pyav_has_no_name_for_hides_no_other(shared: Path) -> None:
    with av.open(str(shared / "media" / "water_180_mvhevc_5frames.mov")) as video:
        frame = next(video.decode(video=0))
        with pytest.raises(ValueError, match="not a valid Type"):
            list(frame.side_data)
        assert {data.type.name for data in known_side_data(frame)} >= {"STEREO3D", "SPHERICAL"}


def test_spatial_video_says_that_its_second_view_is_left_out(shared: Path, tmp_path: Path) -> None:
    source = shared / "media" / "water_180_mvhevc_5frames.mov"
    job = plan_job(source, tmp_path / "out.mov")
    assert job.output is not None
    assert "second view" in job.output.notes[0]
    assert (job.info.width, job.info.height) == (1934, 2160)


def test_dolby_vision_is_named_before_work(shared: Path, tmp_path: Path) -> None:
    job = plan_job(shared / "media" / "dolbyVision-hdr.MOV", tmp_path / "out.mov")
    assert job.output is not None
    assert any("Dolby Vision" in note for note in job.output.notes)


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_captions_stay_in_every_frame(shared: Path, tmp_path: Path, codec: str) -> None:
    source = shared / "cases" / "captions_lost_outside_x264" / "captions.mp4"
    assert rewrite(source, tmp_path / "out.mkv", codec=codec) == ()
    assert captioned(tmp_path / "out.mkv") == captioned(source) == 30


@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".ts"])
def test_captions_that_begin_later_are_named_before_work(
    shared: Path, tmp_path: Path, ending: str
) -> None:
    whole = shared / "cases" / "captions_lost_outside_x264" / "captions.mp4"
    late, source = tmp_path / "late.mp4", tmp_path / f"in{ending}"
    late.write_bytes(whole.read_bytes().replace(b"GA94", b"none", 3))
    with av.open(str(late)) as container, av.open(str(source), "w") as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    output = plan_job(source, tmp_path / "out.mkv", codec="ffv1").output
    assert output is not None
    assert "closed captions" in output.notes[0]


def test_captions_that_a_codec_lacks_are_named_before_work(shared: Path, tmp_path: Path) -> None:
    source = shared / "cases" / "captions_lost_outside_x264" / "captions.mp4"
    job = plan_job(source, tmp_path / "out.mkv", codec="ffv1")
    assert job.output is not None
    assert "closed captions" in job.output.notes[0]
