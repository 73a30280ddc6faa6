"""The detector on made-up scenes of held-out faces, source by source."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from labelled_faces import BOX_512, POINTS, write_faces
from portrait_bank import portrait_bank

from vidrestore.cli.main import main


def _faces_of_two_sources(folder: Path) -> Path:
    """The portrait's face, and a flat gray that is said to hold one, which nobody finds."""
    bank = portrait_bank()
    numbers = np.concatenate([bank.boxes_xyxy[0], bank.landmarks[0].ravel()])
    columns = [*BOX_512, *(f"{point}_{axis}" for point in POINTS for axis in "xy")]
    lines = [",".join(["file", "source", "split", *columns])]
    for source, picture in (
        ("portrait", bank.pictures[0]),
        ("flat", np.full((256, 256, 3), 128, np.uint8)),
    ):
        cv2.imwrite(str(folder / f"{source}.png"), picture[..., ::-1])
        lines.append(",".join([f"{source}.png", source, "val", *map(str, numbers)]))
    (folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_each_source_is_measured_by_its_own_faces(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces, out = _faces_of_two_sources(tmp_path), tmp_path / "counts.json"
    command = ["evaluate", "scenes", str(faces), "--scenes", "4", "--upright", "--out", str(out)]
    assert main(command) == 0
    counts = json.loads(out.read_text())
    assert list(counts) == ["portrait", "flat", "all"]
    assert counts["flat"]["n_reference"] > 0 == counts["flat"]["n_found"]
    assert counts["portrait"]["n_found"] > 0
    assert counts["all"]["n_found"] == counts["portrait"]["n_found"]
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == list(counts)


def test_a_split_without_faces_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces = write_faces(tmp_path, {"val": 1}, size=256)
    assert main(["evaluate", "scenes", str(faces), "--split", "test"]) == 1
    assert "'test'" in capsys.readouterr().err
