"""What headers and indexes promise is what whole files give, and damaged ones lack."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from videos import Audio, make_video

from vidrestore.video.read.ledger import Ledger
from vidrestore.video.read.promise import missing_frames, missing_packets, stated_end_s
from vidrestore.video.read.shortfall import FrameTimes


def account(path: Path) -> tuple[int, int, Fraction | None]:
    """Of all packets read: missing frames, missing packets of sound, and the stated end."""
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        ledger = Ledger(container, path)
        packets = list(ledger.packets(container.streams))
        times = FrameTimes(round(1 / (25 * video.time_base)))
        for pts in sorted(one.pts for one in packets if one.stream.index == video.index):
            times.add(pts)
        frames, _ = missing_frames(container, video, ledger, times, end_s=None, to_window_end=False)
        lost, promised, _ = missing_packets(container, sound, ledger, from_start=True, end_s=None)
        assert promised >= lost
        return frames, lost, stated_end_s(container, video, ledger)


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".avi", ".ts"])
def test_a_whole_file_lacks_nothing(tmp_path: Path, ending: str) -> None:
    path = make_video(tmp_path / f"in{ending}", audio=[Audio("mp2" if ending == ".ts" else "aac")])
    frames, sound, _ = account(path)
    assert (frames, sound) == (0, 0)


def test_matroska_states_the_end_of_each_stream(tmp_path: Path) -> None:
    _, _, end_s = account(make_video(tmp_path / "in.mkv", audio=[Audio(seconds=2)]))
    assert end_s == 1


def test_the_frames_behind_a_cut_are_missing(tmp_path: Path) -> None:
    path = make_video(tmp_path / "in.mkv", codec="ffv1", audio=[Audio()])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with av.open(str(path)) as container:
        came = sum(bool(packet.size) for packet in container.demux(video=0))
    frames, sound, _ = account(path)
    assert 0 < came < 25 and frames == pytest.approx(25 - came, abs=1)
    assert sound > 10
