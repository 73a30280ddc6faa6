"""Fixtures of the stages' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.load import load_detector


@pytest.fixture(scope="session")
def detector() -> FaceDetector:
    """The face detector that ships with the package."""
    return load_detector("embedded", device="cpu")


@pytest.fixture(scope="session")
def retinaface(shared: Path) -> FaceDetector:
    """The public RetinaFace-mobile0.25."""
    return load_detector(shared / "weights" / "detection_mobilenet0.25_Final.pth", device="cpu")
