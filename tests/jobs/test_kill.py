"""A process that is killed, by a signal no program can catch, loses next to nothing."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from clips import face_frames, write_clip
from quick import QUICK_ARGUMENTS

from vidrestore.cli import main
from vidrestore.jobs.store import job_folder

OPTIONS = [*QUICK_ARGUMENTS, "--job.segment-s", "0.3", "--threads", "1"]


def arguments(source: Path, output: Path, *more: str) -> list[str]:
    return [str(source), str(output), *OPTIONS, *more]


def kill_once_there(source: Path, output: Path, wanted: Path, *more: str) -> None:
    """Run, and kill as soon as the job has stored a file."""
    command = [sys.executable, "-m", "vidrestore", *arguments(source, output, *more)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 300
        while not wanted.exists():
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    assert not output.exists()


ENCODERS = [
    pytest.param(".mp4", (), id="x264"),
    pytest.param(".mkv", ("--codec", "ffv1"), id="ffv1", marks=pytest.mark.soak),
    pytest.param(".mov", ("--codec", "prores_ks"), id="prores", marks=pytest.mark.soak),
]


@pytest.mark.parametrize(("ending", "more"), ENCODERS)
def test_a_killed_run_goes_on(
    tmp_path: Path, ending: str, more: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    def run(output: Path) -> str:
        """In this process, which nothing kills."""
        code = main(arguments(clip, output, *more))
        said = capsys.readouterr().err
        assert code == 0, said
        return said

    pix_fmt = "yuv422p10le" if ending == ".mov" else "yuv420p"
    images = face_frames(28, width=96, height=64)
    clip = write_clip(tmp_path / "in.mkv", images, codec="ffv1", pix_fmt=pix_fmt)
    whole, output = tmp_path / f"whole{ending}", tmp_path / f"out{ending}"
    more = more or ("--codec", "libx264")
    assert "going on" not in run(whole)
    folder = job_folder(output, None)
    kill_once_there(clip, output, folder / "analysis/00000.json", *more)
    kill_once_there(clip, output, folder / "segments/00001.packets", *more)
    told = run(output)
    assert re.search(r"going on at segment [34] \([23] segments kept\)", told), told
    assert output.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["in.mkv", output.name, whole.name]
    )
