"""Labels on pictures, and the palette."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np
import pytest

from vidrestore.evaluation.page import _names
from vidrestore.geometry import identity
from vidrestore.structs import Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_rgb
from vidrestore.visual.before_after import before_after
from vidrestore.visual.label import draw_label
from vidrestore.visual.overlay import drawn
from vidrestore.visual.palette import COLOURS, get_colour, get_rgb

GREY = 128


def changed_area(image: np.ndarray) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero((image != GREY).any(-1))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("size", [(64, 48), (320, 240), (1280, 720)])
@pytest.mark.parametrize("place", [(0, 0), (1, 1), (0.5, 0.5), (-2, -2), (3, 3), (1, 0)])
@pytest.mark.parametrize("text", ["0  1.00", "12  0.35 size yaw blur score"])
def test_labels_lie_inside_the_picture(
    size: tuple[int, int], place: tuple[float, float], text: str
) -> None:
    width, height = size
    image = np.full((height, width, 3), GREY, np.uint8)
    x0, y0, x1, y1 = draw_label(image, text, (place[0] * width, place[1] * height))
    assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
    assert changed_area(image) == (x0, y0, x1, y1)


def test_letters_have_a_margin_on_every_side() -> None:
    image = np.full((400, 1200, 3), GREY, np.uint8)
    x0, y0, x1, y1 = draw_label(image, "|gjpqy| WÅ", (20, 200), scale=2.0, plate=(0, 0, 0))
    plate = image[y0:y1, x0:x1]
    assert plate.max() > 200
    edge = [plate[:3], plate[-3:], plate[:, :3], plate[:, -3:]]
    assert all(side.max() == 0 for side in edge)


@pytest.mark.parametrize("scale", [0.45, 0.8, 2.4])
def test_text_is_drawn_once(scale: float) -> None:
    """Plate and text have two colours; a second, shifted text would bring a third."""
    image = np.full((200, 900, 3), GREY, np.uint8)
    x0, y0, x1, y1 = draw_label(image, "before", (10, 180), scale=scale, plate=(255, 255, 255))
    plate = image[y0:y1, x0:x1, 0].astype(int)
    _, baseline = cv2.getTextSize("before", cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    assert plate.max() == 255 and plate.min() < 90 and baseline >= 0
    inked = (plate < 128).mean()
    assert 0.02 < inked < 0.3


def test_a_picture_without_room_stays_as_it_is() -> None:
    image = np.full((4, 4, 3), GREY, np.uint8)
    assert draw_label(image, "0  1.00", (0, 0)) == (0, 0, 0, 0)
    assert (image == GREY).all()


@pytest.mark.parametrize("index", range(len(COLOURS)))
def test_text_contrasts_with_every_colour(index: int) -> None:
    image = np.full((60, 200, 3), GREY, np.uint8)
    x0, y0, x1, y1 = draw_label(image, "III", (0, 60), scale=1.5, plate=get_rgb(index))
    plate = image[y0:y1, x0:x1].reshape(-1, 3)
    luminances = (plate / 255.0) ** 2.2 @ [0.2126, 0.7152, 0.0722] + 0.05
    assert luminances.max() / luminances.min() > 4.3


def test_colours_of_24_people_differ() -> None:
    rgb = np.array([get_rgb(index) for index in range(24)], np.float32)[None] / 255
    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB)[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1) + 100 * np.eye(24)
    assert apart.min() > 25
    assert get_colour(0) == get_colour(24)


def frame_with_face(size: tuple[int, int], box: tuple[float, float, float, float]) -> Frame:
    width, height = size
    picture = picture_from_rgb(np.full((height, width, 3), GREY, np.uint8))
    x0, y0, x1, y1 = box
    landmarks = np.array([[x0, y0], [x1, y0], [x0, y1], [x0, y1], [x1, y1]])
    face = Face(np.array(box), landmarks, 0.9, 3, gated_by=("size", "yaw"))
    return Frame(5, 5, Fraction(1, 25), picture, Display(*size, identity()), True, (face,))


@pytest.mark.parametrize("corner", [(-20, -20), (150, -20), (150, 90), (-20, 90)])
def test_overlay_labels_faces_at_the_border(corner: tuple[int, int]) -> None:
    size = (160, 120)
    box = (corner[0], corner[1], corner[0] + 40, corner[1] + 40)
    image = drawn(frame_with_face(size, box))
    red, green, blue = get_rgb(3)
    plate = (np.abs(image.astype(int) - [red, green, blue]) < 3).all(-1)
    assert plate.sum() > 800  # the whole plate: a cut one is smaller


def test_preview_and_page_have_their_labels() -> None:
    shown = before_after(frame_with_face((320, 240), (100, 80, 180, 160)), width=800)
    for left in (0, 400):
        assert (shown[:40, left : left + 120] == 24).all(-1).mean() > 0.3
    strip = _names(["embedded", "a-name-that-is-much-longer-than-a-tile-is-wide" * 3], 1000)
    assert strip.shape == (28, 1000, 3) and strip.min() < 90
