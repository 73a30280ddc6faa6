"""`vidrestore degrade` as a person meets it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import Audio, make_video, packets_of, times_of

from vidrestore.cli import main


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("videos") / "in.mp4"
    return make_video(path, pts=range(8), audio=[Audio(seconds=0.3)])


def test_a_video_and_its_report(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report = tmp_path / "out.mp4", tmp_path / "report.json"
    arguments = ["degrade", str(video), str(out), "--recipe", "old_film", "--seed", "4"]
    assert main([*arguments, "--report", str(report), "--progress", "json", "--threads", "1"]) == 0
    said = capsys.readouterr().err
    assert "8 pictures" in said and "old_film" in said and '"frames": 8' in said
    assert times_of(out) == times_of(video)
    assert packets_of(out, 1) == packets_of(video, 1)
    record = json.loads(report.read_text())
    assert (record["seed"], record["frames"], record["recipe"]) == (4, 8, "old_film")
    # What was drawn is a recipe: with the same seed it does the same.
    again = tmp_path / "drawn.yaml"
    again.write_text(json.dumps(record["drawn"][0]))
    repeated = tmp_path / "again.mp4"
    arguments = ["degrade", str(video), str(repeated), "--recipe", str(again), "--seed", "4"]
    assert main([*arguments, "--threads", "1"]) == 0
    assert repeated.read_bytes() == out.read_bytes()


def test_a_picture(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    arguments = ["degrade", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--recipe", "gpen"]
    assert main(arguments) == 0
    assert cv2.imread(str(tmp_path / "b.png")).shape == image.shape


def test_existing_outputs_stay(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"mine")
    arguments = ["degrade", str(video), str(out), "--recipe", "super_resolution_x4"]
    assert main(arguments) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_bytes() == b"mine"
    assert main([*arguments, "--overwrite"]) == 0
    assert out.read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--recipe", "old_flm"], 2, "did you mean 'old_film'"),
        (["--recipe", "none.yaml"], 2, "check the path"),
        ([], 2, "--recipe"),
        (["--recipe", "vhs", "--seed", "-1"], 2, "--seed"),
        (["--recipe", "vhs", "--codec", "libx266"], 2, "unknown codec"),
    ],
)
def test_mistakes(
    video: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    assert main(["degrade", str(video), str(tmp_path / "out.mp4"), *options]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["degrade", "--list-recipes"]) == 0
    said = capsys.readouterr().out
    assert "gfpgan" in said and "blind_video" in said and "old_film" in said
