"""Pictures are read whole, or refused by name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidrestore.datasets.images import encode_jpeg, find_pictures, read_picture
from vidrestore.errors import ImageOpenError

IMAGE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 2]


def coded(ending: str, *options: int) -> bytes:
    return cv2.imencode(ending, np.ascontiguousarray(IMAGE[..., ::-1]), options)[1].tobytes()


def with_a_thumbnail() -> bytes:
    """A JPEG that holds a small JPEG, as cameras write them."""
    inner, outer = coded(".jpg"), coded(".jpg", cv2.IMWRITE_JPEG_QUALITY, 60)
    segment = b"Exif\0\0" + inner
    return outer[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + outer[2:]


WHOLE = {
    "a.jpg": coded(".jpg"),
    "progressive.jpg": coded(".jpg", *PROGRESSIVE),
    "thumbnail.jpg": with_a_thumbnail(),
    "a.png": coded(".png"),
    "a.webp": coded(".webp", cv2.IMWRITE_WEBP_QUALITY, 101),
}


@pytest.mark.parametrize("name", WHOLE)
@pytest.mark.parametrize("behind", [b"", b"\0" * 9, b"a phone's film"])
def test_whole_pictures_are_read_whatever_lies_behind(
    name: str, behind: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(WHOLE[name] + behind)
    image = read_picture(tmp_path / name)
    assert image.shape == IMAGE.shape
    if not name.endswith("jpg"):
        assert np.array_equal(image, IMAGE)


@given(name=st.sampled_from(sorted(WHOLE)), share=st.floats(0, 1, exclude_max=True))
def test_pictures_that_are_cut_off_anywhere_are_refused(
    name: str, share: float, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("cut") / name
    path.write_bytes(WHOLE[name][: int(share * len(WHOLE[name]))])
    with pytest.raises(ImageOpenError, match=rf"{name}: .*damaged"):
        read_picture(path)


def test_pictures_of_all_folders_are_found_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = ["a.JPG", "b/c.png", "d.tif"]
    for name in [*names, "e.txt", "labels.csv"]:
        (tmp_path / name).touch()
    assert [path.relative_to(tmp_path).as_posix() for path in find_pictures(tmp_path)] == names


def test_a_jpeg_comes_back_in_its_colours(tmp_path: Path) -> None:
    colours = np.array([[[200, 40, 30]], [[30, 60, 190]]], np.uint8)
    picture = np.repeat(np.repeat(colours, 16, 0), 32, 1)
    path = tmp_path / "a.jpg"
    path.write_bytes(encode_jpeg(picture, 95))
    apart = np.abs(read_picture(path).astype(int) - picture)
    assert apart[[*range(12), *range(20, 32)]].max() < 6  # Chroma is shared across the border.
