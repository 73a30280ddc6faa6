"""Frame rates of packets are believed where a header has a default or a placeholder."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from avi_files import write_avi
from hypothesis import given, settings
from hypothesis import strategies as st
from videos import make_video

from vidrestore.config import DecodeConfig
from vidrestore.structs import Frame
from vidrestore.video.read.probe import probe
from vidrestore.video.read.rate import believed_rate, rate_of_steps
from vidrestore.video.read.reader import VideoReader

NTSC = Fraction(30000, 1001)


def read(path: Path) -> tuple[list[Frame], tuple[str, ...]]:
    with VideoReader(path, DecodeConfig(), threads=1) as reader:
        return list(reader.frames()), reader.notes


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, Fraction(50), Fraction(24000, 1001)])
@pytest.mark.parametrize("suffix", [".h264", ".m2v"])
def test_raw_streams_have_the_rate_of_their_own_headers(
    tmp_path: Path, suffix: str, rate: Fraction
) -> None:
    path = make_video(
        tmp_path / f"raw{suffix}",
        codec="libx264" if suffix == ".h264" else "mpeg2video",
        rate=rate,
        time_base=1 / rate,
        muxer="h264" if suffix == ".h264" else "mpeg2video",
    )
    info = probe(path)
    assert (info.average_rate, info.n_frames_estimate) == (rate, 25)
    assert info.duration_s == pytest.approx(float(25 / rate), rel=0.05)
    frames, notes = read(path)
    times = [frame.pts * frame.time_base for frame in frames]
    assert len(times) == 25 and notes == ()
    assert times[-1] - times[0] == pytest.approx(float(24 / rate), abs=1e-4)


def test_raw_dv_has_25_frames_a_second(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "tape.dv"), "w") as out:
        stream = out.add_stream("dvvideo", rate=25, width=720, height=576, pix_fmt="yuv420p")
        for index in range(5):
            frame = av.VideoFrame(720, 576, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.pts = index
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    info = probe(tmp_path / "tape.dv")
    assert info.average_rate == 25 and info.n_frames_estimate == 5


def without_default_duration(path: Path) -> Path:
    """Matroska whose track states no duration of a frame, as remuxed web video does."""
    data = path.read_bytes()
    at = data.index(b"\x23\xe3\x83")  # DefaultDuration becomes as many bytes of Void
    size = data[at + 3] & 0x7F
    path.write_bytes(
        data[:at] + bytes([0xEC, 0x80 | (size + 2)]) + bytes(size + 2) + data[at + 4 + size :]
    )
    return path


@pytest.mark.parametrize("rate", [Fraction(30), NTSC, Fraction(25)])
@pytest.mark.parametrize("suffix", [".mkv", ".flv"])
def test_milliseconds_are_no_frame_rate(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    path = make_video(
        tmp_path / f"web{suffix}",
        codec="libx264" if suffix == ".mkv" else "flv1",
        rate=rate,
        time_base=1 / rate,
        pts=range(90),
        muxer_options={"flvflags": "no_metadata"} if suffix == ".flv" else {},
    )
    info = probe(without_default_duration(path) if suffix == ".mkv" else path)
    assert info.average_rate == rate
    assert info.n_frames_estimate == pytest.approx(90, abs=1)


def test_an_avi_file_of_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "m.mov", codec="mjpeg", pix_fmt="yuvj420p", pts=range(20))
    with av.open(str(clip)) as container:
        chunks = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    path = write_avi(
        tmp_path / "pipe.avi", chunks, fourcc=b"MJPG", sound=[bytes(640)] * 20, is_streamed=True
    )
    info = probe(path)
    assert info.n_frames_estimate == 20 and info.duration_s == pytest.approx(0.8)
    frames, notes = read(path)
    assert len(frames) == 20 and notes == ()


def test_a_rate_that_packets_confirm_stays() -> None:
    def rate(told: Fraction, times: list[int]) -> Fraction | None:
        return believed_rate(told, Fraction(1, 1000), times, [33] * len(times))

    paused = [0, 33, 67, 100, 1000, 1033, 1067]
    assert rate(Fraction(25), paused) == Fraction(25)
    assert rate(Fraction(1000), [0, 33]) == Fraction(1000)  # too few to tell
    assert rate(Fraction(1000), [0, 67, 33, 133, 100]) == Fraction(30)


@settings(max_examples=100, deadline=None)
@given(
    rate=st.sampled_from(
        [Fraction(24), Fraction(25), NTSC, Fraction(30), Fraction(60), Fraction(12)]
    ),
    count=st.integers(200, 250),
    begin=st.integers(0, 10**6),
)
def test_times_rounded_to_milliseconds_give_their_rate(
    rate: Fraction, count: int, begin: int
) -> None:
    times = [begin + round(1000 * i / rate) for i in range(count)]
    steps = [after - before for before, after in pairwise(times)]
    assert abs(rate_of_steps(steps, Fraction(1, 1000)) - rate) < rate / 900
