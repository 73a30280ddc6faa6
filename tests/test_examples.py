"""examples/: each script, run as its first lines say."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from clips import decoded_planes, face_frames, write_clip

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "tape.mp4", face_frames(3))


Run = Callable[..., str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a script with arguments; gives what it prints."""

    def run_script(script: str, *arguments: Path) -> str:
        path = str(ROOT / "examples" / script)
        monkeypatch.setattr(sys, "argv", [path, *map(str, arguments)])
        runpy.run_path(path, run_name="__main__")
        return capsys.readouterr().out

    return run_script


def largest_change(before: Path, after: Path) -> int:
    pairs = zip(decoded_planes(before), decoded_planes(after), strict=True)
    return max(int((one[0].int() - other[0].int()).abs().max()) for one, other in pairs)


def test_one_video_is_restored(run: Run, clip: Path, tmp_path: Path) -> None:
    said = run("restore_one_video.py", clip, tmp_path / "out.mp4")
    assert "restored 3 faces in 3 frames" in said and "person 0: frames 0 to 2" in said
    assert largest_change(clip, tmp_path / "out.mp4") > 10


def test_frames_are_taken_one_by_one(run: Run, clip: Path, tmp_path: Path) -> None:
    said = run("loop_over_frames.py", clip, tmp_path / "pictures")
    [path] = said.splitlines()
    pair = cv2.imread(path)
    assert pair is not None and pair.shape == (240, 640, 3)
    assert (pair[:, :320] != pair[:, 320:]).any()


def test_a_network_of_ones_own_restores(run: Run, clip: Path, tmp_path: Path) -> None:
    said = run("own_network.py", clip, tmp_path / "a.mp4", clip, tmp_path / "b.mp4")
    assert said.count("Sharpen, 3 faces") == 2
    assert largest_change(clip, tmp_path / "a.mp4") > 10
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("script", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_run_here(script: Path) -> None:
    assert f'run("{script.name}"' in Path(__file__).read_text(encoding="utf-8")
