"""RetinaFace: the same answers as facexlib's own detection, on tensors and in batches."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from vidrestore.models.detectors.retinaface import RetinaFaceDetector, anchors, build_retinaface
from vidrestore.models.interfaces import FaceDetector
from vidrestore.models.weights.checkpoint import fill, read


def astronaut_bgr() -> np.ndarray:
    picture = cv2.imread(str(files("vidrestore") / "demo" / "astronaut.png"))
    assert picture is not None
    return picture


def as_image(bgr: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(bgr[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def detector(shared: Path) -> RetinaFaceDetector:
    network = build_retinaface("mobile0.25")
    weights = read(shared / "weights" / "detection_mobilenet0.25_Final.pth")
    fill(network, weights, arch="RetinaFace")
    return RetinaFaceDetector(network, score_threshold=0.5)


@pytest.mark.parametrize("crop", [(0, 0), (37, 11)])
def test_agrees_with_facexlib(detector: RetinaFaceDetector, crop: tuple[int, int]) -> None:
    picture = astronaut_bgr()[crop[0] :, crop[1] :]
    with torch.inference_mode():
        expected = detector.network.detect_faces(picture, conf_threshold=0.5)
    (found,) = detector(as_image(picture))
    assert len(found) == len(expected) >= 1
    np.testing.assert_allclose(found.boxes_xyxy, expected[:, :4], atol=1e-2)
    np.testing.assert_allclose(found.scores, expected[:, 4], atol=1e-4)
    np.testing.assert_allclose(found.landmarks.reshape(-1, 10), expected[:, 5:], atol=1e-2)


def test_a_batch_gives_what_its_pictures_give(detector: RetinaFaceDetector) -> None:
    image = as_image(astronaut_bgr())
    both = detector(torch.cat([image, image.flip(3)]))
    assert isinstance(detector, FaceDetector)
    for found, single in zip(both, (image, image.flip(3)), strict=True):
        (alone,) = detector(single)
        np.testing.assert_allclose(found.boxes_xyxy, alone.boxes_xyxy, atol=1e-2)


@pytest.mark.parametrize("size", [(64, 64), (65, 100)])
def test_anchors_match_the_network(size: tuple[int, int]) -> None:
    network = build_retinaface("mobile0.25")
    with torch.no_grad():
        shifts, _, _ = network(torch.zeros(1, 3, *size))
    assert shifts.shape[1] == len(anchors(*size))


def test_resnet50_is_built_without_downloading() -> None:
    network = build_retinaface("resnet50")
    assert not network.training
    assert sum(p.numel() for p in network.parameters()) > 20e6
