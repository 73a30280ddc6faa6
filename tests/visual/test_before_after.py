"""The before/after picture shows both pictures, and the largest restored face."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch

from vidrestore.geometry import identity
from vidrestore.structs import Display, Face, Frame
from vidrestore.video.picture.samples import picture_from_rgb
from vidrestore.visual.before_after import Preview, before_after


def frame_of(index: int, *sizes: float, restored: bool = True) -> Frame:
    """A dark frame whose restored picture is lighter with each index, with faces of these sizes."""
    dark, light = (np.full((120, 160, 3), value, np.uint8) for value in (40, 200 + 10 * index))
    crop = torch.zeros(3, 8, 8) if restored else None
    faces = tuple(
        Face(np.array([20.0, 20, 20 + size, 20 + size]), np.zeros((5, 2)), 0.9, crop=crop)
        for size in sizes
    )
    display = Display(160, 120, identity())
    picture, source = picture_from_rgb(light), picture_from_rgb(dark)
    return Frame(index, index, Fraction(1, 25), picture, display, faces=faces, source=source)


def test_before_is_left_and_after_is_right() -> None:
    drawn = before_after(frame_of(0, 40), width=400)
    assert drawn.shape == (150 + 200, 400, 3)
    for rows in (slice(60, 140), slice(220, 340)):
        assert (drawn[rows, 20:180] == 40).all() and (drawn[rows, 220:380] == 200).all()


def test_without_a_restored_face_only_whole_pictures_are_shown() -> None:
    assert before_after(frame_of(0), width=400).shape == (150, 400, 3)
    assert before_after(frame_of(0, 40, restored=False), width=400).shape == (150, 400, 3)


def test_the_frame_with_the_largest_restored_face_is_kept(tmp_path: Path) -> None:
    best = Preview()
    for frame in (frame_of(0, 30), frame_of(1, 20, 70), frame_of(2, 50)):
        best.consider(frame)
    best.consider(frame_of(3, 100, restored=False))
    best.save(tmp_path / "preview.png")
    saved = cv2.imread(str(tmp_path / "preview.png"))
    np.testing.assert_array_equal(saved[..., ::-1], before_after(frame_of(1, 20, 70)))


def test_no_frames_no_picture(tmp_path: Path) -> None:
    Preview().save(tmp_path / "preview.png")
    assert not (tmp_path / "preview.png").exists()


def test_faces_beyond_the_border_are_shown_as_far_as_they_go() -> None:
    frame = frame_of(0, 40)
    outside = replace(frame.faces[0], box_xyxy=np.array([-300.0, -300, -200, -200]))
    assert before_after(replace(frame, faces=(outside,)), width=400).shape[1] == 400
