"""Every picture once, and an account of the packets that gave none."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import make_video

from vidrestore.video.read.ledger import Ledger
from vidrestore.video.read.packets import PacketDecoder


def decode(path: Path) -> tuple[list[int], list[int], PacketDecoder]:
    """Times of pictures, times of packets without one, and the decoder."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        decoder = PacketDecoder(container, stream, Ledger(container, path))
        pictures, skipped = [], []
        for decoded in decoder.pictures():
            skipped += decoded.skipped
            if decoded.frame is not None:
                pictures.append(decoded.frame.pts)
        return pictures, skipped, decoder


def packet_places(path: Path) -> list[tuple[int, int, int]]:
    """(place in the file, bytes, time) of the packets, in order of decoding."""
    with av.open(str(path)) as container:
        return [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]


def overwrite(path: Path, place: int, size: int) -> None:
    data = bytearray(path.read_bytes())
    data[place : place + size] = bytes(size)
    path.write_bytes(data)


@pytest.mark.parametrize(
    "codec,options",
    [("libx264", {"bf": "3", "g": "10"}), ("mpeg4", {}), ("libvpx-vp9", {"lag-in-frames": "10"})],
)
def test_every_packet_gives_its_picture(
    tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    path = make_video(tmp_path / "in.mkv", codec=codec, pts=range(20), options=options)
    pictures, skipped, decoder = decode(path)
    assert len(pictures) == 20 and pictures == sorted(set(pictures))
    assert not skipped and decoder.errors == 0


def test_a_packet_that_decodes_to_nothing_is_told_by_its_time(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "in.mov", codec="mjpeg", pix_fmt="yuvj420p", pts=range(10), options={}
    )
    place, size, time = packet_places(path)[4]
    overwrite(path, place, size)
    pictures, skipped, decoder = decode(path)
    assert skipped == [time] and time not in pictures
    assert len(pictures) == 9 and decoder.errors == 1


def test_a_damaged_last_packet_is_told_after_the_last_picture(tmp_path: Path) -> None:
    path = make_video(
        tmp_path / "in.mov", codec="mjpeg", pix_fmt="yuvj420p", pts=range(5), options={}
    )
    place, size, time = packet_places(path)[-1]
    overwrite(path, place, size)
    pictures, skipped, _ = decode(path)
    assert len(pictures) == 4 and skipped == [time]


def test_times_that_vary_are_kept(tmp_path: Path) -> None:
    times = [0, 1, 3, 4, 9, 10, 30]
    path = make_video(
        tmp_path / "in.mp4", pts=times, time_base=Fraction(1, 30), rate=30, options={"bf": "2"}
    )
    pictures, skipped, _ = decode(path)
    first, tick = pictures[0], (pictures[1] - pictures[0])
    assert [(pts - first) // tick for pts in pictures] == times and not skipped
