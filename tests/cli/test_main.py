"""The command line as a person meets it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from clips import face_frames, frame_times, write_clip
from quick import QUICK_ARGUMENTS
from videos import make_video

import vidrestore
from vidrestore.cli import main
from vidrestore.cli.options import ALIASES
from vidrestore.config import dotted_fields

COUNT = 6


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clips") / "face.mp4", face_frames(COUNT))


def test_the_whole_program_is_two_names(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(clip), str(tmp_path / "out.mkv"), "--faces", "largest"]) == 0
    said = capsys.readouterr().err
    assert f"{COUNT} faces" in said and "out.mkv" in said and "libx264" in said
    assert len(frame_times(tmp_path / "out.mkv")) == COUNT


def test_report_and_preview(clip: Path, tmp_path: Path) -> None:
    report, preview = tmp_path / "report.json", tmp_path / "preview.png"
    arguments = [str(clip), str(tmp_path / "out.mp4"), *QUICK_ARGUMENTS, "--strength", "0.5"]
    arguments += ["--faces", "largest"]
    assert main([*arguments, "--report", str(report), "--preview", str(preview)]) == 0
    record = json.loads(report.read_text())
    assert (record["frames"], record["faces"], record["model"]) == (COUNT, COUNT, "debug")
    assert record["config"]["blend"]["strength"] == 0.5
    assert record["tracks"][0]["frames"] == COUNT
    assert cv2.imread(str(preview)).shape[1] == 1600


def test_a_dry_run_tells_everything_and_writes_nothing(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main([str(clip), str(tmp_path / "out.mp4"), "--dry-run", "--track.max-gap-frames=7"]) == 0
    )
    said = capsys.readouterr().out
    for word in ("libx264", "320", "max_gap_frames: 7", "embedded"):
        assert word in said
    assert list(tmp_path.iterdir()) == []


def test_probe(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe", str(clip)]) == 0
    said = capsys.readouterr().out
    assert "320" in said and "h264" in said and "yuv420p" in said


def test_encoders_do_not_print(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SVT-AV1 asks once a process how much it may say."""
    monkeypatch.delenv("SVT_LOG", raising=False)
    command = [sys.executable, "-m", "vidrestore", str(clip), str(tmp_path / "out.webm")]
    command += ["--codec", "libsvtav1", "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "libsvtav1" in done.stdout and done.stderr == ""


def test_inspect_tells_how_far_opening_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrestore.cli.progress._SAID_EVERY_S", 0.0)
    monkeypatch.setattr("vidrestore.video.read.survey._WATCHED", 10)
    source = make_video(tmp_path / "in.ts", codec="mpeg2video", size=(64, 48), pts=range(25))
    arguments = ["--out", str(tmp_path / "t.json"), "--end", "0.1", "--progress", "json"]
    assert main(["inspect", str(source), *arguments, *QUICK_ARGUMENTS[2:-2]]) == 0
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shares = [one["share"] for one in told if one.get("step") == "opening"]
    assert len(shares) > 1 and shares == sorted(shares) and shares[-1] > 0.5
    assert told[-1]["frames"] > 1


def test_a_file_named_like_a_command(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("probe").write_bytes(clip.read_bytes())
    assert main(["./probe", "out.mp4", *QUICK_ARGUMENTS]) == 0
    assert len(frame_times(Path("out.mp4"))) == COUNT


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "--help"]) == 0
    said = capsys.readouterr().out
    for dotted in dotted_fields():
        assert "--" + dotted.replace("_", "-") in said
    for alias in ALIASES.values():
        assert alias in said


def test_help_tells_numbers_from_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", "--help"]) == 0
    said = capsys.readouterr().out
    assert "--decode.prefilter TEXT" in said and "--encode.crf NUMBER" in said


def test_mistakes_end_without_a_stray_full_stop(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe"]) == 2
    said = "vidrestore: Missing argument 'INPUT' (see 'vidrestore probe --help')\n"
    assert capsys.readouterr().err == said


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_help_of_the_program(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) in (0, 2)
    said = "".join(capsys.readouterr())
    for word in ("INPUT OUTPUT", "probe", "models", "demo", "bench", "evaluate"):
        assert word in said


def test_the_demo_makes_a_video_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["demo", str(tmp_path / "restored.mp4"), "--seconds", "0.2"]) == 0
    said = capsys.readouterr().out
    assert len(frame_times(tmp_path / "restored.mp4")) == 5
    assert cv2.imread(str(tmp_path / "restored_before_after.png")) is not None
    assert "restored.mp4" in said and "restored_before_after.png" in said


def test_bench_beside_another_command(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = "import json; print(json.dumps({'frames': 5, 'faces': 5, 'frames_per_s': 0.5}))"
    arguments = ["bench", str(clip), "--frames", "5", "--model", "debug"]
    arguments += ["--against", f'"{sys.executable}" -c "{other}"']
    code = main([*arguments, "--out", str(tmp_path / "bench.json")])
    said = capsys.readouterr()
    assert code == 0, said.err
    record = json.loads((tmp_path / "bench.json").read_text())
    [five] = record["cases"]
    assert five["ours"][0]["frames"] == 5
    assert five["ours"][0]["peak_memory_mib"] > 100
    assert five["theirs"][0]["frames_per_s"] == 0.5
    assert record["machine"]["torch"]
    assert "ratio" in said.out and "peak" in said.out


def test_bench_refuses_more_frames_than_there_are(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(clip), "--frames", str(COUNT + 1)]) == 2
    assert f"holds {COUNT} frames" in capsys.readouterr().err


def test_python_m_vidrestore_is_the_program() -> None:
    command = [sys.executable, "-m", "vidrestore", "--version"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and vidrestore.__version__ in done.stdout


@pytest.mark.parametrize("command", [(), ("train",), ("degrade",), ("export",), ("evaluate",)])
def test_examples_in_help_have_a_line_each(
    command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0
    said = capsys.readouterr().out
    assert "\\b" not in said
    assert any(line.strip().startswith("vidrestore ") for line in said.splitlines())
