"""The program on damaged files: exit code, one line, and what is left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from videos import Audio, make_video

from vidrestore.cli import main

FRAMES = 50


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    """A file whose middle is gone."""
    path = make_video(
        tmp_path / "tape.mkv",
        pts=range(FRAMES),
        options={"g": "5", "bf": "0"},
        audio=[Audio(seconds=FRAMES / 25)],
    )
    data = path.read_bytes()
    begin, end = int(len(data) * 0.4), int(len(data) * 0.6)
    path.write_bytes(data[:begin] + bytes(end - begin) + data[end:])
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    code = main([*map(str, arguments), "--model", "debug", "--min-face", "10000"])
    return code, capsys.readouterr().err.splitlines()


def test_damage_leaves_nothing_and_says_what_to_do(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mkv"
    code, said = run(capsys, tape, output)
    assert code == 1
    [line] = [line for line in said if line.startswith("vidrestore:")]
    assert "tape.mkv" in line and "frames are missing or broken" in line
    assert "--keep-damaged" in line
    assert [path.name for path in tmp_path.iterdir()] == ["tape.mkv"]


def test_keep_damaged_keeps_what_there_is(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, report = tmp_path / "out.mkv", tmp_path / "report.json"
    code, said = run(capsys, tape, output, "--keep-damaged", "--report", report)
    assert code == 1
    assert said[-1].startswith("vidrestore:") and "is damaged" in said[-1]
    told = json.loads(report.read_text())
    assert told["damaged"] is True
    assert 0 < told["frames"] < FRAMES
    assert any("frames missing" in note and " s" in note for note in told["notes"])
    assert any("packets of audio stream 1" in note for note in told["notes"])
    assert output.stat().st_size > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.mkv",
        "report.json",
        "tape.mkv",
    ]


def test_more_can_be_accepted(
    tape: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.mkv"
    code, said = run(capsys, tape, output, "--decode.max-broken", "0.9")
    assert code == 0
    assert any("frames missing" in line for line in said)
    assert output.exists()
