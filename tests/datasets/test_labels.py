"""`labels.csv`: where it is looked for, and what is refused in it."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest
from labelled_faces import write_faces

from vidrestore.datasets import labels as labels_module
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


@pytest.mark.parametrize("bad", ["nan", "inf", "1e9", "left", ""])
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


HEAD = "file,split\n"
WIDE = ",".join(["file", *(f"c{number}" for number in range(1000))])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"x" * ((1 << 26) + 1), "67108865 bytes, more than the 67108864"),
        (HEAD.encode() + b"a" * 20_000 + b",val\n", "line 2 has 20005 characters, more than"),
        (b"a," * 10_000, "line 1 has 20000 characters"),
        (WIDE.encode() + b"\n" + b"a\n" * 20_000, "more than 9990 rows of 1001 columns"),
        (HEAD.encode() + b'"' + b"a\n" * 100_000, "field larger than field limit"),
        (HEAD.encode() + b"a,val,1\n", "line 2 has more columns than the first line"),
        (b"split,file\ntrain,a.png\nval\n", "line 3 has no file"),
        (HEAD.encode() + b",val\n", "line 2 has no file"),
        (b"name\na\n", "no rows with a column 'file'"),
        (b"file\n", "no rows with a column 'file'"),
        (b"", "no rows with a column 'file'"),
        (b"file\n\xff\n", "save it as comma-separated UTF-8"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_labels_without_sense_or_bounds_are_refused(
    content: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(DataError, match=words) as caught:
        find_labels(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 300 << 20


def test_many_rows_are_read_and_too_many_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "labels.csv").write_text(HEAD + "a.png,val\n" * 50_000)
    assert len(read_labels(tmp_path / "labels.csv")) == 50_000
    monkeypatch.setattr(labels_module, "_MOST_CELLS", 99_999)
    with pytest.raises(DataError, match="more than 49999 rows of 2 columns; split the folder"):
        read_labels(tmp_path / "labels.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="must be a file"):
        read_labels(tmp_path / "labels.csv")
