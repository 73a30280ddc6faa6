"""`labels.csv`: where it is looked for, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from labelled_faces import write_faces

from vidrestore.datasets.labels import find_labels, labelled_landmarks, read_labels
from vidrestore.errors import DataError


def test_labels_of_the_folder_above_are_found(tmp_path: Path) -> None:
    (tmp_path / "512").mkdir()
    (tmp_path / "256").mkdir()
    labels = write_faces(tmp_path, {"val": 2}, size=32) / "labels.csv"
    text = labels.read_text().replace("val_0.png", "512/val_0.png")
    labels.write_text(text.replace("val_1.png", "256/val_1.png"))
    found = find_labels(tmp_path / "512")
    assert found is not None and found[0].samefile(labels)
    assert [row["file"] for row in found[1]] == ["val_0.png"]
    whole = find_labels(tmp_path)
    assert whole is not None and len(whole[1]) == 2
    (tmp_path / "other").mkdir()
    assert find_labels(tmp_path / "other") is None


@pytest.mark.parametrize("bad", ["nan", "inf", "left", ""])
def test_numbers_that_are_none_are_named(bad: str, tmp_path: Path) -> None:
    labels = write_faces(tmp_path, {"val": 1}, size=32) / "labels.csv"
    (row,) = read_labels(labels)
    with pytest.raises(DataError, match=rf"val_0\.png: nose_y is .*{bad}"):
        labelled_landmarks({**row, "nose_y": bad}, labels)


def test_eyes_in_one_place_are_refused(tmp_path: Path) -> None:
    labels = write_faces(tmp_path, {"val": 1}, size=32) / "labels.csv"
    (row,) = read_labels(labels)
    eyes = {f"right_eye_{axis}": row[f"left_eye_{axis}"] for axis in "xy"}
    with pytest.raises(DataError, match=r"val_0\.png: both eyes are in one place"):
        labelled_landmarks({**row, **eyes}, labels)
