"""What changes in the middle of a file is told before work, and the advice works."""

from __future__ import annotations

import io
import re
import struct
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import Audio, make_video

from vidrestore.config import DecodeConfig, resolve_config
from vidrestore.errors import VideoDecodeError
from vidrestore.job import Job, make_job
from vidrestore.video.container.mp4 import Box, boxes_in, read_movie, sample_descriptions
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


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_parameters_inside_mp4_are_told_before_work(
    tmp_path: Path, codec: str, system_ffmpeg: str
) -> None:
    both, source = broadcast(tmp_path, codec, size=(96, 48)), tmp_path / "in.mp4"
    command = [system_ffmpeg, "-v", "error", "-copyts", "-i", str(both), "-c", "copy", str(source)]
    subprocess.run(command, check=True)
    with pytest.raises(VideoDecodeError, match=r"changes from 64x48.* to 96x48.*--end 1\.000"):
        planned(source, tmp_path / "out.mkv")
    assert written(source, tmp_path / "1.mkv", end=1.0)[:3] == (25, 64, 48)
    assert written(source, tmp_path / "2.mkv", start=1.0)[:3] == (25, 96, 48)


@pytest.mark.parametrize(("codec", "at_s"), [("libx264", 1.0), ("mpeg2video", 0.96)])
def test_parameters_inside_matroska_are_told_before_work(
    tmp_path: Path, codec: str, at_s: float, system_ffmpeg: str
) -> None:
    """Both parts lie in one cluster."""
    both, source = broadcast(tmp_path, codec, size=(96, 48)), tmp_path / "in.mkv"
    command = [system_ffmpeg, "-v", "error", "-copyts", "-i", str(both), "-c", "copy", str(source)]
    subprocess.run(command, check=True)
    with pytest.raises(VideoDecodeError, match=f"changes from 64x48.* to 96x48.*--end {at_s:.3f}"):
        planned(source, tmp_path / "out.mkv")
    assert written(source, tmp_path / "1.mkv", end=at_s)[1:3] == (64, 48)
    assert written(source, tmp_path / "2.mkv", start=at_s)[:3] == (25, 96, 48)


def test_a_change_in_an_older_cluster_is_found_at_its_place(
    tmp_path: Path, system_ffmpeg: str
) -> None:
    both, source = broadcast(tmp_path, "libx264", sar=WIDE), tmp_path / "in.mkv"
    command = [system_ffmpeg, "-v", "error", "-copyts", "-i", str(both), "-c", "copy"]
    subprocess.run([*command, "-cluster_time_limit", "700", str(source)], check=True)
    [change] = probe(source).changes
    assert change.at_s == 1 and change.after.sar == WIDE


def test_descriptions_of_a_track_are_told_before_work(tmp_path: Path, system_ffmpeg: str) -> None:
    both, plain = broadcast(tmp_path, "libx264", size=(96, 48)), tmp_path / "plain.mp4"
    command = [system_ffmpeg, "-v", "error", "-copyts", "-i", str(both), "-c", "copy", str(plain)]
    subprocess.run(command, check=True)
    source = tmp_path / "in.mp4"
    source.write_bytes(with_second_description(plain.read_bytes(), first=25, width=96))
    assert list(sample_descriptions(read_movie(source), 1)) == [(25, (64, 48)), (25, (96, 48))]
    [change] = probe(source).changes
    assert (change.at_s, change.after.width) == (1, 96)


def with_second_description(data: bytes, first: int, width: int) -> bytes:
    """An MP4 file, its index at the end, whose samples from a number on have another description.

    All samples get a chunk each, so that the table of chunks is told by one row a description.
    """
    at = data.index(b"moov") - 4
    samples = packets_in(data)

    def changed(box: Box) -> Box:
        if box.kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            inner = b"".join(changed(one).to_bytes() for one in boxes_in(box.content))
            return Box(box.kind, inner)
        if box.kind == b"stsd":
            entry = next(boxes_in(box.content[8:]))
            other = entry.content[:24] + width.to_bytes(2, "big") + entry.content[26:]
            entries = entry.to_bytes() + Box(entry.kind, other).to_bytes()
            return Box(b"stsd", bytes(4) + (2).to_bytes(4, "big") + entries)
        if box.kind == b"stsc":
            return Box(b"stsc", struct.pack(">2I6I", 0, 2, 1, 1, 1, first + 1, 1, 2))
        if box.kind == b"stco":
            return Box(b"stco", struct.pack(f">2I{len(samples)}I", 0, len(samples), *samples))
        return box

    return data[:at] + b"".join(changed(one).to_bytes() for one in boxes_in(data[at:]))


def packets_in(data: bytes) -> list[int]:
    """Where each packet of the picture begins."""
    with av.open(io.BytesIO(data)) as container:
        return [entry.pos for entry in container.streams.video[0].index_entries]


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9", "libsvtav1"])
@pytest.mark.parametrize("live", ["0", "1"])
def test_sizes_that_change_in_webm_are_told_before_work(
    tmp_path: Path, codec: str, live: str
) -> None:
    """Browsers record what a call sends, without an index."""
    parts = [
        make_video(tmp_path / f"{width}.webm", codec=codec, size=(width, 64), pts=range(25))
        for width in (64, 96)
    ]
    source = tmp_path / "in.webm"
    with av.open(str(source), "w", container_options={"live": live}) as out:
        for number, path in enumerate(parts):
            with av.open(str(path)) as container:
                if not number:
                    stream = out.add_stream_from_template(container.streams.video[0], opaque=True)
                for packet in container.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = (packet.pts or 0) + 1000 * number
                        packet.stream = stream
                        out.mux(packet)
    with pytest.raises(VideoDecodeError, match=r"changes from 64x64.* to 96x64.*--end 1\.000"):
        planned(source, tmp_path / "out.mkv")


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
