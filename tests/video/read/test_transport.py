"""Streams that a broadcast adds in the middle are seen, with their time."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from videos import Audio, make_video

from vidrestore.video.read.transport import late_streams


def broadcast(folder: Path, **options: object) -> Path:
    """Half a second of picture alone, then half a second with sound."""
    first = make_video(folder / "a.ts", pts=range(12), **options)  # type: ignore[arg-type]
    sound = [Audio("mp2", start_s=0.48, seconds=0.5)]
    then = make_video(folder / "b.ts", pts=range(12, 25), audio=sound, **options)  # type: ignore[arg-type]
    joined = folder / "joined.ts"
    joined.write_bytes(first.read_bytes() + then.read_bytes())
    return joined


def pids(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [stream.id for stream in container.streams]


@pytest.mark.parametrize("muxer_options", [{}, {"mpegts_m2ts_mode": "1"}], ids=["188", "192"])
def test_a_sound_track_that_appears_midway_is_found(
    tmp_path: Path, muxer_options: dict[str, str]
) -> None:
    path = broadcast(tmp_path, muxer_options=muxer_options)
    [video], [_, sound] = pids(tmp_path / "a.ts"), pids(tmp_path / "b.ts")
    [late] = late_streams(path, {video})
    assert late.pid == sound and late.packets > 3
    assert late.at_s == pytest.approx(0.48, abs=0.03)


def test_known_streams_are_not_late(tmp_path: Path) -> None:
    path = broadcast(tmp_path)
    assert late_streams(path, set(pids(tmp_path / "b.ts"))) == []


@pytest.mark.parametrize("content", [b"", b"\x47", b"no transport stream " * 100])
def test_other_files_hold_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.ts"
    path.write_bytes(content)
    assert late_streams(path, set()) == []
