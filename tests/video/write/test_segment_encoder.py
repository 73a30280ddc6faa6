"""Segments with an encoder each: joined on one clock, and equal wherever they were encoded."""

from __future__ import annotations

import io
import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest
from clips import empty_frames, write_clip

from vidrestore.config import EncodeConfig
from vidrestore.structs import Frame
from vidrestore.video.read.info import VideoInfo
from vidrestore.video.read.probe import probe
from vidrestore.video.read.reader import DecodeConfig, VideoReader
from vidrestore.video.read.window import Window
from vidrestore.video.write.encoded_packet import EncodedPacket
from vidrestore.video.write.picture_encoder import PictureEncoder
from vidrestore.video.write.plan import plan_output
from vidrestore.video.write.segment_encoder import EncoderSettings, SegmentEncoder

BORDERS = (1, 12, 13)
"""Two segments of one frame are among them."""
FRAMES = 24
CODECS = [
    ("libx264", ".mkv", "yuv420p"),
    ("libx264", ".mp4", "yuv420p"),
    ("libx265", ".mp4", "yuv420p"),
    ("libsvtav1", ".mkv", "yuv420p"),
    ("libvpx-vp9", ".webm", "yuva420p"),
    ("ffv1", ".mkv", "yuv420p"),
    ("prores_ks", ".mov", "yuv422p10le"),
    ("dnxhd", ".mov", "yuv422p"),
    ("mpeg2video", ".ts", "yuv420p"),
    ("mpeg4", ".avi", "yuv420p"),
]


def pictures(tmp_path: Path, pix_fmt: str) -> tuple[VideoInfo, list[Frame]]:
    images = empty_frames(FRAMES, width=256, height=128)
    clip = write_clip(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt=pix_fmt)
    with VideoReader(clip, DecodeConfig()) as reader:
        return probe(clip), list(reader.frames())


@pytest.mark.parametrize(("codec", "ending", "pix_fmt"), CODECS)
def test_segments_encoded_apart_give_the_bytes_of_the_whole(
    tmp_path: Path, codec: str, ending: str, pix_fmt: str
) -> None:
    info, frames = pictures(tmp_path, pix_fmt)
    config = EncodeConfig(codec=codec, speed="ultrafast" if codec == "libx265" else "veryfast")
    plan = plan_output(info, tmp_path / f"out{ending}", config)
    window = Window(time_base=info.time_base)
    settings = EncoderSettings(plan, info, config, window, 1)

    def begins(frame: Frame) -> bool:
        return frame.index in BORDERS

    def written(stored: dict[int, tuple[list[int], list[EncodedPacket]]] | None) -> bytes:
        file = io.BytesIO()
        options = {"fflags": "+bitexact"}
        with av.open(file, "w", format=plan.container.muxer, container_options=options) as out:
            encoder = PictureEncoder(out, plan, info, config, window, 1, begins)
            out.start_encoding()
            if stored is None:
                for frame in [*frames, None]:
                    out.mux(encoder.encode(frame))
            for times, packets in (stored or {}).values():
                for packet in encoder.place(times, packets):
                    out.mux(packet)
            if stored is not None:
                out.mux(encoder.encode(None))
        return file.getvalue()

    stored = {}
    bounds = [0, *BORDERS, FRAMES]
    for first, end in list(itertools.pairwise(bounds))[::-1]:
        context = settings.new_context(global_header=ending in (".mkv", ".mp4", ".mov", ".webm"))
        before = settings.ticks(frames[first - 1]) if first else None
        segment = SegmentEncoder(settings, context, before)
        packets = [one for frame in [*frames[first:end], None] for one in segment.encode(frame)]
        times = [settings.ticks(frame) for frame in frames[first:end]]
        assert sorted(packet.pts for packet in packets) == times
        stored[first] = times, packets
    whole = written(None)
    assert written(dict(sorted(stored.items()))) == whole
    with av.open(io.BytesIO(whole)) as container:
        shown = [frame.pts * frame.time_base for frame in container.decode(video=0)]
        assert len(shown) == FRAMES
        assert {b - a for a, b in itertools.pairwise(shown)} <= {
            Fraction(1, 25) + Fraction(n, 1000) for n in (-1, 0, 1)
        }
    with av.open(io.BytesIO(whole)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
    dts = [packet.dts for packet in packets if packet.dts is not None]
    assert dts == sorted(set(dts))
    assert sum(packet.is_keyframe for packet in packets) >= 4
