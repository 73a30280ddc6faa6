"""Where a container has no times, what begins late is told before work."""

from __future__ import annotations

from pathlib import Path

import pytest
from rewriting import plan_job
from videos import Audio, make_video


@pytest.mark.parametrize(("ending", "lost"), [(".avi", True), (".mxf", True), (".mkv", False)])
@pytest.mark.parametrize(
    ("first_frame", "sound_s", "late"), [(5, 0.0, "video stream 0"), (0, 0.2, "audio stream 1")]
)
def test_a_late_stream_is_told(
    tmp_path: Path, ending: str, lost: bool, first_frame: int, sound_s: float, late: str
) -> None:
    sound = Audio("pcm_s16le", seconds=0.6, start_s=sound_s)
    pts = range(first_frame, first_frame + 12)
    source = make_video(tmp_path / "in.mkv", pts=pts, options={"bf": "0"}, audio=[sound])
    output = plan_job(source, tmp_path / f"out{ending}").output
    assert output is not None
    told = [note for note in output.notes if "begins 0.200 s late" in note]
    assert [note.startswith(late) for note in told] == ([True] if lost else [])
