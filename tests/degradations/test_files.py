"""Pictures and folders of pictures on disk."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vidrestore.config import EncodeConfig
from vidrestore.datasets.images import read_picture
from vidrestore.degradations import load_recipe
from vidrestore.degradations.files import (
    degrade,
    degrade_picture,
    write_picture,
)
from vidrestore.errors import ImageOpenError, UsageError, VideoWriteError

RECIPE = load_recipe("gfpgan")


@pytest.fixture
def folder(tmp_path: Path, picture: np.ndarray) -> Path:
    """Three pictures of different formats and one damaged one."""
    made = tmp_path / "in"
    made.mkdir()
    for number, name in enumerate(("a.png", "b.webp", "d.jpg")):
        image = np.roll(picture, 10 * number, axis=1)
        cv2.imwrite(str(made / name), np.rint(255 * image[..., ::-1]).astype(np.uint8))
    (made / "c.png").write_bytes(b"no picture")
    (made / "labels.csv").write_text("file\n")
    return made


def test_a_folder_is_degraded_by_number(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = degrade(folder, out, RECIPE, seed=3)
    assert sorted(path.name for path in out.iterdir()) == ["a.png", "b.webp", "d.jpg"]
    assert report.frames == 3 and [one["file"] for one in report.drawn] == [
        "a.png",
        "b.webp",
        "d.jpg",
    ]
    assert len(report.notes) == 1 and "c.png" in report.notes[0]
    for number, name in ((0, "a.png"), (1, "b.webp")):
        wanted, _ = degrade_picture(read_picture(folder / name), RECIPE, (3, number))
        assert np.array_equal(read_picture(out / name), wanted)


def test_a_picture_alone_is_the_first_of_its_folder(folder: Path, tmp_path: Path) -> None:
    degrade(folder, tmp_path / "out", RECIPE, seed=3)
    degrade(folder / "a.png", tmp_path / "alone.png", RECIPE, seed=3)
    assert (tmp_path / "alone.png").read_bytes() == (tmp_path / "out/a.png").read_bytes()
    degrade(folder / "a.png", tmp_path / "other.png", RECIPE, seed=4)
    assert (tmp_path / "alone.png").read_bytes() != (tmp_path / "other.png").read_bytes()


def test_folders_within_the_folder_keep_their_places(folder: Path, tmp_path: Path) -> None:
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "d.jpg").rename(folder / "deep" / "er" / "d.jpg")
    report = degrade(folder, tmp_path / "out", RECIPE)
    assert [one["file"] for one in report.drawn] == ["a.png", "b.webp", "deep/er/d.jpg"]
    assert (tmp_path / "out" / "deep" / "er" / "d.jpg").is_file()


def test_nothing_is_replaced_unless_told(folder: Path, tmp_path: Path) -> None:
    degrade(folder, tmp_path / "out", RECIPE)
    with pytest.raises(VideoWriteError, match=r"exists.*--overwrite"):
        degrade(folder, tmp_path / "out", RECIPE)
    degrade(folder, tmp_path / "out", RECIPE, encode=EncodeConfig(overwrite=True))
    with pytest.raises(VideoWriteError, match="the input itself"):
        degrade(folder, folder, RECIPE, encode=EncodeConfig(overwrite=True))


def test_errors_say_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="one of the endings"):
        degrade(folder / "a.png", tmp_path / "out.mp4", RECIPE)
    with pytest.raises(ImageOpenError, match="no such file"):
        degrade(tmp_path / "none.png", tmp_path / "out.png", RECIPE)
    with pytest.raises(ImageOpenError, match="damaged"):
        degrade(folder / "c.png", tmp_path / "out.png", RECIPE)
    with pytest.raises(VideoWriteError, match="create it first"):
        degrade(folder / "a.png", tmp_path / "no" / "out.png", RECIPE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageOpenError, match="no picture in it"):
        degrade(tmp_path / "empty", tmp_path / "out", RECIPE)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", [".png", ".webp", ".bmp", ".tiff"])
def test_pictures_are_written_without_loss(tmp_path: Path, suffix: str) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_picture(tmp_path / f"x{suffix}", image)
    assert np.array_equal(read_picture(tmp_path / f"x{suffix}"), image)
