"""Files joined byte by byte in containers whose readers do not look for that."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from rewriting import plan_job, rewrite
from videos import Audio, make_video, packets_of, times_of

from vidrestore.config import DecodeConfig
from vidrestore.video.read.reader import VideoReader

FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
KINDS = {
    "a.mkv": {"codec": "libx264", "audio": [Audio("aac")]},
    "live.webm": {
        "codec": "libvpx",
        "audio": [Audio("libopus")],
        "muxer_options": {"live": "1"},
    },
    "fragments.mp4": {"codec": "libx264", "audio": [Audio("aac")], "muxer_options": FRAGMENTS},
}


@pytest.mark.parametrize("name", KINDS)
def test_both_parts_are_read_one_after_the_other(tmp_path: Path, name: str) -> None:
    one = make_video(tmp_path / name, options={"g": "12"}, **KINDS[name])  # type: ignore[arg-type]
    both, out = tmp_path / f"both{one.suffix}", tmp_path / "out.mkv"
    both.write_bytes(one.read_bytes() * 2)
    assert any("the file's clock jumps at 1.0" in note for note in plan_job(both, out).warnings)
    assert rewrite(both, out) == ()
    times = times_of(out)
    assert len(times) == 2 * len(times_of(one)) == 50
    assert all(0.03 < after - before < 0.12 for before, after in pairwise(times))
    sound = [time for time, _ in packets_of(out, 1) if time is not None]
    assert len(sound) == 2 * len(packets_of(one, 1))
    assert all(0.01 < after - before < 0.08 for before, after in pairwise(sound))
    with VideoReader(both, DecodeConfig(), threads=1) as reader:
        assert len(list(reader.frames())) == 50
        assert not any("damaged" in note for note in reader.notes)


def test_a_second_file_that_nobody_reads_is_told(tmp_path: Path) -> None:
    one = make_video(tmp_path / "one.mp4")
    assert plan_job(one, tmp_path / "out.mp4").warnings == ()
    (tmp_path / "both.mp4").write_bytes(one.read_bytes() * 2)
    (warning,) = plan_job(tmp_path / "both.mp4", tmp_path / "out.mp4").warnings
    assert "another file is joined behind this one" in warning
