"""What goes through the system's FFmpeg: every frame at its time, all that is told of it, and the
other streams; what fails is one line.
"""

from __future__ import annotations

import json
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest
import torch
from clips import decoded_planes, frame_times
from rewriting import plan_job
from videos import Audio, Chapter, Colour, Subtitle, make_video, packets_of

from vidrestore.config import DecodeConfig, resolve_config
from vidrestore.errors import NotAvailableError, UsageError, VideoWriteError
from vidrestore.job import make_job
from vidrestore.run import open_writer
from vidrestore.video.ffmpeg.arguments import parse_arguments
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader

pytestmark = pytest.mark.usefixtures("system_ffmpeg")

TIMES = [0, 1000, 1900, 3000, 4100, 6000, 7000, 8000, 9050, 10000, 11000, 12000]
TICK = Fraction(1, 25000)
LOSSLESS = "-c:v ffv1"


def encode(source: Path, out: Path, arguments: str, **decode: object) -> tuple[str, ...]:
    """Write all frames of `source` through FFmpeg; the notes."""
    encoding = {"sink": "ffmpeg", "ffmpeg_args": arguments}
    config = resolve_config({"encode": encoding, "decode": decode})
    job = make_job(source, out, config, own_restorer=True, own_detector=True)
    with (
        VideoReader(job.info, DecodeConfig(), threads=1, window=job.window) as reader,
        open_writer(job) as writer,
    ):
        for frame in reader.frames():
            writer.write(frame)
        writer.commit()
        return writer.notes


def streams_of(path: Path) -> list[dict[str, object]]:
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    found: list[dict[str, object]] = json.loads(subprocess.check_output(command))["streams"]
    return found


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Variable rate, sound, text, chapters, an attachment, wide pixels and colours."""
    return make_video(
        tmp_path_factory.mktemp("uneven") / "in.mkv",
        pts=TIMES,
        time_base=TICK,
        audio=[Audio("aac", seconds=0.6, language="deu")],
        subtitles=[Subtitle(language="fra")],
        chapters=[Chapter(0, 0.2, "one"), Chapter(0.2, 0.5, "two")],
        attachments=[("a.ttf", "font/ttf", b"xx")],
        sar=Fraction(4, 3),
        colour=Colour(2, 1, 1, 13),
        metadata={"title": "a=b;c"},
    )


def test_samples_times_streams_and_tags_arrive(uneven: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    assert encode(uneven, out, LOSSLESS) == ()
    before, after = frame_times(uneven), frame_times(out)
    late = after[0] - before[0]  # Matroska has no negative times: all streams move together
    assert [time - late for time in after] == before
    for index in (1, 2):
        expected = [(time + late, data) for time, data in packets_of(uneven, index)]
        assert [data for _, data in packets_of(out, index)] == [data for _, data in expected]
        assert packets_of(out, index)[0][0] == pytest.approx(float(expected[0][0]), abs=0.0011)
    for one, other in zip(decoded_planes(uneven), decoded_planes(out), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    source, written = probe(uneven), probe(out)
    assert (written.sar, written.colour) == (source.sar, source.colour)
    assert [one.type for one in written.streams] == [one.type for one in source.streams]
    assert [one.language for one in written.streams[1:3]] == ["deu", "fra"]
    assert [one.metadata for one in written.chapters] == [one.metadata for one in source.chapters]
    assert written.metadata["title"] == "a=b;c"


def test_a_part_begins_at_zero_with_its_sound(uneven: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    notes = encode(uneven, out, LOSSLESS, start=0.1, end=0.45)
    inside = [time for time in frame_times(uneven) if 0.1 <= time < 0.45]
    assert frame_times(out) == [time - inside[0] for time in inside]
    sound = [(time, data) for time, data in packets_of(uneven, 1) if inside[0] <= time < 0.44]
    written = packets_of(out, 1)
    assert [data for _, data in written[: len(sound)]] == [data for _, data in sound]
    assert written[0][0] == pytest.approx(float(sound[0][0] - inside[0]), abs=0.0011)
    assert any("subtitles" in note for note in notes)


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_what_lies_beside_the_samples_arrives(tmp_path: Path, ending: str) -> None:
    colour, turned = Colour(1, 9, 9, 16), (90.0, False)
    source = make_video(
        tmp_path / "in.mp4", pts=range(6), pix_fmt="yuv420p10le", colour=colour, rotation=turned
    )
    out = tmp_path / f"out{ending}"
    assert encode(source, out, "-c:v libx265 -preset ultrafast") == ()
    before, after = probe(source), probe(out)
    assert (after.rotation, after.colour) == (90, before.colour)
    assert streams_of(out)[0]["codec_name"] == "hevc"


def test_fields_stay_fields(tmp_path: Path) -> None:
    source = make_video(
        tmp_path / "in.mkv", codec="mpeg2video", pts=range(6), size=(64, 64), interlaced=True
    )
    encode(source, tmp_path / "out.mkv", "-c:v libx264 -preset ultrafast")
    orders = []
    for path in (source, tmp_path / "out.mkv"):
        with av.open(str(path)) as opened:
            frame = next(opened.decode(video=0))
            orders.append((frame.interlaced_frame, str(streams_of(path)[0]["field_order"])[0]))
    assert orders[0] == orders[1]
    with pytest.raises(VideoWriteError, match="libx265 has no tools for interlaced video"):
        encode(source, tmp_path / "b.mkv", "-c:v libx265")


def test_sound_is_converted_where_asked(tmp_path: Path) -> None:
    sound = [Audio("pcm_s16le", seconds=0.5, layout="stereo")]
    source = make_video(tmp_path / "in.avi", codec="mjpeg", pix_fmt="yuvj420p", audio=sound)
    out = tmp_path / "out.mp4"
    encode(source, out, "-c:v libx264 -preset ultrafast -c:a aac")
    assert [one["codec_name"] for one in streams_of(out)] == ["h264", "aac"]


FAILURES = {
    "-c:v nosuch": "FFmpeg ended early (exit code 1): Unknown encoder 'nosuch'",
    "-c:v libx264 -nosuch 1": "Unrecognized option 'nosuch'",
    "-c:v libx264 -profile:v nosuch": "rror",
}


@pytest.mark.parametrize("arguments", FAILURES)
def test_what_ffmpeg_refuses_is_one_line_before_work(
    uneven: Path, tmp_path: Path, arguments: str
) -> None:
    with pytest.raises(VideoWriteError) as told:
        plan_job(uneven, tmp_path / "out.mkv", sink="ffmpeg", ffmpeg_args=arguments)
    assert FAILURES[arguments] in str(told.value) and "\n" not in str(told.value)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_breaks_is_told_with_ffmpegs_words(uneven: Path, tmp_path: Path) -> None:
    config = {"sink": "ffmpeg", "ffmpeg_args": "-c:v ffv1"}
    job = plan_job(uneven, tmp_path / "out.mkv", **config)
    with (
        VideoReader(job.info, DecodeConfig(), threads=1) as reader,
        pytest.raises(VideoWriteError, match=r"FFmpeg ended early \(exit code -9, after"),
        open_writer(job) as writer,
    ):
        writer._process._process.kill()  # type: ignore[attr-defined]
        for frame in reader.frames():
            for later in range(2000):
                writer.write(frame.__class__(**_later(frame, later)))
    assert list(tmp_path.iterdir()) == []


def _later(frame: object, steps: int) -> dict[str, object]:
    fields = {name: getattr(frame, name) for name in frame.__dataclass_fields__}  # type: ignore[attr-defined]
    return fields | {"pts": fields["pts"] + steps}


def test_frames_that_ffmpeg_leaves_out_are_told(uneven: Path, tmp_path: Path) -> None:
    notes = encode(uneven, tmp_path / "out.mkv", "-c:v ffv1 -frames:v 3")
    assert notes == ("FFmpeg was given 12 frames and encoded 3, as --ffmpeg-args ask",)


WRONG = {
    "x": "'x' belongs to no option",
    "-c:v libx264 y": "'y' belongs to no option",
    "-i other.mp4": "-i is settled by the program",
    "-c:v 'libx264": "quotation mark",
    "-c:v copy": "has to be encoded",
}


@pytest.mark.parametrize("arguments", WRONG)
def test_arguments_that_are_none_are_refused(uneven: Path, tmp_path: Path, arguments: str) -> None:
    with pytest.raises(UsageError, match=WRONG[arguments]):
        plan_job(uneven, tmp_path / "out.mkv", sink="ffmpeg", ffmpeg_args=arguments)


@pytest.mark.parametrize("encode", [{"codec": "libx265"}, {"crf": 20}, {"profile": "access"}])
def test_options_of_our_own_encoders_are_refused(
    uneven: Path, tmp_path: Path, encode: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match="is not used by --sink ffmpeg"):
        plan_job(uneven, tmp_path / "out.mkv", sink="ffmpeg", **encode)
    with pytest.raises(UsageError, match="are for --sink ffmpeg"):
        plan_job(uneven, tmp_path / "out.mkv", ffmpeg_args="-c:v ffv1")


def test_a_missing_program_is_told(
    uneven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotAvailableError, match="ffmpeg is not on the PATH; install it"):
        plan_job(uneven, tmp_path / "out.mkv", sink="ffmpeg")


def test_values_may_be_negative_and_options_without_one() -> None:
    expected = {"c:v": "libx264", "bf": "-1", "an": None, "x264-params": "a=1 2"}
    assert parse_arguments("-c:v libx264 -bf -1 -an -x264-params 'a=1 2'") == expected
