"""The conditions of the detector's measure do to frames and answers what they say."""

from __future__ import annotations

import numpy as np
import pytest

from vidrestore.cli.evaluate_detector import detector as detector_command
from vidrestore.demo.clip import portrait
from vidrestore.evaluation.conditions import CONDITIONS
from vidrestore.evaluation.detector import detect_scaled
from vidrestore.models.load import load_detector


@pytest.mark.parametrize("name", CONDITIONS)
def test_detections_are_rotated_with_the_frame(name: str) -> None:
    condition, picture = CONDITIONS[name], portrait()
    find = load_detector("embedded", device="cpu")
    shown = condition.apply(picture)
    assert shown.shape == picture.shape
    upright = detect_scaled(find, shown, None)
    expected = condition.rotate_detections(upright, *picture.shape[:2])
    found = detect_scaled(find, condition.rotate(shown), None)
    eyes = np.linalg.norm(upright.landmarks[0, 1] - upright.landmarks[0, 0])
    apart = np.linalg.norm(found.landmarks[0] - expected.landmarks[0], axis=1)
    assert apart.mean() < 0.1 * eyes
    box, wanted = found.boxes_xyxy[0], expected.boxes_xyxy[0]
    assert np.abs(box - wanted).max() < 0.5 * eyes


def test_gray_frames_have_no_colour_and_degraded_ones_less_detail() -> None:
    picture = portrait()
    gray = CONDITIONS["gray"].apply(picture)
    assert np.ptp(gray.astype(int), axis=2).max() == 0
    degraded = CONDITIONS["degraded"].apply(picture)
    assert np.array_equal(degraded, CONDITIONS["degraded"].apply(picture))
    assert 3 < np.abs(degraded.astype(int) - picture).mean() < 20


def test_the_command_offers_all() -> None:
    (option,) = (p for p in detector_command.params if p.name == "conditions")
    assert list(option.type.choices) == list(CONDITIONS)  # type: ignore[attr-defined]
