"""`vidrestore train` and `vidrestore export` as a person meets them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from labelled_faces import write_faces
from tiny_training import REPORT, SIZE, TINY

from vidrestore.cli import main
from vidrestore.cli.export import export
from vidrestore.cli.train import _Preparing, train
from vidrestore.training.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faces(tmp_path_factory.mktemp("data"), {"train": 2, "val": 1}, size=SIZE)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    stage = {"images": 8, "batch_size": 2, "window": 16}
    content = {**TINY["compact_generator"], "report": REPORT, "stages": [stage]}
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"task": "compact_generator", **content}), encoding="utf-8")
    return path


def test_training_stopping_resuming_exporting(config: Path, data: Path, tmp_path: Path) -> None:
    out, weights = tmp_path / "run", tmp_path / "weights.safetensors"
    arguments = [str(config), "--data", str(data), "--out", str(out), "--workers", "0"]
    arguments += ["--device", "cpu", "--set", f"data.size_px={SIZE}"]
    run = CliRunner().invoke(train, [*arguments, "--steps", "2", "--set", "seed=3"])
    assert run.exit_code == 0, run.output
    assert read_checkpoint(out / "last.pt").images == 4
    again = CliRunner().invoke(train, [*arguments, "--resume", "--set", "seed=3"])
    assert again.exit_code == 0, again.output
    assert "8 of 8 images" in again.output and "0 min left: pixel" in again.output
    found = read_checkpoint(out / "last.pt")
    assert found.images == 8 and found.config["seed"] == 3
    told = CliRunner().invoke(export, [str(out / "best.pt"), str(weights), "--half"])
    assert told.exit_code == 0, told.output
    assert "CompactUNet" in told.output and "8 images seen" in told.output
    assert weights.stat().st_size > 1000


def test_two_processes_with_loaders_share_a_training(
    config: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = [sys.executable, "-m", "vidrestore", "train", str(config), "--data", str(data)]
    command += ["--out", str(out), "--processes", "2", "--workers", "1", "--device", "cpu"]
    command += ["--set", f"data.size_px={SIZE}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert read_checkpoint(out / "last.pt").images == 8


def test_mistakes_are_one_line(
    config: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(data), "--out", str(tmp_path / "run")]
    cases = [
        (["train", str(tmp_path / "no.yaml"), *common], 1, "check the path"),
        (["train", str(config), *common, "--set", "sead=1"], 1, "did you mean 'seed'"),
        (["train", str(config), *common, "--set", "seed"], 2, "dotted.key=value"),
        (["train", str(config), "--data", str(data)], 2, "--out"),
        (["train", str(config), *common, "--device", "tpu9"], 2, "tpu9"),
        (["train", str(config), "--data", str(tmp_path / "no"), *common[2:]], 1, "no such folder"),
        (["export", str(tmp_path / "no.pt"), str(tmp_path / "a.onnx")], 1, "no such file"),
        (["export", str(tmp_path / "no.pt"), str(tmp_path / "a.onnx"), "--half"], 2, "float32"),
    ]
    for arguments, code, words in cases:
        assert main(arguments) == code
        said = capsys.readouterr().err
        assert words in said and "Traceback" not in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["train", "export"])
def test_help_is_for_people(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"vidrestore {command}" in said
    for word in {"train": ("--resume", "--set", "--processes"), "export": (".onnx",)}[command]:
        assert word in said


def test_faces_that_take_long_are_counted_on_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    told = _Preparing()
    for done in (0, 32, 64, 90):
        told(done, 90)
    assert capsys.readouterr().err.splitlines() == [
        f"cutting out faces and turning them aside: {done} of 90" for done in (0, 90)
    ]
