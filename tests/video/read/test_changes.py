"""What changes in the middle of a file is told before work, and the advice works."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import Audio, make_video

from vidrestore.config import DecodeConfig, resolve_config
from vidrestore.errors import VideoDecodeError
from vidrestore.job import Job, make_job
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import VideoReader
from vidrestore.video.write.writer import VideoWriter

WIDE = Fraction(4, 3)
"""Pixels of 64x48 shown as 16:9."""


def part(
    path: Path,
    *,
    first: int = 0,
    size: tuple[int, int] = (64, 48),
    sar: Fraction = Fraction(1),
    codec: str = "mpeg2video",
) -> bytes:
    """A second of a broadcast, whose clock begins with picture `first`."""
    return make_video(
        path, codec=codec, size=size, sar=sar, pts=range(first, first + 25),
        options={"g": "12", "bf": "0"}, muxer_options={"mpegts_copyts": "1"},
    ).read_bytes()  # fmt: skip


def broadcast(folder: Path, codec: str = "mpeg2video", **second: object) -> Path:
    path = folder / "broadcast.ts"
    one = part(folder / "1.ts", codec=codec)
    two = part(folder / "2.ts", first=25, codec=codec, **second)  # type: ignore[arg-type]
    path.write_bytes(one + two)
    return path


def planned(source: Path, output: Path, **decode: float) -> Job:
    values = {f"decode.{key}": value for key, value in decode.items()}
    return make_job(source, output, resolve_config(None, values))


def written(source: Path, output: Path, **decode: float) -> tuple[int, int, int, Fraction]:
    """(frames, width, height, pixels) of a part that was written."""
    job = planned(source, output, **decode)
    with VideoReader(source, DecodeConfig(**decode)) as reader:
        assert reader.info.sar == job.info.sar and reader.info.width == job.info.width
        with VideoWriter(output, reader.info, job.config.encode, window=reader.window) as writer:
            for frame in reader.frames():
                writer.write(frame)
            writer.commit()
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        shape = stream.codec_context.width, stream.codec_context.height
        pixels = Fraction(stream.sample_aspect_ratio or 1)
        return sum(1 for _ in container.decode(stream)), *shape, pixels


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_pixels_that_change_are_told_before_work(tmp_path: Path, codec: str) -> None:
    source = broadcast(tmp_path, codec, sar=WIDE)
    warnings = planned(source, tmp_path / "out.mp4").warnings
    [warning] = [one for one in warnings if "the picture changes" in one]
    assert "pixels 1:1" in warning and "pixels 4:3" in warning and "at 1.000 s" in warning
    [until], [since] = (re.findall(rf"--{name} ([\d.]+)", warning) for name in ("end", "start"))
    first = written(source, tmp_path / "1.mp4", end=float(until))
    second = written(source, tmp_path / "2.mp4", start=float(since))
    assert first == (25, 64, 48, Fraction(1))
    assert second == (25, 64, 48, WIDE)
    later = planned(source, tmp_path / "out.mp4", start=1.0).warnings
    assert not any("the picture changes" in one for one in later)


def test_a_size_that_changes_is_refused_before_work(tmp_path: Path) -> None:
    source = broadcast(tmp_path, size=(96, 48))
    with pytest.raises(VideoDecodeError, match=r"changes from 64x48.* to 96x48.*--end 1\.000"):
        planned(source, tmp_path / "out.mp4")
    assert written(source, tmp_path / "1.mp4", end=1.0)[:3] == (25, 64, 48)
    assert written(source, tmp_path / "2.mp4", start=1.0)[:3] == (25, 96, 48)


def test_a_format_that_returns_is_found_again(tmp_path: Path) -> None:
    source = broadcast(tmp_path, sar=WIDE)
    third = part(tmp_path / "3.ts", first=50, sar=Fraction(1))
    source.write_bytes(source.read_bytes() + third)
    info = probe(source)
    assert [one.at_s - info.start_s for one in info.changes] == [1, 2]
    assert [one.after.sar for one in info.changes] == [WIDE, Fraction(1)]


def test_sound_that_comes_late_has_its_parameters(tmp_path: Path) -> None:
    """FFmpeg looks at the first seconds only."""
    source = make_video(
        tmp_path / "late.ts", size=(32, 32), pts=range(0, 500), codec="mpeg2video",
        options={"g": "12"}, audio=[Audio("mp2", start_s=18.0, seconds=1.0)],
    )  # fmt: skip
    info = probe(source)
    assert info.streams[1].detail == "48000 Hz, mono"
