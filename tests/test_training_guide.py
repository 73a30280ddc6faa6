"""docs/training.md: its way from pictures to a restored video, run as it is written."""

from __future__ import annotations

import re
import shlex
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from clips import decoded_planes, face_frames, write_clip

from vidrestore.cli import main
from vidrestore.models.weights.checkpoint import read
from vidrestore.training.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The only block of a language."""
    [found] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return str(found)


def write_photos(folder: Path, count: int) -> None:
    """The portrait, large and in several tones."""
    folder.mkdir()
    portrait = cv2.imread(str(resources.files("vidrestore") / "demo" / "astronaut.png"))
    assert portrait is not None
    wide = cv2.resize(portrait, (1024, 1000))
    for index in range(count):
        cv2.imwrite(str(folder / f"{index}.png"), np.uint8(wide * (1 - 0.1 * index)))


def test_the_way_from_pictures_to_a_restored_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDRESTORE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    Path("configs").symlink_to(ROOT / "configs")
    write_photos(Path("photos"), 3)
    write_clip(Path("in.mp4"), face_frames(3))
    exec(compile(block("python"), "docs/training.md", "exec"), {})
    assert len(Path("faces/labels.csv").read_text().splitlines()) == 4

    commands = [shlex.split(line) for line in block("sh").splitlines()]
    assert [command[1] for command in commands] == ["train", "train", "export", "in.mp4"]
    for program, *arguments in commands:
        assert program == "vidrestore"
        # Loaders do not survive being forked from a process that has threads, as this one.
        loaders = ["--workers", "0"] if arguments[0] == "train" else []
        assert main([*arguments, *loaders]) == 0

    prior = read_checkpoint(Path("runs/prior/best.pt")).state["average"]
    shipped = read(Path("gfpgan.safetensors"))
    assert shipped.metadata["arch"] == "GFPGANv1"
    for name, value in prior.items():
        assert torch.equal(shipped.state[f"stylegan_decoder.{name}"], value), name
    before, after = (decoded_planes(Path(name)) for name in ("in.mp4", "out.mp4"))
    assert len(before) == len(after) == 3
    assert (after[1][0].int() - before[1][0].int()).abs().max() > 20  # The face is another one.


def test_what_the_guide_names_is_there() -> None:
    for name in re.findall(r"configs/train/\w+\.yaml", GUIDE):
        assert (ROOT / name).is_file(), name
    for option in set(re.findall(r"--set ([a-z_.]+)=", GUIDE)):
        assert any(option.split(".")[-1] + ":" in path.read_text(encoding="utf-8")
                   for path in (ROOT / "configs" / "train").glob("*.yaml")), option  # fmt: skip
